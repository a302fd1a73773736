//! The gate before the handshake: no cryptography worth the name, and no answer, for a sender that
//! proves nothing.
//!
//! ```text
//!  frame --> mac1 valid? --no--> drop, silently
//!              |yes
//!            under load? --no--> budget of all? --no--> drop
//!              |yes                 |yes --> Noise
//!            mac2 valid? --no--> cookie reply (64 octets for 148)
//!              |yes
//!            budget of the sender's prefix? --no--> drop
//!              |yes --> Noise
//! ```
//!
//! The first call of a peer since this router started must carry a valid mac2, too: which stamps the
//! peer used before is forgotten, so it might be a replay of one from then.
//!
//! mac1 proves that the sender knows this router's public key, mac2 that it receives what is sent
//! to its address, and does so now. Every answer is shorter than what it answers (I20).
//!
//! **Source:** WireGuard white paper, sections 5.3 and 5.4.7. Deviates: macs are keyed BLAKE3; the
//! cookie is sealed with AES-256-GCM under a key derived from its nonce, not XChaCha20; a first call
//! needs a cookie.

use crate::bucket::TokenBucket;
use crate::crypto::{AeadKey, Secret};
use crate::drop_reason::DropReason;
use core::hash::Hasher;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use siphasher::sip::SipHasher13;
use srwan_wire::canary::{self, Canary};
use srwan_wire::handshake::{COOKIE_REPLY_LEN, CookieReply, MAC_LEN, Macs, cookie_reply};
use srwan_wire::id::{NodeKey, SessionIndex};
use srwan_wire::time::Instant;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A cookie: what its holder keys mac2 with.
pub(crate) type Cookie = [u8; MAC_LEN];

/// How long the secret behind cookies lives; a cookie is honoured for one to two such times.
///
/// Source: WireGuard white paper, section 5.4.7.
pub(crate) const COOKIE_LIFE: Duration = Duration::from_secs(120);

/// Handshakes a second that a router answers in all. One costs about 0.3 ms of a core, so a flood
/// with valid macs and cookies from everywhere takes an eighth of a core (I23).
pub const HANDSHAKES_PER_SECOND: u32 = 400;

/// A group of 100 that starts together calls its last member 198 times, without a cookie and with one; half of this
/// must be more, or the group would count as a flood.
const HANDSHAKES_BURST: u32 = 400;

/// How long a router stays under load after it was: a flood then gets one burst of answers a
/// second, not every tenth.
///
/// Source: WireGuard's UnderLoadAfterTime.
const LOAD_LASTS: Duration = Duration::from_secs(1);

/// Handshakes a second from one /24 or /56 whose address is proven: more than its routers ever
/// need.
const PREFIX_PER_SECOND: u32 = 5;
const PREFIX_BURST: u32 = 10;

/// Prefixes told apart. Two that fall together share a budget; 24 KiB in all.
const PREFIXES: usize = 1_024;

const MAC1_CONTEXT: &str = "srwan v1 handshake mac1";
const COOKIE_CONTEXT: &str = "srwan v1 cookie seal";

/// What both sides derive from a router's public key.
pub(crate) struct PublicMacs {
    mac1: Secret,
    cookie: Secret,
}

impl PublicMacs {
    pub(crate) fn of(key: &NodeKey) -> Self {
        Self {
            mac1: Zeroizing::new(blake3::derive_key(MAC1_CONTEXT, &key.0)),
            cookie: Zeroizing::new(blake3::derive_key(COOKIE_CONTEXT, &key.0)),
        }
    }

    pub(crate) fn mac1(&self, covered: &[u8]) -> [u8; MAC_LEN] {
        short(&blake3::keyed_hash(&self.mac1, covered))
    }

    fn has_valid_mac1(&self, macs: &Macs<'_>) -> bool {
        self.mac1(macs.covered_by_mac1).ct_eq(macs.mac1).into()
    }

