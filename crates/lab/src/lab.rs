//! A lab from nothing to running and back: namespaces, cables, fabric, servers, daemons.
//!
//! Everything that is made is either below the lab's [`Place`] or a process with a number in its note, so
//! that `down` can remove it from another terminal, after a crash too. A `Lab` that is dropped goes down.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::fabric::control::{Client, Request, Stats};
use crate::fabric::{FabricConfig, FabricLink, FabricSite};
use crate::forward::Door;
use crate::netns;
use crate::place::{Note, NotedProcess, Place, ProcessId};
use crate::plan::Plan;
use crate::process::{Order, Running, end_all, end_noted, wait_noted};
use crate::scenario::{Node, NodeName, Role, Scenario};
use crate::settings::{self, Settings, daemon_arguments};
use crate::wiring::{self, Cable};

/// How to raise a lab.
pub struct Options {
    /// Program that knows the `lab` verbs.
    pub lab_program: PathBuf,
    /// Program that knows the daemons' verbs; `None` = only machines and links, no daemons.
    pub daemon_program: Option<PathBuf>,
    /// Leave it running when the driver ends.
    pub keep: bool,
    /// Leave the logs when it goes down.
    pub keep_logs: bool,
    /// Says whether to stop in the middle of starting.
    pub stop: Box<dyn Fn() -> bool>,
}

/// A lab that runs.
pub struct Lab {
    place: Place,
    plan: Plan,
    options: Options,
    processes: Vec<Running>,
    fabric: Option<Client>,
    /// Whether there is anything left to take down.
    up: bool,
}

