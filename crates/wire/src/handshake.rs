//! Frames of the handshake: initiation, response, cookie reply.
//!
//! The message pattern is WireGuard's (Noise IKpsk2, mac1 and mac2, cookies), and so are the sizes; a cookie is asked
//! for under load and of first calls.
//!
//! ```text
//!  initiation (148)                    response (92)                      cookie reply (64)
//!   0   1  0xA1                         0   1  0xA1                        0   1  0xA1
//!   1   1  kind = 1                     1   1  kind = 2                    1   1  kind = 3
//!   2   2  zero                         2   2  zero                        2   2  zero
//!   4   4  sender's session index       4   4  sender's session index      4   4  receiver's session index
//!   8 108  Noise message 1              8   4  receiver's session index    8  24  nonce
//!          (e 32, s 48, timestamp 28)  12  48  Noise message 2            32  32  sealed cookie (16 + tag 16)
//! 116  16  mac1                        60  16  mac1
//! 132  16  mac2                        76  16  mac2
//! ```
//!
//! **Source:** WireGuard white paper, section 5.4. Deviates: mac1 and mac2 are keyed BLAKE3, first 16 octets.

use crate::id::SessionIndex;
use crate::segment::{PacketType, VERSION};

/// Octets of an initiation.
pub const INITIATION_LEN: usize = 148;
/// Octets of a response.
pub const RESPONSE_LEN: usize = 92;
/// Octets of a cookie reply.
pub const COOKIE_REPLY_LEN: usize = 64;
/// Octets of the first Noise message: ephemeral key 32, sealed static key 48, sealed timestamp 12 + 16.
pub const NOISE_INITIATION_LEN: usize = 108;
/// Octets of the second Noise message: ephemeral key 32, tag of an empty payload 16.
pub const NOISE_RESPONSE_LEN: usize = 48;
/// Octets of mac1 and of mac2.
pub const MAC_LEN: usize = 16;

const FIRST_OCTET: u8 = PacketType::Handshake.nibble() << 4 | VERSION;

/// A checked, borrowed frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameView<'a> {
    /// The first message, from the initiator.
    Initiation(Initiation<'a>),
    /// The second message, from the responder.
    Response(Response<'a>),
    /// "I am under load, or do not know you yet: come back with this cookie in mac2."
    CookieReply(CookieReply<'a>),
}

/// View of an initiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Initiation<'a> {
    /// The session index under which the initiator wants to be addressed.
    pub sender: SessionIndex,
    /// Noise message 1.
    pub noise: &'a [u8; NOISE_INITIATION_LEN],
    /// The two macs and what they cover.
    pub macs: Macs<'a>,
}

/// View of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response<'a> {
    /// The session index under which the responder wants to be addressed.
    pub sender: SessionIndex,
    /// The initiator's session index.
    pub receiver: SessionIndex,
    /// Noise message 2.
    pub noise: &'a [u8; NOISE_RESPONSE_LEN],
    /// The two macs and what they cover.
    pub macs: Macs<'a>,
}

/// View of a cookie reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CookieReply<'a> {
    /// The session index that stood in the frame which this answers.
    pub receiver: SessionIndex,
    /// Nonce of the seal.
    pub nonce: &'a [u8; 24],
    /// The cookie, sealed with a key of the responder's public key, bound to the frame's mac1.
    pub sealed: &'a [u8; 32],
}

/// The macs at the end of an initiation or a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Macs<'a> {
    /// What mac1 covers: all bytes before it.
    pub covered_by_mac1: &'a [u8],
    /// Proof that the sender knows the receiver's public key.
    pub mac1: &'a [u8; MAC_LEN],
    /// What mac2 covers: all bytes before it.
    pub covered_by_mac2: &'a [u8],
    /// Proof that the sender got a cookie at its address; zero if it has none.
    pub mac2: &'a [u8; MAC_LEN],
}

/// Why bytes are no handshake frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Not the length of any frame, or not of the frame that its kind says.
    #[error("no handshake frame has this length")]
    Length,
    /// Another first octet, kind or a reserved octet that is not zero.
    #[error("not a handshake frame of this version")]
    Format,
}

impl<'a> FrameView<'a> {
    /// Reads one frame, which must be the whole of `bytes`.
    ///
    /// # Errors
    /// [`FrameError`] if the length or the fixed octets are not those of a frame.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let [first, kind, 0, 0, ..] = *bytes else {
            return Err(if bytes.len() < 4 { FrameError::Length } else { FrameError::Format });
        };
        if first != FIRST_OCTET {
            return Err(FrameError::Format);
        }
        match kind {
            1 => Self::initiation(bytes),
            2 => Self::response(bytes),
            3 => Self::cookie_reply(bytes),
            _ => Err(FrameError::Format),
        }
    }

    fn initiation(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let frame: &[u8; INITIATION_LEN] = bytes.try_into().map_err(|_| FrameError::Length)?;
        Ok(Self::Initiation(Initiation {
            sender: index(frame, 4),
            noise: array(frame, 8),
            macs: macs(frame),
        }))
    }

    fn response(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let frame: &[u8; RESPONSE_LEN] = bytes.try_into().map_err(|_| FrameError::Length)?;
        Ok(Self::Response(Response {
            sender: index(frame, 4),
            receiver: index(frame, 8),
            noise: array(frame, 12),
            macs: macs(frame),
        }))
    }

    fn cookie_reply(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let frame: &[u8; COOKIE_REPLY_LEN] = bytes.try_into().map_err(|_| FrameError::Length)?;
        Ok(Self::CookieReply(CookieReply {
            receiver: index(frame, 4),
            nonce: array(frame, 8),
            sealed: array(frame, 32),
        }))
    }
}

