//! docs/ledger.md names every reason that the ledger can give.

#[test]
fn every_rejection_code_is_documented() {
    let document = include_str!("../../../../docs/ledger.md");
    let source = concat!(
        include_str!("../../src/rejection.rs"),
        include_str!("../../src/contract/rejection.rs"),
    );
    let codes = source.split("\"SRW-").skip(1).map(|rest| format!("SRW-{}", &rest[..4]));
    let missing: Vec<_> = codes.filter(|code| !document.contains(code)).collect();
    assert_eq!(missing, [""; 0]);
}
