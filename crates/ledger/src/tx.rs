//! Transactions: what an account can ask the ledger to do, signed for one chain and one nonce.

use borsh::{BorshDeserialize, BorshSerialize};
use std::net::SocketAddr;

use crate::amount::Amount;
use crate::contract::ContractAction;
use crate::equivocation::Equivocation;
use crate::fee::FeeSchedule;
use crate::governance::Change;
use crate::hash::{TxHash, digest};
use crate::lane::{LaneOpen, lane_id};
use crate::node_key::NodeKeyAction;
use crate::router::{Contradiction, Registration};
use crate::ticket::Ticket;
use crate::validator::{Consent, Join, ValidatorAction};
use crate::vote::VoteAction;
use srwan_wire::id::{AccountKey, ChainId, Height, LaneId, ValidatorKey};
use srwan_wire::receipt::{Signable, Signed};
use srwan_wire::sign::AccountSecret;

/// Largest encoded signed transaction: a ticket of eight payees with all statements has about 4 kB.
pub const TX_OCTETS_MAX: u64 = 8_192;

/// What an account asks for.
#[expect(clippy::large_enum_variant, reason = "tickets, the largest, are the usual case")]
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Action {
    /// Gives coins to another account.
    Transfer {
        /// To whom.
        to: AccountKey,
        /// How much.
        amount: Amount,
    },
    /// Sets coins aside for lanes; the first time opens the sender's escrow.
    EscrowAdd {
        /// How much.
        amount: Amount,
    },
    /// Takes back coins that no lane holds.
    EscrowWithdraw {
        /// How much.
        amount: Amount,
    },
    /// Funds a lane from the sender's escrow.
    LaneOpen(LaneOpen),
    /// Raises the cap of the sender's open lane from its escrow.
    LaneRaise {
        /// Which.
        lane: LaneId,
        /// By how much.
        amount: Amount,
    },
    /// Starts the claim window of the sender's lane.
    LaneClose {
        /// Which.
        lane: LaneId,
    },
    /// Settles a lane that the sender is a party of.
    Ticket(Ticket),
    /// Registers the sender's router, or changes what it says about itself.
    RegisterRouter(Registration),
    /// Ends the registration; the bond comes back after the unbonding time.
    RetireRouter,
    /// Convicts a router of contradicting itself.
    ReportContradiction(Box<Contradiction>),
    /// Votes.
    Vote(VoteAction),
    /// Joins or leaves the validators, or convicts one.
    Validator(ValidatorAction),
    /// Rotates or revokes a node key of the sender's router.
    NodeKey(NodeKeyAction),
    /// Approves a change of a parameter.
    Govern(Change),
    /// Lists, buys, promises, claims, quarantines.
    Contract(Box<ContractAction>),
}

/// A transaction before it is signed.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Tx {
    /// The ledger that it is for.
    pub chain: ChainId,
    /// Who asks, and pays the fee.
    pub sender: AccountKey,
    /// The sender's next nonce: each is used once, in order.
    pub nonce: u64,
    /// What the sender pays; at least what the schedule asks, and for a ticket exactly that.
    pub fee: Amount,
    /// Last height at which it may be in a block.
    pub valid_until: Height,
    /// What is asked.
    pub action: Action,
}

impl Signable for Tx {
    const DOMAIN: &'static str = "srwan tx v1";
}

impl Tx {
    /// The name of this transaction.
    #[must_use]
    pub fn hash(&self) -> TxHash {
        TxHash(digest("srwan tx hash v1", &[&encode(self)]))
    }
}

/// A transaction with its sender's signature.
pub type SignedTx = Signed<Tx>;

/// The octets of the encoded signed transaction: what the fee is counted from.
#[must_use]
pub fn size_octets(tx: &SignedTx) -> u64 {
    crate::lane::wide(encode(tx).len())
}

/// Makes and signs transactions of one account on one ledger: one call each.
#[derive(Clone, Debug)]
pub struct Author {
    chain: ChainId,
    fees: FeeSchedule,
    secret: AccountSecret,
}