fn index(frame: &[u8], at: usize) -> SessionIndex {
    SessionIndex(u32::from_be_bytes(*array(frame, at)))
}

fn array<const N: usize>(frame: &[u8], at: usize) -> &[u8; N] {
    frame[at..].first_chunk().expect("the frame's length was checked against its kind")
}

fn macs(frame: &[u8]) -> Macs<'_> {
    let mac2_at = frame.len() - MAC_LEN;
    let mac1_at = mac2_at - MAC_LEN;
    Macs {
        covered_by_mac1: &frame[..mac1_at],
        mac1: array(frame, mac1_at),
        covered_by_mac2: &frame[..mac2_at],
        mac2: array(frame, mac2_at),
    }
}

/// An initiation with zeroed macs.
#[must_use]
pub fn initiation(
    sender: SessionIndex,
    noise: &[u8; NOISE_INITIATION_LEN],
) -> [u8; INITIATION_LEN] {
    let mut frame = [0; INITIATION_LEN];
    frame[..2].copy_from_slice(&[FIRST_OCTET, 1]);
    frame[4..8].copy_from_slice(&sender.0.to_be_bytes());
    frame[8..8 + NOISE_INITIATION_LEN].copy_from_slice(noise);
    frame
}

/// A response with zeroed macs.
#[must_use]
pub fn response(
    sender: SessionIndex,
    receiver: SessionIndex,
    noise: &[u8; NOISE_RESPONSE_LEN],
) -> [u8; RESPONSE_LEN] {
    let mut frame = [0; RESPONSE_LEN];
    frame[..2].copy_from_slice(&[FIRST_OCTET, 2]);
    frame[4..8].copy_from_slice(&sender.0.to_be_bytes());
    frame[8..12].copy_from_slice(&receiver.0.to_be_bytes());
    frame[12..12 + NOISE_RESPONSE_LEN].copy_from_slice(noise);
    frame
}

/// A cookie reply.
#[must_use]
pub fn cookie_reply(
    receiver: SessionIndex,
    nonce: &[u8; 24],
    sealed: &[u8; 32],
) -> [u8; COOKIE_REPLY_LEN] {
    let mut frame = [0; COOKIE_REPLY_LEN];
    frame[..2].copy_from_slice(&[FIRST_OCTET, 3]);
    frame[4..8].copy_from_slice(&receiver.0.to_be_bytes());
    frame[8..32].copy_from_slice(nonce);
    frame[32..].copy_from_slice(sealed);
    frame
}

/// Puts mac1 and then mac2 at the end of an initiation or a response.
///
/// `mac1` and `mac2` each get the bytes that they cover.
pub fn write_macs(
    frame: &mut [u8],
    mac1: impl FnOnce(&[u8]) -> [u8; MAC_LEN],
    mac2: impl FnOnce(&[u8]) -> [u8; MAC_LEN],
) {
    let mac2_at = frame.len().saturating_sub(MAC_LEN);
    let mac1_at = mac2_at.saturating_sub(MAC_LEN);
    let first = mac1(&frame[..mac1_at]);
    frame[mac1_at..mac2_at].copy_from_slice(&first);
    let second = mac2(&frame[..mac2_at]);
    frame[mac2_at..].copy_from_slice(&second);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_initiation_is_read_back() {
        let mut frame = initiation(SessionIndex(5), &[7; NOISE_INITIATION_LEN]);
        write_macs(&mut frame, |_| [1; MAC_LEN], |_| [2; MAC_LEN]);
        let Ok(FrameView::Initiation(view)) = FrameView::parse(&frame) else {
            panic!("not an initiation")
        };
        assert_eq!((view.sender, view.noise), (SessionIndex(5), &[7; NOISE_INITIATION_LEN]));
        assert_eq!((view.macs.mac1, view.macs.mac2), (&[1; MAC_LEN], &[2; MAC_LEN]));
        assert_eq!((view.macs.covered_by_mac1.len(), view.macs.covered_by_mac2.len()), (116, 132));
    }

    #[test]
    fn a_response_is_read_back() {
        let frame = response(SessionIndex(6), SessionIndex(5), &[8; NOISE_RESPONSE_LEN]);
        let Ok(FrameView::Response(view)) = FrameView::parse(&frame) else {
            panic!("not a response")
        };
        assert_eq!((view.sender, view.receiver), (SessionIndex(6), SessionIndex(5)));
        assert_eq!(view.noise, &[8; NOISE_RESPONSE_LEN]);
    }

    #[test]
    fn a_cookie_reply_is_read_back() {
        let frame = cookie_reply(SessionIndex(5), &[3; 24], &[4; 32]);
        let expected = CookieReply { receiver: SessionIndex(5), nonce: &[3; 24], sealed: &[4; 32] };
        assert_eq!(FrameView::parse(&frame), Ok(FrameView::CookieReply(expected)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(kind in 0_u8..5, rest in proptest::collection::vec(any::<u8>(), 0..160)) {
            let mut bytes = vec![FIRST_OCTET, kind, 0, 0];
            bytes.extend(&rest);
            let _ = FrameView::parse(&bytes);
            let _ = FrameView::parse(&rest);
        }
    }
}
