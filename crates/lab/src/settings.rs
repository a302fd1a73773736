//! Configuration files, keys and tokens for the daemons of a plan, in the formats that operators write.
//!
//! Each account key is drawn here before the routers start, because the genesis of the lab's chain gives
//! coins to them; a router finds its key file and uses it, as after any restart.

use std::fs::{self, File};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use srwan_wire::sign::AccountSecret;
use toml::{Table, Value};

use crate::place::Place;
use crate::plan::{Plan, Site};
use crate::scenario::{Node, NodeName, Role, RouterOverrides};

/// What the daemons of a lab are started with.
pub struct Settings<'a> {
    place: &'a Place,
    plan: &'a Plan,
    controller: Service,
    /// The validators, in file order.
    ledgers: Vec<Service>,
}

/// The controller or a validator: its address and its public key.
struct Service {
    name: NodeName,
    address: IpAddr,
    url: String,
    key: String,
}

/// Port of the routers, UDP.
pub const ROUTER_PORT: u16 = 4766;
const CONTROLLER_PORT: u16 = 7080;
pub const LEDGER_PORT: u16 = 7090;
/// Validators to each other.
const LEDGER_P2P_PORT: u16 = 7091;

impl<'a> Settings<'a> {
    /// Draws the keys of the services; `None` for a plan without routers.
    pub fn new(place: &'a Place, plan: &'a Plan) -> Result<Option<Self>> {
        let services = |role: Role, port: u16, file: &str| -> Result<Vec<Service>> {
            let service = |node: &Node| -> Result<Service> {
                let address = plan.address(&node.name).context("every site has an address")?;
                let key = draw_key(&place.state(&node.name).join(file))?;
                let url = format!("http://{}", SocketAddr::new(address, port));
                Ok(Service { name: node.name.clone(), address, url, key })
            };
            plan.scenario.with_role(role).map(service).collect()
        };
        let controller = services(Role::Controller, CONTROLLER_PORT, "controller.key")?.pop();
        let ledgers = services(Role::Ledger, LEDGER_PORT, "validator.key")?;
        Ok(controller.map(|controller| Self { place, plan, controller, ledgers }))
    }

    /// Writes everything.
    pub fn write(&self) -> Result<()> {
        let routers: Vec<&Node> = self.plan.scenario.with_role(Role::Router).collect();
        let mut accounts = Vec::new();
        let mut tokens = Vec::new();
        for node in &routers {
            accounts.push(draw_key(&self.place.state(&node.name).join("account.key"))?);
            tokens.push(random_hex()?);
        }
        self.write_ledger(&accounts)?;
        self.write_controller(&tokens)?;
        self.write_geo()?;
        for (node, token) in routers.iter().zip(&tokens) {
            write_secret(&self.place.node(&node.name).join("join.token"), token)?;
            let site = self.plan.site(&node.name).context("every router is a site")?;
            self.write_config(&node.name, self.router(node, site))?;
        }
        Ok(())
    }

    /// For each validator's node, the command that makes the chain there.
    pub fn ledger_inits(&self) -> Vec<(NodeName, Vec<String>)> {
        let genesis = path(&self.genesis_file());
        let init = |ledger: &Service| {
            let state = path(&self.place.state(&ledger.name));
            let words = ["ledger", "init", "--genesis", &genesis, "--state-dir", &state];
            (ledger.name.clone(), words.map(str::to_owned).to_vec())
        };
        self.ledgers.iter().map(init).collect()
    }

    /// One file for all validators: they begin the same chain or none.
    fn genesis_file(&self) -> PathBuf {
        self.place.folder().join("genesis.toml")
    }

    fn write_ledger(&self, accounts: &[String]) -> Result<()> {
        let account = accounts
            .iter()
            .map(|key| Value::Table(table([("key", text(key)), ("coins", text(COINS_PER_ROUTER))])))
            .collect();
        let validator = self.ledgers.iter().map(|ledger| Value::Table(self.validator(ledger)));
        let genesis = table([
            ("chain", text("lab")),
            ("supply_coins", text(SUPPLY_COINS)),
            ("account", Value::Array(account)),
            ("validator", Value::Array(validator.collect())),
        ]);
        write_toml(&self.genesis_file(), &genesis)?;
        for ledger in &self.ledgers {
            let state = self.place.state(&ledger.name);
            let mut config = table([
                ("listen", text(&self.listen(LEDGER_PORT))),
                ("state_dir", text(&path(&state))),
                ("genesis", text(&path(&self.genesis_file()))),
                ("validator_key", text(&path(&state.join("validator.key")))),
            ]);
            if self.has_committee() {
                config.insert("p2p_listen".into(), text(&self.listen(LEDGER_P2P_PORT)));
            }
            self.write_config(&ledger.name, config)?;
        }
        Ok(())
    }

