//! Real routers, a real controller and a real ledger: they meet, carry a flow over a relay, pay for it, and fail open.

use srwan_api::ledger::Supply;
use srwan_api::router::{Host, Matrix, Paths, Pin, Wallet};

use crate::network::{Network, block_on, transfer};

/// Octets of the flow: several receipt steps.
const FLOW_OCTETS: usize = 8 << 20;

#[test]
fn three_routers_meet_relay_a_flow_get_paid_and_fail_open() {
    let Some(mut network) = Network::new(3) else { return };
    (0..3).for_each(|index| network.start(index));
    check_matrix(&network);
    pin_over_the_third(&network);
    send_flow(&network);
    let relay = network.wait_status(2, "relayed octets", |s| s.relayed_bytes > 0);
    let expected = u64::try_from(FLOW_OCTETS).unwrap();
    assert!(relay.relayed_bytes >= expected, "{} of {expected}", relay.relayed_bytes);

    assert!(network.sites[0].router.take().unwrap().terminate(), "ended badly");
    check_paid(&network);

    network.start(0);
    check_matrix(&network);
    pin_over_the_third(&network);
    network.sites[0].router.take().unwrap().kill();
    send_flow(&network);
    for index in [1, 2] {
        assert!(network.sites[index].router.take().unwrap().terminate(), "ended badly");
    }
}

fn check_matrix(network: &Network) {
    for index in 0..3 {
        let status =
            network.wait_status(index, "a full matrix", |s| s.matrix_complete && s.peers_up == 2);
        assert_eq!(status.members, 3);
        let matrix: Matrix = network.get(index, "/v1/matrix").unwrap();
        assert_eq!(matrix.cells.iter().flatten().count(), 6);
        let host: Host = network.get(index, "/v1/host").unwrap();
        for kind in ["tun", "rule", "route", "nft", "sysctl"] {
            assert!(host.changes.iter().any(|change| change.kind == kind), "{kind}: {host:?}");
        }
    }
    let funded = |wallet: &Wallet| wallet.escrow_coins.as_deref().is_some_and(|c| c != "0");
    network.wait_for(0, "the escrow", || network.get(0, "/v1/wallet").filter(funded));
}

/// Site 1 sends to site 2 over router 3.
fn pin_over_the_third(network: &Network) {
    let pin = Pin { dest: "r2".into(), via: vec!["r3".into()] };
    let client = network.client(0);
    let pinned: Paths = block_on(async move { client.post("/v1/pin", &pin).await }).unwrap();
    assert_eq!(pinned.endpoints[0].endpoint, "r2");
    network.wait_status(0, "the pinned path", |status| {
        status.engaged.iter().any(|engaged| engaged.relays == ["r3"])
    });
}

/// Relay and endpoint have earned the same, and no coin came or went.
fn check_paid(network: &Network) {
    let earned = |index: usize| {
        let paid = |wallet: &Wallet| wallet.earned_coins != "0";
        let look = || network.get::<Wallet>(index, "/v1/wallet").filter(paid);
        network.wait_for(index, "a settled ticket", look).earned_coins
    };
    let (endpoint, relay): (f64, f64) = (earned(1).parse().unwrap(), earned(2).parse().unwrap());
    let gigabytes = FLOW_OCTETS as f64 / 1e9;
    // Ten coins per gigabyte, less the infrastructure's tenth, in two equal shares.
    let expected = gigabytes * 10.0 * 0.9 / 2.0;
    for earned in [endpoint, relay] {
        assert!((0.9 * expected..1.3 * expected).contains(&earned), "{earned} for {expected}");
    }
    let supply: Supply = network.ledger("/v1/supply");
    assert!(supply.conserved, "{supply:?}");
}

/// One TCP flow from site 1 to site 2; whichever way the kernel and the routers send it.
fn send_flow(network: &Network) {
    let (from, to) = (&network.sites[0].netns, &network.sites[1].netns);
    transfer(from, to, "198.18.2.1".parse().unwrap(), FLOW_OCTETS);
}
