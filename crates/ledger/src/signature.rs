//! Signatures of transactions and their evidence, checked many at once and never twice.
//!
//! [`Checked`] remembers transactions all of whose signatures are valid, with the keys that the ledger
//! asked for. A mempool fills it, a block is executed with it, and whatever it does not know is checked
//! then, one by one. It is a shortcut alone: with any memory a transaction does the same.

use std::collections::{BTreeMap, VecDeque};

use crate::hash::{TxHash, digest};
use crate::lane::{Lane, wide};
use crate::state::State;
use crate::ticket::Ticket;
use crate::tx::{Action, SIGNATURE_OCTETS, SignedTx, Tx};
use srwan_wire::id::AccountKey;
use srwan_wire::receipt::{Signable, Signed};
use srwan_wire::sign::claim::{Claim, Keys, all_true, each_true};

/// Transactions that are remembered: many blocks' worth, in about 12 MB.
const REMEMBERED_MAX: usize = 65_536;

/// Signatures that one equation takes: more gain little and need more memory.
const BATCH_MAX: usize = 2_048;

/// Whose signatures on a ticket were checked: the ledger's state decides whose it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signers {
    /// Of the receipt.
    pub payer: AccountKey,
    /// Of the delivery.
    pub endpoint: AccountKey,
}

impl Signers {
    /// Those that `lane` asks for.
    #[must_use]
    pub fn of(lane: &Lane) -> Self {
        Self { payer: lane.payer, endpoint: lane.endpoint() }
    }
}

/// What is known of one transaction: it was signed by its sender, and its evidence by these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Those of a ticket; `None` if its lane was not known then.
    pub ticket: Option<Signers>,
}

/// What follows from the bytes of a transaction. To make it costs a microsecond, so whoever handles many
/// transactions makes it once for each.
#[derive(Clone, Debug)]
pub struct Form {
    /// The transaction's name.
    pub hash: TxHash,
    /// Octets of the signed transaction.
    pub size_octets: u64,
    name: Name,
    bytes: Vec<u8>,
}

impl Form {
    /// That of a transaction.
    #[must_use]
    pub fn of(tx: &SignedTx) -> Self {
        let bytes = borsh::to_vec(tx).expect("writing to a Vec does not fail");
        let hash = TxHash(digest("srwan tx hash v1", &[body(&bytes)]));
        let name = digest("srwan checked v1", &[&hash.0, &tx.signature.0]);
        Self { hash, size_octets: wide(bytes.len()), name, bytes }
    }

    /// That the sender signed it.
    pub(crate) fn claim(&self, tx: &SignedTx) -> Claim {
        Claim::new(Tx::DOMAIN, body(&self.bytes), &tx.body.sender, &tx.signature)
    }
}

/// The bytes before the signature.
fn body(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len() - SIGNATURE_OCTETS]
}

/// What a transaction is remembered under. It covers the signatures: another one is another name.
type Name = [u8; 32];

/// Transactions whose signatures were found valid; the oldest are forgotten first.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    known: BTreeMap<Name, Known>,
    order: VecDeque<Name>,
    keys: Keys,
}

impl Checked {
    /// Nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks all signatures of `txs` that are not known yet, at once, and remembers the valid ones.
    pub fn check(&mut self, state: &State, txs: &[SignedTx]) {
        let forms: Vec<Form> = txs.iter().map(Form::of).collect();
        let valid = self.unchecked(state, txs.iter().zip(&forms)).check();
        self.merge(valid);
    }

