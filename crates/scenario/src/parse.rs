//! From the file as written to checked types: names resolve, figures are in range, roles fit.

use std::collections::BTreeSet;
use std::time::Duration;

use super::error::{ScenarioError, line_of, nearest};
use super::raw::{
    OneOrTwo, RawBulk, RawEvent, RawFile, RawFlow, RawHeader, RawLink, RawNode, RawProgram,
    RawRole, RawRouter, RawUnderlay, RawVerb,
};
use super::{
    Action, BitRate, Bulk, Direction, ENTRIES_MAX, Event, Flow, Impairment, Link, LinkChange,
    LinkShape, NODES_MAX, Node, NodeName, Probability, Program, Role, RouterOverrides,
    SCENARIO_OCTETS_MAX, Scenario, Underlay, VALIDATORS_MAX, cities, resolve, wanted,
};

type Result<T> = std::result::Result<T, ScenarioError>;

/// Parses and checks a whole file.
pub fn scenario(text: &str) -> Result<Scenario> {
    if text.len() > SCENARIO_OCTETS_MAX {
        return Err(ScenarioError::new(
            None,
            format!("the file has more than {SCENARIO_OCTETS_MAX} bytes"),
        ));
    }
    let raw: RawFile =
        toml::from_str(text).map_err(|error| ScenarioError::from_toml(text, &error))?;
    let mut scenario = header(&raw, text)?;
    fill(&mut scenario, &raw, text)?;
    resolve::check(&scenario)?;
    Ok(scenario)
}

fn fill(scenario: &mut Scenario, raw: &RawFile, text: &str) -> Result<()> {
    let at = |span: std::ops::Range<usize>| line_of(text, span.start);
    bounded("node", raw.node.len(), NODES_MAX)?;
    bounded("link", raw.link.len(), NODES_MAX * NODES_MAX)?;
    for (what, count) in
        [("event", raw.event.len()), ("flow", raw.flow.len()), ("expect", raw.expect.len())]
    {
        bounded(what, count, ENTRIES_MAX)?;
    }
    for node in &raw.node {
        add_node(scenario, node.get_ref(), &raw.scenario.get_ref().router, At(at(node.span())))?;
    }
    add_services(scenario, validators(scenario, raw, text)?);
    for link in &raw.link {
        add_links(scenario, link.get_ref(), At(at(link.span())))?;
    }
    for flow in &raw.flow {
        add_flow(scenario, flow.get_ref(), At(at(flow.span())))?;
    }
    for event in &raw.event {
        add_event(scenario, event.get_ref(), At(at(event.span())))?;
    }
    scenario.events.sort_by_key(|event| event.at);
    for expect in &raw.expect {
        let kind = wanted::expect(scenario, expect.get_ref(), At(at(expect.span())))?;
        scenario.expects.push(kind);
    }
    Ok(())
}

fn bounded(what: &str, count: usize, max: usize) -> Result<()> {
    if count <= max {
        Ok(())
    } else {
        Err(ScenarioError::new(None, format!("{count} {what}s; at most {max}")))
    }
}

fn header(raw: &RawFile, text: &str) -> Result<Scenario> {
    let at = At(line_of(text, raw.scenario.span().start));
    let raw: &RawHeader = raw.scenario.get_ref();
    let ends = [&raw.link.a, &raw.link.b, &raw.link.from, &raw.link.to];
    if ends.into_iter().any(Option::is_some) {
        return Err(at.error("`link` under [scenario] is the default of all links and has no ends"));
    }
    let mtu = raw.mtu.unwrap_or(MTU_DEFAULT);
    at.check((MTU_MIN..=MTU_MAX).contains(&mtu), || {
        format!("mtu {mtu}; between {MTU_MIN} and {MTU_MAX}")
    })?;
    Ok(Scenario {
        name: at.name(&raw.name)?,
        title: raw.title.clone(),
        seed: raw.seed,
        duration: at.seconds("duration_s", raw.duration_s)?,
        underlay: match raw.underlay {
            RawUnderlay::Ipv4 => Underlay::Ipv4,
            RawUnderlay::Ipv6 => Underlay::Ipv6,
            RawUnderlay::Dual => Underlay::Dual,
        },
        mtu,
        offload: raw.offload,
        link_default: LinkShape::default().changed(&at.change(&raw.link, Side::Forward)?),
        nodes: Vec::new(),
        links: Vec::new(),
        events: Vec::new(),
        flows: Vec::new(),
        expects: Vec::new(),
    })
}

