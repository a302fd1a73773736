//! The rows of all contracts, and what is due at each height.
//!
//! Invariant: `due`, `of_seller`, `of_listing` and `of_provider` follow from the tables.

use borsh::{BorshDeserialize, BorshSerialize};
use std::collections::{BTreeMap, BTreeSet};

use super::listing::{Lease, Listing};
use super::pseudonym::Pseudonym;
use super::quarantine::Quarantine;
use super::rating::Rating;
use super::review::LaneBook;
use super::sla::Sla;
use crate::hash::{LeaseId, ListingId, SlaId};
use crate::table::Table;
use srwan_wire::id::{AccountKey, Height, LaneId};

/// Something that the end of a block has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// A lease settles.
    Lease(LeaseId),
    /// An agreement ends.
    Sla(SlaId),
    /// A pseudonym's bond comes back.
    Pseudonym(AccountKey),
    /// A quarantine or a parole ends.
    Quarantine(AccountKey),
}

/// All contracts.
#[derive(Clone)]
pub struct Contracts {
    pub(crate) tables: Tables,
    due: BTreeSet<(Height, Due)>,
    of_seller: BTreeMap<AccountKey, BTreeSet<ListingId>>,
    of_listing: BTreeMap<ListingId, BTreeSet<LeaseId>>,
    of_provider: BTreeMap<AccountKey, BTreeSet<SlaId>>,
}

/// The rows, by kind.
#[derive(Clone, BorshSerialize, BorshDeserialize)]
pub(crate) struct Tables {
    pub(crate) listings: Table<ListingId, Listing>,
    pub(crate) leases: Table<LeaseId, Lease>,
    pub(crate) pseudonyms: Table<AccountKey, Pseudonym>,
    pub(crate) slas: Table<SlaId, Sla>,
    pub(crate) quarantines: Table<AccountKey, Quarantine>,
    pub(crate) ratings: Table<AccountKey, Rating>,
    pub(crate) books: Table<LaneId, LaneBook>,
}

impl Tables {
    fn new() -> Self {
        Self {
            listings: Table::new(),
            leases: Table::new(),
            pseudonyms: Table::new(),
            slas: Table::new(),
            quarantines: Table::new(),
            ratings: Table::new(),
            books: Table::new(),
        }
    }
}

impl Contracts {
    /// No contracts.
    pub(crate) fn new() -> Self {
        Self::over(Tables::new())
    }

    fn over(tables: Tables) -> Self {
        let mut contracts = Self {
            tables,
            due: BTreeSet::new(),
            of_seller: BTreeMap::new(),
            of_listing: BTreeMap::new(),
            of_provider: BTreeMap::new(),
        };
        let tables = contracts.tables.clone();
        for (id, listing) in tables.listings.iter() {
            contracts.of_seller.entry(listing.seller).or_default().insert(*id);
        }
        for (id, lease) in tables.leases.iter() {
            contracts.index_lease(*id, lease);
        }
        for (id, sla) in tables.slas.iter() {
            contracts.of_provider.entry(sla.provider).or_default().insert(*id);
            contracts.due.insert((sla.ends(), Due::Sla(*id)));
        }
        for (key, row) in tables.pseudonyms.iter() {
            contracts.due.extend(row.due().map(|due| (due, Due::Pseudonym(*key))));
        }
        for (key, row) in tables.quarantines.iter() {
            contracts.due.extend(row.due().map(|due| (due, Due::Quarantine(*key))));
        }
        contracts
    }

    /// The listing called `id`.
    #[must_use]
    pub fn listing(&self, id: &ListingId) -> Option<&Listing> {
        self.tables.listings.get(id)
    }

    /// All listings, open and closed.
    pub fn listings(&self) -> impl Iterator<Item = (&ListingId, &Listing)> {
        self.tables.listings.iter()
    }

    /// The listings of a seller.
    pub fn listings_of(&self, seller: &AccountKey) -> impl Iterator<Item = ListingId> {
        self.of_seller.get(seller).into_iter().flatten().copied()
    }