    /// The signatures of transactions that are not known yet. To check them takes neither the state nor this
    /// memory, so both are free for others meanwhile; [`Checked::merge`] takes what comes of it.
    ///
    /// A ticket of a lane that `state` does not have is checked for its sender alone.
    #[must_use]
    pub fn unchecked<'a>(
        &self,
        state: &State,
        txs: impl Iterator<Item = (&'a SignedTx, &'a Form)>,
    ) -> Unchecked {
        let mut batches = vec![Batch::default()];
        let is_unknown = |(tx, form): &(&SignedTx, &Form)| {
            self.known.get(&form.name).is_none_or(|known| lacks(known, state, &tx.body))
        };
        for (tx, form) in txs.filter(is_unknown) {
            if batches.last().is_none_or(|batch| batch.claims.len() >= BATCH_MAX) {
                batches.push(Batch::default());
            }
            if let Some(batch) = batches.last_mut() {
                batch.add(state, tx, form);
            }
        }
        let mut keys = Keys::default();
        batches.iter().for_each(|batch| keys.merge(self.keys.of(&batch.claims)));
        Unchecked { batches, keys }
    }

    /// What is known of a transaction; `None` if nothing is.
    pub(crate) fn known(&self, form: &Form) -> Option<Known> {
        self.known.get(&form.name).copied()
    }

    /// Transactions that are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Takes over what another found out.
    pub fn merge(&mut self, other: Self) {
        self.keys.merge(other.keys);
        let known = |name| other.known.get(name).map(|known| (*name, *known));
        other.order.iter().filter_map(known).for_each(|(name, known)| self.remember(name, known));
    }

    fn finish(&mut self, batch: Batch) {
        if all_true(&batch.claims, &mut self.keys) {
            batch.entries.into_iter().for_each(|entry| self.remember(entry.name, entry.known));
            return;
        }
        let verdicts = each_true(&batch.claims, &mut self.keys);
        let mut from = 0;
        for entry in batch.entries {
            let until = from + entry.claims;
            if verdicts[from..until].iter().all(|is_true| *is_true) {
                self.remember(entry.name, entry.known);
            }
            from = until;
        }
    }

    fn remember(&mut self, name: Name, known: Known) {
        if self.known.insert(name, known).is_none() {
            self.order.push_back(name);
        }
        while self.order.len() > REMEMBERED_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }
}

/// Signatures that have yet to be checked.
pub struct Unchecked {
    batches: Vec<Batch>,
    keys: Keys,
}

impl Unchecked {
    /// Checks them; what is returned knows the transactions all of whose signatures are valid.
    #[must_use]
    pub fn check(self) -> Checked {
        let mut checked = Checked { keys: self.keys, ..Checked::new() };
        self.batches.into_iter().for_each(|batch| checked.finish(batch));
        checked
    }
}

/// Whether more could be known by now: the lane of a ticket was opened since.
fn lacks(known: &Known, state: &State, tx: &Tx) -> bool {
    let is_ticket =
        matches!(&tx.action, Action::Ticket(ticket) if state.lane(&ticket.lane).is_ok());
    is_ticket && known.ticket.is_none()
}

/// Signatures that are checked together, and whose they are.
#[derive(Default)]
struct Batch {
    claims: Vec<Claim>,
    entries: Vec<Entry>,
}

struct Entry {
    name: Name,
    known: Known,
    /// How many of the batch's claims are this transaction's.
    claims: usize,
}

impl Batch {
    fn add(&mut self, state: &State, tx: &SignedTx, form: &Form) {
        let before = self.claims.len();
        self.claims.push(form.claim(tx));
        let mut known = Known { ticket: None };
        match &tx.body.action {
            Action::Ticket(ticket) => {
                if let Ok(lane) = state.lane(&ticket.lane) {
                    let signers = Signers::of(lane);
                    known.ticket = Some(signers);
                    self.add_ticket(ticket, &signers);
                }
            }
            Action::Contract(_)
            | Action::ReportContradiction(_)
            | Action::Transfer { .. }
            | Action::EscrowAdd { .. }
            | Action::EscrowWithdraw { .. }
            | Action::LaneOpen(_)
            | Action::LaneRaise { .. }
            | Action::LaneClose { .. }
            | Action::RegisterRouter(_)
            | Action::RetireRouter
            | Action::Vote(_)
            | Action::Validator(_)
            | Action::NodeKey(_)
            | Action::Govern(_) => {}
        }
        let claims = self.claims.len() - before;
        self.entries.push(Entry { name: form.name, known, claims });
    }

    fn add_ticket(&mut self, ticket: &Ticket, signers: &Signers) {
        self.claims.push(claim(&ticket.receipt, &signers.payer));
        self.claims.push(claim(&ticket.delivery, &signers.endpoint));
        for statement in ticket.statements.iter().take(crate::ticket::STATEMENTS_MAX) {
            self.claims.push(claim(statement, &statement.body.reporter));
        }
    }
}

fn claim<T: Signable>(signed: &Signed<T>, signer: &AccountKey) -> Claim {
    let payload = borsh::to_vec(&signed.body).expect("writing to a Vec does not fail");
    Claim::new(T::DOMAIN, &payload, signer, &signed.signature)
}
