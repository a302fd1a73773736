//! The Noise handshake: IKpsk2 over X25519, ChaCha20-Poly1305 and BLAKE2s, one message each way.
//!
//! snow does the cryptography. Its random numbers come from a seed that the caller draws from the
//! data plane's own generator, so that a run is repeatable from its seed. Macs, cookies and retries
//! are elsewhere.
//!
//! **Source:** Noise Protocol Framework rev. 34, patterns IK and psk2; WireGuard white paper,
//! section 5.4.

use crate::crypto::{KeyPair, Secret};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use snow::params::{CipherChoice, DHChoice, HashChoice, NoiseParams};
use snow::resolvers::{BoxedCryptoResolver, CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, HandshakeState};
use srwan_wire::handshake::{NOISE_INITIATION_LEN, NOISE_RESPONSE_LEN};
use srwan_wire::id::NodeKey;
use srwan_wire::time::Timestamp;
use zeroize::Zeroizing;

const PATTERN: &str = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
const PROLOGUE: &[u8] = b"srwan handshake v1";

/// Where psk2 mixes the pre-shared key in: after the second message.
const PSK_PLACE: u8 = 2;

/// Octets of the timestamp in message 1: eight of nanoseconds (big-endian) and four zero, the size
/// of a TAI64N.
const STAMP_LEN: usize = 12;

/// The other side is not who it should be, or the message was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invalid;

impl From<snow::Error> for Invalid {
    fn from(_: snow::Error) -> Self {
        Self
    }
}

/// A handshake that this side started and the other has not answered.
pub(crate) struct Initiator(HandshakeState);

impl Initiator {
    /// Starts a handshake with `remote` and writes message 1.
    pub(crate) fn start(
        secret: &Secret,
        remote: &NodeKey,
        psk: &[u8; 32],
        stamp: Timestamp,
        seed: [u8; 32],
    ) -> Result<(Self, [u8; NOISE_INITIATION_LEN]), Invalid> {
        let mut state = builder(seed)
            .local_private_key(&**secret)?
            .remote_public_key(&remote.0)?
            .psk(PSK_PLACE, psk)?
            .build_initiator()?;
        let mut message = [0; NOISE_INITIATION_LEN];
        let mut payload = [0; STAMP_LEN];
        payload[..8].copy_from_slice(&stamp.as_nanos().to_be_bytes());
        let written = state.write_message(&payload, &mut message)?;
        if written == message.len() { Ok((Self(state), message)) } else { Err(Invalid) }
    }

    /// Reads message 2. A message that is not the answer leaves the handshake waiting for the one
    /// that is.
    pub(crate) fn finish(
        &mut self,
        message: &[u8; NOISE_RESPONSE_LEN],
    ) -> Result<KeyPair, Invalid> {
        self.0.read_message(message, &mut [0; NOISE_RESPONSE_LEN])?;
        let (send, receive) = split(&mut self.0);
        Ok(KeyPair { send, receive })
    }
}

/// A handshake that the other side started: message 1 was read and names who sent it.
pub(crate) struct Responder {
    state: HandshakeState,
    /// Who started it. Proven only to be the holder of this key at the time of `stamp`.
    pub(crate) remote: NodeKey,
    /// When it was started, by the other side's clock.
    pub(crate) stamp: Timestamp,
}

impl Responder {
    /// Reads message 1.
    pub(crate) fn receive(
        secret: &Secret,
        message: &[u8; NOISE_INITIATION_LEN],
        seed: [u8; 32],
    ) -> Result<Self, Invalid> {
        let mut state = builder(seed).local_private_key(&**secret)?.build_responder()?;
        let mut payload = [0; NOISE_INITIATION_LEN];
        let len = state.read_message(message, &mut payload)?;
        if len != STAMP_LEN {
            return Err(Invalid);
        }
        let nanos = payload.first_chunk().copied().map_or(0, u64::from_be_bytes);
        let remote = state.get_remote_static().and_then(|key| key.try_into().ok());
        Ok(Self {
            remote: NodeKey(remote.ok_or(Invalid)?),
            stamp: Timestamp::from_nanos(nanos),
            state,
        })
    }

