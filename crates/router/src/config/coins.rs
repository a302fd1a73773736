//! Decimal coins as people write them, in the ledger's integer base units. No floats.
//!
//! Source: design of the economics: 1 coin = 10^9 base units; a price is base units per 10^6 octets.

/// An amount of base units of the coin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct BaseUnits(pub u128);

/// What 10^6 relayed octets cost at this router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Price {
    /// Base units per 10^6 octets.
    PerMegabyte(u64),
    /// Measures but never carries others' traffic.
    Infinite,
}

/// Decimal places of a coin.
const COIN_DECIMALS: usize = 9;

/// Decimal places of a price per 10^9 octets that are whole base units per 10^6 octets.
const PRICE_DECIMALS: usize = 6;

/// Reads `12`, `0.5` or `12.000000001` coins; `None` for anything else or more than 9 decimals.
pub fn parse_coins(text: &str) -> Option<BaseUnits> {
    parse_fixed(text, COIN_DECIMALS).map(BaseUnits)
}

/// Reads a price in coins per 10^9 octets, or `inf`.
pub fn parse_price(text: &str) -> Option<Price> {
    if text == "inf" {
        return Some(Price::Infinite);
    }
    let base = parse_fixed(text, PRICE_DECIMALS)?;
    u64::try_from(base).ok().map(Price::PerMegabyte)
}

fn parse_fixed(text: &str, decimals: usize) -> Option<u128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > decimals || !digits(whole) || !digits(fraction) {
        return None;
    }
    format!("{whole}{fraction:0<decimals$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<u128>) {
        assert_eq!(parse_coins(text), expected.map(BaseUnits), "{text}");
    }

    #[test]
    fn coins_are_exact_to_the_base_unit() {
        check("20", Some(20_000_000_000));
        check("0.5", Some(500_000_000));
        check("12.000000001", Some(12_000_000_001));
        check("0.0000000001", None);
        check("-1", None);
        check("1e3", None);
        check("", None);
        check(".5", None);
    }

    #[test]
    fn the_reference_price_is_ten_million_base_units_per_megabyte() {
        assert_eq!(parse_price("10"), Some(Price::PerMegabyte(10_000_000)));
        assert_eq!(parse_price("inf"), Some(Price::Infinite));
        assert_eq!(parse_price("99999999999999999999999"), None);
        assert_eq!(parse_price("0.0000001"), None);
    }
}
