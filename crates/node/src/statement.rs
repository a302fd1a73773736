//! Link statements: the whitepaper's counters, signed by both ends of a link and kept as evidence for tickets.

use srwan_wire::id::{AccountKey, ChainId, NodeId, Octets};
use srwan_wire::oam::LaneSetup;
use srwan_wire::receipt::{LinkCounters, LinkStatement, LinkStatementBody, Signed, contradicts};
use srwan_wire::sign::AccountSecret;
use std::collections::BTreeMap;

use crate::config::Boot;

/// A router's own statements and the newest ones of its neighbours.
pub struct StatementBook {
    account: AccountSecret,
    boot: Boot,
    chain: ChainId,
    own: BTreeMap<NodeId, LinkStatement>,
    theirs: BTreeMap<NodeId, LinkStatement>,
    contradictions: u64,
}

/// Octets exchanged with one peer, as the data plane counted them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerOctets {
    /// Received from it.
    pub received: u64,
    /// Sent to it.
    pub sent: u64,
}

impl StatementBook {
    /// An empty book of one start of a router.
    #[must_use]
    pub fn new(account: AccountSecret, boot: Boot, chain: ChainId) -> Self {
        let (own, theirs) = (BTreeMap::new(), BTreeMap::new());
        Self { account, boot, chain, own, theirs, contradictions: 0 }
    }

    /// The chain became known.
    pub fn set_chain(&mut self, chain: ChainId) {
        self.chain = chain;
    }

    /// Signs the counters of the link to `peer`; `None` if they are those already signed.
    pub fn state(
        &mut self,
        peer: NodeId,
        account: AccountKey,
        link: PeerOctets,
        total: PeerOctets,
    ) -> Option<LinkStatement> {
        let counters = LinkCounters {
            out_octets: Octets(link.sent),
            in_octets: Octets(link.received),
            total_traffic_in: Octets(total.received),
            total_traffic_out: Octets(total.sent),
        };
        let before = self.own.get(&peer).map(|s| (s.body.seq, s.body.counters));
        let moved = |c: &LinkCounters| (c.in_octets, c.out_octets);
        if before.is_some_and(|(_, old)| moved(&old) == moved(&counters)) {
            return None;
        }
        let body = LinkStatementBody {
            chain: self.chain,
            reporter: self.account.public(),
            peer: account,
            boot_time: self.boot.time,
            boot_nonce: self.boot.nonce,
            seq: before.map_or(1, |(seq, _)| seq + 1),
            counters,
        };
        let statement = Signed::new(body, &self.account);
        self.own.insert(peer, statement);
        Some(statement)
    }

    /// Takes a neighbour's statement if `reporter` signed it; counts one that contradicts an earlier one.
    pub fn handle(&mut self, from: NodeId, reporter: &AccountKey, statement: &LinkStatement) {
        if statement.body.reporter != *reporter || statement.verify(reporter).is_err() {
            return;
        }
        match self.theirs.get(&from) {
            Some(old) if contradicts(&old.body, &statement.body) => self.contradictions += 1,
            Some(old) if is_older(&statement.body, &old.body) => {}
            Some(_) | None => {
                self.theirs.insert(from, *statement);
            }
        }
    }

    /// What this router holds about the links beside it on a lane's path.
    #[must_use]
    pub fn beside(&self, setup: &LaneSetup) -> Vec<LinkStatement> {
        let beside = [Some(setup.previous), setup.next];
        let both = |node: NodeId| [self.own.get(&node), self.theirs.get(&node)];
        beside.into_iter().flatten().flat_map(both).flatten().copied().collect()
    }

    /// Pairs of statements seen that cannot both be true.
    #[must_use]
    pub fn contradictions(&self) -> u64 {
        self.contradictions
    }
}

fn is_older(new: &LinkStatementBody, held: &LinkStatementBody) -> bool {
    new.boot_time == held.boot_time && new.boot_nonce == held.boot_nonce && new.seq <= held.seq
}

#[cfg(test)]
mod tests {
    use super::*;
    use srwan_wire::time::Timestamp;

    fn book(seed: u8) -> StatementBook {
        let boot = Boot { time: Timestamp::from_nanos(1), nonce: u64::from(seed) };
        StatementBook::new(AccountSecret::from_seed(&[seed; 32]), boot, ChainId([9; 32]))
    }

    fn octets(received: u64, sent: u64) -> PeerOctets {
        PeerOctets { received, sent }
    }

    #[test]
    fn a_link_that_did_not_move_is_not_stated_twice() {
        let (mut book, peer) = (book(1), NodeId::new(2).unwrap());
        let account = AccountKey([2; 32]);
        assert!(book.state(peer, account, octets(1, 2), octets(1, 2)).is_some());
        assert!(book.state(peer, account, octets(1, 2), octets(5, 9)).is_none());
        let second = book.state(peer, account, octets(1, 3), octets(5, 9)).unwrap();
        assert_eq!(second.body.seq, 2);
    }

    #[test]
    fn a_neighbour_that_says_two_things_is_counted() {
        let (mut mine, mut theirs) = (book(1), book(2));
        let (me, them) = (NodeId::new(1).unwrap(), NodeId::new(2).unwrap());
        let their_account = AccountSecret::from_seed(&[2; 32]).public();
        let my_account = AccountSecret::from_seed(&[1; 32]).public();
        let first = theirs.state(me, my_account, octets(5, 5), octets(5, 5)).unwrap();
        mine.handle(them, &their_account, &first);
        let mut twin = book(2);
        let lie = twin.state(me, my_account, octets(6, 6), octets(6, 6)).unwrap();
        mine.handle(them, &their_account, &lie);
        assert_eq!(mine.contradictions(), 1);
    }
}