fn add_node(scenario: &mut Scenario, raw: &RawNode, common: &RawRouter, at: At) -> Result<()> {
    let name = at.name(&raw.name)?;
    at.check(scenario.node(&name).is_none(), || format!("two nodes are called `{name}`"))?;
    let role = role(raw.role);
    let city = raw.city.as_deref().map(|city| at.city(city)).transpose()?;
    let behind = raw.behind.as_deref().map(|router| at.name(router)).transpose()?;
    let plain = matches!(role, Role::Host | Role::Web);
    at.check(behind.is_none() || plain, || format!("a {} cannot be behind a router", role.word()))?;
    let is_router = role == Role::Router;
    at.check(raw.router.is_none() || is_router, || {
        format!("`router` settings on a {}", role.word())
    })?;
    at.check(raw.prefixes.is_empty() || is_router, || format!("`prefixes` on a {}", role.word()))?;
    let router = overrides(raw.router.as_ref(), common, at)?;
    let asn = raw.asn.unwrap_or(ASN_FIRST + u32::try_from(scenario.nodes.len()).unwrap_or(0));
    scenario.nodes.push(Node {
        name,
        role,
        city,
        asn,
        behind,
        prefixes: raw.prefixes.clone(),
        router,
    });
    Ok(())
}

fn role(raw: RawRole) -> Role {
    match raw {
        RawRole::Router => Role::Router,
        RawRole::Host => Role::Host,
        RawRole::Web => Role::Web,
        RawRole::Controller => Role::Controller,
        RawRole::Ledger => Role::Ledger,
    }
}

/// How many validators `[ledger]` asks for; a file that places them itself has said so already.
fn validators(scenario: &Scenario, raw: &RawFile, text: &str) -> Result<usize> {
    let Some(ledger) = &raw.ledger else { return Ok(1) };
    let (at, count) = (At(line_of(text, ledger.span().start)), ledger.get_ref().validators);
    at.check((1..=VALIDATORS_MAX).contains(&count), || {
        format!("validators = {count}: between 1 and {VALIDATORS_MAX}")
    })?;
    let placed = scenario.with_role(Role::Ledger).next().is_some();
    at.check(!placed, || "the file has nodes of role ledger: each is a validator".into())?;
    Ok(count)
}

/// Every network of routers needs the two services; a file that does not place them gets them nearby.
fn add_services(scenario: &mut Scenario, validators: usize) {
    if scenario.with_role(Role::Router).next().is_none() {
        return;
    }
    if scenario.with_role(Role::Controller).next().is_none() {
        scenario.nodes.push(service(Role::Controller, Role::Controller.word()));
    }
    if scenario.with_role(Role::Ledger).next().is_some() {
        return;
    }
    if validators == 1 {
        scenario.nodes.push(service(Role::Ledger, Role::Ledger.word()));
        return;
    }
    let numbered = (1..=validators).map(|number| format!("{}-{number}", Role::Ledger.word()));
    scenario.nodes.extend(numbered.map(|name| service(Role::Ledger, &name)));
}

fn service(role: Role, name: &str) -> Node {
    Node {
        name: NodeName::new(name).expect("the words of roles are names, also with a digit"),
        role,
        city: None,
        asn: ASN_SERVICE,
        behind: None,
        prefixes: vec![],
        router: RouterOverrides::default(),
    }
}