    /// The lease called `id`.
    #[must_use]
    pub fn lease(&self, id: &LeaseId) -> Option<&Lease> {
        self.tables.leases.get(id)
    }

    /// All leases that were not settled.
    pub fn leases(&self) -> impl Iterator<Item = (&LeaseId, &Lease)> {
        self.tables.leases.iter()
    }

    /// The leases of a listing.
    pub fn leases_of(&self, listing: &ListingId) -> impl Iterator<Item = (LeaseId, &Lease)> {
        let ids = self.of_listing.get(listing).into_iter().flatten();
        ids.filter_map(|id| Some((*id, self.tables.leases.get(id)?)))
    }

    /// The bonded pseudonym of `account`.
    #[must_use]
    pub fn pseudonym(&self, account: &AccountKey) -> Option<&Pseudonym> {
        self.tables.pseudonyms.get(account)
    }

    /// The agreement called `id`.
    #[must_use]
    pub fn sla(&self, id: &SlaId) -> Option<&Sla> {
        self.tables.slas.get(id)
    }

    /// All agreements that have not ended.
    pub fn slas(&self) -> impl Iterator<Item = (&SlaId, &Sla)> {
        self.tables.slas.iter()
    }

    /// How many agreements of `provider` have not ended.
    #[must_use]
    pub fn slas_of(&self, provider: &AccountKey) -> usize {
        self.of_provider.get(provider).map_or(0, BTreeSet::len)
    }

    /// What is remembered of a router that was quarantined.
    #[must_use]
    pub fn quarantine(&self, account: &AccountKey) -> Option<&Quarantine> {
        self.tables.quarantines.get(account)
    }

    /// All routers that were quarantined at least once.
    pub fn quarantines(&self) -> impl Iterator<Item = (&AccountKey, &Quarantine)> {
        self.tables.quarantines.iter()
    }

    /// Whether lanes and leases may not name `account`.
    #[must_use]
    pub fn is_confined(&self, account: &AccountKey) -> bool {
        self.quarantine(account).is_some_and(Quarantine::is_confined)
    }

    /// What bonded payers say about `account`.
    #[must_use]
    pub fn rating(&self, account: &AccountKey) -> Option<&Rating> {
        self.tables.ratings.get(account)
    }

    /// All ratings.
    pub fn ratings(&self) -> impl Iterator<Item = (&AccountKey, &Rating)> {
        self.tables.ratings.iter()
    }

    /// The bases of a lane's link statements.
    #[must_use]
    pub fn book(&self, lane: &LaneId) -> Option<&LaneBook> {
        self.tables.books.get(lane)
    }

    /// What is due at `height` or before.
    pub(super) fn due_by(&self, height: Height) -> Vec<Due> {
        self.due.iter().take_while(|(due, _)| *due <= height).map(|(_, what)| *what).collect()
    }

    pub(super) fn put_listing(&mut self, id: ListingId, listing: Listing) {
        self.of_seller.entry(listing.seller).or_default().insert(id);
        self.tables.listings.put(id, listing);
    }

    /// Closes a listing; it goes with its last lease.
    pub(super) fn close_listing(&mut self, id: ListingId) {
        if let Some(listing) = self.tables.listings.get(&id).cloned() {
            self.tables.listings.put(id, Listing { is_open: false, ..listing });
        }
        self.drop_unused(id);
    }

    pub(super) fn put_lease(&mut self, id: LeaseId, lease: Lease) {
        self.index_lease(id, &lease);
        self.tables.leases.put(id, lease);
    }

    pub(super) fn remove_lease(&mut self, id: &LeaseId) {
        let Some(lease) = self.tables.leases.get(id).cloned() else { return };
        self.due.remove(&(lease.terms.settle, Due::Lease(*id)));
        take_from(&mut self.of_listing, &lease.listing, id);
        self.tables.leases.remove(id);
        self.drop_unused(lease.listing);
    }