    /// Opens the cookie that answers the frame with this `mac1`.
    pub(crate) fn open_cookie(
        &self,
        reply: &CookieReply<'_>,
        mac1: &[u8; MAC_LEN],
    ) -> Option<Cookie> {
        let mut sealed = *reply.sealed;
        let len = self.cookie_key(reply.nonce).open(0, mac1, &mut sealed).ok()?;
        sealed[..len].try_into().ok()
    }

    fn seal_cookie(&self, cookie: &Cookie, nonce: &[u8; 24], mac1: &[u8; MAC_LEN]) -> [u8; 32] {
        let mut sealed = [0; 32];
        sealed[..MAC_LEN].copy_from_slice(cookie);
        let tag = self.cookie_key(nonce).seal(0, mac1, &mut sealed[..MAC_LEN]);
        sealed[MAC_LEN..].copy_from_slice(&tag);
        sealed
    }

    /// One key for each nonce: so a random nonce of 24 octets is safe with AES-GCM.
    fn cookie_key(&self, nonce: &[u8; 24]) -> AeadKey {
        AeadKey::from_secret(&Zeroizing::new(*blake3::keyed_hash(&self.cookie, nonce).as_bytes()))
    }
}

/// mac2 under `cookie`.
pub(crate) fn mac2(cookie: &Cookie, covered: &[u8]) -> [u8; MAC_LEN] {
    let mut key = Zeroizing::new([0; 32]);
    key[..MAC_LEN].copy_from_slice(cookie);
    short(&blake3::keyed_hash(&key, covered))
}

fn short(hash: &blake3::Hash) -> [u8; MAC_LEN] {
    *hash.as_bytes().first_chunk().expect("a prefix of 32 octets")
}

/// What to do with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Read its Noise message.
    Admit,
    /// Send this and forget it.
    Cookie([u8; COOKIE_REPLY_LEN]),
}

/// The gate of one router.
pub(crate) struct Gate {
    macs: PublicMacs,
    secret: Secret,
    secret_before: Secret,
    secret_since: Instant,
    all: TokenBucket,
    loaded_until: Instant,
    proven: TokenBucket,
    prefixes: Vec<TokenBucket>,
    hasher: SipHasher13,
}

impl Gate {
    /// The gate of the router with this public key. `random` must be unpredictable.
    pub(crate) fn new(key: &NodeKey, random: [u8; 32], now: Instant) -> Self {
        let random = Zeroizing::new(random);
        Self {
            macs: PublicMacs::of(key),
            hasher: SipHasher13::new_with_key(random.first_chunk().expect("a prefix of 32 octets")),
            secret: Zeroizing::new(blake3::derive_key("srwan v1 cookie secret", &*random)),
            secret_before: Zeroizing::new(blake3::derive_key("srwan v1 cookie start", &*random)),
            secret_since: now,
            loaded_until: Instant::ZERO,
            all: TokenBucket::new(HANDSHAKES_PER_SECOND, HANDSHAKES_BURST),
            proven: TokenBucket::new(HANDSHAKES_PER_SECOND, HANDSHAKES_BURST),
            prefixes: vec![TokenBucket::new(PREFIX_PER_SECOND, PREFIX_BURST); PREFIXES],
        }
    }

    /// Whether the sender of a response or a relayed frame knows this router's key.
    pub(crate) fn check_mac1(&self, macs: &Macs<'_>) -> Result<(), DropReason> {
        if self.macs.has_valid_mac1(macs) { Ok(()) } else { Err(DropReason::HandshakeMac) }
    }

