//! Signing a transaction with a key file and waiting until it is final: what every verb that moves coins does.

use crate::output::Output;
use anyhow::Context;
use clap::Args;
use serde::Serialize;
use srwan_api::http::{self, ApiError, HttpClient};
use srwan_api::ledger::{Account, Effect, LedgerClient, Status, Tx, TxStatus};
use srwan_ledger::amount::Amount;
use srwan_ledger::hash::TxHash;
use srwan_ledger::tx::{Action, Author, SignedTx};
use srwan_ledger::validator::ValidatorAction;
use srwan_wire::id::{AccountKey, ChainId};
use srwan_wire::sign::AccountSecret;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Which ledger.
#[derive(Args)]
pub struct LedgerUrl {
    /// Address of a validator.
    #[arg(long, env = "SRWAN_LEDGER", value_name = "URL", default_value = "http://127.0.0.1:7090")]
    pub ledger: String,
}

/// Who signs, on which ledger, and how long to wait.
#[derive(Args)]
pub struct Signing {
    /// File with the account's key, from `srwan wallet new`; a router's is STATE_DIR/account.key.
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    #[command(flatten)]
    at: LedgerUrl,
    /// Seconds to wait until the transaction is final; 0 = only hand it in.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
}

/// What became of a transaction.
#[derive(Serialize)]
struct Sent {
    schema: &'static str,
    hash: String,
    /// `final`, or `pending` if it was only handed in.
    state: &'static str,
    height: Option<u64>,
    fee_coins: String,
    balance_coins: Option<String>,
    effect: Option<Effect>,
}

/// One wait for finality; it is repeated, so that progress can be told.
const WAIT_STEP: Duration = Duration::from_secs(5);

/// Pause after a call that failed for now.
const PAUSE: Duration = Duration::from_millis(500);

/// Times that a transaction is signed anew because its nonce was just used: by this account's router, for example.
const NONCE_TRIES: u32 = 3;

/// Codes of the ledger that are found before anything is sent, so that no fee is lost.
const NONCE_USED: [&str; 2] = ["SRW-L104", "SRW-L702"];
const BALANCE_TOO_LOW: &str = "SRW-L202";
const ESCROW_TOO_LOW: &str = "SRW-L203";
const AMOUNT_ZERO: &str = "SRW-L201";

/// HTTP status of a transaction that the validator does not know, or knows no more.
const NOT_FOUND: u16 = 404;

impl Signing {
    /// The account whose key is in the file.
    ///
    /// # Errors
    /// There is no such file, or others can read it.
    pub fn secret(&self) -> anyhow::Result<AccountSecret> {
        secret(&self.key_file)
    }

    /// The chain of the ledger that it is for.
    ///
    /// # Errors
    /// The ledger does not answer.
    pub fn chain(&self) -> anyhow::Result<ChainId> {
        super::ledger::chain_of(&self.at.ledger)
    }

