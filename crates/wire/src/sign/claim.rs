//! Which signatures are valid, one by one or many at once, by the rules of ZIP-215.
//!
//! A signature (R, s) of key A over M is valid if A and R decode to points (also from encodings that
//! are not canonical), s is below the group's order, and `[8][s]B = [8]R + [8][k]A`, k = SHA-512(R | A | M).
//! With the factor 8 a sum of such equations with random factors holds exactly if each of them does. Without it,
//! as in the strict verification of RFC 8032 libraries, one by one and all at once differ on signatures
//! that anyone can craft, and two validators that check differently would part ways for ever.
//!
//! Source: <https://zips.z.cash/zip-0215>; the consensus engine's own signatures follow the same rules.

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{IsIdentity, VartimeMultiscalarMul};
use sha2::{Digest, Sha512};
use std::collections::{BTreeMap, VecDeque};

use super::Signature;
use crate::id::AccountKey;

/// Someone is said to have signed something. The message itself is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    signer: [u8; 32],
    point: [u8; 32],
    scalar: [u8; 32],
    challenge: Scalar,
}

impl Claim {
    /// `signature` is said to be `signer`'s over `payload` as an object of `domain`.
    #[must_use]
    pub fn new(
        domain: &'static str,
        payload: &[u8],
        signer: &AccountKey,
        signature: &Signature,
    ) -> Self {
        Self::raw(&[domain.as_bytes(), &[0], payload], &signer.0, &signature.0)
    }

    /// `signature` is said to be `signer`'s over the octets of `parts`, one after the other.
    #[must_use]
    pub fn raw(parts: &[&[u8]], signer: &[u8; 32], signature: &[u8; 64]) -> Self {
        let (point, scalar) = signature.split_at(32);
        let (point, scalar) = (half(point), half(scalar));
        let mut hasher = Sha512::new();
        hasher.update(point);
        hasher.update(signer);
        parts.iter().for_each(|part| hasher.update(part));
        let challenge = Scalar::from_bytes_mod_order_wide(&hasher.finalize().into());
        Self { signer: *signer, point, scalar, challenge }
    }

    /// Whether the signature is valid.
    #[must_use]
    pub fn is_true(&self) -> bool {
        self.holds().is_some_and(|holds| holds)
    }

    fn holds(&self) -> Option<bool> {
        let signer = decode(&self.signer)?;
        let point = decode(&self.point)?;
        let scalar = Option::<Scalar>::from(Scalar::from_canonical_bytes(self.scalar))?;
        let expected =
            EdwardsPoint::vartime_double_scalar_mul_basepoint(&self.challenge, &-signer, &scalar);
        Some((point - expected).mul_by_cofactor().is_identity())
    }
}

/// Whether all signatures are valid, in about a third of the time that one by one takes.
///
/// Says the same as [`Claim::is_true`] of each; wrongly true with a probability of about 2^-128. What `keys` knows
/// need not be decoded again, and it learns the rest.
#[must_use]
pub fn all_true(claims: &[Claim], keys: &mut Keys) -> bool {
    sum_holds(claims, keys).is_some_and(|holds| holds)
}

/// Keys that are remembered, each in about 250 octets: the accounts that were busy last.
const KEYS_MAX: usize = 16_384;

/// Keys as points: to decode one costs a third of checking a signature, and accounts sign again and again.
///
/// The oldest is forgotten first.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    points: BTreeMap<[u8; 32], EdwardsPoint>,
    order: VecDeque<[u8; 32]>,
}

impl Keys {
    /// Those of the claims' signers that are known here.
    #[must_use]
    pub fn of(&self, claims: &[Claim]) -> Self {
        let mut known = Self::default();
        for claim in claims {
            if let Some(point) = self.points.get(&claim.signer) {
                known.put(claim.signer, *point);
            }
        }
        known
    }

    /// Takes over what another one knows.
    pub fn merge(&mut self, other: Self) {
        other.points.into_iter().for_each(|(key, point)| self.put(key, point));
    }

    fn decode(&mut self, key: &[u8; 32]) -> Option<EdwardsPoint> {
        if let Some(point) = self.points.get(key) {
            return Some(*point);
        }
        let point = decode(key)?;
        self.put(*key, point);
        Some(point)
    }

    fn put(&mut self, key: [u8; 32], point: EdwardsPoint) {
        if self.points.insert(key, point).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > KEYS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.points.remove(&oldest);
        }
    }
}

/// For each claim whether it is true. A few false ones among many cost little: halves are tried.
///
/// - **Shape:** as long as `claims`, same order.
#[must_use]
pub fn each_true(claims: &[Claim], keys: &mut Keys) -> Vec<bool> {
    match claims {
        [] => Vec::new(),
        [only] => vec![only.is_true()],
        _ if all_true(claims, keys) => vec![true; claims.len()],
        _ => {
            let (left, right) = claims.split_at(claims.len() / 2);
            [each_true(left, keys), each_true(right, keys)].concat()
        }
    }
}

/// `0 = [8](-sum(z s) B + sum(z R) + sum(z k) A)`, with the terms of one key added up before.
fn sum_holds(claims: &[Claim], keys: &mut Keys) -> Option<bool> {
    let mut factors = Factors::of(claims);
    let mut of_base = Scalar::ZERO;
    let mut of_keys = BTreeMap::<[u8; 32], Scalar>::new();
    let (mut scalars, mut points) = (Vec::new(), Vec::new());
    for claim in claims {
        let factor = factors.draw();
        let scalar = Option::<Scalar>::from(Scalar::from_canonical_bytes(claim.scalar))?;
        of_base -= factor * scalar;
        *of_keys.entry(claim.signer).or_insert(Scalar::ZERO) += factor * claim.challenge;
        scalars.push(factor);
        points.push(decode(&claim.point)?);
    }
    for (key, scalar) in of_keys {
        scalars.push(scalar);
        points.push(keys.decode(&key)?);
    }
    scalars.push(of_base);
    points.push(ED25519_BASEPOINT_POINT);
    let sum = EdwardsPoint::vartime_multiscalar_mul(scalars, points);
    Some(sum.mul_by_cofactor().is_identity())
}

