//! What relaying costs at this router, from the decimal text that people write to the integer that is signed.

use srwan_ledger::amount::Amount;

/// What 10^6 relayed octets cost at this router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Price {
    /// Base units per 10^6 octets.
    PerMegabyte(u64),
    /// Measures but never carries others' traffic (W94).
    Infinite,
}

/// Base units per 10^9 octets in one base unit per 10^6 octets.
const MEGABYTES_PER_GIGABYTE: u64 = 1_000;

/// Reads a price in coins per 10^9 octets, or `inf`; `None` unless it is whole base units per 10^6 octets.
pub fn parse(text: &str) -> Option<Price> {
    if text == "inf" {
        return Some(Price::Infinite);
    }
    let per_gigabyte = Amount::parse_coins(text).ok()?.base();
    let is_whole = per_gigabyte % MEGABYTES_PER_GIGABYTE == 0;
    is_whole.then_some(Price::PerMegabyte(per_gigabyte / MEGABYTES_PER_GIGABYTE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_price_is_ten_million_base_units_per_megabyte() {
        assert_eq!(parse("10"), Some(Price::PerMegabyte(10_000_000)));
        assert_eq!(parse("0.000001"), Some(Price::PerMegabyte(1)));
        assert_eq!(parse("inf"), Some(Price::Infinite));
        assert_eq!(parse("0.0000001"), None);
        assert_eq!(parse("99999999999999999999999"), None);
        assert_eq!(parse("1e3"), None);
    }
}
