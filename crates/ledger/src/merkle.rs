//! Rows in a Merkle tree: what is in it has one root, and any row, or its absence, has a short proof.
//!
//! A row's place is the BLAKE3 hash of its key, so nobody chooses places. The tree is a crit-bit tree
//! over those places: an inner node stands where the places below it first differ and knows that bit,
//! so there are exactly n - 1 inner nodes for n rows and no chain of nodes with one child. Its shape,
//! and with it the root, follows from the set of rows alone, not from how it came about.
//!
//! ```text
//! leaf  = BLAKE3 keyed by LEAF       (key | BLAKE3(row))
//! inner = BLAKE3 keyed by NODE, bit  (left | right)          one compression
//! ```
//!
//! Writing marks the path to a row as stale; [`Merkle::root`] hashes stale nodes alone, so a block
//! costs as much as the rows that it touches. The tree is the table: nodes of 44 octets and dense rows.
//! A tree is at most 256 deep; making one path long takes twice the hashing for each further level.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::lane::wide;
use crate::proof::{Leaf, Step, leaf_hash, node_hash, place_of};

/// A key of 32 octets.
pub trait Key: Copy + Eq {
    /// The octets.
    fn octets(&self) -> &[u8; 32];
}

/// What a child is: the highest bit tells rows from nodes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Link(u32);

const ROW_BIT: u32 = 1 << 31;

enum Target {
    Row(usize),
    Node(usize),
}

impl Link {
    fn row(index: usize) -> Self {
        Self(narrow(index) | ROW_BIT)
    }

    fn node(index: usize) -> Self {
        Self(narrow(index))
    }

    fn target(self) -> Target {
        let index = usize::try_from(self.0 & !ROW_BIT).expect("an index of 31 bits fits");
        if self.0 & ROW_BIT == 0 { Target::Node(index) } else { Target::Row(index) }
    }
}

fn narrow(index: usize) -> u32 {
    let index = u32::try_from(index).ok().filter(|index| index & ROW_BIT == 0);
    index.expect("2^31 rows are not reached: each costs a fee and 90 octets of memory")
}

/// An inner node: where the places below it first differ.
#[derive(Clone, Copy)]
struct Node {
    hash: [u8; 32],
    children: [Link; 2],
    bit: u8,
    stale: bool,
}

/// Rows by key, with a root.
///
/// Invariant: a node that is not stale has the hash of what is below it, and no stale node is below it.
#[derive(Clone)]
pub struct Merkle<K, V> {
    top: Option<Link>,
    nodes: Vec<Node>,
    vacant: Vec<u32>,
    rows: Vec<(K, V)>,
}

impl<K: Key, V> Merkle<K, V> {
    /// No rows.
    pub const fn new() -> Self {
        Self { top: None, nodes: Vec::new(), vacant: Vec::new(), rows: Vec::new() }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The row of `key`.
    pub fn get(&self, key: &K) -> Option<&V> {
        let (found, row) = &self.rows[self.descend(&place_of(key.octets()))?];
        (found == key).then_some(row)
    }

    /// Writes the row of `key`; returns the one before.
    pub fn put(&mut self, key: K, row: V) -> Option<V> {
        let place = place_of(key.octets());
        let Some(index) = self.descend_writing(&place) else {
            self.rows.push((key, row));
            self.top = Some(Link::row(0));
            return None;
        };
        let (found, held) = &mut self.rows[index];
        if *found == key {
            return Some(core::mem::replace(held, row));
        }
        let bit = first_difference(&place, &place_of(found.octets()));
        self.rows.push((key, row));
        self.insert(&place, bit, Link::row(self.rows.len() - 1));
        None
    }

    /// Changes the row of `key` in its place; `None` if there is none.
    pub fn change<T>(&mut self, key: &K, change: impl FnOnce(&mut V) -> T) -> Option<T> {
        let index = self.descend_writing(&place_of(key.octets()))?;
        let (found, row) = &mut self.rows[index];
        (found == key).then(|| change(row))
    }

    /// Removes the row of `key` and returns it.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let place = place_of(key.octets());
        let index = self.descend_writing(&place)?;
        if self.rows[index].0 != *key {
            return None;
        }
        self.cut(&place);
        let (_, removed) = self.rows.swap_remove(index);
        if index < self.rows.len() {
            let moved = place_of(self.rows[index].0.octets());
            let link = self.link_towards(&moved, usize::MAX);
            *link = Link::row(index);
        }
        Some(removed)
    }

