//! Dying at each numbered point once: what was acknowledged is there afterwards, and paid once.

use srwan_api::ledger::TxStatus;
use srwan_ledger::amount::Amount;

use crate::child::Site;
use crate::people::{key, transfer};

/// Every point, and the pass at which it is met after some work was done.
const POINTS: [&str; 5] = [
    "proposed:30",
    "before-execute:30",
    "after-execute:30",
    "snapshot-half-written:8",
    "snapshot-renamed:8",
];

#[tokio::test]
async fn nothing_acknowledged_is_lost_at_any_point() {
    for point in POINTS {
        let mut site = Site::new();
        site.crash_at = Some(point);
        let daemon = site.start();
        let chain = daemon.chain().await;
        let client = daemon.client();
        let mut acknowledged = 0;
        for nonce in 0.. {
            let tx = transfer(1, nonce, chain);
            match daemon.run(&tx).await {
                Ok(found) if found.status == TxStatus::Applied => acknowledged = nonce + 1,
                Ok(found) => panic!("{point}: {found:?}"),
                Err(_) => break,
            }
        }
        drop(client);
        daemon.died();
        site.crash_at = None;
        let daemon = site.start();
        let nonce = daemon.account(&key(1)).await.nonce;
        assert!(nonce >= acknowledged && acknowledged > 0, "{point}: {nonce} of {acknowledged}");
        let balance = daemon.account(&key(4)).await.balance().unwrap();
        assert_eq!(balance, Amount::from_base(1_000_000_000_000 + nonce), "{point}");
        assert!(daemon.client().supply().await.unwrap().conserved, "{point}");
        daemon.run(&transfer(1, nonce, chain)).await.unwrap();
    }
}
