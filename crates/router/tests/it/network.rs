//! A small network of real daemons: a hub namespace that forwards, and one namespace per router.
//!
//! ```text
//!   r1 198.18.1.1 --+
//!   r2 198.18.2.1 --+-- hub 198.18.N.254, 198.18.250.1 (controller, validator)
//!   r3 198.18.3.1 --+
//! ```
//! Namespaces have no names: they go when the last process and descriptor in them is gone. Daemons are this test binary
//! started again with a role in its environment.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv6Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ipnet::{Ipv4Net, Ipv6Net};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use srwan_api::http::HttpClient;
use srwan_api::router::Status;
use srwan_router::kernel::netlink::{CREATE, EXCLUSIVE, Message, Netlink};

const ROLE: &str = "SWT_ROUTER_ROLE";
const CONFIG: &str = "SWT_ROUTER_CONFIG";

/// How long anything may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Not a test of its own: a daemon, when the environment says which.
#[test]
fn daemon() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let config = PathBuf::from(std::env::var(CONFIG).unwrap());
    let filter = tracing_subscriber::EnvFilter::new(
        std::env::var("SRWAN_LOG").unwrap_or_else(|_| "info".into()),
    );
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    logs.with_ansi(false).init();
    let result = match role.as_str() {
        "router" => srwan_router::run(&config),
        "controller" => srwan_controller::run(&config),
        "validator" => srwan_validator::run(&config),
        other => panic!("no role {other}"),
    };
    if let Err(error) = result {
        eprintln!("daemon ended: {error:#}");
        std::process::exit(1);
    }
    std::process::exit(0);
}

/// A network namespace.
pub struct Netns(OwnedFd);

impl Netns {
    /// A fresh one; `None`, with a word about it, without root.
    pub fn new() -> Option<Self> {
        let made = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            Ok::<_, nix::Error>(File::open("/proc/thread-self/ns/net").unwrap())
        });
        match made.join().unwrap() {
            Ok(file) => Some(Self(file.into())),
            Err(error) => {
                super::namespace::needs_root(&error);
                None
            }
        }
    }

    /// Runs `work` inside.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(&self.0, CloneFlags::CLONE_NEWNET).unwrap();
                work()
            });
            thread.join().unwrap()
        })
    }
}

/// The hub with its daemons, and the routers.
pub struct Network {
    pub dir: tempfile::TempDir,
    pub hub: Netns,
    pub sites: Vec<Site>,
    daemons: Vec<Daemon>,
}

/// A router and its namespace.
pub struct Site {
    pub name: String,
    pub netns: Netns,
    pub router: Option<Daemon>,
}

/// A running process; killed when dropped.
pub struct Daemon(Child);