    fn validator(&self, ledger: &Service) -> Table {
        let mut validator = table([("key", text(&ledger.key)), ("power", Value::Integer(1))]);
        if self.has_committee() {
            let address = SocketAddr::new(ledger.address, LEDGER_P2P_PORT);
            validator.insert("address".into(), text(&address.to_string()));
        }
        validator
    }

    /// Whether there are peers to speak to.
    fn has_committee(&self) -> bool {
        self.ledgers.len() > 1
    }

    /// The validators as a router's configuration names them, beginning with another one for each router.
    fn ledger_urls(&self, router: u8) -> Table {
        let mut urls: Vec<Value> = self.ledgers.iter().map(|ledger| text(&ledger.url)).collect();
        let first = usize::from(router) % urls.len().max(1);
        urls.rotate_left(first);
        let one = if self.has_committee() { None } else { urls.pop() };
        table([("url", one.unwrap_or(Value::Array(urls)))])
    }

    /// A client that takes one validator alone gets the first.
    fn first_ledger(&self) -> Table {
        let url = self.ledgers.first().map_or("", |ledger| &ledger.url);
        table([("url", text(url))])
    }

    fn write_controller(&self, tokens: &[String]) -> Result<()> {
        let file = self.place.node(&self.controller.name).join("join-tokens");
        write_secret(&file, &tokens.join("\n"))?;
        let mut config = table([
            ("listen", text(&self.listen(CONTROLLER_PORT))),
            ("state_dir", text(&path(&self.place.state(&self.controller.name)))),
            ("join_tokens_file", text(&path(&file))),
            ("ledger", Value::Table(self.first_ledger())),
        ]);
        // The controller tells members how often to pulse: as often as the first router was told to.
        let pulse = self.plan.scenario.with_role(Role::Router).find_map(|node| node.router.pulse);
        if let Some(pulse) = pulse {
            config.insert("pulse_interval_ms".into(), millis(pulse));
        }
        self.write_config(&self.controller.name, config)
    }

    /// Tuples of all networks of the lab, as an operator would supply them for the real Internet.
    fn write_geo(&self) -> Result<()> {
        let (mut asn, mut location) = (String::new(), String::new());
        for site in &self.plan.sites {
            let node = self.plan.scenario.node(&site.name).context("sites are made of nodes")?;
            for net in site.prefixes() {
                let range = format!("{},{}", net.network(), net.broadcast());
                asn.push_str(&format!("{range},{},lab-{}\n", node.asn, node.name));
                if let Some(city) = node.city {
                    let place = format!("{},{},{},{}", city.country, city.name, city.lat, city.lon);
                    location.push_str(&format!("{range},{place}\n"));
                }
            }
        }
        fs::write(self.place.folder().join("asn.csv"), asn)?;
        fs::write(self.place.folder().join("location.csv"), location)?;
        Ok(())
    }

    fn router(&self, node: &Node, site: &Site) -> Table {
        let endpoints = site.addresses.iter().map(|address| text(&endpoint(*address))).collect();
        let prefixes = site.lans.iter().map(|net| text(&net.to_string())).collect();
        let mut config = table([
            ("name", text(node.name.as_str())),
            ("state_dir", text(&path(&self.place.state(&node.name)))),
            ("listen", text(&self.listen(ROUTER_PORT))),
            ("endpoints", Value::Array(endpoints)),
            ("controller", Value::Table(self.controller_of(node))),
            ("ledger", Value::Table(self.ledger_urls(site.number))),
            ("location", Value::Table(location(node))),
            ("site", Value::Table(table([("prefixes", Value::Array(prefixes))]))),
            ("geo", Value::Table(self.geo())),
            (
                "portal",
                Value::Table(table([(
                    "listen",
                    text(&format!("127.0.0.1:{}", portal_port(site))),
                )])),
            ),
        ]);
        override_router(&mut config, &node.router);
        config
    }

    fn controller_of(&self, node: &Node) -> Table {
        let token = self.place.node(&node.name).join("join.token");
        table([
            ("url", text(&self.controller.url)),
            ("key", text(&self.controller.key)),
            ("join_token_file", text(&path(&token))),
        ])
    }

    fn geo(&self) -> Table {
        let asn = text(&path(&self.place.folder().join("asn.csv")));
        let location = text(&path(&self.place.folder().join("location.csv")));
        table([("asn_csv", Value::Array(vec![asn])), ("location_csv", location)])
    }

    fn write_config(&self, name: &NodeName, config: Table) -> Result<()> {
        write_toml(&config_file(self.place, name), &config)
    }

