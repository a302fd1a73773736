//! What goes wrong with routers: crashes, stalls, NATs that forget, disks that are full, a ledger out of reach.
//!
//! What goes wrong with links is a [`Link`] that is changed.

use crate::audit::Happening;
use crate::builder::address;
use crate::net::Link;
use crate::world::World;
use srwan_node::LedgerFact;
use srwan_wire::roster::Roster;
use srwan_wire::time::Timestamp;
use std::net::SocketAddr;
use std::time::Duration;

impl World {
    /// Whether a router runs; only then it can be viewed.
    #[must_use]
    pub fn is_running(&self, router: usize) -> bool {
        self.shells[router].node.is_some()
    }

    /// A router dies, and with it everything that it has not on disk: its host is on the default path.
    /// [`World::start_again`] starts it again.
    pub fn kill(&mut self, router: usize) {
        self.note_change(router, "kill");
        self.shells[router].kill();
    }

    /// A router that is down starts again with what its disk kept, and with a wall clock that is `clock_shift`
    /// nanoseconds off from the one it had.
    pub fn start_again(&mut self, router: usize, clock_shift: i64) {
        let last_stamp = self.shells[router].disk.last_stamp();
        self.start_with(router, clock_shift, last_stamp);
    }

    /// A router dies and starts again at once, with a wall clock that is `clock_shift` nanoseconds off from the one it
    /// had, and with what its disk kept: a handshake timestamp.
    pub fn restart(&mut self, router: usize, clock_shift: i64, last_stamp: Timestamp) {
        self.shells[router].kill();
        self.start_with(router, clock_shift, last_stamp);
    }

    /// Starts a router that is down, its wall clock shifted by so many nanoseconds.
    pub(crate) fn start_with(&mut self, router: usize, clock_shift: i64, last_stamp: Timestamp) {
        self.note_change(router, "start");
        let shell = &mut self.shells[router];
        shell.wall_offset = shell.wall_offset.saturating_add(clock_shift);
        shell.starts += 1;
        let mut config = self.builder.config_of(router, shell.wall_offset);
        let now = shell.clock.at(self.now);
        config.boot.time = config.clock.at(now);
        config.boot.nonce = config.boot.nonce << 16 | shell.starts;
        config.last_stamp = last_stamp;
        shell.disk.reserve(last_stamp, config.boot.time);
        shell.node = Some(self.builder.node(config, now));
        if let Some(judge) = &mut self.judge {
            judge.started(router, self.now);
        }
        let owed = shell.disk.owed();
        if shell.starts > 1 {
            self.bank.rejoin(router, &owed);
        }
        self.introduce(router);
    }

    fn introduce(&mut self, router: usize) {
        let (chain, now) = (self.bank.chain(), self.local_now(router));
        let Some(node) = &mut self.shells[router].node else { return };
        node.handle_ledger(LedgerFact::Chain(chain), now);
        node.handle_roster(&self.roster, now);
        self.drain(router);
    }

    /// Gives a router another roster than it has.
    pub fn give_roster(&mut self, router: usize, roster: &Roster) {
        let now = self.local_now(router);
        let Some(node) = &mut self.shells[router].node else { return };
        node.handle_roster(roster, now);
        self.drain(router);
    }

    /// A router does nothing for `length`; its socket holds what fits.
    pub fn stall(&mut self, router: usize, length: Duration) {
        self.note_change(router, "stall");
        let until = self.now() + length;
        let shell = &mut self.shells[router];
        shell.stalled_until = shell.stalled_until.max(until);
        if let Some(judge) = &mut self.judge {
            judge.disturbed(router, until);
        }
        self.arm(router);
    }

    /// The NAT before a router forgets it: from here on others see it at another port, and what goes to the old one is
    /// lost. The port that the roster lists is forwarded for ever.
    pub fn rebind(&mut self, router: usize) {
        self.note_change(router, "rebind");
        let old = self.shells[router].outside;
        let mut fresh: SocketAddr = old;
        fresh.set_port(old.port().wrapping_add(1).max(1_024));
        if old != address(router) {
            self.addresses.remove(&old);
        }
        self.addresses.insert(fresh, router);
        self.shells[router].outside = fresh;
    }

    /// Breaks a router's disk, or mends it.
    pub fn set_disk_broken(&mut self, router: usize, is_broken: bool) {
        self.note_change(router, "disk");
        self.shells[router].disk.is_broken = is_broken;
    }

    /// Takes the ledger from a router, or gives it back.
    pub fn set_ledger_cut(&mut self, router: usize, is_cut: bool) {
        self.note_change(router, "ledger");
        self.bank.set_cut(router, is_cut);
        self.spread_facts();
    }

    /// Changes one direction between two routers.
    pub fn change_link(&mut self, from: usize, to: usize, change: impl FnOnce(&mut Link)) {
        if let Some(mut link) = self.net.link(from, to) {
            change(&mut link);
            self.net.set_link(from, to, link);
            self.note_change(from, "link");
        }
    }

    pub(crate) fn note_change(&mut self, router: usize, what: &str) {
        let now = self.now();
        self.audit.note(Happening::Change, now, router, what.as_bytes());
    }
}