/// Factors that nobody can foresee before all claims are fixed: drawn from a hash of all of them.
struct Factors(blake3::OutputReader);

impl Factors {
    fn of(claims: &[Claim]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("srwan signature batch v1");
        for claim in claims {
            hasher.update(&claim.signer).update(&claim.point);
            hasher.update(&claim.scalar).update(claim.challenge.as_bytes());
        }
        Self(hasher.finalize_xof())
    }

    fn draw(&mut self) -> Scalar {
        let mut octets = [0; 16];
        self.0.fill(&mut octets);
        Scalar::from(u128::from_le_bytes(octets))
    }
}

fn decode(point: &[u8; 32]) -> Option<EdwardsPoint> {
    CompressedEdwardsY(*point).decompress()
}

fn half(octets: &[u8]) -> [u8; 32] {
    octets.try_into().expect("a signature has two halves of 32 octets")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_true(claims: &[Claim]) -> bool {
        super::all_true(claims, &mut Keys::default())
    }

    fn each_true(claims: &[Claim]) -> Vec<bool> {
        super::each_true(claims, &mut Keys::default())
    }
    use crate::sign::AccountSecret;

    fn claim(seed: u8, payload: &[u8]) -> Claim {
        let secret = AccountSecret::from_seed(&[seed; 32]);
        let signature = secret.sign("srwan test v1", payload);
        Claim::new("srwan test v1", payload, &secret.public(), &signature)
    }

    fn claims() -> Vec<Claim> {
        (0..40).map(|number| claim(number % 5, &[number])).collect()
    }

    #[test]
    fn many_signatures_hold_at_once_and_one_false_one_is_found() {
        let claims = claims();
        assert!(all_true(&claims) && all_true(&[]));
        for wrong in [0, 17, 39] {
            let mut claims = claims.clone();
            claims[wrong] = Claim { signer: claims[wrong].signer, ..claim(9, b"other") };
            assert!(!all_true(&claims));
            let expected: Vec<bool> = (0..40).map(|index| index != wrong).collect();
            assert_eq!(each_true(&claims), expected);
        }
    }

    #[test]
    fn keys_that_are_known_change_no_verdict() {
        let mut keys = Keys::default();
        let claims = claims();
        assert!(super::all_true(&claims[..20], &mut keys) && keys.points.len() == 5);
        assert!(super::all_true(&claims, &mut keys.of(&claims)));
        let foreign = Claim { signer: claim(1, &[0]).signer, ..claims[0].clone() };
        assert_eq!(super::each_true(&[foreign, claims[1].clone()], &mut keys), [false, true]);
        assert!(keys.of(&[claim(9, b"unknown")]).points.is_empty());
    }

    #[test]
    fn the_oldest_keys_are_forgotten_first() {
        let (mut keys, point) = (Keys::default(), ED25519_BASEPOINT_POINT);
        let key = |number: usize| {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&number.to_le_bytes());
            key
        };
        (0..KEYS_MAX + 3).for_each(|number| keys.put(key(number), point));
        assert_eq!((keys.points.len(), keys.order.len()), (KEYS_MAX, KEYS_MAX));
        assert!(!keys.points.contains_key(&key(2)) && keys.points.contains_key(&key(3)));
    }

    #[test]
    fn two_false_signatures_that_cancel_out_are_noticed() {
        let mut pair = [claim(1, b"left"), claim(1, b"right")];
        let scalar = |claim: &Claim| Scalar::from_canonical_bytes(claim.scalar).unwrap();
        let (left, right) = (scalar(&pair[0]) + Scalar::ONE, scalar(&pair[1]) - Scalar::ONE);
        (pair[0].scalar, pair[1].scalar) = (left.to_bytes(), right.to_bytes());
        assert_eq!(each_true(&pair), [false, false]);
    }

    /// The eight points of small order, in all their encodings: with A and R of small order and s = 0 every
    /// message is signed, by ZIP-215's rules. Strict verification refuses all, and some implementations
    /// some.
    #[test]
    fn one_by_one_and_all_at_once_agree_on_signatures_of_small_order() {
        let encodings = [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000080",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0000000000000000000000000000000000000000000000000000000000000080",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        ];
        let point = |text: &str| AccountKey::from_hex(text).unwrap().0;
        let mut small = Vec::new();
        for signer in encodings {
            for other in encodings {
                let mut signature = [0; 64];
                signature[..32].copy_from_slice(&point(other));
                small.push(Claim::raw(&[b"Zcash"], &point(signer), &signature));
            }
        }
        assert!(small.iter().all(Claim::is_true) && all_true(&small));
        small.extend(claims());
        assert!(all_true(&small));
    }

    #[test]
    fn a_scalar_of_the_groups_order_or_more_is_refused() {
        let good = claim(3, b"payload");
        let order = AccountKey::from_hex(
            "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010",
        );
        let mut carry = 0_u16;
        let mut scalar = good.scalar;
        for (octet, more) in scalar.iter_mut().zip(order.unwrap().0) {
            carry += u16::from(*octet) + u16::from(more);
            *octet = u8::try_from(carry & 0xff).unwrap();
            carry >>= 8;
        }
        let malleable = Claim { scalar, ..good };
        assert!(!malleable.is_true() && !all_true(&[malleable]));
    }
}
