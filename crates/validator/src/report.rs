//! What a validator does with the proof that another one equivocated.

use srwan_engine::seam::Equivocation;
use srwan_ledger::equivocation;
use srwan_ledger::tx::Author;
use srwan_wire::id::ValidatorKey;
use srwan_wire::sign::AccountSecret;
use tracing::{info, warn};

use crate::ledger::{Ledger, Origin};

/// Hands proofs in as transactions of the account with this validator's own key: whoever runs the
/// validator from another account leaves some coins there for the fee.
#[derive(Clone, Debug)]
pub struct Reporter {
    /// Signs them.
    pub secret: AccountSecret,
}

impl Reporter {
    /// Reports one proof. The ledger takes each validator's first one, whoever brings it.
    pub fn report(&self, ledger: &Ledger, proof: &Equivocation) {
        let validator = ValidatorKey(proof.key);
        warn!(%validator, octets = proof.bytes.len(), "a validator voted for two blocks at once");
        let tx = {
            let view = ledger.view();
            let author =
                Author::new(view.state.chain(), view.state.params().fees, self.secret.clone());
            let account = author.account();
            let nonce = view.state.account(&account).nonce;
            let nonce = ledger.mempool().next_nonce(&account, nonce);
            let proof = equivocation::Equivocation { key: validator, proof: proof.bytes.clone() };
            author.report_equivocation(nonce, proof)
        };
        for taken in ledger.submit(vec![tx], Origin::Here) {
            match taken {
                Ok(hash) => info!(%validator, %hash, "reported"),
                Err(why) => warn!(%validator, code = why.code, why = why.why, "not reported"),
            }
        }
    }
}