fn overrides(own: Option<&RawRouter>, common: &RawRouter, at: At) -> Result<RouterOverrides> {
    let none = RawRouter::default();
    let own = own.unwrap_or(&none);
    let time = |what: &str, own: Option<f64>, common: Option<f64>| {
        own.or(common).map(|ms| at.millis(what, ms)).transpose()
    };
    Ok(RouterOverrides {
        coins_per_gb: own.coins_per_gb.clone().or_else(|| common.coins_per_gb.clone()),
        escrow_coins: own.escrow_coins.clone().or_else(|| common.escrow_coins.clone()),
        skew_ms: own.skew_ms.or(common.skew_ms),
        egress: own.egress.or(common.egress),
        pulse: time("pulse_ms", own.pulse_ms, common.pulse_ms)?,
        liveness: time("liveness_ms", own.liveness_ms, common.liveness_ms)?,
        misses: own.misses.or(common.misses),
        hold_down: time("hold_down_ms", own.hold_down_ms, common.hold_down_ms)?,
        windows: own.windows.or(common.windows),
        window: time("window_ms", own.window_ms, common.window_ms)?,
        relays_max: own.relays_max.or(common.relays_max),
        tun_mtu: own.tun_mtu.or(common.tun_mtu),
        watch: own.watch.clone().or_else(|| common.watch.clone()).unwrap_or_default(),
        classes: own.class.clone().or_else(|| common.class.clone()).unwrap_or_default(),
        multipath: own.multipath.clone().or_else(|| common.multipath.clone()).unwrap_or_default(),
    })
}

fn add_links(scenario: &mut Scenario, raw: &RawLink, at: At) -> Result<()> {
    let ends = Ends { a: &raw.a, b: &raw.b, from: &raw.from, to: &raw.to, node: &None };
    for (direction, side) in ends.directions(scenario, at)? {
        let change = at.change(raw, side)?;
        scenario.links.push(Link { from: direction.from, to: direction.to, change });
    }
    Ok(())
}

fn add_event(scenario: &mut Scenario, raw: &RawEvent, at: At) -> Result<()> {
    let when = at.seconds("at_s", raw.at_s)?;
    at.check(when <= scenario.duration, || format!("at_s {} is after the end", raw.at_s))?;
    let action = action(scenario, raw, at)?;
    let label = raw.label.clone().unwrap_or_else(|| free_label(scenario, action.word()));
    at.check(scenario.event(&label).is_none(), || format!("two events are labelled `{label}`"))?;
    scenario.events.push(Event { at: when, label, action });
    Ok(())
}

fn free_label(scenario: &Scenario, word: &str) -> String {
    let numbered = (2..=ENTRIES_MAX).map(|n| format!("{word}-{n}"));
    let mut labels = std::iter::once(word.to_owned()).chain(numbered);
    labels.find(|label| scenario.event(label).is_none()).expect("fewer events than labels")
}

fn action(scenario: &Scenario, raw: &RawEvent, at: At) -> Result<Action> {
    let shape = event_shape(raw);
    let impairment = Impairment {
        add: at.millis("add_ms", raw.add_ms.unwrap_or(0.0))?,
        change: at.change(&shape, Side::Forward)?,
    };
    let worse = impairment != Impairment::default();
    let congest = raw.r#do == RawVerb::Congest;
    at.check(worse == congest, || {
        if congest {
            "congest says nothing to make worse"
        } else {
            "only congest changes figures of a link"
        }
        .into()
    })?;
    let about_flow = raw.flow.is_some() || raw.way.is_some();
    at.check(!about_flow || raw.r#do == RawVerb::Cut, || "only cut is about a flow".into())?;
    at.check(raw.command.is_none() || raw.r#do == RawVerb::Exec, || {
        "only exec has a command".into()
    })?;
    match raw.r#do {
        RawVerb::Congest => {
            Ok(Action::Congest { links: event_links(scenario, raw, at)?, impairment })
        }
        RawVerb::Fail => Ok(Action::Fail { links: event_links(scenario, raw, at)? }),
        RawVerb::Heal if names_no_link(raw) => Ok(Action::Heal { links: all_links(scenario) }),
        RawVerb::Heal => Ok(Action::Heal { links: event_links(scenario, raw, at)? }),
        RawVerb::Cut => cut(scenario, raw, at),
        verb => node_action(scenario, raw, verb, at),
    }
}

