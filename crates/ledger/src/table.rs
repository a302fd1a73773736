//! One kind of row: an ordered map that knows the coins it holds and its digest.
//!
//! Writing a row keeps the sum of coins up to date at once. The digest is brought up to date by
//! [`Table::seal`], once per block, from the rows that changed since the last one: a row written
//! ten times in a block is hashed twice. The cost of a block is thus the number of rows that it
//! touches, never the size of the table.

use borsh::{BorshDeserialize, BorshSerialize};
use std::collections::BTreeMap;

use crate::amount::Amount;
use crate::digest::SetDigest;

/// A row that may hold coins.
pub trait Holds {
    /// The coins inside this row.
    fn held(&self) -> Amount;
}

/// Rows of one kind by key.
///
/// Invariant: `held` is the sum over `rows`; `digest` is that of the rows as they were at the last
/// seal; `before` has each key written since, with its row at that time.
#[derive(Clone)]
pub struct Table<K, V> {
    rows: BTreeMap<K, V>,
    before: BTreeMap<K, Option<V>>,
    held: u128,
    digest: SetDigest,
}

impl<K, V> Table<K, V>
where
    K: Ord + Clone + BorshSerialize,
    V: Clone + BorshSerialize + Holds,
{
    /// A table without rows.
    pub fn new() -> Self {
        Self { rows: BTreeMap::new(), before: BTreeMap::new(), held: 0, digest: SetDigest::empty() }
    }

    /// The row of `key`.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key)
    }

    /// Writes the row of `key`.
    pub fn put(&mut self, key: K, row: V) {
        self.held += u128::from(row.held().base());
        let replaced = self.rows.insert(key.clone(), row);
        self.note(key, replaced);
    }

    /// Removes the row of `key`.
    pub fn remove(&mut self, key: &K) {
        if let Some(removed) = self.rows.remove(key) {
            self.note(key.clone(), Some(removed));
        }
    }

    /// All rows in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter()
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The coins inside all rows.
    ///
    /// - **Units:** base units.
    pub const fn held(&self) -> u128 {
        self.held
    }

    /// Counts the coins inside all rows again, row by row.
    pub fn recount(&self) -> u128 {
        self.rows.values().map(|row| u128::from(row.held().base())).sum()
    }

    /// Brings the digest up to date and returns it.
    pub fn seal(&mut self) -> [u8; 32] {
        for (key, old) in core::mem::take(&mut self.before) {
            if let Some(old) = old {
                self.digest.remove(&encode(&key, &old));
            }
            if let Some(new) = self.rows.get(&key) {
                self.digest.add(&encode(&key, new));
            }
        }
        self.digest.finish()
    }

    /// Keeps the sum and the list of changes right after `key` lost the row `replaced`.
    fn note(&mut self, key: K, replaced: Option<V>) {
        if let Some(old) = &replaced {
            self.held -= u128::from(old.held().base());
        }
        self.before.entry(key).or_insert(replaced);
    }
}

impl<K, V> BorshSerialize for Table<K, V>
where
    K: Ord + BorshSerialize,
    V: BorshSerialize,
{
    /// Writes the rows alone: sum and digest follow from them.
    fn serialize<W: borsh::io::Write>(&self, writer: &mut W) -> borsh::io::Result<()> {
        self.rows.serialize(writer)
    }
}

impl<K, V> BorshDeserialize for Table<K, V>
where
    K: Ord + Clone + BorshSerialize + BorshDeserialize,
    V: Clone + BorshSerialize + BorshDeserialize + Holds,
{
    fn deserialize_reader<R: borsh::io::Read>(reader: &mut R) -> borsh::io::Result<Self> {
        let rows = BTreeMap::<K, V>::deserialize_reader(reader)?;
        let mut table = Self::new();
        for (key, row) in rows {
            table.put(key, row);
        }
        table.seal();
        Ok(table)
    }
}

fn encode<K: BorshSerialize, V: BorshSerialize>(key: &K, row: &V) -> Vec<u8> {
    borsh::to_vec(&(key, row)).expect("writing to a Vec does not fail")
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Holds for Amount {
        fn held(&self) -> Amount {
            *self
        }
    }

    #[test]
    fn a_table_read_from_its_bytes_has_the_same_sum_and_digest() {
        let mut table = Table::<u8, Amount>::new();
        table.put(1, Amount::from_base(5));
        table.put(2, Amount::from_base(7));
        table.seal();
        table.put(1, Amount::from_base(6));
        table.remove(&2);
        table.put(3, Amount::from_base(9));
        let digest = table.seal();
        assert_eq!((table.held(), table.recount()), (15, 15));

        let bytes = borsh::to_vec(&table).unwrap();
        let mut read: Table<u8, Amount> = borsh::from_slice(&bytes).unwrap();
        assert_eq!((read.held(), read.seal(), read.len()), (15, digest, 2));
    }
}
