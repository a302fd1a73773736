//! The paths that are engaged, as routes: what is planned is compared with what is installed, and the difference done.
//!
//! `srwan_dataplane::seg6` decides which routes there should be; this file tells the kernel and remembers what it took.
//! A route that it refused is tried again at the next change.

use std::collections::BTreeMap;
use std::io;

use ipnet::IpNet;
use srwan_dataplane::seg6::{
    EngagedPath, RouteAction, RouteChange, RoutePlan, RouteTable, SrDomain,
};
use srwan_wire::id::NodeId;

use super::route::{Routing, Surroundings};

/// What is engaged, and what the kernel has of it.
pub struct Paths {
    around: Surroundings,
    domain: Option<SrDomain>,
    engaged: BTreeMap<NodeId, EngagedPath>,
    installed: RoutePlan,
}

impl Paths {
    /// Nothing is engaged, and the kernel's tables are empty.
    pub fn new(around: Surroundings) -> Self {
        Self { around, domain: None, engaged: BTreeMap::new(), installed: RoutePlan::default() }
    }

    /// What its routes depend on.
    pub fn around(&self) -> &Surroundings {
        &self.around
    }

    /// Whether the kernel may carry anything.
    pub fn is_in_domain(&self) -> bool {
        self.domain.is_some()
    }

    /// This node is part of an SR domain from here on.
    ///
    /// # Errors
    /// The first thing that the kernel refused; the others are done.
    pub fn join(&mut self, domain: SrDomain, routing: &mut Routing) -> io::Result<()> {
        let address = domain.block.address(domain.me);
        let added = routing.add_address(self.around.tunnel, address);
        self.domain = Some(domain);
        added.and(self.install(routing))
    }

    /// Traffic for an endpoint takes this path.
    ///
    /// # Errors
    /// As [`Paths::join`].
    pub fn engage(
        &mut self,
        endpoint: NodeId,
        path: EngagedPath,
        routing: &mut Routing,
    ) -> io::Result<()> {
        self.engaged.insert(endpoint, path);
        self.install(routing)
    }

    /// Traffic for an endpoint takes the default path.
    ///
    /// # Errors
    /// As [`Paths::join`].
    pub fn release(&mut self, endpoint: NodeId, routing: &mut Routing) -> io::Result<()> {
        self.engaged.remove(&endpoint);
        self.install(routing)
    }

    /// All traffic takes the default path; others' packets still find this node's SIDs.
    ///
    /// # Errors
    /// As [`Paths::join`].
    pub fn release_all(&mut self, routing: &mut Routing) -> io::Result<()> {
        self.engaged.clear();
        self.install(routing)
    }

    /// Prefixes whose packets this host's kernel wraps in a segment list.
    pub fn encapsulated(&self) -> Vec<IpNet> {
        let encapsulated = self.installed.routes().filter(|(_, action)| match action {
            RouteAction::Encaps(..) => true,
            RouteAction::Local(_) | RouteAction::Via(_) | RouteAction::Tunnel => false,
        });
        encapsulated.map(|(key, _)| key.prefix).collect()
    }

    fn install(&mut self, routing: &mut Routing) -> io::Result<()> {
        let wanted = RoutePlan::new(self.domain.as_ref(), &self.engaged);
        let mut result = Ok(());
        for change in self.installed.changes(&wanted) {
            result = result.and(self.carry_out(change, routing));
        }
        result
    }

    fn carry_out(&mut self, change: RouteChange, routing: &mut Routing) -> io::Result<()> {
        match &change {
            RouteChange::Put(key, action) => routing.put(key, action, &self.around),
            RouteChange::Remove(key) => routing.withdraw(key),
        }
        .or_else(|error| self.fall_back(&change, &error, routing))?;
        self.installed.note(change);
        Ok(())
    }

    /// An engaged path that the kernel does not carry is carried by the overlay, which has its policy too. Then this is
    /// an error all the same, so that the path is not noted as installed.
    fn fall_back(
        &mut self,
        change: &RouteChange,
        error: &io::Error,
        routing: &mut Routing,
    ) -> io::Result<()> {
        if let RouteChange::Put(key, RouteAction::Encaps(..)) = change
            && key.table == RouteTable::Engaged
        {
            routing.put(key, &RouteAction::Tunnel, &self.around)?;
            self.installed.note(RouteChange::Put(*key, RouteAction::Tunnel));
        }
        Err(io::Error::new(error.kind(), error.to_string()))
    }
}