impl Lab {
    /// Raises everything; what was made is gone again if any of it fails.
    pub fn raise(place: Place, plan: Plan, scenario: &str, options: Options) -> Result<Self> {
        place.claim(scenario)?;
        let mut lab = Self { place, plan, options, processes: Vec::new(), fabric: None, up: true };
        lab.note()?;
        lab.make_machines()?;
        lab.start_fabric()?;
        lab.wire()?;
        lab.start_servers()?;
        if lab.options.daemon_program.is_some() {
            lab.start_daemons()?;
        }
        Ok(lab)
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether the product runs on the machines, or only machines and links are there.
    pub fn has_daemons(&self) -> bool {
        self.options.daemon_program.is_some()
    }

    /// Whether the story should end early.
    pub fn interrupted(&self) -> bool {
        (self.options.stop)()
    }

    /// Addresses that open the routers' portals once, by router.
    pub fn portals(&self) -> Vec<(String, String)> {
        portals(&self.place, &self.plan)
    }

    /// Asks the fabric.
    pub fn fabric(&mut self, request: &Request) -> Result<()> {
        self.client()?.ask(request).map(|_| ())
    }

    /// Reads the fabric's figures.
    pub fn stats(&mut self) -> Result<Stats> {
        self.client()?.stats()
    }

    /// The daemon or server of a node.
    pub fn process(&mut self, node: &NodeName) -> Option<&mut Running> {
        // The latest one: a restarted daemon is behind its predecessor.
        self.processes.iter_mut().rev().find(|process| process.order.name == node.as_str())
    }

    /// Starts the daemon of a node again, without waiting for it.
    pub fn restart(&mut self, node: &NodeName) -> Result<()> {
        let node = self.plan.scenario.node(node).context("events name nodes that exist")?.clone();
        let order = self.daemon(&node).context("events name nodes with daemons")?;
        self.processes.push(order.start()?);
        self.note()
    }

    /// Removes what the daemon of a node kept, except for its key files.
    ///
    /// **Errors:** the daemon is running.
    pub fn wipe(&mut self, node: &NodeName) -> Result<()> {
        let alive = self.process(node).is_some_and(|process| process.ended().is_none());
        anyhow::ensure!(!alive, "{node} is running: kill it first");
        for entry in fs::read_dir(self.place.state(node))? {
            let path = entry?.path();
            if path.is_dir() {
                fs::remove_dir_all(&path)?;
            } else if path.extension().is_none_or(|extension| extension != "key") {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// An order for a command in a node's namespace.
    pub fn order(&self, node: &NodeName, name: &str, command: Vec<String>) -> Order {
        Order {
            name: name.to_owned(),
            lab: self.options.lab_program.clone(),
            netns: Some(self.place.netns(node)),
            command,
            log: self.place.node(node).join(format!("{name}.log")),
            kept: self.options.keep,
        }
    }

    /// The program that knows the `lab` verbs, as the first word of a command.
    pub fn program(&self) -> String {
        self.options.lab_program.to_string_lossy().into_owned()
    }

    /// Processes that ended although nobody asked them to.
    pub fn fallen(&mut self) -> Vec<(String, std::process::ExitStatus)> {
        let ended = |process: &mut Running| {
            process.ended().map(|status| (process.order.name.clone(), status))
        };
        self.processes.iter_mut().filter_map(ended).collect()
    }

    /// Ends the daemons in order (routers settle first), then everything else.
    pub fn down(mut self) -> Result<()> {
        self.take_down()
    }

    /// Leaves everything running for other terminals.
    pub fn leave(mut self) -> Place {
        self.up = false;
        self.place.clone()
    }

    /// Ends the routers alone, so that what they settle can still be seen at the ledger.
    pub fn end_routers(&mut self) {
        let is_router = |name: &str| {
            self.plan.scenario.with_role(Role::Router).any(|node| node.name.as_str() == name)
        };
        let (mut routers, others): (Vec<_>, Vec<_>) =
            self.processes.drain(..).partition(|process| is_router(&process.order.name));
        self.processes = others;
        end_all(&mut routers, SETTLE_WAIT);
    }

    fn take_down(&mut self) -> Result<()> {
        self.up = false;
        self.end_routers();
        end_all(&mut self.processes, END_WAIT);
        self.processes.clear();
        if self.options.keep_logs { self.place.clear_but_logs() } else { self.place.clear() }
    }

    fn client(&mut self) -> Result<&mut Client> {
        self.fabric.as_mut().context("the fabric does not run")
    }

    fn make_machines(&self) -> Result<()> {
        for node in &self.plan.scenario.nodes {
            let folder = self.place.state(&node.name);
            fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
            let namespace = self.place.netns(&node.name);
            netns::create(&namespace)?;
            wiring::prepare(&namespace, node.behind.is_none())?;
        }
        Ok(())
    }

    fn start_fabric(&mut self) -> Result<()> {
        let config = self.place.folder().join("fabric.json");
        fs::write(&config, serde_json::to_vec(&self.fabric_config())?)
            .context("cannot write fabric.json")?;
        let command =
            vec![self.program(), "lab".into(), "fabric".into(), "--config".into(), text(&config)];
        let order = Order {
            name: "fabric".into(),
            lab: self.options.lab_program.clone(),
            netns: None,
            command,
            log: self.place.folder().join("fabric.log"),
            kept: self.options.keep,
        };
        self.start_and_wait(order)?;
        self.fabric = Some(Client::connect(&self.place.fabric_socket())?);
        Ok(())
    }

    fn fabric_config(&self) -> FabricConfig {
        let site = |site: &crate::plan::Site| FabricSite {
            name: site.name.clone(),
            netns: self.place.netns(&site.name),
            prefixes: site.prefixes(),
        };
        let link = |(from, to, shape)| FabricLink { from, to, shape };
        FabricConfig {
            seed: self.plan.scenario.seed,
            mtu: self.plan.scenario.mtu,
            control: self.place.fabric_socket(),
            sites: self.plan.sites.iter().map(site).collect(),
            links: self.plan.links().into_iter().map(link).collect(),
        }
    }

    fn wire(&self) -> Result<()> {
        for site in &self.plan.sites {
            wiring::wire_site(&self.place.netns(&site.name), site)?;
        }
        let Scenario { mtu, offload, .. } = self.plan.scenario;
        let cable = Cable { mtu, offload };
        for behind in &self.plan.behind {
            let (machine, router) =
                (self.place.netns(&behind.name), self.place.netns(&behind.router));
            wiring::wire_behind(&machine, &router, behind, cable)?;
        }
        Ok(())
    }

    fn start_servers(&mut self) -> Result<()> {
        let webs: Vec<NodeName> =
            self.plan.scenario.with_role(Role::Web).map(|node| node.name.clone()).collect();
        for name in webs {
            let address = self.plan.address(&name).context("every node has an address")?;
            let listen = SocketAddr::new(address, WEB_PORT).to_string();
            let command =
                [&self.program(), "lab", "serve-http", "--listen", &listen].map(str::to_owned);
            let order = self.order(&name, name.as_str(), command.to_vec());
            self.start_and_wait(order)?;
        }
        Ok(())
    }

    fn start_daemons(&mut self) -> Result<()> {
        let Some(settings) = Settings::new(&self.place, &self.plan)? else { return Ok(()) };
        settings.write()?;
        for (ledger, init) in settings.ledger_inits() {
            self.run_to_end(&ledger, init)?;
        }
        for role in [Role::Ledger, Role::Controller, Role::Router] {
            self.start_all(role)?;
        }
        let routers: Vec<Node> = self.plan.scenario.with_role(Role::Router).cloned().collect();
        self.open_portals(&routers)
    }

    /// Starts the daemons of a role together, since they may need each other, and waits for all.
    fn start_all(&mut self, role: Role) -> Result<()> {
        let nodes: Vec<Node> = self.plan.scenario.with_role(role).cloned().collect();
        for node in &nodes {
            let order = self.daemon(node).context("the role has a daemon")?;
            self.processes.push(order.start()?);
        }
        self.note()?;
        let first = self.processes.len() - nodes.len();
        for process in &mut self.processes[first..] {
            process.wait_ready(&self.options.stop)?;
        }
        Ok(())
    }

    /// Leads ports of this machine to the routers' portals; taken ports are only told in the log.
    fn open_portals(&mut self, routers: &[Node]) -> Result<()> {
        let door = |node: &Node| {
            let port = settings::portal_port(self.plan.site(&node.name)?);
            Some(Door { port, netns: self.place.netns(&node.name) }.to_string())
        };
        let doors: Vec<String> = routers.iter().filter_map(door).collect();
        let verb = [self.program(), "lab".to_owned(), "forward".to_owned()];
        let order = Order {
            name: "portals".into(),
            lab: self.options.lab_program.clone(),
            netns: None,
            command: verb.into_iter().chain(doors).collect(),
            log: self.place.folder().join("portals.log"),
            kept: self.options.keep,
        };
        self.start_and_wait(order)
    }

    fn daemon(&self, node: &Node) -> Option<Order> {
        let program = self.options.daemon_program.as_ref()?.to_string_lossy().into_owned();
        let arguments = daemon_arguments(&self.place, node)?;
        let command = std::iter::once(program).chain(arguments).collect();
        Some(self.order(&node.name, node.name.as_str(), command))
    }

    fn run_to_end(&mut self, node: &NodeName, arguments: Vec<String>) -> Result<()> {
        let program = self.options.daemon_program.as_ref().context("only with daemons")?;
        let command = std::iter::once(text(program)).chain(arguments).collect();
        let mut running = self.order(node, "init", command).start()?;
        let gone = running.wait_gone(std::time::Instant::now() + INIT_WAIT);
        let status = running.ended();
        anyhow::ensure!(
            gone && status.is_some_and(|status| status.success()),
            "`ledger init` failed; read {}",
            running.order.log.display()
        );
        Ok(())
    }

    fn start_and_wait(&mut self, order: Order) -> Result<()> {
        self.processes.push(order.start()?);
        self.note()?;
        let process = self.processes.last_mut().expect("it was pushed three lines above");
        process.wait_ready(&self.options.stop).map(|_| ())
    }

    /// Writes down all processes, for `down` from elsewhere.
    fn note(&self) -> Result<()> {
        let noted = |process: &Running| NotedProcess {
            node: process.order.name.clone(),
            role: self.role_word(&process.order.name),
            process: process.id(),
        };
        let processes: Vec<NotedProcess> = self.processes.iter().map(noted).collect();
        let inside =
            processes.first().map(|first| first.process).filter(|_| self.place.is_rootless());
        let note = Note { driver: ProcessId::own(), inside, kept: self.options.keep, processes };
        self.place.write_note(&note)
    }

    fn role_word(&self, name: &str) -> String {
        let node = self.plan.scenario.nodes.iter().find(|node| node.name.as_str() == name);
        node.map_or("fabric", |node| node.role.word()).to_owned()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.up {
            // The error that led here is the one to show; what is left, the next `lab up` or `down` removes.
            let _second = self.take_down();
        }
    }
}

/// Addresses that open the portals of a lab once: of the routers that wrote a token.
pub fn portals(place: &Place, plan: &Plan) -> Vec<(String, String)> {
    let routers = plan.scenario.with_role(Role::Router);
    let url = |node: &Node| {
        let token = fs::read_to_string(place.state(&node.name).join("portal.token")).ok()?;
        let port = settings::portal_port(plan.site(&node.name)?);
        Some((
            node.name.to_string(),
            format!("http://127.0.0.1:{port}/login?token={}", token.trim()),
        ))
    };
    routers.filter_map(url).collect()
}

/// Takes down a lab by its note, whoever drives it.
pub fn down_noted(place: &Place, keep_logs: bool) -> Result<()> {
    if let Some(note) = place.read_note()? {
        let driver = note.driver;
        if driver != ProcessId::own() && driver.is_alive() {
            end_noted(&[driver], SETTLE_WAIT + END_WAIT);
        }
        // The driver ends in order and may have noted more since.
        let note = place.read_note()?.unwrap_or(note);
        end_in_order(&note);
    }
    if keep_logs { place.clear_but_logs() } else { place.clear() }
}

fn end_in_order(note: &Note) {
    let of = |wanted: bool| {
        let some = note.processes.iter().filter(move |noted| (noted.role == "router") == wanted);
        some.map(|noted| noted.process).collect::<Vec<_>>()
    };
    end_noted(&of(true), SETTLE_WAIT);
    end_noted(&of(false), END_WAIT);
    wait_noted(&of(false), END_WAIT);
}

fn text(path: &std::path::Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Port of the lab's web servers.
pub const WEB_PORT: u16 = 80;
/// Routers settle their lanes when they are told to stop: a few blocks of the ledger.
const SETTLE_WAIT: Duration = Duration::from_secs(6);
/// Everything else has nothing to wait for.
const END_WAIT: Duration = Duration::from_secs(2);
/// Making a chain is one small file.
const INIT_WAIT: Duration = Duration::from_secs(10);
