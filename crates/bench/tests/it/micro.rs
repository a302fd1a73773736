//! The hot steps really are done.

use srwan_bench::micro::measure;

#[test]
fn all_steps_of_both_sizes_take_time() {
    let micro = measure().unwrap();
    assert_eq!(micro.schema, "srwan.bench-micro/1");
    let octets: Vec<usize> = micro.sizes.iter().map(|size| size.octets).collect();
    assert_eq!(octets, [1_400, 100]);
    for size in micro.sizes {
        for spread in [size.parse_ns, size.seal_ns, size.forward_ns, size.open_ns] {
            assert!(spread.min > 0.0 && spread.min <= spread.median, "{size:?}");
        }
    }
}