    /// Signs `action`, hands it in, waits until it is final, and answers with what became of it.
    ///
    /// # Errors
    /// The account has too few coins, the ledger does not answer or refuses it, or time is up.
    pub fn send(&self, action: &Action, output: Output) -> anyhow::Result<()> {
        let secret = self.secret()?;
        let client = LedgerClient::new(HttpClient::new(&self.at.ledger)?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let sent = runtime.block_on(self.send_with(&client, secret, action, output))?;
        output.answer(&sent, text)
    }

    async fn send_with(
        &self,
        client: &LedgerClient,
        secret: AccountSecret,
        action: &Action,
        output: Output,
    ) -> Result<Sent, ApiError> {
        let author = author(&client.status().await?, secret)?;
        let tx = hand_in(client, &author, action).await?;
        let (hash, fee) = (tx.body.hash(), tx.body.fee);
        output.progress(&format!("sent {hash}, fee {fee} coins"));
        if self.wait == 0 {
            return Ok(sent(hash, "pending", None, &fee.to_string()));
        }
        let waiting =
            Waiting { begun: Instant::now(), wait: Duration::from_secs(self.wait), output };
        let tx = waiting.until_final(client, &tx).await?;
        if let Some(problem) = tx.problem {
            return Err(problem);
        }
        let mut answer = sent(hash, "final", tx.height, &tx.fee_coins);
        answer.effect = tx.effect;
        answer.balance_coins =
            client.account(&author.account()).await.ok().map(|account| account.balance_coins);
        Ok(answer)
    }
}

/// Reads the key in a file that only its owner can read.
///
/// # Errors
/// There is no such file, it is damaged, or others can read it. The key itself is in no message.
pub fn secret(path: &Path) -> anyhow::Result<AccountSecret> {
    std::fs::metadata(path).with_context(|| format!("cannot read the key {}", path.display()))?;
    let seed = srwan_router::keys::load(path)?;
    Ok(AccountSecret::from_seed(&seed))
}

fn sent(hash: TxHash, state: &'static str, height: Option<u64>, fee: &str) -> Sent {
    Sent {
        schema: "srwan.wallet-sent/1",
        hash: hash.to_string(),
        state,
        height,
        fee_coins: fee.to_owned(),
        balance_coins: None,
        effect: None,
    }
}

fn author(status: &Status, secret: AccountSecret) -> Result<Author, ApiError> {
    let chain = ChainId::from_hex(&status.chain_id);
    let fees = status.params.fee_schedule().ok();
    let odd = || {
        ApiError::new(0, http::code::BAD_ANSWER, "the answer is not what was asked for")
            .why("the ledger's status has no chain id or no price list")
            .fix("check that the address is a srwan validator of the same version")
    };
    Ok(Author::new(chain.ok_or_else(odd)?, fees.ok_or_else(odd)?, secret))
}

/// Signs with the next nonce and hands in; again if something else used that nonce in between.
async fn hand_in(
    client: &LedgerClient,
    author: &Author,
    action: &Action,
) -> Result<SignedTx, ApiError> {
    let mut tries = 1;
    loop {
        let account = client.account(&author.account()).await?;
        let tx = author.sign(account.next_nonce, action.clone());
        check_funds(&account, &tx)?;
        match client.submit(&tx).await {
            Ok(_) => return Ok(tx),
            Err(error) if tries < NONCE_TRIES && NONCE_USED.contains(&error.code.as_str()) => {
                tries += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Refuses before anything is sent what the ledger would reject at the price of a fee.
fn check_funds(account: &Account, tx: &SignedTx) -> Result<(), ApiError> {
    let coins = |text: &str| Amount::parse_coins(text).unwrap_or(Amount::ZERO);
    let (balance, free) = (coins(&account.balance_coins), coins(&account.escrow_free_coins));
    let (spent, unlocked) = match &tx.body.action {
        Action::Transfer { amount, .. } | Action::EscrowAdd { amount } => (Some(*amount), None),
        Action::Validator(ValidatorAction::Join(join)) => (Some(join.bond), None),
        Action::EscrowWithdraw { amount } => (None, Some(*amount)),
        _ => (None, None),
    };
    if spent.or(unlocked) == Some(Amount::ZERO) {
        return Err(
            ApiError::new(400, AMOUNT_ZERO, "the amount is zero").fix("name an amount above zero")
        );
    }
    let needed = tx.body.fee.checked_add(spent.unwrap_or(Amount::ZERO));
    if needed.is_none_or(|needed| needed > balance) {
        let needed = needed.map_or_else(|| "more than there are".to_owned(), |n| n.to_string());
        let why = format!("{needed} coins are needed with the fee of {}", tx.body.fee);
        return Err(funds(BALANCE_TOO_LOW, format!("the account has {balance} coins"), why));
    }
    match unlocked.filter(|amount| *amount > free) {
        Some(amount) => {
            let why = format!("{amount} coins were asked for; lanes may hold more");
            Err(funds(ESCROW_TOO_LOW, format!("the escrow has {free} free coins"), why))
        }
        None => Ok(()),
    }
}

fn funds(code: &str, what: String, why: String) -> ApiError {
    ApiError::new(402, code, what).why(why).fix("nothing was sent; name less, or add coins first")
}

/// A wait for finality.
struct Waiting {
    begun: Instant,
    wait: Duration,
    output: Output,
}

impl Waiting {
    /// Hands the same bytes in again if the validator lost them: that does no harm.
    async fn until_final(self, client: &LedgerClient, tx: &SignedTx) -> Result<Tx, ApiError> {
        let hash = tx.body.hash();
        while self.begun.elapsed() < self.wait {
            let left = self.wait.saturating_sub(self.begun.elapsed());
            match client.tx(hash, WAIT_STEP.min(left)).await {
                Ok(found) if found.status != TxStatus::Pending => return Ok(found),
                Ok(_) => {}
                Err(error) if error.status == NOT_FOUND => {
                    client.submit(tx).await.map(drop).or_else(|error| worth_waiting(&error))?;
                }
                Err(error) => {
                    worth_waiting(&error)?;
                    tokio::time::sleep(PAUSE).await;
                }
            }
            let seconds = self.begun.elapsed().as_secs();
            self.output.progress(&format!("waiting until it is final: {seconds} s"));
        }
        let what = format!("transaction {hash} is not final after {} s", self.wait.as_secs());
        Err(ApiError::new(0, http::code::TIMEOUT, what)
            .why("the ledger has taken it; it may become final later")
            .fix(format!("look again before sending anything twice: srwan ledger tx {hash}")))
    }
}

fn worth_waiting(error: &ApiError) -> Result<(), ApiError> {
    if error.is_transient() || error.code == http::code::BROKEN {
        Ok(())
    } else {
        Err(error.clone())
    }
}

fn text(sent: &Sent) -> String {
    let height = sent.height.map_or_else(String::new, |height| format!("\nheight   {height}"));
    let balance = sent.balance_coins.as_ref();
    let balance = balance.map_or_else(String::new, |coins| format!("\nbalance  {coins}"));
    format!("{}    {}\nfee      {}{height}{balance}", sent.state, sent.hash, sent.fee_coins)
}

/// Reads coins as people write them: `1.5`.
///
/// # Errors
/// It is no decimal number, or more than there can be.
pub fn parse_coins(text: &str) -> Result<Amount, String> {
    Amount::parse_coins(text).map_err(|error| error.to_string())
}

/// Reads an account: 64 hexadecimal digits.
///
/// # Errors
/// It is none.
pub fn parse_account(text: &str) -> Result<AccountKey, String> {
    AccountKey::from_hex(text).ok_or_else(|| "an account has 64 hexadecimal digits".to_owned())
}
