//! Every test vector of the design note on money.

use srwan_ledger::amount::Amount;
use srwan_ledger::fee::{FeeSplit, SubsidySchedule, by_largest_remainder, split};
use srwan_ledger::ticket::{Division, Terms};
use srwan_wire::id::{Height, Octets};
use srwan_wire::receipt::Price;

use crate::world::base;

fn terms(price: u64, weights: &[u32], infra_bps: u16) -> Terms {
    Terms { price: Price(price), infra_bps, weights: weights.to_vec() }
}

#[track_caller]
fn check(octets: u64, terms: &Terms, expected: (u64, u64, &[u64], u64)) {
    let (charge, infra, shares, carry) = expected;
    let expected = Division {
        charge: base(charge),
        infra: base(infra),
        shares: shares.iter().copied().map(base).collect(),
        carry: base(carry),
    };
    assert_eq!(terms.divide(Octets(octets)), Some(expected));
}

#[test]
pub fn a_gigabyte_over_three_routers_is_one_coin_and_three_times_three() {
    let shares = [3_000_000_000; 3];
    let terms = terms(10_000_000, &[1, 1, 1], 1000);
    check(1_000_000_000, &terms, (10_000_000_000, 1_000_000_000, &shares, 0));
}

#[test]
pub fn a_gigabyte_over_two_routers_is_one_coin_and_twice_four_and_a_half() {
    let shares = [4_500_000_000; 2];
    let terms = terms(10_000_000, &[1, 1], 1000);
    check(1_000_000_000, &terms, (10_000_000_000, 1_000_000_000, &shares, 0));
}

#[test]
pub fn one_receipt_step_divides_exactly() {
    let terms = terms(10_000_000, &[1, 1, 1], 1000);
    check(16_777_216, &terms, (167_772_160, 16_777_216, &[50_331_648; 3], 0));
}

#[test]
pub fn premium_weights_divide_by_weight_and_carry_one_unit() {
    let shares = [1_777_777_777, 2_962_962_963, 4_148_148_148];
    let terms = terms(10_000_000, &[3, 5, 7], 1000);
    check(987_654_321, &terms, (9_876_543_210, 987_654_321, &shares, 1));
}

#[test]
pub fn a_megabyte_at_eleven_units_carries_two() {
    check(1_000_000, &terms(11, &[1, 1, 1], 0), (11, 0, &[3, 3, 3], 2));
}

#[test]
pub fn fees_split_a_quarter_to_validators_and_odd_units_to_dividends() {
    let parts = |validators, dividends| FeeSplit {
        validators: base(validators),
        dividends: base(dividends),
    };
    assert_eq!(split(base(7), 2500), parts(1, 6));
    assert_eq!(split(base(3), 2500), parts(0, 3));
    assert_eq!(split(base(0), 2500), parts(0, 0));
}

#[test]
pub fn the_subsidy_follows_its_schedule_and_ends_with_it() {
    let blocks = 47_304_000;
    let schedule = SubsidySchedule { total: base(100_000_000_000_000_000), blocks };
    assert_eq!(schedule.at(Height(0)), Amount::ZERO);
    assert_eq!(schedule.at(Height(1)), base(2_113_986_132));
    assert_eq!(schedule.at(Height(blocks - 1)), base(2_113_986_132));
    assert_eq!(schedule.at(Height(blocks)), base(2_113_986_133));
    assert_eq!(schedule.at(Height(blocks + 1)), Amount::ZERO);
    assert_eq!(schedule.at(Height(u64::MAX)), Amount::ZERO);
}

#[test]
pub fn the_subsidy_releases_all_of_it_and_no_more() {
    let schedule = SubsidySchedule { total: base(1_000), blocks: 7 };
    let released: u64 = (0..20).map(|height| schedule.at(Height(height)).base()).sum();
    assert_eq!(released, 1_000);
}

#[test]
pub fn zero_one_and_maximal_weights_divide_for_one_to_eight_payees() {
    for n in 1..=8 {
        for weight in [1, u32::MAX] {
            let mut weights = vec![weight; n];
            weights[0] = 0;
            let divided = terms(10_000_000, &weights, 1000).divide(Octets(1_000_000_007));
            if n == 1 {
                assert_eq!(divided, None, "no one has weight");
                continue;
            }
            let divided = divided.unwrap();
            let shares: u64 = divided.shares.iter().map(|share| share.base()).sum();
            assert_eq!(divided.shares[0], Amount::ZERO);
            assert_eq!(divided.charge.base(), divided.infra.base() + shares + divided.carry.base());
            assert!(divided.carry.base() < u64::try_from(n).unwrap());
        }
    }
}

#[test]
pub fn a_charge_that_does_not_fit_is_none_rather_than_wrapped() {
    assert_eq!(terms(u64::MAX, &[1], 1000).divide(Octets(u64::MAX)), None);
}

#[test]
pub fn the_cap_pays_for_the_most_octets_whose_charge_fits() {
    for (price, cap) in [(10_000_000, 100), (11, 33), (1, 0), (u64::MAX - 1, u64::MAX), (3, 1)] {
        let terms = terms(price, &[1], 0);
        let most = terms.octets_max(base(cap));
        let charge = |octets| terms.divide(Octets(octets)).map(|division| division.charge);
        assert!(charge(most.0).unwrap() <= base(cap), "{price} {cap}");
        if most.0 < u64::MAX {
            assert!(charge(most.0 + 1).is_none_or(|more| more > base(cap)), "{price} {cap}");
        }
    }
}

#[test]
pub fn validators_are_paid_by_power_with_the_largest_remainder_first() {
    let parts = |pot, powers: &[u64]| -> Vec<u64> {
        by_largest_remainder(base(pot), powers).iter().map(|part| part.base()).collect()
    };
    assert_eq!(parts(10, &[1, 1, 1]), [4, 3, 3]);
    assert_eq!(parts(10, &[1, 2, 4]), [1, 3, 6]);
    assert_eq!(parts(7, &[0, 0]), [0, 0]);
    assert_eq!(parts(7, &[]), [0_u64; 0]);
    assert_eq!(parts(u64::MAX, &[u64::MAX, 0]), [u64::MAX, 0]);
}

#[test]
pub fn a_pot_is_divided_by_no_power_without_harm() {
    assert_eq!(by_largest_remainder(base(7), &[0, 0]), [base(0), base(0)]);
    assert_eq!(by_largest_remainder(base(7), &[]), []);
}