impl Author {
    /// An author for the account of `secret`; chain and fees as `GET /v1/status` says.
    #[must_use]
    pub const fn new(chain: ChainId, fees: FeeSchedule, secret: AccountSecret) -> Self {
        Self { chain, fees, secret }
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> AccountKey {
        self.secret.public()
    }

    /// Gives `amount` to `to`.
    #[must_use]
    pub fn transfer(&self, nonce: u64, to: AccountKey, amount: Amount) -> SignedTx {
        self.sign(nonce, Action::Transfer { to, amount })
    }

    /// Sets `amount` aside for lanes.
    #[must_use]
    pub fn escrow_add(&self, nonce: u64, amount: Amount) -> SignedTx {
        self.sign(nonce, Action::EscrowAdd { amount })
    }

    /// Takes `amount` back from the escrow.
    #[must_use]
    pub fn escrow_withdraw(&self, nonce: u64, amount: Amount) -> SignedTx {
        self.sign(nonce, Action::EscrowWithdraw { amount })
    }

    /// Opens a lane; returns the name that it will have.
    #[must_use]
    pub fn lane_open(&self, nonce: u64, open: LaneOpen) -> (LaneId, SignedTx) {
        let id = lane_id(&self.chain, &self.account(), nonce);
        (id, self.sign(nonce, Action::LaneOpen(open)))
    }

    /// Raises the cap of `lane` by `amount`.
    #[must_use]
    pub fn lane_raise(&self, nonce: u64, lane: LaneId, amount: Amount) -> SignedTx {
        self.sign(nonce, Action::LaneRaise { lane, amount })
    }

    /// Asks something of a contract.
    #[must_use]
    pub fn contract(&self, nonce: u64, action: ContractAction) -> SignedTx {
        self.sign(nonce, Action::Contract(Box::new(action)))
    }

    /// Starts the claim window of `lane`.
    #[must_use]
    pub fn lane_close(&self, nonce: u64, lane: LaneId) -> SignedTx {
        self.sign(nonce, Action::LaneClose { lane })
    }

    /// Settles a lane.
    #[must_use]
    pub fn ticket(&self, nonce: u64, ticket: Ticket) -> SignedTx {
        self.sign(nonce, Action::Ticket(ticket))
    }

    /// Registers the account's router, or changes its registration.
    #[must_use]
    pub fn register_router(&self, nonce: u64, registration: Registration) -> SignedTx {
        self.sign(nonce, Action::RegisterRouter(registration))
    }

    /// Ends the registration of the account's router.
    #[must_use]
    pub fn retire_router(&self, nonce: u64) -> SignedTx {
        self.sign(nonce, Action::RetireRouter)
    }

    /// Convicts a router of contradicting itself.
    #[must_use]
    pub fn report_contradiction(&self, nonce: u64, proof: Contradiction) -> SignedTx {
        self.sign(nonce, Action::ReportContradiction(Box::new(proof)))
    }

    /// Votes.
    #[must_use]
    pub fn vote(&self, nonce: u64, action: VoteAction) -> SignedTx {
        self.sign(nonce, Action::Vote(action))
    }

    /// Joins the validators; `consensus` is the secret of the consensus key.
    #[must_use]
    pub fn validator_join(
        &self,
        nonce: u64,
        consensus: &AccountSecret,
        address: SocketAddr,
        bond: Amount,
    ) -> SignedTx {
        let body = Consent { chain: self.chain, account: self.account() };
        let consent = Signed::new(body, consensus).signature;
        let key = ValidatorKey(consensus.public().0);
        let join = ValidatorAction::Join(Join { key, consent, address, bond });
        self.sign(nonce, Action::Validator(join))
    }

    /// Changes the address of the account's validator, and locks more.
    #[must_use]
    pub fn validator_update(&self, nonce: u64, address: SocketAddr, bond: Amount) -> SignedTx {
        self.sign(nonce, Action::Validator(ValidatorAction::Update { address, bond }))
    }

    /// Leaves the validators.
    #[must_use]
    pub fn validator_leave(&self, nonce: u64) -> SignedTx {
        self.sign(nonce, Action::Validator(ValidatorAction::Leave))
    }

    /// Convicts a validator of contradicting itself.
    #[must_use]
    pub fn report_equivocation(&self, nonce: u64, proof: Equivocation) -> SignedTx {
        self.sign(nonce, Action::Validator(ValidatorAction::Report(proof)))
    }

    /// Rotates or revokes a node key of the account's router.
    #[must_use]
    pub fn node_key(&self, nonce: u64, action: NodeKeyAction) -> SignedTx {
        self.sign(nonce, Action::NodeKey(action))
    }

    /// Approves a change of a parameter.
    #[must_use]
    pub fn govern(&self, nonce: u64, change: Change) -> SignedTx {
        self.sign(nonce, Action::Govern(change))
    }

    /// Signs any action with the least fee that it costs, valid for ever.
    #[must_use]
    pub fn sign(&self, nonce: u64, action: Action) -> SignedTx {
        let tx = Tx {
            chain: self.chain,
            sender: self.account(),
            nonce,
            fee: Amount::ZERO,
            valid_until: Height(u64::MAX),
            action,
        };
        let size_octets = crate::lane::wide(encode(&tx).len() + SIGNATURE_OCTETS);
        let fee = self.fees.required(size_octets);
        SignedTx::new(Tx { fee, ..tx }, &self.secret)
    }
}

/// Octets of an ed25519 signature; a fee has a fixed width, so naming it does not change the size.
pub(crate) const SIGNATURE_OCTETS: usize = 64;

fn encode<T: BorshSerialize>(value: &T) -> Vec<u8> {
    borsh::to_vec(value).expect("writing to a Vec does not fail")
}
