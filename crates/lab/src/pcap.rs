//! The classic pcap format, with nanoseconds and raw IP packets: enough to write and to read our own.
//!
//! Source: draft-ietf-opsawg-pcap; LINKTYPE_RAW = 101.

use std::io::{Read, Write};

use anyhow::Result;

/// A packet and when it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Nanoseconds since the UNIX epoch.
    pub time_ns: u64,
    /// From the IP header on.
    pub packet: Vec<u8>,
}

/// Writes the file header.
pub fn write_header(out: &mut impl Write) -> Result<()> {
    out.write_all(&MAGIC_NS.to_le_bytes())?;
    for half in [2u16, 4] {
        out.write_all(&half.to_le_bytes())?;
    }
    for word in [0, 0, SNAP_LENGTH, LINKTYPE_RAW] {
        out.write_all(&word.to_le_bytes())?;
    }
    Ok(())
}

/// Writes one packet.
pub fn write_frame(out: &mut impl Write, frame: &Frame) -> Result<()> {
    let seconds = u32::try_from(frame.time_ns / 1_000_000_000)?;
    let nanos = u32::try_from(frame.time_ns % 1_000_000_000)?;
    let length = u32::try_from(frame.packet.len())?;
    for word in [seconds, nanos, length, length] {
        out.write_all(&word.to_le_bytes())?;
    }
    out.write_all(&frame.packet)?;
    Ok(())
}

/// Reads a file that this module wrote.
pub fn read(mut input: impl Read) -> Result<Vec<Frame>> {
    let mut header = [0; 24];
    input.read_exact(&mut header)?;
    anyhow::ensure!(
        header[..4] == MAGIC_NS.to_le_bytes(),
        "not a nanosecond pcap file of this kind"
    );
    anyhow::ensure!(header[20..24] == LINKTYPE_RAW.to_le_bytes(), "not a file of raw IP packets");
    let mut frames = Vec::new();
    while let Some(frame) = read_frame(&mut input)? {
        frames.push(frame);
    }
    Ok(frames)
}

fn read_frame(input: &mut impl Read) -> Result<Option<Frame>> {
    let mut header = Vec::with_capacity(16);
    input.by_ref().take(16).read_to_end(&mut header)?;
    if header.is_empty() {
        return Ok(None);
    }
    anyhow::ensure!(header.len() == 16, "the file is cut");
    let word = |at: usize| {
        u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    anyhow::ensure!(word(8) <= SNAP_LENGTH, "a packet of {} bytes", word(8));
    let mut packet = vec![0; usize::try_from(word(8))?];
    input.read_exact(&mut packet)?;
    let time_ns = u64::from(word(0)) * 1_000_000_000 + u64::from(word(4));
    Ok(Some(Frame { time_ns, packet }))
}

/// Nanosecond variant of the magic number.
const MAGIC_NS: u32 = 0xa1b2_3c4d;
const LINKTYPE_RAW: u32 = 101;
/// The largest IP packet.
const SNAP_LENGTH: u32 = 65_535;