fn node_action(scenario: &Scenario, raw: &RawEvent, verb: RawVerb, at: At) -> Result<Action> {
    let ends = [&raw.a, &raw.b, &raw.from, &raw.to];
    at.check(ends.into_iter().all(Option::is_none), || {
        "this event is about a node, not a link".into()
    })?;
    let node = raw.node.as_deref().ok_or_else(|| at.error("this event needs `node`"))?;
    let node = at.known(scenario, node)?;
    if verb == RawVerb::Exec {
        let command = raw.command.clone().filter(|words| !words.is_empty());
        return Ok(Action::Exec {
            node,
            command: command.ok_or_else(|| at.error("exec needs `command`"))?,
        });
    }
    let daemon = scenario.node(&node).is_some_and(|node| node.role.is_daemon());
    at.check(daemon, || format!("no daemon runs on `{node}`"))?;
    match verb {
        RawVerb::Kill => Ok(Action::Kill { node }),
        RawVerb::Stop => Ok(Action::Stop { node }),
        RawVerb::Pause => Ok(Action::Pause { node }),
        RawVerb::Resume => Ok(Action::Resume { node }),
        RawVerb::Start => Ok(Action::Start { node }),
        RawVerb::Wipe => Ok(Action::Wipe { node }),
        RawVerb::Congest | RawVerb::Fail | RawVerb::Heal | RawVerb::Cut | RawVerb::Exec => {
            Err(at.error("this event is about a link"))
        }
    }
}

fn names_no_link(raw: &RawEvent) -> bool {
    [&raw.a, &raw.b, &raw.from, &raw.to, &raw.node].into_iter().all(Option::is_none)
}

/// The path is known only when the story is there; the flow and its router must exist before.
fn cut(scenario: &Scenario, raw: &RawEvent, at: At) -> Result<Action> {
    at.check(names_no_link(raw), || "cut is about a flow, not a link".into())?;
    let flow = raw.flow.clone().ok_or_else(|| at.error("cut needs `flow`"))?;
    let way = raw.way.unwrap_or_default();
    let headed = scenario.headend(&flow, way).is_some();
    at.check(headed, || format!("no router sends a flow `{flow}` that way"))?;
    Ok(Action::Cut { flow, way })
}

fn event_links(scenario: &Scenario, raw: &RawEvent, at: At) -> Result<Vec<Direction>> {
    let ends = Ends { a: &raw.a, b: &raw.b, from: &raw.from, to: &raw.to, node: &raw.node };
    Ok(ends.directions(scenario, at)?.into_iter().map(|(direction, _)| direction).collect())
}

fn event_shape(raw: &RawEvent) -> RawLink {
    RawLink {
        jitter_ms: raw.jitter_ms,
        loss: raw.loss,
        rate_mbps: raw.rate_mbps,
        queue_kb: raw.queue_kb,
        mtu: raw.mtu,
        icmp: raw.icmp,
        duplicate: raw.duplicate,
        reorder: raw.reorder,
        corrupt: raw.corrupt,
        ..RawLink::default()
    }
}

fn add_flow(scenario: &mut Scenario, raw: &RawFlow, at: At) -> Result<()> {
    at.check(scenario.flow(&raw.name).is_none(), || {
        format!("two flows are called `{}`", raw.name)
    })?;
    let (from, to) = (at.known(scenario, &raw.from)?, at.known(scenario, &raw.to)?);
    let answers = scenario.node(&to).is_some_and(|node| node.role == Role::Web);
    at.check(answers, || format!("`{to}` has no web server; give it role = \"web\""))?;
    let (start, end) = (at.seconds("at_s", raw.at_s)?, at.seconds("until_s", raw.until_s)?);
    at.check(start < end && end <= scenario.duration, || {
        format!(
            "flow from {}s until {}s does not fit in {:?}",
            raw.at_s, raw.until_s, scenario.duration
        )
    })?;
    scenario.flows.push(Flow {
        name: raw.name.clone(),
        from,
        to,
        start,
        end,
        program: match raw.program {
            RawProgram::Http => Program::Http,
            RawProgram::Curl => Program::Curl,
            RawProgram::Iperf3 => Program::Iperf3,
            RawProgram::Variety => Program::Variety,
        },
        bulk: match raw.bulk {
            RawBulk::Download => Bulk::Download,
            RawBulk::Upload => Bulk::Upload,
        },
        limit: raw.limit_mbps.map(|mbps| at.rate("limit_mbps", mbps)).transpose()?,
    });
    Ok(())
}

