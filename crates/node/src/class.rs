//! Forwarding classes of the operator (RFC 9256 section 8.6): which packets are of one, and what it wants of paths.

use srwan_control::{CLASSES_MAX, Preference};
use srwan_dataplane::DscpSet;

/// One class: packets of these code points, to whatever endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardingClass {
    /// What people call it.
    pub name: String,
    /// Its packets. A code point is of one class at most: the first that has it.
    pub dscp: DscpSet,
    /// What it wants of paths.
    pub preference: Preference,
}

/// What control is told of the classes, in the same order.
pub(crate) fn preferences(classes: &[ForwardingClass]) -> Vec<Preference> {
    classes.iter().take(CLASSES_MAX).map(|class| class.preference).collect()
}

/// What the headend tells their packets by, in the same order.
pub(crate) fn code_points(classes: &[ForwardingClass]) -> Vec<DscpSet> {
    classes.iter().take(CLASSES_MAX).map(|class| class.dscp).collect()
}
