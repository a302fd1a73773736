//! What was answered survives kill -9 and restarts.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use srwan_controller::{key_show, token_new};

use crate::world::{World, account, generous, profile, request, row};

/// Names the directory for the process that this test program starts of itself.
const CHILD_DIR: &str = "SRWAN_TEST_CONTROLLER_DIR";

/// Not a test by itself: the body of the process that the tests below kill.
#[tokio::test(flavor = "multi_thread")]
async fn child_controller() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let running = srwan_controller::start(generous(Path::new(&dir))).await.unwrap();
    println!("\nlistening {}", running.address);
    std::future::pending::<()>().await;
}

struct Process {
    child: Child,
    client: srwan_api::controller::ControllerClient,
}

impl Process {
    fn start(dir: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child_controller", "--nocapture"])
            .env(CHILD_DIR, dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut lines = lines.map(Result::unwrap);
        let address = lines.find_map(|line| line.strip_prefix("listening ").map(str::to_owned));
        let url = format!("http://{}", address.expect("the child says where it listens"));
        Self { child, client: srwan_api::controller::ControllerClient::new(&url).unwrap() }
    }
}

impl Drop for Process {
    /// SIGKILL: what the tests here are about.
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_answered_is_lost_by_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let mut rosters = Vec::new();
    for index in 1..=6 {
        let process = Process::start(dir.path());
        let controller = key_show(dir.path()).unwrap();
        let controller = srwan_wire::id::AccountKey::from_hex(&controller).unwrap();
        let path = dir.path().to_owned();
        let token = tokio::task::spawn_blocking(move || token_new(&path)).await.unwrap().unwrap();
        let asked = request(controller, Some(token.clone()), profile(index));
        let joined = process.client.join(asked, &account(index)).await.unwrap();
        drop(process);
        let process = Process::start(dir.path());
        let stolen = request(controller, Some(token), profile(100 + index));
        let error = process.client.join(stolen, &account(100 + index)).await.unwrap_err();
        assert_eq!(error.code, "SRW-C106", "a spent token stays spent");
        let wait = core::time::Duration::ZERO;
        let (signed, _) =
            process.client.roster(&joined, 0, wait, &controller).await.unwrap().unwrap();
        assert_eq!(signed, joined.signed, "the same roster, octet for octet");
        rosters.push(joined.roster);
        drop(process);
    }
    assert!(rosters.is_sorted_by(|earlier, later| earlier.seq < later.seq));
    assert_eq!(rosters.last().unwrap().members.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_quarantine_and_removals_survive_a_restart() {
    let world = World::new().await;
    let (one, two, three) = (world.join(1).await, world.join(2).await, world.join(3).await);
    let rows = [row(one.node, 1, 1, &[(2, 8)]), row(two.node, 2, 1, &[(1, 9)])];
    world.report(&one, 1, &rows).await.unwrap();
    world.admin().remove(three.node).await.unwrap();
    let four = world.join(4).await;
    world.admin().quarantine(four.node, "complaints").await.unwrap();
    let before = world.client().segments("", "").await.unwrap().segments;
    let world = world.restart().await;
    let after = world.client().segments("", "").await.unwrap().segments;
    let figures = |segments: &[srwan_api::controller::Segment]| {
        segments.iter().map(|s| (s.a.clone(), s.z.clone(), s.owd_us)).collect::<Vec<_>>()
    };
    assert_eq!(figures(&after), figures(&before));
    assert_eq!(after.len(), 2);
    let routers = world.client().routers().await.unwrap().routers;
    let states: Vec<_> =
        routers.iter().map(|router| (router.node, router.quarantine.is_some())).collect();
    assert_eq!(states, [(1, false), (2, false), (4, true)]);
    assert_eq!(world.join(5).await.node.get(), 5);
}
