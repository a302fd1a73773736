//! Real namespaces, real packets, no daemons: the fabric does what the scenario says, and leaves nothing.
//!
//! Needs root (or CAP_NET_ADMIN and CAP_SYS_ADMIN) and /dev/net/tun; says so and passes where they are missing.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use srwan_lab::capture::Capture;
use srwan_lab::fabric::control::Request;
use srwan_lab::lab::{Lab, Options};
use srwan_lab::place::Place;
use srwan_lab::plan::Plan;
use srwan_lab::scenario::{Direction, Impairment, LinkChange, NodeName, Probability, Scenario};
use srwan_lab::{netns, pcap, privilege};

const PROGRAM: &str = env!("CARGO_BIN_EXE_srwan-lab");
const PORT: u16 = 4000;

fn plain(underlay: &str) -> String {
    format!(
        r#"
[scenario]
name = "plain"
duration_s = 6
underlay = "{underlay}"

[[node]]
name = "a"
role = "router"

[[node]]
name = "b"
role = "router"

[[node]]
name = "host"
role = "host"
behind = "a"

[[node]]
name = "web"
role = "web"
behind = "b"

[[link]]
a = "a"
b = "b"
owd_ms = [40, 10]

[[flow]]
name = "get"
from = "host"
to = "web"
at_s = 0.5
until_s = 5.5
limit_mbps = 20

[[event]]
at_s = 2
do = "congest"
a = "a"
b = "b"
add_ms = 50

[[event]]
at_s = 4
do = "heal"
a = "a"
b = "b"

[[expect]]
kind = "tcp-survives"
flow = "get"

[[expect]]
kind = "round-trip"
flow = "get"
from_s = 1
until_s = 2
ms_max = 80

[[expect]]
kind = "throughput"
flow = "get"
from_s = 1
until_s = 2
mbps_min = 15
"#
    )
}

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

/// A running lab without daemons, or a word why there is none.
fn raise(id: &str, underlay: &str) -> Option<Lab> {
    if !may_make_namespaces() {
        return None;
    }
    let text = plain(underlay);
    let plan = Plan::new(Scenario::parse(&text).unwrap());
    let options = Options {
        lab_program: PROGRAM.into(),
        daemon_program: None,
        keep: false,
        keep_logs: false,
        stop: Box::new(|| false),
    };
    Some(Lab::raise(Place::new(name(id), false), plan, &text, options).unwrap())
}

fn may_make_namespaces() -> bool {
    let may = privilege::may_administer() && Path::new("/dev/net/tun").exists();
    if !may {
        skipped("needs root and /dev/net/tun");
    }
    may
}

/// Says that a test did not run. Past the test harness, which keeps what is printed from whoever looks at a pass.
fn skipped(why: &str) {
    // Nobody is there to be told if standard error is closed.
    let _unseen = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// A UDP socket on a machine, on its own address.
fn socket(lab: &Lab, node: &str) -> UdpSocket {
    let address = SocketAddr::new(lab.plan().address(&name(node)).unwrap(), PORT);
    let made = netns::within(&lab.place().netns(&name(node)), || UdpSocket::bind(address));
    let socket = made.unwrap().unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
    socket
}

/// Time from one socket to the other; both ends are this process, so they share a clock.
///
/// The lower quartile: what the fabric does, without what a busy machine adds to this thread's wake-ups.
fn one_way(from: &UdpSocket, to: &UdpSocket) -> Duration {
    let target = to.local_addr().unwrap();
    let once = |_| {
        let sent = Instant::now();
        from.send_to(b"when", target).unwrap();
        to.recv(&mut [0; 16]).unwrap();
        sent.elapsed()
    };
    let mut times: Vec<Duration> = (0..31).map(once).collect();
    times.sort();
    times[8]
}

fn near(measured: Duration, wanted_ms: u64) {
    let wanted = Duration::from_millis(wanted_ms);
    assert!(
        measured >= wanted && measured < wanted + Duration::from_millis(1),
        "{measured:?}, {wanted:?}"
    );
}

fn both_ways() -> Vec<Direction> {
    let direction = |from, to| Direction { from: name(from), to: name(to) };
    vec![direction("a", "b"), direction("b", "a")]
}

fn nothing_left(place: &Place) {
    assert_eq!(place.namespaces(), Vec::<PathBuf>::new());
    assert!(!place.folder().exists(), "{}", place.folder().display());
    let ours = format!("srwan-lab-{}--", place.id());
    let folder = place.folder().to_string_lossy().into_owned();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).into_owned();
        assert!(!words.contains(&ours) && !words.contains(&folder), "left: {words}");
    }
}