impl Daemon {
    /// Starts a role inside a namespace.
    fn start(netns: &Netns, role: &str, config: &Path) -> Self {
        let log = File::create(config.with_extension("log")).unwrap();
        netns.enter(|| {
            let child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "network::daemon", "--nocapture", "--test-threads=1"])
                .env(ROLE, role)
                .env(CONFIG, config)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn();
            Self(child.unwrap())
        })
    }

    /// Ends it as an operator would; returns whether it ended well.
    pub fn terminate(mut self) -> bool {
        kill(Pid::from_raw(self.0.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        self.0.wait().unwrap().success()
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

impl Network {
    /// A hub with controller and validator, and `count` routers that are not started yet.
    pub fn new(count: u8) -> Option<Self> {
        let dir = tempfile::Builder::new().prefix("swt-router-").tempdir().unwrap();
        let hub = Netns::new()?;
        hub.enter(|| {
            super::namespace::link_up("lo").unwrap();
            add_address("lo", [198, 18, 250, 1], 32);
            std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        });
        let sites = (1..=count).map(|n| Site::new(&hub, n)).collect();
        let mut network = Self { dir, hub, sites, daemons: Vec::new() };
        network.start_services();
        Some(network)
    }

    fn start_services(&mut self) {
        let dir = self.dir.path().to_owned();
        let accounts: String = self.sites.iter().map(|site| site.account(&dir)).collect();
        let genesis = format!("chain = \"swt\"\nsupply_coins = \"1000000\"\n{accounts}");
        std::fs::write(dir.join("genesis.toml"), genesis).unwrap();
        let state_dir = dir.join("validator");
        srwan_validator::init(&dir.join("genesis.toml"), &state_dir).unwrap();
        let validator = format!(
            "listen = \"198.18.250.1:7090\"\nstate_dir = {state_dir:?}\nblock_ms = 100\n\
             genesis = {:?}\n",
            dir.join("genesis.toml")
        );
        std::fs::write(dir.join("validator.toml"), validator).unwrap();
        std::fs::write(dir.join("tokens"), "token-1\ntoken-2\ntoken-3\ntoken-4\n").unwrap();
        let controller = format!(
            "listen = \"198.18.250.1:7080\"\nstate_dir = {:?}\njoin_tokens_file = {:?}\n\
             pulse_interval_ms = 500\n",
            dir.join("controller"),
            dir.join("tokens")
        );
        std::fs::write(dir.join("controller.toml"), controller).unwrap();
        for role in ["validator", "controller"] {
            let daemon = Daemon::start(&self.hub, role, &dir.join(format!("{role}.toml")));
            self.daemons.push(daemon);
        }
        wait("the controller's key", || {
            dir.join("controller/controller.key").exists().then_some(())
        });
    }

    /// Starts the router of site `index`.
    pub fn start(&mut self, index: usize) {
        self.start_with(index, "");
    }

    /// Starts the router of site `index` with `extra` lines in its configuration.
    pub fn start_with(&mut self, index: usize, extra: &str) {
        self.start_edited(index, |config| config + extra);
    }

    /// Starts the router of site `index` with what `edit` makes of its configuration.
    pub fn start_edited(&mut self, index: usize, edit: impl FnOnce(String) -> String) {
        let dir = self.dir.path();
        let seed = std::fs::read_to_string(dir.join("controller/controller.key")).unwrap();
        let site = &mut self.sites[index];
        let config = edit(site.config(dir, &public_of(&seed)));
        std::fs::write(dir.join(format!("{}.toml", site.name)), config).unwrap();
        let path = dir.join(format!("{}.toml", site.name));
        site.router = Some(Daemon::start(&site.netns, "router", &path));
    }

    /// A client of the router of site `index`.
    pub fn client(&self, index: usize) -> HttpClient {
        HttpClient::unix(self.dir.path().join(&self.sites[index].name).join("router.sock"))
    }

    /// Reads from the router of site `index`; `None` if it does not answer.
    pub fn get<T: serde::de::DeserializeOwned>(&self, index: usize, path: &str) -> Option<T> {
        let client = self.client(index);
        block_on(async move { client.get(path).await.ok() })
    }

    /// Reads from the ledger.
    pub fn ledger<T: serde::de::DeserializeOwned + Send>(&self, path: &str) -> T {
        self.hub.enter(|| {
            let client = HttpClient::new("http://198.18.250.1:7090").unwrap();
            block_on(client.get(path)).unwrap()
        })
    }

    /// Waits until the status of the router of site `index` is as it should be.
    pub fn wait_status(&self, index: usize, what: &str, is_so: impl Fn(&Status) -> bool) -> Status {
        let seen = || self.get::<Status>(index, "/v1/status").filter(|status| is_so(status));
        self.wait_for(index, what, seen)
    }

    /// Waits until `look` finds something; if it never does, tells what the router of site `index` says.
    pub fn wait_for<T>(&self, index: usize, what: &str, look: impl FnMut() -> Option<T>) -> T {
        wait_or(what, look, || self.explain(index))
    }

    /// What a router last said and logged, for a failed test.
    pub fn explain(&self, index: usize) -> String {
        let status: Option<serde_json::Value> = self.get(index, "/v1/status");
        let logs = std::fs::read_dir(self.dir.path()).unwrap().filter_map(|entry| {
            let path = entry.unwrap().path();
            let is_log = path.extension().is_some_and(|extension| extension == "log");
            is_log.then(|| format!("--- {path:?}\n{}", std::fs::read_to_string(&path).unwrap()))
        });
        let paths: Option<serde_json::Value> = self.get(index, "/v1/paths");
        let wallet: Option<serde_json::Value> = self.get(index, "/v1/wallet");
        format!("{status:#?}\n{paths:#?}\n{wallet:#?}\n{}", logs.collect::<String>())
    }
}

impl Site {
    fn new(hub: &Netns, n: u8) -> Self {
        let netns = Netns::new().unwrap();
        let name = format!("r{n}");
        let far = format!("hub{n}");
        hub.enter(|| {
            add_veth(&far, "up0", &netns);
            super::namespace::link_up(&far).unwrap();
            add_address(&far, [198, 18, n, 254], 24);
        });
        netns.enter(|| {
            super::namespace::link_up("lo").unwrap();
            super::namespace::link_up("up0").unwrap();
            add_address("up0", [198, 18, n, 1], 24);
            add_default_route("up0", [198, 18, n, 254]);
        });
        Self { name, netns, router: None }
    }

    /// The genesis entry of this router's account; makes its key.
    fn account(&self, dir: &Path) -> String {
        let state_dir = dir.join(&self.name);
        std::fs::create_dir_all(&state_dir).unwrap();
        let keys = srwan_router::keys::Keys::load_or_create(&state_dir).unwrap();
        format!("[[account]]\nkey = \"{}\"\ncoins = \"100\"\n", keys.account.public())
    }

    fn config(&self, dir: &Path, controller_key: &str) -> String {
        let n = self.name.trim_start_matches('r');
        let token_file = dir.join(format!("token-{n}"));
        std::fs::write(&token_file, format!("token-{n}\n")).unwrap();
        format!(
            "name = \"r{n}\"\nstate_dir = {state_dir:?}\nlisten = \"0.0.0.0:4766\"\n\
             endpoints = [\"198.18.{n}.1:4766\"]\n\
             [controller]\nurl = \"http://198.18.250.1:7080\"\nkey = \"{controller_key}\"\n\
             join_token_file = {token_file:?}\npoll_ms = 200\n\
             [ledger]\nurl = \"http://198.18.250.1:7090\"\nescrow_coins = \"20\"\n\
             [location]\ncity = \"City {n}\"\nasn = 6450{n}\n\
             [site]\nprefixes = [\"198.18.{n}.0/24\"]\n\
             [pulse]\ninterval_ms = 500\n",
            state_dir = dir.join(&self.name),
        )
    }
}

/// The public half of a key file.
fn public_of(seed: &str) -> String {
    let seed: [u8; 32] = hex::decode(seed.trim()).unwrap().try_into().unwrap();
    srwan_wire::sign::AccountSecret::from_seed(&seed).public().to_string()
}

/// Waits until `look` finds something.
pub fn wait<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_or(what, look, String::new)
}

fn wait_or<T>(what: &str, mut look: impl FnMut() -> Option<T>, explain: impl Fn() -> String) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for: {what}\n{}", explain());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// One TCP flow between two namespaces, whichever way kernels and routers send it. Returns the largest segment.
pub fn transfer(from: &Netns, to: &Netns, target: IpAddr, octets: usize) -> u32 {
    let listener = to.enter(|| TcpListener::bind((target, 0)).unwrap());
    let address = listener.local_addr().unwrap();
    let reader = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        received.len()
    });
    let segment = from.enter(|| {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(10)).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(&vec![7; octets]).unwrap();
        socket2::SockRef::from(&stream).tcp_mss().unwrap()
    });
    assert_eq!(reader.join().unwrap(), octets);
    segment
}

