//! The tree against a slow one that is built anew from sorted rows for every root.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

impl Key for [u8; 32] {
    fn octets(&self) -> &[u8; 32] {
        self
    }
}

type Tree = Merkle<[u8; 32], u16>;

fn key(number: u16) -> [u8; 32] {
    let mut key = [0; 32];
    key[..2].copy_from_slice(&number.to_le_bytes());
    key
}

fn write(tree: &mut Tree, number: u16, row: u16) {
    tree.put(key(number), row);
}

/// A place, and the key and row that stand there.
type Placed<'a> = (&'a [u8; 32], &'a ([u8; 32], u16));

/// The root by the definition: split where the first bit differs, hash both halves.
fn slow_root(rows: &BTreeMap<[u8; 32], ([u8; 32], u16)>) -> [u8; 32] {
    let leaves: Vec<_> = rows.iter().collect();
    fn root(leaves: &[Placed<'_>]) -> [u8; 32] {
        if let [(_, (key, row))] = leaves {
            return leaf_hash(key, blake3::hash(&row.to_le_bytes()).as_bytes());
        }
        let (first, last) = (leaves[0].0, leaves[leaves.len() - 1].0);
        let differs = |bit: &u8| side(first, *bit) != side(last, *bit);
        let bit = (0..=255).find(differs).unwrap();
        let split = leaves.partition_point(|(place, _)| side(place, bit) == 0);
        node_hash(bit, &root(&leaves[..split]), &root(&leaves[split..]))
    }
    if leaves.is_empty() { [0; 32] } else { root(&leaves) }
}

fn op() -> impl Strategy<Value = (u8, u16, u16)> {
    (0_u8..8, 0_u16..60, any::<u16>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_root_and_the_rows_are_those_of_a_slow_tree(
        ops in prop::collection::vec(op(), 0..150),
    ) {
        let mut tree = Tree::new();
        let mut model = BTreeMap::new();
        for (what, number, row) in ops {
            let key = key(number);
            let before = model.get(&place_of(&key)).map(|(_, row)| *row);
            prop_assert_eq!(tree.get(&key).copied(), before);
            match what {
                0..=3 => {
                    model.insert(place_of(&key), (key, row));
                    prop_assert_eq!(tree.put(key, row), before);
                }
                4..=5 => {
                    model.remove(&place_of(&key));
                    prop_assert_eq!(tree.remove(&key), before);
                }
                6 => {
                    model.entry(place_of(&key)).and_modify(|(_, held)| *held = row);
                    tree.change(&key, |held| *held = row);
                }
                _ => prop_assert_eq!(tree.root(), slow_root(&model)),
            }
        }
        prop_assert_eq!(tree.root(), slow_root(&model));
        prop_assert_eq!(tree.sealed_root(), slow_root(&model));
        prop_assert_eq!(tree.len(), model.len());
        let rows: Vec<_> = tree.iter().map(|(key, row)| (*key, *row)).collect();
        prop_assert_eq!(rows, model.values().copied().collect::<Vec<_>>());
    }

    #[test]
    fn the_root_does_not_depend_on_the_order_of_writing(
        numbers in prop::collection::btree_set(any::<u16>(), 0..60),
        removed in prop::collection::btree_set(any::<u16>(), 0..20),
        seed in any::<u64>(),
    ) {
        let mut straight = Tree::new();
        let kept = || numbers.iter().filter(|number| !removed.contains(number));
        kept().for_each(|number| write(&mut straight, *number, *number));
        let mut shuffled: Vec<_> = numbers.union(&removed).copied().collect();
        let mixed = |number: &u16| blake3::hash(&(u64::from(*number) ^ seed).to_le_bytes());
        shuffled.sort_by_key(|number| *mixed(number).as_bytes());
        let mut winding = Tree::new();
        shuffled.iter().for_each(|number| write(&mut winding, *number, number ^ 1));
        winding.root();
        shuffled.iter().for_each(|number| write(&mut winding, *number, *number));
        removed.iter().for_each(|number| assert!(winding.remove(&key(*number)).is_some()));
        prop_assert_eq!(winding.root(), straight.root());
        let read: Tree = borsh::from_slice(&borsh::to_vec(&winding).unwrap()).unwrap();
        prop_assert_eq!(read.clone().root(), straight.root());
    }
}

#[test]
fn rows_out_of_order_or_twice_are_no_table() {
    let mut tree = Tree::new();
    tree.put(key(1), 1);
    tree.put(key(2), 2);
    let bytes = borsh::to_vec(&tree).unwrap();
    let (first, second) = bytes[8..].split_at(34);
    for rows in [[second, first], [first, first]] {
        let swapped = [&bytes[..8], rows[0], rows[1]].concat();
        assert!(borsh::from_slice::<Tree>(&swapped).is_err());
    }
    assert!(borsh::from_slice::<Tree>(&[255; 8]).is_err());
}

#[test]
fn keys_that_share_a_long_prefix_do_not_make_the_tree_deep() {
    let mut tree = Tree::new();
    (0..4_096).for_each(|number| write(&mut tree, number, number));
    tree.root();
    let deepest = (0..4_096).map(|number| tree.path(&key(number)).0.len()).max().unwrap();
    assert!(deepest < 32, "{deepest}");
}
