//! Join tokens: each lets one router in, once.
//!
//! Only digests are kept, so a stolen database holds no usable token. A spent token remembers whose
//! it was, so that a router whose answer was lost can ask again.

use std::collections::BTreeMap;

use srwan_wire::id::NodeKey;
use srwan_wire::time::Timestamp;

/// Tokens kept at once: enough for every router of a hundred full groups.
pub const TOKENS_MAX: usize = 10_000;

/// The digest by which a token is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenDigest(pub [u8; 32]);

impl TokenDigest {
    /// The digest of a token as the operator wrote it, without surrounding white space.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(blake3::derive_key("srwan join token v1", token.trim().as_bytes()))
    }
}

/// What became of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// It lets one router in.
    Open {
        /// By the controller's clock; `None` = until it is spent.
        expires: Option<Timestamp>,
    },
    /// It let this router in.
    Spent {
        /// Whom.
        by: NodeKey,
    },
}

/// Why a token lets nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Never issued, or forgotten.
    #[error("the join token is not known")]
    Unknown,
    /// Another router used it.
    #[error("the join token has been used")]
    Spent,
    /// Its time has passed.
    #[error("the join token has expired")]
    Expired,
    /// [`TOKENS_MAX`] tokens are held.
    #[error("there are too many join tokens ({TOKENS_MAX})")]
    TooMany,
}

/// All tokens that were issued, by digest.
#[derive(Clone, Debug, Default)]
pub struct JoinTokens {
    tokens: BTreeMap<TokenDigest, TokenState>,
}

impl JoinTokens {
    /// Takes over a token and what became of it, as it was stored.
    pub fn restore(&mut self, digest: TokenDigest, state: TokenState) {
        self.tokens.insert(digest, state);
    }

    /// Issues a token; says whether it was not known before.
    ///
    /// A known token keeps its state: a spent one does not open again because its file is read
    /// again.
    ///
    /// # Errors
    /// [`TokenError::TooMany`].
    pub fn issue(
        &mut self,
        digest: TokenDigest,
        expires: Option<Timestamp>,
    ) -> Result<bool, TokenError> {
        if self.tokens.contains_key(&digest) {
            return Ok(false);
        }
        if self.tokens.len() >= TOKENS_MAX {
            return Err(TokenError::TooMany);
        }
        self.tokens.insert(digest, TokenState::Open { expires });
        Ok(true)
    }

    /// Says whether the token would let this router in.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, digest: TokenDigest, now: Timestamp) -> Result<(), TokenError> {
        match self.tokens.get(&digest) {
            None => Err(TokenError::Unknown),
            Some(TokenState::Spent { .. }) => Err(TokenError::Spent),
            Some(TokenState::Open { expires: Some(expires) }) if *expires <= now => {
                Err(TokenError::Expired)
            }
            Some(TokenState::Open { .. }) => Ok(()),
        }
    }

    /// Spends a token that [`JoinTokens::check`] has just accepted.
    pub fn spend(&mut self, digest: TokenDigest, by: NodeKey) {
        self.tokens.insert(digest, TokenState::Spent { by });
    }

    /// Says whether the token is known, whatever its state.
    #[must_use]
    pub fn is_known(&self, digest: TokenDigest) -> bool {
        self.tokens.contains_key(&digest)
    }

    /// How many tokens can still be used, were it this time.
    #[must_use]
    pub fn open_count(&self, now: Timestamp) -> usize {
        self.tokens.keys().filter(|digest| self.check(**digest, now).is_ok()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(setup: impl FnOnce(&mut JoinTokens), at: u64, expected: Result<(), TokenError>) {
        let mut tokens = JoinTokens::default();
        setup(&mut tokens);
        assert_eq!(tokens.check(TokenDigest::of("t"), Timestamp::from_nanos(at)), expected);
    }

    #[test]
    fn a_token_opens_once_and_in_time() {
        let digest = TokenDigest::of(" t\n");
        let expires = Some(Timestamp::from_nanos(10));
        check(|_| (), 0, Err(TokenError::Unknown));
        check(|t| assert_eq!(t.issue(digest, None), Ok(true)), u64::MAX, Ok(()));
        check(|t| assert_eq!(t.issue(digest, expires), Ok(true)), 9, Ok(()));
        check(|t| assert_eq!(t.issue(digest, expires), Ok(true)), 10, Err(TokenError::Expired));
        check(|t| t.spend(digest, NodeKey([1; 32])), 0, Err(TokenError::Spent));
    }

    #[test]
    fn issuing_a_spent_token_again_does_not_open_it() {
        let digest = TokenDigest::of("t");
        let reissue = |t: &mut JoinTokens| {
            t.spend(digest, NodeKey([1; 32]));
            assert_eq!(t.issue(digest, None), Ok(false));
        };
        check(reissue, 0, Err(TokenError::Spent));
    }

    #[test]
    fn the_number_of_tokens_is_bounded() {
        let mut tokens = JoinTokens::default();
        for i in 0..TOKENS_MAX {
            assert_eq!(tokens.issue(TokenDigest::of(&i.to_string()), None), Ok(true));
        }
        assert_eq!(tokens.issue(TokenDigest::of("more"), None), Err(TokenError::TooMany));
        assert_eq!(tokens.open_count(Timestamp::default()), TOKENS_MAX);
    }
}
