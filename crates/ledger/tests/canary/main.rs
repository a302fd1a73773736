//! Every attack of the design note on money has a test that notices when its defence is taken away.
//!
//! `cargo test -p srwan-ledger --test canary -- --nocapture` prints the table. Each
//! seeded bug is switched on for this thread alone, and the named test must fail; off, it must pass.

use std::panic::{AssertUnwindSafe, catch_unwind};

use srwan_ledger::canary::{Canary, choose};

#[path = "../it/attacks.rs"]
mod attacks;
#[path = "../it/dividends.rs"]
mod dividends;
#[path = "../it/fees.rs"]
mod fees;
#[path = "../it/governance.rs"]
mod governance;
#[path = "../it/headers.rs"]
mod headers;
#[path = "../it/lanes.rs"]
mod lanes;
#[path = "../it/node_keys.rs"]
mod node_keys;
#[path = "../it/proofs.rs"]
mod proofs;
#[path = "../it/registration.rs"]
mod registration;
#[path = "../it/signatures.rs"]
mod signatures;
#[path = "../it/snapshots.rs"]
mod snapshots;
#[path = "../it/transactions.rs"]
mod transactions;
#[path = "../it/validators.rs"]
mod validators;
#[path = "../it/vectors.rs"]
mod vectors;
#[path = "../it/world.rs"]
mod world;

/// An attack, the test that makes it, and the bug that takes the defence away.
struct Case {
    attack: &'static str,
    name: &'static str,
    test: fn(),
    canary: Canary,
}

macro_rules! cases {
    ($($attack:literal: $module:ident::$test:ident, $canary:ident;)*) => {
        &[$(Case {
            attack: $attack,
            name: concat!(stringify!($module), "::", stringify!($test)),
            test: $module::$test,
            canary: Canary::$canary,
        }),*]
    };
}

