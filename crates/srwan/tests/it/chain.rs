//! A ledger of one as a process of the real binary, and people with coins who sign for it.

use crate::run::Daemon;
use srwan_api::http::{BlockingClient, HttpClient};
use srwan_api::ledger::{Account, Status, Submit, Submitted, Tx, TxStatus};
use srwan_ledger::tx::{Author, SignedTx};
use srwan_wire::id::{AccountKey, ChainId};
use srwan_wire::sign::AccountSecret;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub struct Chain {
    folder: tempfile::TempDir,
    daemon: Daemon,
    client: BlockingClient,
    status: Status,
}

pub fn secret(person: u8) -> AccountSecret {
    AccountSecret::from_seed(&[person; 32])
}

pub fn key(person: u8) -> AccountKey {
    secret(person).public()
}

impl Chain {
    /// People 1 and 2 have 1,000 coins each.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let account =
            |person: u8| format!("[[account]]\nkey = \"{}\"\ncoins = 1000\n", key(person));
        let genesis =
            format!("chain = \"test\"\nsupply_coins = 10000\n{}{}", account(1), account(2));
        std::fs::write(folder.path().join("genesis.toml"), genesis).unwrap();
        let config = "listen = \"127.0.0.1:0\"\nstate_dir = \"state\"\ngenesis = \"genesis.toml\"\n\
                      block_ms = 5\nidle_block_ms = 50\n";
        let path = folder.path().join("validator.toml");
        std::fs::write(&path, config).unwrap();
        let daemon = Daemon::start(&["ledger", "run", "--config", path.to_str().unwrap()]);
        let client = BlockingClient::new(HttpClient::new(&daemon.url).unwrap()).unwrap();
        let status = client.get("/v1/status").unwrap();
        Self { folder, daemon, client, status }
    }

    pub fn url(&self) -> &str {
        &self.daemon.url
    }

    pub fn chain(&self) -> ChainId {
        ChainId::from_hex(&self.status.chain_id).unwrap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file with the key of a person, for the command line.
    pub fn key_file(&self, person: u8) -> String {
        let path = self.path(&format!("{person}.key"));
        let mut file = std::fs::File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .unwrap();
        let text = format!("{}\n", hex::encode([person; 32]));
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub fn author(&self, person: u8) -> Author {
        let fees = self.status.params.fee_schedule().unwrap();
        Author::new(self.chain(), fees, secret(person))
    }

    pub fn account(&self, person: u8) -> Account {
        self.client.get(&format!("/v1/account/{}", key(person))).unwrap()
    }

    /// Signs with the person's next nonce, hands in, and waits until it is applied.
    pub fn must(&self, person: u8, make: impl FnOnce(&Author, u64) -> SignedTx) -> Tx {
        let tx = make(&self.author(person), self.account(person).next_nonce);
        let body = Submit { tx: STANDARD.encode(borsh::to_vec(&tx).unwrap()) };
        let taken: Submitted = self.client.post("/v1/tx", &body).unwrap();
        let path = format!("/v1/tx/{}?wait_ms=5000", taken.hash);
        let became: Tx = self.client.get(&path).unwrap();
        assert_eq!(became.status, TxStatus::Applied, "{became:?}");
        became
    }
}