    /// Judges an initiation that came from `from`. `random` becomes the nonce of a cookie reply.
    pub(crate) fn admit(
        &mut self,
        macs: &Macs<'_>,
        (from, sender): (SocketAddr, SessionIndex),
        random: impl FnOnce() -> [u8; 24],
        now: Instant,
    ) -> Result<Admission, DropReason> {
        if !canary::is(Canary::CookieForAll) {
            self.check_mac1(macs)?;
        }
        if !self.is_under_load(now) && self.all.take(now) {
            return Ok(Admission::Admit);
        }
        if let Some(reply) = self.demand(macs, (from, sender), random, now) {
            return Ok(Admission::Cookie(reply));
        }
        if self.prefix(from.ip()).take(now) && self.proven.take(now) {
            Ok(Admission::Admit)
        } else {
            Err(DropReason::HandshakeRate)
        }
    }

    /// The cookie reply that is due for a frame without a valid mac2; `None` if it has one.
    pub(crate) fn demand(
        &mut self,
        macs: &Macs<'_>,
        (from, sender): (SocketAddr, SessionIndex),
        random: impl FnOnce() -> [u8; 24],
        now: Instant,
    ) -> Option<[u8; COOKIE_REPLY_LEN]> {
        if self.has_valid_mac2(macs, from, now) {
            return None;
        }
        let nonce = random();
        let cookie = self.cookie(from, now);
        let sealed = self.macs.seal_cookie(&cookie, &nonce, macs.mac1);
        Some(cookie_reply(sender, &nonce, &sealed))
    }

    /// Whether half of the budget was gone within the last [`LOAD_LASTS`].
    fn is_under_load(&mut self, now: Instant) -> bool {
        if self.all.is_low(now) {
            self.loaded_until = now + LOAD_LASTS;
        }
        now < self.loaded_until
    }

    fn has_valid_mac2(&mut self, macs: &Macs<'_>, from: SocketAddr, now: Instant) -> bool {
        let fits = |cookie: Cookie| -> bool {
            mac2(&cookie, macs.covered_by_mac2).ct_eq(macs.mac2).into()
        };
        let current = self.cookie(from, now);
        fits(current) || fits(cookie_of(&self.secret_before, from))
    }

    /// The cookie of `from`, under a secret that is renewed every [`COOKIE_LIFE`].
    fn cookie(&mut self, from: SocketAddr, now: Instant) -> Cookie {
        let age = now.since(self.secret_since);
        if age >= COOKIE_LIFE {
            let fresh =
                Zeroizing::new(blake3::derive_key("srwan v1 cookie renewal", &*self.secret));
            let stale = core::mem::replace(&mut self.secret, fresh);
            let has_lapsed = age >= COOKIE_LIFE * 2;
            self.secret_before = if has_lapsed { self.secret.clone() } else { stale };
            self.secret_since = now;
        }
        cookie_of(&self.secret, from)
    }

    fn prefix(&mut self, address: IpAddr) -> &mut TokenBucket {
        let prefix = match address {
            IpAddr::V4(address) => u64::from(address.to_bits() >> 8),
            IpAddr::V6(address) => {
                1 << 63 | u64::try_from(address.to_bits() >> 72).unwrap_or_default()
            }
        };
        let mut hasher = self.hasher;
        hasher.write_u64(prefix);
        let place = usize::from(crate::ip::fold16(hasher.finish())) % PREFIXES;
        &mut self.prefixes[place]
    }
}