const CASES: &[Case] = cases![
    "split and merged tickets":
        attacks::split_and_merged_tickets_pay_the_same_in_total, RoundEachTicket;
    "replay, reorder, duplicate":
        attacks::replayed_reordered_and_duplicated_tickets_pay_once, SettleAgain;
    "duplicate in one block":
        attacks::two_tickets_for_the_same_octets_in_one_block_pay_once, SettleAgain;
    "replayed transaction": transactions::a_replayed_transaction_is_refused, AnyNonce;
    "cross-lane, cross-chain":
        attacks::a_receipt_of_another_chain_lane_path_price_or_expiry_pays_nothing, AnyReceipt;
    "price change mid-lane":
        attacks::a_receipt_of_another_chain_lane_path_price_or_expiry_pays_nothing, AnyPrice;
    "bootTime rollback": attacks::statements_of_two_boots_do_not_contradict_each_other, BootIgnored;
    "counter wrap": attacks::counters_at_the_end_of_their_range_pay_the_cap_and_no_more, CapIgnored;
    "maximal weights, n = 1..8":
        vectors::zero_one_and_maximal_weights_divide_for_one_to_eight_payees, CarryLost;
    "zero weights": lanes::a_lane_that_breaks_a_rule_is_not_opened, NoWeightNeeded;
    "dust flood": attacks::a_dust_flood_costs_the_flooder_and_not_the_lane, DustSettled;
    "withdrawal against a claim":
        attacks::a_claim_in_the_last_block_of_the_window_beats_the_refund_and_the_withdrawal,
        WindowTooShort;
    "refused last receipt":
        attacks::loss_of_a_payee_to_a_refused_last_receipt_is_what_it_served_without_one,
        OnlyIfEqual;
    "stop after receipt":
        attacks::a_payee_that_stops_after_the_receipt_is_paid_for_what_was_delivered,
        DeliveryIgnored;
    "one owner twice in a path": attacks::one_owner_is_not_twice_in_a_path, PayeeTwice;
    "self-dealing":
        attacks::self_dealing_gains_nothing_for_any_share_of_ownership_with_or_without_subsidy,
        DealForNothing;
    "validator stuffing its blocks":
        attacks::a_validator_that_stuffs_its_blocks_with_its_own_transactions_gains_nothing,
        DealForNothing;
    "flash vote": dividends::a_flash_vote_weighs_nothing, FlashCounts;
    "flash vote, cast late": dividends::a_vote_counts_from_the_epoch_after_it_was_cast, VoteAtOnce;
    "double vote by transfer":
        dividends::coins_that_move_lose_their_vote_for_the_epoch_wherever_they_go, VotesStay;
    "leave before slash, router":
        registration::leaving_before_the_slash_saves_nothing, SlashActiveOnly;
    "leave before slash, validator":
        validators::a_validator_that_leaves_before_the_slash_saves_nothing, SlashActiveOnly;
    "tie at the top-K boundary":
        dividends::only_the_heaviest_groups_are_paid_and_a_tie_goes_to_the_lower_key, TieToHigher;
    "tie at a committee's boundary":
        validators::the_heaviest_validators_are_in_and_a_tie_goes_to_the_lower_key, TieToHigher;
    "commission change mid-epoch":
        dividends::a_commission_change_in_an_epoch_counts_from_the_next, CommissionAtOnce;
    "values out of range, genesis": fees::governance_values_out_of_range_begin_no_ledger, NoBounds;
    "values out of range, governance":
        governance::governance_values_out_of_range_are_rejected, NoBounds;
    "no validators or W = 0": vectors::a_pot_is_divided_by_no_power_without_harm, DivideByNone;
    "subsidy at N-1, N, N+1":
        vectors::the_subsidy_follows_its_schedule_and_ends_with_it, SubsidyGoesOn;
    "supply at the cap":
        fees::a_genesis_that_gives_more_than_there_is_begins_no_ledger, SupplyUnbounded;
    "false conviction of a validator":
        validators::votes_that_do_not_contradict_or_are_not_the_validators_convict_no_one,
        AnyVotesConvict;
    "empty committee":
        validators::the_last_validator_cannot_leave_and_no_committee_is_ever_empty, LastLeaves;
    "another's consensus key":
        validators::a_validator_that_joins_proves_its_key_and_locks_a_bond, NoConsent;
    "too few decide":
        governance::two_thirds_or_less_change_nothing_and_a_later_word_replaces_an_earlier_one,
        HalfDecides;
    "stolen node key": node_keys::a_revoked_key_is_invalid_at_once_and_for_ever, RevokedAccepted;
    "retired node key":
        node_keys::both_keys_are_accepted_while_a_rotation_overlaps_and_then_one, OverlapForever;
    "false state in a header": snapshots::blocks_that_do_not_follow_are_not_executed, AnyState;
    "voter named twice": attacks::a_block_that_names_a_voter_twice_is_not_executed, VoterTwice;
    "certificate paid again":
        headers::a_header_never_goes_back_behind_its_parent_nor_names_itself, PaidAgain;
    "false absence of a row": proofs::a_row_that_is_there_cannot_be_shown_as_absent, SameAsOther;
    "remembered for another key":
        signatures::a_ticket_remembered_before_its_lane_was_final_is_checked_when_it_is_settled,
        AnySigner;
];

#[test]
fn every_attack_is_noticed_when_its_defence_is_gone() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let verdicts: Vec<(bool, bool)> =
        CASES.iter().map(|case| (passes(case, None), passes(case, Some(case.canary)))).collect();
    std::panic::set_hook(hook);
    println!("| attack | test | canary |\n| --- | --- | --- |");
    let mut wrong = Vec::new();
    for (case, verdict) in CASES.iter().zip(verdicts) {
        println!("| {} | `{}` | `{:?}` |", case.attack, case.name, case.canary);
        if verdict != (true, false) {
            wrong.push((case.name, case.canary, verdict));
        }
    }
    assert!(wrong.is_empty(), "(passes without, passes with the bug): {wrong:#?}");
}

fn passes(case: &Case, canary: Option<Canary>) -> bool {
    choose(canary);
    let passed = catch_unwind(AssertUnwindSafe(case.test)).is_ok();
    choose(None);
    passed
}

#[test]
fn the_documentation_has_the_whole_table() {
    let document = include_str!("../../../../docs/ledger.md");
    let missing: Vec<_> = CASES
        .iter()
        .map(|case| format!("| {} | `{}` | `{:?}` |", case.attack, case.name, case.canary))
        .filter(|row| !document.contains(row))
        .collect();
    assert!(missing.is_empty(), "docs/ledger.md lacks:\n{}", missing.join("\n"));
}
