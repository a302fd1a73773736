//! `srwan ledger proof ...`: a balance or a lane that needs no trust in whoever answered.
//!
//! The committee comes from the genesis file if one is given. Without it the validator's own word for its committee is
//! taken: then the answer is consistent, but a validator that lies about the committee could have made it up.

use super::At;
use crate::command::sending::parse_account;
use crate::exit::Exit;
use crate::output::Output;
use crate::problem::code;
use crate::text::outline;
use clap::{Args, Subcommand};
use serde::Serialize;
use srwan_api::http::{ApiError, BlockingClient, Call};
use srwan_api::ledger::Proof;
use srwan_api::ledger::light::{NoProof, Proved, Trust};
use srwan_api::ledger::{Status, Validators};
use srwan_ledger::account::Account;
use srwan_ledger::lane::Lane;
use srwan_wire::id::{AccountKey, ChainId, LaneId};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `srwan ledger proof ...`
#[derive(Subcommand)]
pub enum ProofVerb {
    /// Prove an account: that it has this balance, or that there is none.
    Account {
        /// Its key, 64 hexadecimal digits.
        #[arg(value_parser = parse_account)]
        key: AccountKey,
        #[command(flatten)]
        of: Of,
    },
    /// Prove a lane: what it has paid so far, or that there is none.
    Lane {
        /// Its name, 64 hexadecimal digits.
        #[arg(value_parser = parse_lane)]
        id: LaneId,
        #[command(flatten)]
        of: Of,
    },
}

/// Whom to ask, and whom to trust.
#[derive(Args)]
pub struct Of {
    #[command(flatten)]
    at: At,
    /// The ledger's genesis file: the answer is checked against its chain id and validators.
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
}

/// What was proved.
#[derive(Serialize)]
struct Answer {
    schema: &'static str,
    kind: &'static str,
    key: String,
    /// Whether there is such a row.
    exists: bool,
    balance_coins: Option<String>,
    nonce: Option<u64>,
    settled_bytes: Option<u64>,
    paid_coins: Option<String>,
    /// After the block of this height.
    height: u64,
    state_root: String,
    /// `genesis`, or `validator` if its own word for its committee was taken.
    trusted: &'static str,
}

/// The validator waits up to 30 s for a header that names the state.
const PROOF_WAIT: Duration = Duration::from_secs(35);

impl ProofVerb {
    /// Does it; exit code 7 with the reason if the proof does not hold.
    pub fn run(self, output: Output) -> anyhow::Result<Exit> {
        let proved = match self {
            Self::Account { key, of } => of.account(key)?,
            Self::Lane { id, of } => of.lane(id)?,
        };
        match proved {
            Ok(answer) => {
                let shown = serde_json::to_value(&answer)?;
                output.answer(&shown, outline)?;
                Ok(Exit::Ok)
            }
            Err(why) => {
                output.error(&problem(&why));
                Ok(Exit::Findings)
            }
        }
    }
}

impl Of {
    fn account(&self, key: AccountKey) -> anyhow::Result<Result<Answer, NoProof>> {
        let client = crate::command::daemon_at(&self.at.url)?;
        let (trust, trusted) = self.trust(&client)?;
        let proof = ask(&client, &format!("/v1/proof/account/{key}"))?;
        let proved = trust.check_account(&key, &proof);
        Ok(proved.map(|proved: Proved<Account>| {
            let row = proved.row.as_ref();
            let mut answer = answer("account", key.to_string(), &proved, trusted);
            answer.balance_coins = row.map(|account| account.balance.to_string());
            answer.nonce = row.map(|account| account.nonce);
            answer
        }))
    }

    fn lane(&self, id: LaneId) -> anyhow::Result<Result<Answer, NoProof>> {
        let client = crate::command::daemon_at(&self.at.url)?;
        let (trust, trusted) = self.trust(&client)?;
        let proof = ask(&client, &format!("/v1/proof/lane/{id}"))?;
        let proved = trust.check_lane(&id, &proof);
        Ok(proved.map(|proved: Proved<Lane>| {
            let row = proved.row.as_ref();
            let mut answer = answer("lane", id.to_string(), &proved, trusted);
            answer.settled_bytes = row.map(|lane| lane.settled.0);
            answer.paid_coins = row.map(|lane| lane.paid.to_string());
            answer
        }))
    }

    fn trust(&self, client: &BlockingClient) -> anyhow::Result<(Trust, &'static str)> {
        match &self.genesis {
            Some(path) => Ok((of_genesis(path)?, "genesis")),
            None => Ok((of_validator(client)?, "validator")),
        }
    }
}

fn of_genesis(path: &Path) -> anyhow::Result<Trust> {
    // A file that names no validator belongs to whoever began the ledger, whom nobody else can know from it.
    let nobody = AccountKey([0; 32]);
    let genesis = srwan_validator::genesis_file::load(path, nobody)?;
    let keys = genesis.validators.keys().map(|key| key.0);
    let committee: Vec<[u8; 32]> = keys.filter(|key| *key != nobody.0).collect();
    if committee.is_empty() {
        let what = format!("{} names no validator", path.display());
        let refused = ApiError::new(400, code::USAGE, what)
            .why("it is the file of a ledger of one, whose validator is not in it")
            .fix("leave --genesis out");
        return Err(refused.into());
    }
    // The committee of a later epoch is refused by its signatures, unless it is still the same.
    Ok(Trust { chain: genesis.chain_id(), committee, epochs: 0..=u64::MAX })
}

fn of_validator(client: &BlockingClient) -> anyhow::Result<Trust> {
    let status: Status = client.get("/v1/status")?;
    let validators: Validators = client.get("/v1/validators")?;
    let members = validators.validators.iter().filter(|validator| validator.in_committee);
    let committee = members.filter_map(|member| AccountKey::from_hex(&member.key));
    let chain = ChainId::from_hex(&status.chain_id);
    let chain = chain.ok_or(NoProof::Malformed { field: "chain_id" });
    let chain = chain.map_err(|why| problem(&why))?;
    Ok(Trust { chain, committee: committee.map(|key| key.0).collect(), epochs: 0..=u64::MAX })
}

fn ask(client: &BlockingClient, path: &str) -> Result<Proof, ApiError> {
    client.call(Call::get(path).timeout(PROOF_WAIT))?.json()
}

fn answer<T>(kind: &'static str, key: String, proved: &Proved<T>, trusted: &'static str) -> Answer {
    Answer {
        schema: "srwan.ledger-proof/1",
        kind,
        key,
        exists: proved.row.is_some(),
        balance_coins: None,
        nonce: None,
        settled_bytes: None,
        paid_coins: None,
        height: proved.height.0,
        state_root: proved.root.to_string(),
        trusted,
    }
}

fn problem(why: &NoProof) -> ApiError {
    ApiError::new(0, code::NO_PROOF, "the validator's answer proves nothing")
        .why(why.to_string())
        .fix("ask another validator; if the committee has changed since, leave --genesis out")
}

fn parse_lane(text: &str) -> Result<LaneId, String> {
    LaneId::from_hex(text).ok_or_else(|| "a lane's name has 64 hexadecimal digits".to_owned())
}