    /// The unspecified address of the families that the underlay has.
    fn listen(&self, port: u16) -> String {
        let all_v4 = self.plan.sites.iter().flat_map(|site| &site.addresses).all(IpAddr::is_ipv4);
        if all_v4 { format!("0.0.0.0:{port}") } else { format!("[::]:{port}") }
    }
}

/// Port of a router's portal: one for each, so that all can be led to this machine's loopback.
pub fn portal_port(site: &Site) -> u16 {
    PORTAL_PORT_FIRST - 1 + u16::from(site.number)
}

/// Where a node's daemon finds its configuration.
pub fn config_file(place: &Place, name: &NodeName) -> PathBuf {
    place.node(name).join("config.toml")
}

/// Arguments that run the daemon of a node; `None` for a plain machine.
pub fn daemon_arguments(place: &Place, node: &Node) -> Option<Vec<String>> {
    let noun = match node.role {
        Role::Router => "router",
        Role::Controller => "controller",
        Role::Ledger => "ledger",
        Role::Host | Role::Web => return None,
    };
    let config = path(&config_file(place, &node.name));
    Some([noun, "run", "--config", &config].map(str::to_owned).to_vec())
}

fn location(node: &Node) -> Table {
    let mut location = table([("asn", Value::Integer(i64::from(node.asn)))]);
    if let Some(city) = node.city {
        location.insert("city".into(), text(city.name));
        location.insert("country".into(), text(city.country));
        location.insert("lat".into(), Value::Float(city.lat));
        location.insert("lon".into(), Value::Float(city.lon));
    }
    location
}

fn override_router(config: &mut Table, own: &RouterOverrides) {
    let small = |number: u8| Value::Integer(i64::from(number));
    let watch = own.watch.iter().map(|net| text(&net.to_string())).collect::<Vec<_>>();
    let settings = [
        ("price", "coins_per_gb", own.coins_per_gb.as_deref().map(text)),
        ("ledger", "escrow_coins", own.escrow_coins.as_deref().map(text)),
        ("clock", "skew_ms", own.skew_ms.map(Value::Integer)),
        ("egress", "enabled", own.egress.map(Value::Boolean)),
        ("pulse", "interval_ms", own.pulse.map(millis)),
        ("liveness", "interval_ms", own.liveness.map(millis)),
        ("liveness", "misses", own.misses.map(small)),
        ("policy", "hold_down_ms", own.hold_down.map(millis)),
        ("policy", "windows", own.windows.map(small)),
        ("policy", "window_ms", own.window.map(millis)),
        ("policy", "relays_max", own.relays_max.map(small)),
        ("tun", "mtu", own.tun_mtu.map(|mtu| Value::Integer(i64::from(mtu)))),
        ("destinations", "watch", (!watch.is_empty()).then_some(Value::Array(watch))),
    ];
    for (section, key, value) in settings {
        let Some(value) = value else { continue };
        let section = config.entry(section).or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(section) = section {
            section.insert(key.to_owned(), value);
        }
    }
    for (key, tables) in [("class", &own.classes), ("multipath", &own.multipath)] {
        if !tables.is_empty() {
            let tables = tables.iter().cloned().map(Value::Table).collect();
            config.insert(key.to_owned(), Value::Array(tables));
        }
    }
}

/// Draws an ed25519 key into a file and returns its public half in hexadecimal.
fn draw_key(file: &Path) -> Result<String> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    write_secret(file, &hex::encode(seed))?;
    Ok(hex::encode(AccountSecret::from_seed(&seed).public().0))
}

fn random_hex() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    Ok(hex::encode(bytes))
}

/// A file that only its owner reads, in a directory that exists after this.
pub(crate) fn write_secret(file: &Path, secret: &str) -> Result<()> {
    let folder = file.parent().context("a file is in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut options = File::options();
    let opened = options.create(true).truncate(true).write(true).mode(0o600).open(file);
    let mut opened = opened.with_context(|| format!("cannot write {}", file.display()))?;
    writeln!(opened, "{secret}").with_context(|| format!("cannot write {}", file.display()))
}

pub(crate) fn write_toml(file: &Path, content: &Table) -> Result<()> {
    let text = toml::to_string(content).context("tables of plain values can be written")?;
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

pub(crate) fn table<const N: usize>(entries: [(&str, Value); N]) -> Table {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn millis(time: Duration) -> Value {
    Value::Integer(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

pub(crate) fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn endpoint(address: IpAddr) -> String {
    SocketAddr::new(address, ROUTER_PORT).to_string()
}

/// The product's default, for the first router.
const PORTAL_PORT_FIRST: u16 = 7443;
/// Enough for the bond of a router (1,000 coins), its escrow, and fees for any story.
const COINS_PER_ROUTER: &str = "10000";
/// The most that a chain may hold (10^18 base units); what is nobody's is the treasury's.
const SUPPLY_COINS: &str = "1000000000";