/// Which of two figures a direction takes.
#[derive(Clone, Copy)]
enum Side {
    Forward,
    Backward,
}

/// The ways to say which links are meant.
struct Ends<'a> {
    a: &'a Option<String>,
    b: &'a Option<String>,
    from: &'a Option<String>,
    to: &'a Option<String>,
    node: &'a Option<String>,
}

impl Ends<'_> {
    fn directions(&self, scenario: &Scenario, at: At) -> Result<Vec<(Direction, Side)>> {
        match (self.a, self.b, self.from, self.to, self.node) {
            (Some(a), Some(b), None, None, None) => both(scenario, a, b, at),
            (None, None, Some(from), Some(to), None) => {
                Ok(vec![(direction(scenario, from, to, at)?, Side::Forward)])
            }
            (None, None, None, None, Some(node)) => all_of(scenario, node, at),
            _ => Err(at.error(
                "say which link: `a` and `b` for both directions, or `from` and `to` for one",
            )),
        }
    }
}

fn both(scenario: &Scenario, a: &str, b: &str, at: At) -> Result<Vec<(Direction, Side)>> {
    let forward = direction(scenario, a, b, at)?;
    let backward = Direction { from: forward.to.clone(), to: forward.from.clone() };
    Ok(vec![(forward, Side::Forward), (backward, Side::Backward)])
}

fn direction(scenario: &Scenario, from: &str, to: &str, at: At) -> Result<Direction> {
    let (from, to) = (at.site(scenario, from)?, at.site(scenario, to)?);
    at.check(from != to, || format!("a link from `{from}` to itself"))?;
    Ok(Direction { from, to })
}

/// All links that begin or end at a site.
fn all_of(scenario: &Scenario, node: &str, at: At) -> Result<Vec<(Direction, Side)>> {
    let site = at.site(scenario, node)?;
    let side = |link: Direction| match link.from == site {
        true => (link, Side::Forward),
        false => (link, Side::Backward),
    };
    let links = all_links(scenario).into_iter();
    Ok(links.filter(|link| link.from == site || link.to == site).map(side).collect())
}

/// Every ordered pair of sites.
fn all_links(scenario: &Scenario) -> Vec<Direction> {
    let sites: BTreeSet<&NodeName> =
        scenario.nodes.iter().map(|node| scenario.site_of(node)).collect();
    let pairs = sites.iter().flat_map(|from| sites.iter().map(move |to| (*from, *to)));
    let links = pairs.filter(|(from, to)| from != to);
    links.map(|(from, to)| Direction { from: from.clone(), to: to.clone() }).collect()
}

/// The line that is being checked; makes values of what stands there, or errors that name it.
#[derive(Clone, Copy)]
pub struct At(pub usize);

impl At {
    pub fn error(self, what: impl Into<String>) -> ScenarioError {
        ScenarioError::new(Some(self.0), what)
    }

    pub fn check(self, holds: bool, what: impl FnOnce() -> String) -> Result<()> {
        if holds { Ok(()) } else { Err(self.error(what())) }
    }

    fn name(self, text: &str) -> Result<NodeName> {
        NodeName::new(text).map_err(|error| self.error(error.to_string()))
    }

    /// The name of a node that exists.
    pub fn known(self, scenario: &Scenario, text: &str) -> Result<NodeName> {
        let found = scenario.nodes.iter().find(|node| node.name.as_str() == text);
        found.map(|node| node.name.clone()).ok_or_else(|| {
            let names = scenario.nodes.iter().map(|node| node.name.as_str());
            self.guess(format!("no node is called `{text}`"), nearest(text, names))
        })
    }