    /// Writes message 2.
    pub(crate) fn respond(
        mut self,
        psk: &[u8; 32],
    ) -> Result<(KeyPair, [u8; NOISE_RESPONSE_LEN]), Invalid> {
        self.state.set_psk(usize::from(PSK_PLACE), psk)?;
        let mut message = [0; NOISE_RESPONSE_LEN];
        let written = self.state.write_message(&[], &mut message)?;
        if written != message.len() {
            return Err(Invalid);
        }
        let (receive, send) = split(&mut self.state);
        Ok((KeyPair { send, receive }, message))
    }
}

fn split(state: &mut HandshakeState) -> (Secret, Secret) {
    let (initiator, responder) = state.dangerously_get_raw_split();
    (Zeroizing::new(initiator), Zeroizing::new(responder))
}

fn builder<'a>(seed: [u8; 32]) -> Builder<'a> {
    let params: NoiseParams = PATTERN.parse().expect("snow knows this pattern");
    let resolver: BoxedCryptoResolver = Box::new(Seeded { seed });
    Builder::with_resolver(params, resolver).prologue(PROLOGUE).expect("set once")
}

/// snow's own primitives with random numbers from a seed.
struct Seeded {
    seed: [u8; 32],
}

impl CryptoResolver for Seeded {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(SeededRandom(ChaCha20Rng::from_seed(self.seed))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

struct SeededRandom(ChaCha20Rng);

impl Random for SeededRandom {
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), snow::Error> {
        self.0.fill_bytes(out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use x25519_dalek::{PublicKey, StaticSecret};

    fn public(secret: &Secret) -> NodeKey {
        NodeKey(PublicKey::from(&StaticSecret::from(**secret)).to_bytes())
    }

    #[test]
    fn both_sides_get_the_same_keys_and_know_each_other() {
        let (ours, theirs) = (Zeroizing::new([1; 32]), Zeroizing::new([2; 32]));
        let stamp = Timestamp::from_nanos(77);
        let (mut initiator, first) =
            Initiator::start(&ours, &public(&theirs), &[3; 32], stamp, [4; 32]).unwrap();
        let responder = Responder::receive(&theirs, &first, [5; 32]).unwrap();
        assert_eq!((responder.remote, responder.stamp), (public(&ours), stamp));
        let (far, second) = responder.respond(&[3; 32]).unwrap();
        let near = initiator.finish(&second).unwrap();
        assert_eq!((*near.send, *near.receive), (*far.receive, *far.send));
        assert_ne!(*near.send, *near.receive);
    }

    #[test]
    fn another_psk_or_a_changed_message_is_invalid_and_the_handshake_survives_it() {
        let (ours, theirs) = (Zeroizing::new([1; 32]), Zeroizing::new([2; 32]));
        let stamp = Timestamp::from_nanos(77);
        let (mut initiator, first) =
            Initiator::start(&ours, &public(&theirs), &[3; 32], stamp, [4; 32]).unwrap();
        let respond = |psk: [u8; 32]| {
            Responder::receive(&theirs, &first, [5; 32]).unwrap().respond(&psk).unwrap().1
        };
        assert!(initiator.finish(&respond([9; 32])).is_err());
        let mut changed = respond([3; 32]);
        changed[40] ^= 1;
        assert!(initiator.finish(&changed).is_err());
        assert!(initiator.finish(&respond([3; 32])).is_ok());
        let mut forged = first;
        forged[50] ^= 1;
        assert!(Responder::receive(&theirs, &forged, [5; 32]).is_err());
    }

    #[test]
    fn the_same_seed_gives_the_same_message() {
        let start = |seed| {
            let remote = public(&Zeroizing::new([2; 32]));
            Initiator::start(
                &Zeroizing::new([1; 32]),
                &remote,
                &[3; 32],
                Timestamp::default(),
                [seed; 32],
            )
            .unwrap()
            .1
        };
        assert_eq!(start(4), start(4));
        assert_ne!(start(4), start(5));
    }
}
