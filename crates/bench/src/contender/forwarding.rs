//! Plain forwarding: the kernel at R routes the packets of A and B, and nothing else happens to them.

use std::rc::Rc;

use anyhow::Result;

use super::{Daemons, Standing, Way};
use crate::testbed::TestBed;
use crate::topology::{End, Reach, Topology};

pub fn raise(bed: &mut TestBed) -> Result<Vec<Standing>> {
    Ok(vec![stand(bed, "plain")?])
}

/// One more of it, for what is paired with it.
pub fn stand(bed: &mut TestBed, tag: &str) -> Result<Standing> {
    Ok(Standing {
        way: Way::Plain,
        topology: Rc::new(Topology::make(bed, tag, Reach::Open)?),
        source: End::A.behind(),
        target: End::B.behind(),
        daemons: Daemons::default(),
        switch: None,
        witness: None,
    })
}
