//! `srwan wallet ...`

mod history;

use super::sending::{LedgerUrl, Signing, parse_account, parse_coins, secret};
use crate::exit::Exit;
use crate::output::Output;
use crate::text::{octets, or_dash, outline, table};
use anyhow::Context;
use clap::{Args, Subcommand};
use srwan_api::ledger::Account;
use srwan_api::router::Wallet;
use srwan_ledger::amount::Amount;
use srwan_ledger::tx::Action;
use srwan_ledger::vote::VoteAction;
use srwan_wire::id::AccountKey;
use srwan_wire::sign::AccountSecret;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// `srwan wallet ...`
#[derive(Subcommand)]
pub enum WalletVerb {
    /// Make an account key (mode 0600) and print the account.
    New {
        /// Where to write the key; an existing file is never overwritten.
        #[arg(long, value_name = "FILE")]
        key_file: PathBuf,
    },
    /// Show balance, escrow, lanes, coins earned and applied: of the router here, or of an account.
    Show(Whose),
    /// Show the balance only: of the router here, or of an account.
    Balance(Whose),
    /// Send coins to an account, and wait until that is final.
    Send {
        /// The account that gets them, 64 hexadecimal digits.
        #[arg(value_parser = parse_account)]
        to: AccountKey,
        /// How many, for example 1.5.
        #[arg(value_parser = parse_coins)]
        coins: Amount,
        #[command(flatten)]
        by: Signing,
    },
    /// List what moved the coins of an account, newest first.
    History(history::History),
    /// Set coins aside for lanes, or take them back.
    #[command(subcommand)]
    Escrow(EscrowVerb),
    /// Vote: earn dividends with the coins that an account keeps; nothing is locked or moved.
    #[command(subcommand)]
    Vote(VoteVerb),
}

/// Whose coins are shown.
#[derive(Args)]
pub struct Whose {
    /// The account of this key file, as a ledger knows it; no router is needed then.
    #[arg(long, value_name = "FILE", conflicts_with = "account")]
    key_file: Option<PathBuf>,
    /// This account, as a ledger knows it; no router is needed then.
    #[arg(long, value_name = "KEY", value_parser = parse_account)]
    account: Option<AccountKey>,
    #[command(flatten)]
    at: LedgerUrl,
}

/// `srwan wallet escrow ...`
#[derive(Subcommand)]
pub enum EscrowVerb {
    /// Set coins aside for lanes.
    Add {
        /// How many, for example 1.5.
        #[arg(value_parser = parse_coins)]
        coins: Amount,
        #[command(flatten)]
        by: Signing,
    },
    /// Take back coins that no lane holds.
    Withdraw {
        /// How many, for example 1.5.
        #[arg(value_parser = parse_coins)]
        coins: Amount,
        #[command(flatten)]
        by: Signing,
    },
}

/// `srwan wallet vote ...`
#[derive(Subcommand)]
pub enum VoteVerb {
    /// Open a vote group and vote in it.
    Open {
        /// The leader's part of the group's dividend, in hundredths of a percent.
        #[arg(long, value_name = "BPS", default_value_t = 0)]
        commission_bps: u16,
        #[command(flatten)]
        by: Signing,
    },
    /// Vote in the group of a leader, from the next epoch on.
    Join {
        /// The leader's account, 64 hexadecimal digits.
        #[arg(value_parser = parse_account)]
        leader: AccountKey,
        #[command(flatten)]
        by: Signing,
    },
    /// Stop voting at once; a leader leaves last.
    Leave {
        #[command(flatten)]
        by: Signing,
    },
    /// Change the leader's part, from the next epoch on.
    Commission {
        /// Hundredths of a percent.
        bps: u16,
        #[command(flatten)]
        by: Signing,
    },
}