    /// The same, for the end of a link: a node with an `eth0` of its own.
    fn site(self, scenario: &Scenario, text: &str) -> Result<NodeName> {
        let name = self.known(scenario, text)?;
        let behind = scenario.node(&name).and_then(|node| node.behind.clone());
        match behind {
            None => Ok(name),
            Some(router) => {
                let what = format!("`{name}` stands behind `{router}` and has no link of its own");
                Err(self.error(what).with_fix(format!("write `{router}`")))
            }
        }
    }

    fn city(self, text: &str) -> Result<&'static cities::City> {
        cities::find(text).ok_or_else(|| {
            let names = cities::all().iter().map(|city| city.name);
            self.guess(format!("no measured delays for city `{text}`"), nearest(text, names))
        })
    }

    fn guess(self, what: String, nearest: Option<&str>) -> ScenarioError {
        let error = self.error(what);
        match nearest {
            Some(word) => error.with_fix(format!("write `{word}`")),
            None => error,
        }
    }

    pub fn seconds(self, key: &str, value: f64) -> Result<Duration> {
        let time = Duration::try_from_secs_f64(value).ok().filter(|time| *time <= TIME_MAX);
        time.ok_or_else(|| {
            self.error(format!("{key} = {value}: not a time between 0 and {TIME_MAX:?}"))
        })
    }

    pub fn millis(self, key: &str, value: f64) -> Result<Duration> {
        self.seconds(key, value / 1000.0)
    }

    fn chance(self, key: &str, value: f64) -> Result<Probability> {
        let chance = Probability::from_fraction(value);
        chance.ok_or_else(|| self.error(format!("{key} = {value}: not a fraction between 0 and 1")))
    }

    fn rate(self, key: &str, value: f64) -> Result<BitRate> {
        let rate = BitRate::from_mbps(value);
        rate.ok_or_else(|| {
            self.error(format!("{key} = {value}: not a rate between 0.001 and 100000"))
        })
    }

    fn change(self, raw: &RawLink, side: Side) -> Result<LinkChange> {
        let owd_ms = raw.owd_ms.map(|owd| match (owd, side) {
            (OneOrTwo::One(ms), _) => ms,
            (OneOrTwo::Two([ms, _]), Side::Forward) => ms,
            (OneOrTwo::Two([_, ms]), Side::Backward) => ms,
        });
        let chance =
            |key, value: Option<f64>| value.map(|value| self.chance(key, value)).transpose();
        let small = raw.mtu.filter(|mtu| !(MTU_MIN..=MTU_MAX).contains(mtu));
        self.check(small.is_none(), || format!("mtu of a link: between {MTU_MIN} and {MTU_MAX}"))?;
        Ok(LinkChange {
            owd: owd_ms.map(|ms| self.millis("owd_ms", ms)).transpose()?,
            jitter: raw.jitter_ms.map(|ms| self.millis("jitter_ms", ms)).transpose()?,
            loss: chance("loss", raw.loss)?,
            rate: raw.rate_mbps.map(|mbps| self.rate("rate_mbps", mbps)).transpose()?,
            queue_octets: raw.queue_kb.map(|kb| kb.saturating_mul(1000)),
            mtu: raw.mtu,
            icmp: raw.icmp,
            duplicate: chance("duplicate", raw.duplicate)?,
            reorder: chance("reorder", raw.reorder)?,
            corrupt: chance("corrupt", raw.corrupt)?,
            blackhole: raw.blackhole,
        })
    }
}

const MTU_DEFAULT: u16 = 1500;
/// RFC 8200: every IPv6 link carries 1280.
const MTU_MIN: u16 = 1280;
/// Jumbo frames; the fabric's buffers have this size.
const MTU_MAX: u16 = 9000;
/// First of the 16-bit AS numbers for documentation, RFC 5398.
const ASN_FIRST: u32 = 64496;
/// Last of them.
const ASN_SERVICE: u32 = 64511;
/// No story is longer than an hour; a longer time is a mistake of units.
const TIME_MAX: Duration = Duration::from_secs(3600);