/// Runs a future to its end on this thread.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;

fn call(kind: u16, build: impl FnOnce(Message) -> Message) {
    let mut netlink = Netlink::open(nix::sys::socket::SockProtocol::NetlinkRoute).unwrap();
    netlink.call(kind, CREATE | EXCLUSIVE, build).unwrap();
}

pub fn add_veth(near: &str, far: &str, far_netns: &Netns) {
    let netns = u32::try_from(far_netns.0.as_raw_fd()).unwrap();
    // IFLA_IFNAME 3, IFLA_LINKINFO 18, IFLA_INFO_KIND 1, IFLA_INFO_DATA 2, VETH_INFO_PEER 1, IFLA_NET_NS_FD 28
    call(RTM_NEWLINK, |message| {
        message.fixed(&[0; 16]).attr_text(3, near).nested(18, |info| {
            info.attr_text(1, "veth").nested(2, |data| {
                data.nested(1, |peer| peer.fixed(&[0; 16]).attr_text(3, far).attr_u32(28, netns))
            })
        })
    });
}

pub fn add_address(interface: &str, address: [u8; 4], length: u8) {
    let index = nix::net::if_::if_nametoindex(interface).unwrap();
    let mut header = vec![2, length, 0, 0];
    header.extend(index.to_ne_bytes());
    // IFA_LOCAL 2, IFA_ADDRESS 1
    call(RTM_NEWADDR, |m| m.fixed(&header).attr(2, &address).attr(1, &address));
}

pub fn add_default_route(interface: &str, gateway: [u8; 4]) {
    add_route("0.0.0.0/0".parse().unwrap(), interface, gateway);
}

pub fn add_address_v6(interface: &str, address: Ipv6Addr, length: u8) {
    let index = nix::net::if_::if_nametoindex(interface).unwrap();
    // IFA_F_NODAD
    let mut header = vec![10, length, 2, 0];
    header.extend(index.to_ne_bytes());
    call(RTM_NEWADDR, |m| m.fixed(&header).attr(2, &address.octets()).attr(1, &address.octets()));
}

pub fn add_default_route_v6(interface: &str, gateway: Ipv6Addr) {
    add_route_v6("::/0".parse().unwrap(), interface, gateway);
}

pub fn add_route_v6(prefix: Ipv6Net, interface: &str, gateway: Ipv6Addr) {
    let index = nix::net::if_::if_nametoindex(interface).unwrap();
    let header = [10, prefix.prefix_len(), 0, 0, 254, 4, 0, 1, 0, 0, 0, 0];
    call(RTM_NEWROUTE, |m| {
        let target = m.fixed(&header).attr(1, &prefix.network().octets());
        target.attr(5, &gateway.octets()).attr_u32(4, index)
    });
}

pub fn add_route(prefix: Ipv4Net, interface: &str, gateway: [u8; 4]) {
    let index = nix::net::if_::if_nametoindex(interface).unwrap();
    // family, lengths, TOS, table main, protocol static, scope universe, unicast, flags
    // RTA_DST 1, RTA_GATEWAY 5, RTA_OIF 4
    let header = [2, prefix.prefix_len(), 0, 0, 254, 4, 0, 1, 0, 0, 0, 0];
    call(RTM_NEWROUTE, |m| {
        let target = m.fixed(&header).attr(1, &prefix.network().octets());
        target.attr(5, &gateway).attr_u32(4, index)
    });
}