    /// All rows in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        Rows { tree: self, pending: self.top.into_iter().collect() }
    }

    /// The row that a search for `place` ends at.
    fn descend(&self, place: &[u8; 32]) -> Option<usize> {
        let mut link = self.top?;
        loop {
            match link.target() {
                Target::Row(index) => return Some(index),
                Target::Node(index) => {
                    let node = &self.nodes[index];
                    link = node.children[side(place, node.bit)];
                }
            }
        }
    }

    /// The same, and marks the way.
    fn descend_writing(&mut self, place: &[u8; 32]) -> Option<usize> {
        let mut link = self.top?;
        loop {
            match link.target() {
                Target::Row(index) => return Some(index),
                Target::Node(index) => {
                    let node = &mut self.nodes[index];
                    node.stale = true;
                    link = node.children[side(place, node.bit)];
                }
            }
        }
    }

    /// Where the link towards `place` stands, below all nodes that differ before `bit`.
    fn link_towards(&mut self, place: &[u8; 32], bit: usize) -> &mut Link {
        let mut at: Option<(usize, usize)> = None;
        let mut link = self.top.expect("a search starts in a tree with rows");
        while let Target::Node(index) = link.target() {
            let node = &self.nodes[index];
            if usize::from(node.bit) >= bit {
                break;
            }
            let side = side(place, node.bit);
            at = Some((index, side));
            link = node.children[side];
        }
        match at {
            Some((index, side)) => &mut self.nodes[index].children[side],
            None => self.top.as_mut().expect("a search starts in a tree with rows"),
        }
    }

    /// Puts a node in where `place` first differs from all rows beside it.
    fn insert(&mut self, place: &[u8; 32], bit: u8, row: Link) {
        let beside = *self.link_towards(place, usize::from(bit));
        let is_right = side(place, bit) == 1;
        let children = if is_right { [beside, row] } else { [row, beside] };
        let node = Node { hash: [0; 32], children, bit, stale: true };
        let index = match self.vacant.pop() {
            Some(vacant) => {
                let index = usize::try_from(vacant).expect("an index of 31 bits fits");
                self.nodes[index] = node;
                index
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() - 1
            }
        };
        *self.link_towards(place, usize::from(bit)) = Link::node(index);
    }

    /// Takes the row at `place` out of the tree, and the node above it.
    fn cut(&mut self, place: &[u8; 32]) {
        let Some(Target::Node(top)) = self.top.map(Link::target) else {
            self.top = None;
            return;
        };
        let mut last = top;
        while let Target::Node(next) =
            self.nodes[last].children[side(place, self.nodes[last].bit)].target()
        {
            last = next;
        }
        let node = self.nodes[last];
        let beside = node.children[1 - side(place, node.bit)];
        *self.link_towards(place, usize::from(node.bit)) = beside;
        self.vacant.push(narrow(last));
    }
}

impl<K: Key, V: BorshSerialize> Merkle<K, V> {
    /// Brings the root up to date and returns it; all zeros without rows.
    pub fn root(&mut self) -> [u8; 32] {
        let mut scratch = Vec::new();
        self.top.map_or([0; 32], |top| self.refresh(top, &mut scratch))
    }

    /// The root as it was last brought up to date.
    pub fn sealed_root(&self) -> [u8; 32] {
        self.top.map_or([0; 32], |top| self.hash_of(top))
    }

    /// The way from the root to where `key` is or would be, and what stands there.
    ///
    /// **Panics:** if rows were written since [`Merkle::root`]: such a proof would prove nothing.
    pub fn path(&self, key: &[u8; 32]) -> (Vec<Step>, Leaf) {
        let place = place_of(key);
        let (mut steps, Some(mut link)) = (Vec::new(), self.top) else {
            return (Vec::new(), Leaf::None);
        };
        loop {
            match link.target() {
                Target::Row(index) => {
                    let (found, row) = &self.rows[index];
                    let other = || Leaf::Other { key: *found.octets(), row: row_hash(row) };
                    return (steps, if found.octets() == key { Leaf::Same } else { other() });
                }
                Target::Node(index) => {
                    let node = &self.nodes[index];
                    assert!(!node.stale, "a proof is made of a state between blocks");
                    let side = side(&place, node.bit);
                    let sibling = self.hash_of(node.children[1 - side]);
                    steps.push(Step { bit: node.bit, sibling });
                    link = node.children[side];
                }
            }
        }
    }

