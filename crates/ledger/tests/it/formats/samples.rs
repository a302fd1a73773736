//! One valid encoding of each format, from drawn values.

use std::net::SocketAddr;

use srwan_ledger::amount::Amount;
use srwan_ledger::equivocation::Equivocation;
use srwan_ledger::fee::FeeSchedule;
use srwan_ledger::governance::{Change, Parameter};
use srwan_ledger::lane::{LaneOpen, Payee};
use srwan_ledger::node_key::NodeKeyAction;
use srwan_ledger::router::{Contradiction, Registration};
use srwan_ledger::ticket::Ticket;
use srwan_ledger::tx::{Action, Author, SignedTx};
use srwan_ledger::validator::{Consent, Join, ValidatorAction};
use srwan_ledger::vote::VoteAction;
use srwan_wire::id::{
    AccountKey, ChainId, Height, LaneId, NodeKey, Octets, PathHash, ValidatorKey,
};
use srwan_wire::receipt::{
    Delivery, DeliveryBody, LinkCounters, LinkStatement, LinkStatementBody, Price, Receipt,
    ReceiptBody, Signed,
};
use srwan_wire::roster::{Class, Location};
use srwan_wire::time::Timestamp;

use super::draw::Draw;
use super::exercise::{first_state, genesis, next_block, secret};

pub fn person(draw: &mut Draw) -> u8 {
    u8::try_from(draw.below(8) + 1).unwrap()
}

pub fn amount(draw: &mut Draw) -> Amount {
    Amount::from_base(u64::from(draw.below(u32::MAX)))
}

pub fn tx(draw: &mut Draw) -> Vec<u8> {
    borsh::to_vec(&any_tx(draw)).unwrap()
}

pub fn block(draw: &mut Draw) -> Vec<u8> {
    let txs = (0..draw.below(4)).map(|_| any_tx(draw)).collect();
    borsh::to_vec(&next_block(&first_state(), txs)).unwrap()
}

/// The state after a block of transfers and whatever else was drawn.
pub fn snapshot(draw: &mut Draw) -> Vec<u8> {
    let mut state = first_state();
    let txs = (1..=8).map(|who| signed(who, 0, any_action(draw))).collect();
    let block = next_block(&state, txs);
    state.execute(&block).unwrap();
    state.to_snapshot()
}

fn any_tx(draw: &mut Draw) -> SignedTx {
    let who = person(draw);
    let nonce = u64::from(draw.below(2));
    signed(who, nonce, any_action(draw))
}

fn signed(who: u8, nonce: u64, action: Action) -> SignedTx {
    Author::new(genesis().chain_id(), FeeSchedule::DEFAULT, secret(who)).sign(nonce, action)
}

fn any_action(draw: &mut Draw) -> Action {
    match draw.below(16) {
        0 => Action::Transfer { to: secret(person(draw)).public(), amount: amount(draw) },
        1 => Action::EscrowAdd { amount: amount(draw) },
        2 => Action::EscrowWithdraw { amount: amount(draw) },
        3 => Action::LaneOpen(lane_open(draw)),
        4 => Action::LaneRaise { lane: LaneId(draw.array()), amount: amount(draw) },
        5 => Action::LaneClose { lane: LaneId(draw.array()) },
        6 => Action::Ticket(ticket(draw)),
        7 => Action::RegisterRouter(registration(draw)),
        8 => Action::RetireRouter,
        9 => Action::ReportContradiction(Box::new(Contradiction {
            left: statement(draw),
            right: statement(draw),
        })),
        10 => Action::Vote(vote(draw)),
        11 => Action::Validator(validator(draw)),
        12 => Action::NodeKey(node_key(draw)),
        13 => Action::Govern(Change {
            parameter: if draw.chance() { Parameter::MinFee } else { Parameter::SlashBps },
            value: u64::from(draw.below(20_000)),
        }),
        _ => Action::Contract(Box::new(super::contracts::any(draw))),
    }
}

fn validator(draw: &mut Draw) -> ValidatorAction {
    let address = SocketAddr::from((draw.array::<4>(), 7_091));
    match draw.below(4) {
        0 => {
            let (person, account) = (secret(person(draw) + 8), secret(person(draw)).public());
            let body = Consent { chain: genesis().chain_id(), account };
            let consent = Signed::new(body, &person).signature;
            let key = ValidatorKey(person.public().0);
            ValidatorAction::Join(Join { key, consent, address, bond: amount(draw) })
        }
        1 => ValidatorAction::Update { address, bond: amount(draw) },
        2 => ValidatorAction::Leave,
        _ => ValidatorAction::Report(Equivocation {
            key: ValidatorKey(secret(person(draw)).public().0),
            proof: draw.array::<40>().to_vec(),
        }),
    }
}

fn node_key(draw: &mut Draw) -> NodeKeyAction {
    let key = NodeKey(draw.array());
    if draw.chance() {
        NodeKeyAction::Rotate { to: key, overlap_blocks: draw.word() }
    } else {
        NodeKeyAction::Revoke { key }
    }
}

pub fn lane_open(draw: &mut Draw) -> LaneOpen {
    let payee =
        |draw: &mut Draw| Payee { account: secret(person(draw)).public(), weight: draw.below(5) };
    LaneOpen {
        path: PathHash(draw.array()),
        payees: (0..draw.below(4) + 1).map(|_| payee(draw)).collect(),
        price: Price(u64::from(draw.below(100_000_000))),
        cap: amount(draw),
        fee_reserve: amount(draw),
        expiry: Height(u64::from(draw.below(1_000))),
    }
}

fn ticket(draw: &mut Draw) -> Ticket {
    let (lane, path) = (LaneId(draw.array()), PathHash(draw.array()));
    let chain = genesis().chain_id();
    let octets = Octets(draw.word());
    let receipt = ReceiptBody {
        chain,
        lane,
        path,
        octets,
        price: Price::REFERENCE,
        expiry: Height(draw.word()),
    };
    let delivery = DeliveryBody { chain, lane, path, octets: Octets(draw.word()) };
    Ticket {
        lane,
        receipt: Receipt::new(receipt, &secret(person(draw))),
        delivery: Delivery::new(delivery, &secret(person(draw))),
        statements: (0..draw.below(3)).map(|_| statement(draw)).collect(),
    }
}

pub fn statement(draw: &mut Draw) -> LinkStatement {
    let reporter = person(draw);
    let body = LinkStatementBody {
        chain: ChainId(draw.array()),
        reporter: secret(reporter).public(),
        peer: AccountKey(draw.array()),
        boot_time: Timestamp::from_nanos(draw.word()),
        boot_nonce: draw.word(),
        seq: draw.word(),
        counters: LinkCounters { out_octets: Octets(draw.word()), ..LinkCounters::default() },
    };
    LinkStatement::new(body, &secret(reporter))
}

fn registration(draw: &mut Draw) -> Registration {
    Registration {
        node_key: NodeKey(draw.array()),
        location: Location { city: "Lisbon".into(), country: "PT".into(), ..Location::default() },
        asn: draw.below(100_000),
        class: if draw.chance() { Class::Public } else { Class::Premium },
        price: Price(draw.word()),
    }
}

fn vote(draw: &mut Draw) -> VoteAction {
    let commission_bps = u16::try_from(draw.below(3_000)).unwrap();
    match draw.below(4) {
        0 => VoteAction::Open { commission_bps },
        1 => VoteAction::Join { leader: secret(person(draw)).public() },
        2 => VoteAction::Leave,
        _ => VoteAction::SetCommission { commission_bps },
    }
}
