//! One kind of row: a map with a root that knows the coins it holds.
//!
//! Writing a row keeps the sum of coins up to date at once. The root is brought up to date by
//! [`Table::seal`], once per block, from the rows that were written since: a row written ten times in
//! a block is hashed once. The cost of a block is thus the number of rows that it touches, never the
//! size of the table.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::amount::Amount;
use crate::hash::{LeaseId, ListingId, SlaId};
use crate::merkle::{Key, Merkle};
use crate::proof::{Leaf, Step};
use srwan_wire::id::{AccountKey, LaneId, ValidatorKey};

/// A row that may hold coins.
pub trait Holds {
    /// The coins inside this row.
    fn held(&self) -> Amount;
}

macro_rules! key {
    ($($name:ty),*) => {
        $(impl Key for $name {
            fn octets(&self) -> &[u8; 32] {
                &self.0
            }
        })*
    };
}

key!(AccountKey, LaneId, ValidatorKey, ListingId, LeaseId, SlaId);

/// Rows of one kind by key.
///
/// Invariant: `held` is the sum over `rows`.
#[derive(Clone)]
pub struct Table<K, V> {
    rows: Merkle<K, V>,
    held: u128,
}

impl<K: Key, V: BorshSerialize + Holds> Table<K, V> {
    /// A table without rows.
    pub const fn new() -> Self {
        Self { rows: Merkle::new(), held: 0 }
    }

    /// The row of `key`.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key)
    }

    /// Writes the row of `key`.
    pub fn put(&mut self, key: K, row: V) {
        self.held += u128::from(row.held().base());
        let replaced = self.rows.put(key, row);
        self.held -= replaced.map_or(0, |row| u128::from(row.held().base()));
    }

    /// Changes the row of `key` in its place; `None` if there is none.
    pub fn change<T>(&mut self, key: &K, change: impl FnOnce(&mut V) -> T) -> Option<T> {
        let held = &mut self.held;
        self.rows.change(key, |row| {
            *held -= u128::from(row.held().base());
            let changed = change(row);
            *held += u128::from(row.held().base());
            changed
        })
    }

    /// Removes the row of `key`.
    pub fn remove(&mut self, key: &K) {
        let removed = self.rows.remove(key);
        self.held -= removed.map_or(0, |row| u128::from(row.held().base()));
    }

    /// All rows, in the order of the hashes of their keys.
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
        self.rows.iter().map(|(_, row)| u128::from(row.held().base())).sum()
    }

    /// Brings the root up to date and returns it.
    pub fn seal(&mut self) -> [u8; 32] {
        self.rows.root()
    }

    /// The root as it was last sealed.
    pub fn sealed_root(&self) -> [u8; 32] {
        self.rows.sealed_root()
    }

    /// The way from the root to where `key` is or would be; the table must be sealed.
    pub fn path(&self, key: &[u8; 32]) -> (Vec<Step>, Leaf) {
        self.rows.path(key)
    }
}

impl<K: BorshSerialize, V: BorshSerialize> BorshSerialize for Table<K, V> {
    /// Writes the rows alone: the sum follows from them.
    fn serialize<W: borsh::io::Write>(&self, writer: &mut W) -> borsh::io::Result<()> {
        self.rows.serialize(writer)
    }
}

impl<K, V> BorshDeserialize for Table<K, V>
where
    K: Key + BorshDeserialize,
    V: BorshSerialize + BorshDeserialize + Holds,
{
    fn deserialize_reader<R: borsh::io::Read>(reader: &mut R) -> borsh::io::Result<Self> {
        let rows = Merkle::<K, V>::deserialize_reader(reader)?;
        let mut table = Self { rows, held: 0 };
        table.held = table.recount();
        Ok(table)
    }
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
    fn a_table_read_from_its_bytes_has_the_same_sum_and_root() {
        let key = |octet| LaneId([octet; 32]);
        let mut table = Table::<LaneId, Amount>::new();
        table.put(key(1), Amount::from_base(5));
        table.put(key(2), Amount::from_base(7));
        table.seal();
        table.put(key(1), Amount::from_base(6));
        table.remove(&key(2));
        table.put(key(3), Amount::from_base(8));
        table.change(&key(3), |amount| *amount = Amount::from_base(9));
        let root = table.seal();
        assert_eq!((table.held(), table.recount()), (15, 15));

        let bytes = borsh::to_vec(&table).unwrap();
        let mut read: Table<LaneId, Amount> = borsh::from_slice(&bytes).unwrap();
        assert_eq!((read.held(), read.seal(), read.len()), (15, root, 2));
    }
}
