//! The XDP relay: it judges as the data plane does, and what it carries is paid for.

mod carried;
mod corpus;
mod cost;
mod frame;
mod twin;
// The routers in memory of the data plane's own tests, and their inner packets.
#[allow(dead_code)]
#[path = "../../../../dataplane/tests/it/inner.rs"]
mod inner;
#[allow(dead_code)]
#[path = "../../../../dataplane/tests/it/world.rs"]
mod world;
