//! The far end: checks every probe and returns it as it came, or says that it was damaged.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::thread;

use anyhow::{Context, Result};

use super::{DAMAGED, HEADER_OCTETS, PORT, read, tcp};

/// Serves at all these addresses until the process ends.
pub fn serve(addresses: &[IpAddr]) -> Result<()> {
    let mut threads = Vec::new();
    for address in addresses {
        let listen = SocketAddr::new(*address, PORT);
        let socket =
            UdpSocket::bind(listen).with_context(|| format!("cannot listen at {listen}"))?;
        let listener =
            TcpListener::bind(listen).with_context(|| format!("cannot listen at {listen}"))?;
        threads.push(thread::spawn(move || datagrams(&socket)));
        threads.push(thread::spawn(move || connections(&listener)));
    }
    eprintln!("ready variety");
    for thread in threads {
        anyhow::ensure!(thread.join().is_ok(), "a thread of the server panicked");
    }
    Ok(())
}

fn datagrams(socket: &UdpSocket) {
    let mut buffer = vec![0; DATAGRAM_OCTETS_MAX];
    loop {
        let Ok((octets, from)) = socket.recv_from(&mut buffer) else { continue };
        if read(&buffer[..octets]).is_none() {
            let place = buffer[..octets.min(HEADER_OCTETS)].get_mut(..DAMAGED.len());
            let Some(place) = place else { continue };
            place.copy_from_slice(&DAMAGED);
        }
        // A client that has left is no matter of the server's.
        let _left = socket.send_to(&buffer[..octets], from);
    }
}

/// One at a time: there is one client, and the next connection waits in the kernel.
fn connections(listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        if let Err(error) = tcp::answer(stream) {
            eprintln!("a connection: {error:#}");
        }
    }
}

const DATAGRAM_OCTETS_MAX: usize = 65_536;