impl WalletVerb {
    /// Does it.
    pub fn run(self, socket: &Path, output: Output) -> anyhow::Result<Exit> {
        match self {
            Self::New { key_file } => {
                output.value("srwan.wallet-new/1", "account", &new_key(&key_file)?)?;
            }
            Self::Show(whose) => whose.show(socket, output)?,
            Self::Balance(whose) => whose.balance(socket, output)?,
            Self::Send { to, coins, by } => {
                by.send(&Action::Transfer { to, amount: coins }, output)?;
            }
            Self::History(args) => args.run(output)?,
            Self::Escrow(EscrowVerb::Add { coins, by }) => {
                by.send(&Action::EscrowAdd { amount: coins }, output)?;
            }
            Self::Escrow(EscrowVerb::Withdraw { coins, by }) => {
                by.send(&Action::EscrowWithdraw { amount: coins }, output)?;
            }
            Self::Vote(verb) => verb.run(output)?,
        }
        Ok(Exit::Ok)
    }
}

impl VoteVerb {
    fn run(self, output: Output) -> anyhow::Result<()> {
        let (vote, by) = match self {
            Self::Open { commission_bps, by } => (VoteAction::Open { commission_bps }, by),
            Self::Join { leader, by } => (VoteAction::Join { leader }, by),
            Self::Leave { by } => (VoteAction::Leave, by),
            Self::Commission { bps, by } => (VoteAction::SetCommission { commission_bps: bps }, by),
        };
        by.send(&Action::Vote(vote), output)
    }
}

impl Whose {
    /// The account that was named, if one was.
    fn account(&self) -> anyhow::Result<Option<Account>> {
        let key = match (&self.key_file, self.account) {
            (Some(path), _) => secret(path)?.public(),
            (None, Some(key)) => key,
            (None, None) => return Ok(None),
        };
        let client = super::daemon_at(&self.at.ledger)?;
        Ok(Some(client.get(&format!("/v1/account/{key}"))?))
    }

    fn show(&self, socket: &Path, output: Output) -> anyhow::Result<()> {
        match self.account()? {
            Some(account) => {
                let shown = serde_json::to_value(&account)?;
                output.answer(&shown, outline)
            }
            None => output.answer(&wallet(socket)?, wallet_text),
        }
    }

    fn balance(&self, socket: &Path, output: Output) -> anyhow::Result<()> {
        let balance = match self.account()? {
            Some(account) => Some(account.balance_coins),
            None => wallet(socket)?.balance_coins,
        };
        let answer = serde_json::json!({
            "schema": "srwan.wallet-balance/1",
            "balance_coins": balance,
        });
        output.answer(&answer, |_| or_dash(balance, |coins| coins))
    }
}

/// Makes a key file that only its owner can read; returns the account.
///
/// # Errors
/// There is such a file already, or it cannot be written.
pub fn new_key(path: &Path) -> anyhow::Result<String> {
    let mut seed = zeroize::Zeroizing::new([0_u8; 32]);
    getrandom::fill(seed.as_mut()).map_err(|e| anyhow::anyhow!("no randomness: {e}"))?;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("creating {}", path.display()))?;
    let text = zeroize::Zeroizing::new(format!("{}\n", hex::encode(seed.as_ref())));
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).context("writing the key")?;
    Ok(AccountSecret::from_seed(&seed).public().to_string())
}

fn wallet(socket: &Path) -> anyhow::Result<Wallet> {
    Ok(super::router(socket)?.get("/v1/wallet")?)
}

fn wallet_text(wallet: &Wallet) -> String {
    let coins = |value: &Option<String>| or_dash(value.clone(), |coins| coins);
    let head = format!(
        "account  {}\nbalance  {}\nescrow   {}\nlanes    {}\nearned   {}\napplied  {}",
        wallet.account,
        coins(&wallet.balance_coins),
        coins(&wallet.escrow_coins),
        coins(&wallet.lanes_coins),
        wallet.earned_coins,
        wallet.applied_coins,
    );
    let rows = wallet.lanes.iter().map(|lane| {
        let counts = (octets(lane.bytes), octets(lane.receipt_bytes), octets(lane.settled_bytes));
        let (path, id) = (lane.path.join(" > "), lane.lane.chars().take(12).collect());
        [id, lane.role.clone(), lane.state.clone(), path, counts.0, counts.1, counts.2]
    });
    let lanes = table(["LANE", "ROLE", "STATE", "PATH", "COUNTED", "RECEIPT", "SETTLED"], rows);
    if wallet.lanes.is_empty() { head } else { format!("{head}\n\n{lanes}") }
}