fn cookie_of(secret: &Secret, from: SocketAddr) -> Cookie {
    let mut hasher = blake3::Hasher::new_keyed(secret);
    match from.ip() {
        IpAddr::V4(address) => hasher.update(&address.octets()),
        IpAddr::V6(address) => hasher.update(&address.octets()),
    };
    hasher.update(&from.port().to_be_bytes());
    short(&hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use srwan_wire::handshake::{FrameView, INITIATION_LEN, initiation, write_macs};

    const KEY: NodeKey = NodeKey([9; 32]);

    fn gate() -> Gate {
        Gate::new(&KEY, [7; 32], Instant::ZERO)
    }

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([198, 51, last, 1], 4_766))
    }

    fn frame(mac2_of: Option<Cookie>) -> [u8; INITIATION_LEN] {
        let mut frame = initiation(SessionIndex(5), &[1; 108]);
        let macs = PublicMacs::of(&KEY);
        let second = |covered: &[u8]| mac2_of.map_or([0; MAC_LEN], |cookie| mac2(&cookie, covered));
        write_macs(&mut frame, |covered| macs.mac1(covered), second);
        frame
    }

    fn admit(
        gate: &mut Gate,
        frame: &[u8],
        from: SocketAddr,
        now: Instant,
    ) -> Result<Admission, DropReason> {
        let Ok(FrameView::Initiation(view)) = FrameView::parse(frame) else { panic!("a frame") };
        gate.admit(&view.macs, (from, view.sender), || [3; 24], now)
    }

    /// Exhausts the budget that needs no cookie.
    fn flood(gate: &mut Gate, now: Instant) {
        while admit(gate, &frame(None), address(1), now) == Ok(Admission::Admit) {}
    }

    fn cookie(reply: Result<Admission, DropReason>) -> Cookie {
        let Ok(Admission::Cookie(bytes)) = reply else { panic!("no cookie: {reply:?}") };
        let Ok(FrameView::CookieReply(view)) = FrameView::parse(&bytes) else { panic!("a reply") };
        let sent = frame(None);
        let Ok(FrameView::Initiation(asked)) = FrameView::parse(&sent) else { panic!("a frame") };
        PublicMacs::of(&KEY).open_cookie(&view, asked.macs.mac1).unwrap()
    }

    #[test]
    fn nothing_is_said_to_a_sender_without_mac1() {
        let mut gate = gate();
        flood(&mut gate, Instant::ZERO);
        let mut forged = frame(None);
        forged[120] ^= 1;
        let judged = admit(&mut gate, &forged, address(1), Instant::ZERO);
        assert_eq!(judged, Err(DropReason::HandshakeMac));
    }

    #[test]
    fn under_load_a_cookie_opens_the_gate_for_its_address_only() {
        let mut gate = gate();
        let now = Instant::ZERO;
        flood(&mut gate, now);
        let ours = cookie(admit(&mut gate, &frame(None), address(2), now));
        let with_cookie = frame(Some(ours));
        assert_eq!(admit(&mut gate, &with_cookie, address(2), now), Ok(Admission::Admit));
        let elsewhere = admit(&mut gate, &with_cookie, address(3), now);
        assert!(matches!(elsewhere, Ok(Admission::Cookie(_))));
    }

    #[test]
    fn a_cookie_outlives_one_renewal_and_not_two() {
        let mut gate = gate();
        flood(&mut gate, Instant::ZERO);
        let ours = cookie(admit(&mut gate, &frame(None), address(2), Instant::ZERO));
        for (seconds, is_good) in [(119, true), (121, true), (245, false)] {
            let now = Instant::ZERO + Duration::from_secs(seconds);
            flood(&mut gate, now);
            let judged = admit(&mut gate, &frame(Some(ours)), address(2), now);
            assert_eq!(judged == Ok(Admission::Admit), is_good, "{seconds} s");
        }
    }

    #[test]
    fn a_flood_from_one_prefix_with_cookies_leaves_room_for_others() {
        let mut gate = gate();
        let now = Instant::ZERO;
        flood(&mut gate, now);
        let theirs = cookie(admit(&mut gate, &frame(None), address(2), now));
        let admitted = (0..1_000)
            .filter(|_| {
                admit(&mut gate, &frame(Some(theirs)), address(2), now) == Ok(Admission::Admit)
            })
            .count();
        assert_eq!(admitted, usize::try_from(PREFIX_BURST).unwrap());
        let ours = cookie(admit(&mut gate, &frame(None), address(4), now));
        assert_eq!(admit(&mut gate, &frame(Some(ours)), address(4), now), Ok(Admission::Admit));
    }
}
