//! Several validators as processes on loopback, all from one genesis file.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use srwan_api::ledger::Status;
use srwan_wire::id::ValidatorKey;

use crate::child::{Daemon, Site};
use crate::people::{genesis_toml, secret};

/// Nothing in these tests takes longer, even beside a build.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The first validator's number among the people.
const FIRST: u8 = 101;

/// Directories of validators that know one another.
pub struct Cluster {
    pub sites: Vec<Site>,
    pub genesis: String,
}

/// Addresses that nothing listens on: the kernel chose them a moment ago.
pub fn free_addresses(count: usize) -> Vec<SocketAddr> {
    let held: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    held.iter().map(|listener| listener.local_addr().unwrap()).collect()
}

impl Cluster {
    /// `count` validators in one committee.
    pub fn new(count: u8) -> Self {
        Self::with(count, "")
    }

    /// The same with more parameters.
    pub fn with(count: u8, params: &str) -> Self {
        let addresses = free_addresses(count.into());
        let validator = |(person, address): (u8, &SocketAddr)| {
            let key = secret(person).public();
            format!("[[validator]]\nkey = \"{key}\"\naddress = \"{address}\"\n")
        };
        let validators: String = (FIRST..).zip(&addresses).map(validator).collect();
        let genesis =
            genesis_toml().replace("[params]", &format!("{validators}\n[params]\n{params}"));
        let sites = (FIRST..).zip(&addresses);
        let sites = sites.map(|(person, address)| site(person, *address, &genesis)).collect();
        Self { sites, genesis }
    }

    pub fn key(&self, index: usize) -> ValidatorKey {
        let person = FIRST + u8::try_from(index).unwrap();
        ValidatorKey(secret(person).public().0)
    }

    /// Starts all at once.
    pub fn start(&self) -> Vec<Daemon> {
        std::thread::scope(|scope| {
            let started: Vec<_> =
                self.sites.iter().map(|site| scope.spawn(|| site.start())).collect();
            started.into_iter().map(|daemon| daemon.join().unwrap()).collect()
        })
    }

    /// Loses everything that a validator has on disk but its key.
    pub fn wipe(&self, index: usize) {
        let site = &self.sites[index];
        std::fs::remove_dir_all(site.path("state")).unwrap();
        write_key(site, FIRST + u8::try_from(index).unwrap());
    }
}

/// A directory with the key of `person` and that genesis.
pub fn site(person: u8, address: SocketAddr, genesis: &str) -> Site {
    let config = format!(
        "p2p_listen = \"{address}\"\nblock_ms = 50\nidle_block_ms = 100\nsnapshot_blocks = 7\n"
    );
    let site = Site::with(&config, genesis);
    write_key(&site, person);
    site
}

fn write_key(site: &Site, person: u8) {
    std::fs::create_dir_all(site.path("state")).unwrap();
    let mut options = std::fs::OpenOptions::new();
    let file =
        options.write(true).create_new(true).mode(0o600).open(site.path("state/validator.key"));
    let seed = hex::encode([person; 32]);
    std::io::Write::write_all(&mut file.unwrap(), format!("{seed}\n").as_bytes()).unwrap();
}

/// Asks until the answer is what is waited for.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, ask: impl Fn() -> F) -> T {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if let Some(found) = ask().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what}: not within {PATIENCE:?}");
}

/// Waits until a validator takes transactions at or above `height`.
pub async fn in_step(daemon: &Daemon, height: u64) -> Status {
    eventually("a validator in step", || async {
        let status = daemon.client().status().await.ok()?;
        (status.accepting && status.height >= height).then_some(status)
    })
    .await
}

/// Waits until a validator has executed the block of `height`, and tells the state after it as the
/// chain has it: the root that a later header names, or its own.
pub async fn root_at(daemon: &Daemon, height: u64) -> String {
    let client = daemon.client();
    eventually("a header that names the state", || async {
        let tip = client.status().await.ok()?.height;
        for above in height + 1..=tip {
            let header = client.header(srwan_wire::id::Height(above)).await.ok()?;
            if header.state_height >= height {
                return Some(format!("{}:{}", header.state_height, header.state_root));
            }
        }
        None
    })
    .await
}
