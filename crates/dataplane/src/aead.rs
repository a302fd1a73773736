//! AES-256-GCM (NIST SP 800-38D), by whichever of two libraries is faster on this processor.
//!
//! Measured at 1,400 octets: with AVX-512, aws-lc-rs takes 195 ns and ring 250; without it aws-lc-rs falls back to
//! AES-NI and takes 560 ns, and ring's vector AES on AVX2 350. Both give the same octets.

use crate::crypto::{Secret, Unauthentic};
use srwan_wire::segment::AEAD_TAG_LEN;
use {aws_lc_rs::aead as aws, ring::aead as ring};

/// A nonce: the octets that NIST SP 800-38D recommends.
pub(crate) type Nonce = [u8; ring::NONCE_LEN];

/// A key with its tables.
pub(crate) enum Aes256Gcm {
    Aws(aws::LessSafeKey),
    Ring(Box<ring::LessSafeKey>),
}

impl Aes256Gcm {
    /// The key with exactly these octets.
    pub(crate) fn new(secret: &Secret) -> Self {
        if ring_is_faster() { Self::by_ring(secret) } else { Self::by_aws(secret) }
    }

    fn by_aws(secret: &Secret) -> Self {
        let key = aws::UnboundKey::new(&aws::AES_256_GCM, &**secret);
        Self::Aws(aws::LessSafeKey::new(key.expect("32 octets are an AES-256 key")))
    }

    fn by_ring(secret: &Secret) -> Self {
        let key = ring::UnboundKey::new(&ring::AES_256_GCM, &**secret);
        Self::Ring(Box::new(ring::LessSafeKey::new(key.expect("32 octets are an AES-256 key"))))
    }

    /// Encrypts `payload` in place and returns its tag.
    pub(crate) fn seal(&self, nonce: Nonce, aad: &[u8], payload: &mut [u8]) -> [u8; AEAD_TAG_LEN] {
        const SHORT: &str = "a datagram is shorter than AES-GCM's limit of 2^36 octets";
        const TAG: &str = "AES-GCM's tag has 16 octets";
        match self {
            Self::Aws(key) => {
                let (nonce, aad) = (aws::Nonce::assume_unique_for_key(nonce), aws::Aad::from(aad));
                let tag = key.seal_in_place_separate_tag(nonce, aad, payload).expect(SHORT);
                tag.as_ref().try_into().expect(TAG)
            }
            Self::Ring(key) => {
                let (nonce, aad) =
                    (ring::Nonce::assume_unique_for_key(nonce), ring::Aad::from(aad));
                let tag = key.seal_in_place_separate_tag(nonce, aad, payload).expect(SHORT);
                tag.as_ref().try_into().expect(TAG)
            }
        }
    }

    /// Decrypts `sealed` (payload and tag) in place and returns the payload's length.
    pub(crate) fn open(
        &self,
        nonce: Nonce,
        aad: &[u8],
        sealed: &mut [u8],
    ) -> Result<usize, Unauthentic> {
        let opened = match self {
            Self::Aws(key) => {
                let (nonce, aad) = (aws::Nonce::assume_unique_for_key(nonce), aws::Aad::from(aad));
                key.open_in_place(nonce, aad, sealed).ok()
            }
            Self::Ring(key) => {
                let (nonce, aad) =
                    (ring::Nonce::assume_unique_for_key(nonce), ring::Aad::from(aad));
                key.open_in_place(nonce, aad, sealed).ok()
            }
        };
        opened.map(|payload| payload.len()).ok_or(Unauthentic)
    }
}

/// Vector AES, but not what aws-lc-rs needs to use it.
#[cfg(target_arch = "x86_64")]
fn ring_is_faster() -> bool {
    let has_vector_aes = is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("vaes")
        && is_x86_feature_detected!("vpclmulqdq");
    let has_avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    has_vector_aes && !has_avx512
}

#[cfg(not(target_arch = "x86_64"))]
fn ring_is_faster() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    fn seal(key: &Aes256Gcm, payload: &[u8]) -> Vec<u8> {
        let mut sealed = payload.to_vec();
        let tag = key.seal([9; 12], b"header", &mut sealed);
        sealed.extend(tag);
        sealed
    }

    #[test]
    fn both_libraries_give_the_same_octets_and_open_each_others() {
        let secret = Zeroizing::new([7; 32]);
        let (aws, ring) = (Aes256Gcm::by_aws(&secret), Aes256Gcm::by_ring(&secret));
        for len in [0, 1, 15, 16, 17, 255, 1_400, 9_000] {
            let payload: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
            let sealed = seal(&aws, &payload);
            assert_eq!(sealed, seal(&ring, &payload), "{len} octets");
            for key in [&aws, &ring] {
                let mut opened = sealed.clone();
                assert_eq!(key.open([9; 12], b"header", &mut opened), Ok(len));
                assert_eq!(opened[..len], payload);
                let mut changed = sealed.clone();
                changed[len] ^= 1;
                assert_eq!(key.open([9; 12], b"header", &mut changed), Err(Unauthentic));
            }
        }
    }

    /// NIST's test vectors for GCM: AES-256, test case 14.
    #[test]
    fn the_standards_vector_holds() {
        let secret = Zeroizing::new([0; 32]);
        let expected = 0xcea7_403d_4d60_6b6e_074e_c5d3_baf3_9d18_u128.to_be_bytes();
        let tag = 0xd0d1_c8a7_9999_6bf0_265b_98b5_d48a_b919_u128.to_be_bytes();
        for key in [Aes256Gcm::by_aws(&secret), Aes256Gcm::by_ring(&secret)] {
            let mut payload = [0; 16];
            assert_eq!(key.seal([0; 12], b"", &mut payload), tag);
            assert_eq!(payload, expected);
        }
    }
}
