//! Coins as exact integers. Sums are checked; products go through `u128`.

use borsh::{BorshDeserialize, BorshSerialize};
use core::fmt;

/// Base units in one coin.
pub const BASE_PER_COIN: u64 = 1_000_000_000;

/// Basis points in the whole.
pub const BPS_WHOLE: u16 = 10_000;

/// The largest total supply: with it, every product that the rules form fits `u128`.
pub const SUPPLY_MAX: Amount = Amount(1_000_000_000_000_000_000);

/// A quantity of coins, never negative.
///
/// - **Units:** base units; one coin is 10^9.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
)]
pub struct Amount(u64);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// `base` base units.
    #[must_use]
    pub const fn from_base(base: u64) -> Self {
        Self(base)
    }

    /// `coins` whole coins, or `None` if that many do not fit.
    #[must_use]
    pub const fn from_coins(coins: u64) -> Option<Self> {
        match coins.checked_mul(BASE_PER_COIN) {
            Some(base) => Some(Self(base)),
            None => None,
        }
    }

    /// Base units.
    #[must_use]
    pub const fn base(self) -> u64 {
        self.0
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, or `None` if it does not fit.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or `None` if it would be negative.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The difference, or nothing if it would be negative.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// `self * numerator / denominator`, rounded down; `None` if it does not fit or the denominator
    /// is zero.
    #[must_use]
    pub fn fraction(self, numerator: u64, denominator: u64) -> Option<Self> {
        let product = u128::from(self.0) * u128::from(numerator);
        Self::from_u128(product.checked_div(u128::from(denominator))?)
    }

    /// The part of `bps` basis points, rounded down.
    #[must_use]
    pub fn bps(self, bps: u16) -> Option<Self> {
        self.fraction(u64::from(bps), u64::from(BPS_WHOLE))
    }

    /// `base` base units, or `None` if it does not fit.
    #[must_use]
    pub fn from_u128(base: u128) -> Option<Self> {
        u64::try_from(base).ok().map(Self)
    }

    /// The sum of all, or `None` if it does not fit.
    #[must_use]
    pub fn checked_sum<I: IntoIterator<Item = Self>>(amounts: I) -> Option<Self> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }

    /// Reads a decimal number of coins such as `20` or `0.25`.
    ///
    /// **Errors:** [`ParseAmountError`] for a sign, an exponent, more than nine decimals, or too
    /// many coins.
    pub fn parse_coins(text: &str) -> Result<Self, ParseAmountError> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(decimals) || decimals.len() > DECIMALS {
            return Err(ParseAmountError::NotADecimal);
        }
        let padded = format!("{whole}{decimals:0<DECIMALS$}");
        padded.parse().map(Self).map_err(|_| ParseAmountError::TooLarge)
    }
}

impl fmt::Display for Amount {
    /// Writes coins, without trailing zeros: `1.5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / BASE_PER_COIN, self.0 % BASE_PER_COIN);
        let decimals = format!("{rest:0DECIMALS$}");
        let decimals = decimals.trim_end_matches('0');
        let text =
            if decimals.is_empty() { whole.to_string() } else { format!("{whole}.{decimals}") };
        f.pad(&text)
    }
}

/// Why a text is no amount of coins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseAmountError {
    /// Something other than digits and one point.
    #[error("not a decimal number of coins with at most 9 decimals, such as 20 or 0.25")]
    NotADecimal,
    /// More coins than can be counted.
    #[error("more coins than the ledger can count")]
    TooLarge,
}

/// Decimals of a coin: log10 of [`BASE_PER_COIN`].
const DECIMALS: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coins_read_what_they_print() {
        for (text, base) in [
            ("0", 0),
            ("20", 20 * BASE_PER_COIN),
            ("0.25", 250_000_000),
            ("1.000000001", 1_000_000_001),
        ] {
            let amount = Amount::from_base(base);
            assert_eq!(Amount::parse_coins(text), Ok(amount));
            assert_eq!(amount.to_string(), text);
        }
    }

    #[test]
    fn a_text_that_is_no_amount_is_refused() {
        for text in ["", ".", "1.", ".5", "-1", "1e3", "1.0000000001", "0x1", " 1"] {
            assert_eq!(Amount::parse_coins(text), Err(ParseAmountError::NotADecimal), "{text}");
        }
        assert_eq!(Amount::parse_coins("18446744074"), Err(ParseAmountError::TooLarge));
    }

    #[test]
    fn arithmetic_never_wraps() {
        let most = Amount::from_base(u64::MAX);
        assert_eq!(most.checked_add(Amount::from_base(1)), None);
        assert_eq!(Amount::ZERO.checked_sub(Amount::from_base(1)), None);
        assert_eq!(most.fraction(u64::MAX, 1), None);
        assert_eq!(most.fraction(u64::MAX, u64::MAX), Some(most));
        assert_eq!(most.fraction(1, 0), None);
    }
}
