//! Seeded bugs: each takes one defence away, so that a test can show that some other test notices.
//!
//! Without the feature `canary`, which only this crate's tests ask for, [`is`] is constantly false and
//! nothing of this is in the program; a debug build by `cargo test --workspace` has it, switched off.

/// A defence that can be taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canary {
    /// A ticket's pieces are rounded for itself, and not as a difference of cumulative sums.
    RoundEachTicket,
    /// Octets that were settled are settled again.
    SettleAgain,
    /// Receipts of other chains, lanes and paths are taken.
    AnyReceipt,
    /// Receipts of other prices are taken.
    AnyPrice,
    /// Statements of two boots are compared.
    BootIgnored,
    /// More than the cap pays for is settled.
    CapIgnored,
    /// What rounding leaves is nobody's.
    CarryLost,
    /// Lanes open without any weight.
    NoWeightNeeded,
    /// Dust is settled.
    DustSettled,
    /// The last block of the claim window is too late for a claim.
    WindowTooShort,
    /// A receipt and a delivery that differ settle nothing.
    OnlyIfEqual,
    /// The payer's word alone is billed.
    DeliveryIgnored,
    /// An account is in a path twice.
    PayeeTwice,
    /// Neither fees nor the infrastructure's piece are taken.
    DealForNothing,
    /// Coins that leave an account keep their vote.
    VotesStay,
    /// Coins that come to an account count as votes at once.
    FlashCounts,
    /// A vote counts from the moment it is cast.
    VoteAtOnce,
    /// Who has retired or left is not slashed.
    SlashActiveOnly,
    /// A tie goes to the higher key.
    TieToHigher,
    /// A commission changes at once.
    CommissionAtOnce,
    /// Parameters have no bounds.
    NoBounds,
    /// A pot is divided by no power.
    DivideByNone,
    /// The subsidy goes on after its last block.
    SubsidyGoesOn,
    /// More coins begin than the arithmetic is proved for.
    SupplyUnbounded,
    /// Two votes convict whatever they say.
    AnyVotesConvict,
    /// A committee can become empty.
    LastLeaves,
    /// A consensus key is taken without its consent.
    NoConsent,
    /// Half of the power decides.
    HalfDecides,
    /// A key is accepted after it was revoked.
    RevokedAccepted,
    /// A rotated key is accepted for ever.
    OverlapForever,
    /// Any state is taken from a header.
    AnyState,
    /// A voter is named twice.
    VoterTwice,
    /// A certificate is paid again.
    PaidAgain,
    /// A row that is there counts as another.
    SameAsOther,
    /// Remembered signatures count for any key.
    AnySigner,
    /// A transaction's nonce does not matter.
    AnyNonce,
}

/// Switches one bug on for this thread, or all off.
#[cfg(feature = "canary")]
pub fn choose(canary: Option<Canary>) {
    CHOSEN.set(canary);
}

/// Whether this bug is on.
#[cfg(feature = "canary")]
pub(crate) fn is(canary: Canary) -> bool {
    CHOSEN.get() == Some(canary)
}

/// Whether this bug is on: never.
#[cfg(not(feature = "canary"))]
#[inline]
pub(crate) const fn is(canary: Canary) -> bool {
    let _ = canary;
    false
}

#[cfg(feature = "canary")]
thread_local! {
    static CHOSEN: core::cell::Cell<Option<Canary>> = const { core::cell::Cell::new(None) };
}