    fn hash_of(&self, link: Link) -> [u8; 32] {
        match link.target() {
            Target::Row(index) => {
                let (key, row) = &self.rows[index];
                leaf_hash(key.octets(), &row_hash(row))
            }
            Target::Node(index) => self.nodes[index].hash,
        }
    }

    /// Hashes what is stale below `link`. At most 256 levels deep.
    fn refresh(&mut self, link: Link, scratch: &mut Vec<u8>) -> [u8; 32] {
        match link.target() {
            Target::Row(index) => {
                let (key, row) = &self.rows[index];
                scratch.clear();
                row.serialize(scratch).expect("writing to a Vec does not fail");
                leaf_hash(key.octets(), blake3::hash(scratch).as_bytes())
            }
            Target::Node(index) => {
                let Node { hash, children: [left, right], bit, stale } = self.nodes[index];
                if !stale {
                    return hash;
                }
                let (left, right) = (self.refresh(left, scratch), self.refresh(right, scratch));
                let hash = node_hash(bit, &left, &right);
                let node = &mut self.nodes[index];
                (node.hash, node.stale) = (hash, false);
                hash
            }
        }
    }
}

fn row_hash<V: BorshSerialize>(row: &V) -> [u8; 32] {
    *blake3::hash(&borsh::to_vec(row).expect("writing to a Vec does not fail")).as_bytes()
}

/// Rows in order, without recursion.
struct Rows<'a, K, V> {
    tree: &'a Merkle<K, V>,
    pending: Vec<Link>,
}

impl<'a, K, V> Iterator for Rows<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.pending.pop()?.target() {
                Target::Row(index) => {
                    let (key, row) = &self.tree.rows[index];
                    return Some((key, row));
                }
                Target::Node(index) => {
                    let [left, right] = self.tree.nodes[index].children;
                    self.pending.extend([right, left]);
                }
            }
        }
    }
}

impl<K: BorshSerialize, V: BorshSerialize> BorshSerialize for Merkle<K, V> {
    /// Writes the rows alone, in the order of their places: the tree follows from them.
    fn serialize<W: borsh::io::Write>(&self, writer: &mut W) -> borsh::io::Result<()> {
        wide(self.rows.len()).serialize(writer)?;
        let rows = Rows { tree: self, pending: self.top.into_iter().collect() };
        for (key, row) in rows {
            key.serialize(writer)?;
            row.serialize(writer)?;
        }
        Ok(())
    }
}

impl<K: Key + BorshDeserialize, V: BorshDeserialize> BorshDeserialize for Merkle<K, V> {
    fn deserialize_reader<R: borsh::io::Read>(reader: &mut R) -> borsh::io::Result<Self> {
        let mut tree = Self::new();
        let mut last = None;
        for _ in 0..u64::deserialize_reader(reader)? {
            let key = K::deserialize_reader(reader)?;
            let place = Some(place_of(key.octets()));
            if place <= last {
                let what = "the rows of a table are not in order";
                return Err(borsh::io::Error::new(borsh::io::ErrorKind::InvalidData, what));
            }
            last = place;
            tree.put(key, V::deserialize_reader(reader)?);
        }
        Ok(tree)
    }
}

/// Which child is towards `place`.
fn side(place: &[u8; 32], bit: u8) -> usize {
    crate::proof::side(place, bit)
}

/// The first bit, counted from the highest of the first octet, in which two places differ.
fn first_difference(left: &[u8; 32], right: &[u8; 32]) -> u8 {
    let differ = |(left, right): (&u8, &u8)| left != right;
    let octet = left.iter().zip(right).position(differ);
    let octet = octet.expect("two keys with one BLAKE3 hash are not found");
    let zeros = usize::try_from((left[octet] ^ right[octet]).leading_zeros()).unwrap_or(7);
    u8::try_from(8 * octet + zeros).expect("a hash has 256 bits")
}

#[cfg(test)]
mod tests;