#[test]
fn each_direction_has_its_own_delay_within_a_millisecond() {
    for underlay in ["ipv4", "ipv6"] {
        let Some(lab) = raise("swt-b-delay", underlay) else { return };
        let (a, b) = (socket(&lab, "a"), socket(&lab, "b"));
        let (host, web) = (socket(&lab, "host"), socket(&lab, "web"));
        near(one_way(&a, &b), 40);
        near(one_way(&b, &a), 10);
        near(one_way(&host, &web), 40);
        near(one_way(&web, &host), 10);
        let place = lab.place().clone();
        lab.down().unwrap();
        nothing_left(&place);
    }
}

#[test]
fn faults_and_healing_take_effect_at_once_and_losses_are_the_asked_for() {
    let Some(mut lab) = raise("swt-b-fault", "ipv4") else { return };
    let (a, b) = (socket(&lab, "a"), socket(&lab, "b"));
    let add = Duration::from_millis(150);
    let fault = Impairment { add, ..Impairment::default() };
    lab.fabric(&Request::Impair { links: both_ways(), fault }).unwrap();
    near(one_way(&b, &a), 160);
    let loss = Probability::from_fraction(0.1);
    let change = LinkChange { loss, ..LinkChange::default() };
    let fault = Impairment { change, ..Impairment::default() };
    lab.fabric(&Request::Impair { links: both_ways(), fault }).unwrap();
    let lost = 2000 - arrived(&a, &b, 2000);
    assert!((140..=260).contains(&lost), "{lost} of 2000 lost");
    let one = vec![both_ways().remove(0)];
    lab.fabric(&Request::Impair { links: one, fault: Impairment::blackhole() }).unwrap();
    assert_eq!(arrived(&a, &b, 20), 0);
    lab.fabric(&Request::Heal { links: both_ways() }).unwrap();
    assert_eq!(arrived(&a, &b, 20), 20);
    near(one_way(&b, &a), 10);
    let stats = lab.stats().unwrap();
    let link = stats.links.iter().find(|link| link.direction == both_ways()[0]).unwrap();
    assert_eq!((link.counters.blackholed, link.impaired), (20, false));
}

/// Sends packets at a gentle pace and counts those that come.
fn arrived(from: &UdpSocket, to: &UdpSocket, count: usize) -> usize {
    let target = to.local_addr().unwrap();
    let receive = || (0..count).take_while(|_| to.recv(&mut [0; 16]).is_ok()).count();
    std::thread::scope(|scope| {
        let received = scope.spawn(receive);
        for number in 0..count {
            from.send_to(b"x", target).unwrap();
            if number % 20 == 19 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        received.join().unwrap()
    })
}

#[test]
fn a_too_small_link_is_answered_and_the_sender_learns_its_size() {
    let Some(mut lab) = raise("swt-b-mtu", "ipv4") else { return };
    let (a, b) = (socket(&lab, "a"), socket(&lab, "b"));
    let change = LinkChange { mtu: Some(1300), ..LinkChange::default() };
    lab.fabric(&Request::Change { links: both_ways(), change }).unwrap();
    let target = b.local_addr().unwrap();
    a.send_to(&[0; 1400], target).unwrap();
    assert!(b.recv(&mut [0; 2000]).is_err(), "1428 octets do not fit into 1300");
    a.send_to(&[0; 1400], target).unwrap();
    assert_eq!(
        b.recv(&mut [0; 2000]).unwrap(),
        1400,
        "the kernel learned the path's size and fragments"
    );
}

#[test]
fn a_capture_has_every_packet() {
    let Some(lab) = raise("swt-b-pcap", "ipv4") else { return };
    let (a, b) = (socket(&lab, "a"), socket(&lab, "b"));
    let file = tempfile::NamedTempFile::new().unwrap();
    let capture = Capture::start(&lab.place().netns(&name("b")), "eth0", file.path()).unwrap();
    assert_eq!(arrived(&a, &b, 100), 100);
    let captured = capture.stop().unwrap();
    let frames = pcap::read(fs::File::open(file.path()).unwrap()).unwrap();
    let ours =
        frames.iter().filter(|frame| frame.packet.ends_with(b"x") && frame.packet.len() == 29);
    assert_eq!((ours.count(), captured.lost), (100, 0));
}

#[test]
fn a_story_without_daemons_holds_and_leaves_nothing() {
    if !may_make_namespaces() {
        return;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), plain("dual")).unwrap();
    let mut command = up("swt-b-story", file.path());
    let done = command.arg("--plain").output().unwrap();
    let told = String::from_utf8_lossy(&done.stdout);
    // 8 = the machine was too slow for figures; that is no failure of the lab.
    assert!(
        matches!(done.status.code(), Some(0 | 8)),
        "{told}{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(told.contains("congest") && told.contains("held    tcp-survives get"), "{told}");
    nothing_left(&Place::new(name("swt-b-story"), false));
}

fn up(id: &str, file: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["lab", "up", "--id", id, "--topo"]).arg(file);
    command
}