    pub(super) fn put_sla(&mut self, id: SlaId, sla: Sla) {
        self.of_provider.entry(sla.provider).or_default().insert(id);
        self.due.insert((sla.ends(), Due::Sla(id)));
        self.tables.slas.put(id, sla);
    }

    pub(super) fn remove_sla(&mut self, id: &SlaId) {
        let Some(sla) = self.tables.slas.get(id).cloned() else { return };
        self.due.remove(&(sla.ends(), Due::Sla(*id)));
        take_from(&mut self.of_provider, &sla.provider, id);
        self.tables.slas.remove(id);
    }

    pub(super) fn put_pseudonym(&mut self, key: AccountKey, row: Pseudonym) {
        if let Some(due) = self.pseudonym(&key).and_then(Pseudonym::due) {
            self.due.remove(&(due, Due::Pseudonym(key)));
        }
        self.due.extend(row.due().map(|due| (due, Due::Pseudonym(key))));
        self.tables.pseudonyms.put(key, row);
    }

    pub(super) fn remove_pseudonym(&mut self, key: &AccountKey) {
        if let Some(due) = self.pseudonym(key).and_then(Pseudonym::due) {
            self.due.remove(&(due, Due::Pseudonym(*key)));
        }
        self.tables.pseudonyms.remove(key);
    }

    pub(super) fn put_quarantine(&mut self, key: AccountKey, row: Quarantine) {
        if let Some(due) = self.quarantine(&key).and_then(Quarantine::due) {
            self.due.remove(&(due, Due::Quarantine(key)));
        }
        self.due.extend(row.due().map(|due| (due, Due::Quarantine(key))));
        self.tables.quarantines.put(key, row);
    }

    /// Forgets the bases of a lane that is gone.
    pub(crate) fn forget_lane(&mut self, lane: &LaneId) {
        self.tables.books.remove(lane);
    }

    fn index_lease(&mut self, id: LeaseId, lease: &Lease) {
        self.due.insert((lease.terms.settle, Due::Lease(id)));
        self.of_listing.entry(lease.listing).or_default().insert(id);
    }

    fn drop_unused(&mut self, id: ListingId) {
        let Some(listing) = self.tables.listings.get(&id) else { return };
        if listing.is_open || self.of_listing.contains_key(&id) {
            return;
        }
        let seller = listing.seller;
        take_from(&mut self.of_seller, &seller, &id);
        self.tables.listings.remove(&id);
    }

    /// The coins in all contracts. **Units:** base units.
    pub(crate) const fn held(&self) -> u128 {
        let tables = &self.tables;
        tables.leases.held() + tables.pseudonyms.held() + tables.slas.held()
    }

    /// The same, counted row by row.
    pub(crate) fn recount(&self) -> u128 {
        let tables = &self.tables;
        tables.leases.recount() + tables.pseudonyms.recount() + tables.slas.recount()
    }

    /// Brings the roots up to date.
    pub(crate) fn seal(&mut self) {
        let tables = &mut self.tables;
        tables.listings.seal();
        tables.leases.seal();
        tables.pseudonyms.seal();
        tables.slas.seal();
        tables.quarantines.seal();
        tables.ratings.seal();
        tables.books.seal();
    }
}

/// Takes one member out of the set of `key`, which goes with its last member.
fn take_from<K: Ord, V: Ord>(sets: &mut BTreeMap<K, BTreeSet<V>>, key: &K, member: &V) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(member);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}

impl BorshSerialize for Contracts {
    /// Writes the rows alone: the indices follow from them.
    fn serialize<W: borsh::io::Write>(&self, writer: &mut W) -> borsh::io::Result<()> {
        self.tables.serialize(writer)
    }
}

impl BorshDeserialize for Contracts {
    fn deserialize_reader<R: borsh::io::Read>(reader: &mut R) -> borsh::io::Result<Self> {
        Tables::deserialize_reader(reader).map(Self::over)
    }
}
