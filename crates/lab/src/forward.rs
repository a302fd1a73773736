//! Portals of the lab's routers on this machine's loopback: a port here leads to the same port inside.
//!
//! A router's portal listens on the loopback of its own namespace, where no browser is.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::netns;

/// A port on loopback, inside and outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    pub port: u16,
    pub netns: PathBuf,
}

impl std::str::FromStr for Door {
    type Err = String;

    /// `PORT=NAMESPACE-FILE`
    fn from_str(text: &str) -> Result<Self, String> {
        let (port, netns) = text.split_once('=').ok_or("write PORT=FILE")?;
        let port = port.parse().map_err(|_| format!("`{port}` is not a port"))?;
        Ok(Self { port, netns: netns.into() })
    }
}

impl std::fmt::Display for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.port, self.netns.display())
    }
}

/// Opens the doors whose ports are free and serves until the process ends.
pub fn run(doors: &[Door]) -> Result<()> {
    let mut open = Vec::new();
    for door in doors {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, door.port)) {
            Ok(listener) => open.push((listener, door.clone())),
            Err(error) => eprintln!("port {} is taken: {error}", door.port),
        }
    }
    let ports: Vec<String> = open.iter().map(|(_, door)| door.port.to_string()).collect();
    eprintln!("ready portals {}", ports.join(","));
    let serving =
        open.into_iter().map(|(listener, door)| thread::spawn(move || serve(&listener, &door)));
    serving.collect::<Vec<_>>().into_iter().for_each(|thread| drop(thread.join()));
    Ok(())
}

fn serve(listener: &TcpListener, door: &Door) {
    let slots = Arc::new(());
    for outside in listener.incoming().flatten() {
        if Arc::strong_count(&slots) > CONNECTIONS_MAX {
            continue;
        }
        let (slot, door) = (Arc::clone(&slots), door.clone());
        thread::spawn(move || {
            // A router that is not up yet closes the browser's connection, which says it all.
            let _refused = join(outside, &door.netns, door.port);
            drop(slot);
        });
    }
}

fn join(outside: TcpStream, netns: &Path, port: u16) -> Result<()> {
    let target = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let inside = netns::within(netns, || TcpStream::connect_timeout(&target, CONNECT_WAIT))?;
    let inside = inside.context("the portal does not answer")?;
    let (from, to) = (outside.try_clone()?, inside.try_clone()?);
    let there = thread::spawn(move || copy(from, to));
    copy(inside, outside)?;
    there.join().map_err(|_| anyhow::anyhow!("the copying thread panicked"))?
}

fn copy(mut from: TcpStream, mut to: TcpStream) -> Result<()> {
    let mut buffer = [0; 16_384];
    loop {
        let octets = from.read(&mut buffer)?;
        if octets == 0 {
            to.shutdown(Shutdown::Write)?;
            return Ok(());
        }
        to.write_all(&buffer[..octets])?;
    }
}

/// Tabs of a browser, each with a few connections.
const CONNECTIONS_MAX: usize = 64;
const CONNECT_WAIT: Duration = Duration::from_secs(2);
