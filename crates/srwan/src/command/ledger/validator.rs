//! `srwan ledger validator ...`: who finalizes, and becoming or ceasing to be one of them.

use super::At;
use crate::command::sending::{Signing, parse_coins, secret};
use crate::exit::Exit;
use crate::output::Output;
use crate::text::{or_dash, table};
use clap::Subcommand;
use srwan_api::http::ApiError;
use srwan_api::ledger::Validators;
use srwan_ledger::amount::Amount;
use srwan_ledger::tx::Action;
use srwan_ledger::validator::{Consent, Join, ValidatorAction};
use srwan_wire::id::{ChainId, ValidatorKey};
use srwan_wire::receipt::Signed;
use std::net::SocketAddr;
use std::path::PathBuf;

/// `srwan ledger validator ...`
#[derive(Subcommand)]
pub enum ValidatorVerb {
    /// List the validators, and which of them finalize in this epoch.
    List(At),
    /// Lock a bond and join the validators, two epochs from now on.
    #[command(override_usage = "srwan ledger validator join --bond <COINS> [OPTIONS]")]
    Join {
        /// The validator's own key: STATE_DIR/validator.key, from `srwan ledger keygen`.
        #[arg(long, value_name = "FILE")]
        validator_key: PathBuf,
        /// IP address and port at which the other validators reach it.
        #[arg(long, value_name = "IP:PORT")]
        address: SocketAddr,
        /// Coins to lock, at least what the ledger asks for.
        #[arg(long, value_name = "COINS", value_parser = parse_coins)]
        bond: Amount,
        #[command(flatten)]
        by: Signing,
    },
    /// Leave the validators; the bond comes back after the unbonding time.
    Leave {
        #[command(flatten)]
        by: Signing,
    },
}

impl ValidatorVerb {
    /// Does it.
    pub fn run(self, output: Output) -> anyhow::Result<Exit> {
        match self {
            Self::List(at) => {
                let validators = crate::command::daemon_at(&at.url)?.get("/v1/validators")?;
                output.answer(&validators, validators_text)?;
            }
            Self::Join { validator_key, address, bond, by } => {
                let chain = by.chain()?;
                let consensus = secret(&validator_key)?;
                // The key's own word, so that nobody joins with the key of another one.
                let body = Consent { chain, account: by.secret()?.public() };
                let consent = Signed::new(body, &consensus).signature;
                let key = ValidatorKey(consensus.public().0);
                let join = ValidatorAction::Join(Join { key, consent, address, bond });
                by.send(&Action::Validator(join), output)?;
            }
            Self::Leave { by } => by.send(&Action::Validator(ValidatorAction::Leave), output)?,
        }
        Ok(Exit::Ok)
    }
}

/// Reads the chain that a validator answers for.
///
/// # Errors
/// It does not answer, or with something else.
pub fn chain_of(url: &str) -> anyhow::Result<ChainId> {
    let status: srwan_api::ledger::Status = crate::command::daemon_at(url)?.get("/v1/status")?;
    let chain = ChainId::from_hex(&status.chain_id);
    Ok(chain.ok_or_else(|| {
        let code = srwan_api::http::code::BAD_ANSWER;
        ApiError::new(0, code, "the answer is not what was asked for")
            .why("the ledger's status has no chain id")
    })?)
}

/// Digits of a key that tell validators apart in a table; the JSON answer has all.
const KEY_DIGITS: usize = 16;

fn validators_text(validators: &Validators) -> String {
    let rows = validators.validators.iter().map(|validator| {
        let place = match (validator.in_committee, validator.in_next_committee) {
            (true, true) => "committee",
            (true, false) => "leaving",
            (false, true) => "coming",
            (false, false) => "waiting",
        };
        [
            validator.key.chars().take(KEY_DIGITS).collect(),
            place.to_owned(),
            validator.power.to_string(),
            validator.bond_coins.clone(),
            validator.address.clone(),
            or_dash(validator.last_signed_height, |height| height.to_string()),
            if validator.connected { "yes" } else { "no" }.to_owned(),
        ]
    });
    let head = ["VALIDATOR", "PLACE", "POWER", "BOND", "ADDRESS", "SIGNED", "HEARD"];
    let (height, epoch) = (validators.height, validators.epoch);
    format!("height {height}, epoch {epoch}\n{}", table(head, rows))
}
