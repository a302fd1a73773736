//! SRv6 in the kernel, both directions: H.Encaps at the headend, End at R, End.DX4 at the endpoint (RFC 8986).
//!
//! The direct way has the endpoint's SID alone in its list. Links are IPv6, the packets carried are IPv4.

use std::rc::Rc;

use anyhow::Result;

use super::{Daemons, Standing, Way};
use crate::testbed::TestBed;
use crate::topology::{End, Reach, Topology};

/// The kernel without seg6 refuses the first route; a switch of its tells beforehand.
pub fn lacks(_: &TestBed) -> Option<String> {
    let has_it = std::path::Path::new("/proc/sys/net/ipv6/conf/all/seg6_enabled").exists();
    (!has_it).then(|| "the kernel has no SRv6 (CONFIG_IPV6_SEG6_LWTUNNEL)".to_owned())
}

pub fn raise(bed: &mut TestBed) -> Result<Vec<Standing>> {
    [(Way::Direct, "srv6-d"), (Way::Relay, "srv6-r")]
        .into_iter()
        .map(|(way, tag)| stand(bed, way, tag))
        .collect()
}

fn stand(bed: &mut TestBed, way: Way, tag: &str) -> Result<Standing> {
    let topology = Topology::make(bed, tag, Reach::Open)?;
    let relay = topology.node(End::R)?;
    for end in End::OUTER {
        let (own, peer) = (end.number(), end.peer().number());
        let relayed = if way == Way::Relay { format!("{RELAY_SID},") } else { String::new() };
        bed.ip(
            &topology.node(end)?,
            &format!(
                "route add fd00:{own}::4/128 encap seg6local action End.DX4 nh4 {behind} dev eth0\n\
                 route add fd00::/16 via 2001:db8:{own}::fe\n\
                 route add {target}/32 encap seg6 mode encap segs {relayed}fd00:{peer}::4 dev eth0 \
                 src {behind}",
                behind = end.behind(),
                target = end.peer().behind(),
            ),
        )?;
        bed.ip(&relay, &format!("route add fd00:{own}::/64 via 2001:db8:{own}::1"))?;
    }
    bed.ip(&relay, &format!("route add {RELAY_SID}/128 encap seg6local action End dev a0"))?;
    Ok(Standing {
        way,
        topology: Rc::new(topology),
        source: End::A.behind(),
        target: End::B.behind(),
        daemons: Daemons::default(),
        switch: None,
        witness: None,
    })
}

/// R's SID with behaviour End.
const RELAY_SID: &str = "fd00:2::e";