/// `lab up` until its story has begun.
fn started(id: &str, file: &Path) -> Child {
    let mut command = up(id, file);
    let mut child = command.arg("--plain").stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("start"), "{line}");
    child
}

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

#[test]
fn ctrl_c_and_down_and_sigkill_leave_nothing() {
    if !may_make_namespaces() {
        return;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), plain("ipv4")).unwrap();
    let place = Place::new(name("swt-b-end"), false);
    let mut interrupted = started("swt-b-end", file.path());
    send(&interrupted, Signal::SIGINT);
    assert_eq!(interrupted.wait().unwrap().code(), Some(130));
    nothing_left(&place);

    let mut killed = started("swt-b-end", file.path());
    send(&killed, Signal::SIGKILL);
    killed.wait().unwrap();
    assert!(!place.namespaces().is_empty(), "nobody could remove them");
    let mut again = started("swt-b-end", file.path());
    let down = Command::new(PROGRAM).args(["lab", "down", "--id", "swt-b-end"]).status().unwrap();
    assert!(down.success());
    again.wait().unwrap();
    nothing_left(&place);
    let none = Command::new(PROGRAM).args(["lab", "down", "--id", "swt-b-end"]).output().unwrap();
    assert_eq!(none.status.code(), Some(3));
}

#[test]
fn a_kept_lab_can_be_changed_from_elsewhere() {
    if !may_make_namespaces() {
        return;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let short = plain("ipv4").replace("duration_s = 6", "duration_s = 5.6");
    fs::write(file.path(), short).unwrap();
    let kept = up("swt-b-keep", file.path()).args(["--plain", "--keep"]).output().unwrap();
    assert!(matches!(kept.status.code(), Some(0 | 8)), "{}", String::from_utf8_lossy(&kept.stderr));
    let lab = |words: &[&str]| {
        let done = Command::new(PROGRAM)
            .arg("lab")
            .args(words)
            .args(["--id", "swt-b-keep"])
            .output()
            .unwrap();
        (done.status.code(), String::from_utf8_lossy(&done.stdout).into_owned())
    };
    let status = lab(&["status"]);
    assert!(status.0 == Some(0) && status.1.contains("web"), "{status:?}");
    assert_eq!(lab(&["congest", "a", "b", "--add-ms", "77"]).0, Some(0));
    assert!(lab(&["graph"]).1.contains("117.0ms  IMPAIRED"));
    assert_eq!(lab(&["heal"]).0, Some(0));
    assert_eq!(lab(&["link", "a", "b", "--one-way", "--owd-ms", "12"]).0, Some(0));
    let graph = lab(&["graph"]).1;
    assert!(
        graph.contains("12.0ms") && graph.contains("10.0ms") && !graph.contains("IMPAIRED"),
        "{graph}"
    );
    assert_eq!(lab(&["congest", "a", "nobody", "--add-ms", "1"]).0, Some(4));
    let exec = Command::new(PROGRAM)
        .args(["lab", "exec", "--id", "swt-b-keep", "host", "--", "cat", "/proc/net/dev"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&exec.stdout).contains("lan0"));
    assert_eq!(lab(&["down"]).0, Some(0));
    nothing_left(&Place::new(name("swt-b-keep"), false));
}

#[test]
fn without_rights_there_is_an_error_with_the_command_that_helps() {
    let reachable = |path: &Path| path.ancestors().skip(1).all(is_public);
    if !privilege::may_administer() || !reachable(Path::new(PROGRAM)) {
        return skipped("needs root, and a build directory that others can enter");
    }
    let nobody = 65_534;
    let mut command = Command::new(PROGRAM);
    // A limit of no user namespaces is what locked-down systems have.
    command
        .args(["lab", "up", "--plain"])
        .uid(nobody)
        .gid(nobody)
        .env("XDG_RUNTIME_DIR", "/nonexistent");
    let done = command.output().unwrap();
    let told = String::from_utf8_lossy(&done.stderr);
    if is_open_tun() {
        return skipped("user namespaces help here");
    }
    assert_eq!(done.status.code(), Some(5), "{told}");
    assert!(told.contains("SRW-B001") && told.contains("sudo srwan lab up"), "{told}");
}

fn is_public(folder: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(folder).is_ok_and(|data| data.permissions().mode() & 0o001 != 0)
}

fn is_open_tun() -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata("/dev/net/tun").is_ok_and(|data| data.permissions().mode() & 0o006 == 0o006)
}
