//! Events in words, as a story tells them.

use crate::judge::millis;
use crate::{Action, Direction, Impairment};

impl Action {
    /// What it does, in words with figures.
    pub fn text(&self) -> String {
        match self {
            Action::Congest { links, impairment } => {
                format!("{} {}", links_text(links), impairment_text(impairment))
            }
            Action::Fail { links } => format!("{} carries nothing", links_text(links)),
            Action::Cut { flow, .. } => format!("the path of {flow} carries nothing"),
            Action::Heal { links } => format!("{} as before", links_text(links)),
            Action::Kill { node } => format!("{node} killed (SIGKILL)"),
            Action::Stop { node } => format!("{node} told to stop"),
            Action::Pause { node } => format!("{node} frozen"),
            Action::Resume { node } => format!("{node} goes on"),
            Action::Start { node } => format!("{node} started again"),
            Action::Wipe { node } => format!("{node} lost its disk, but for its keys"),
            Action::Exec { node, command } => format!("{node}: {}", command.join(" ")),
        }
    }
}

fn links_text(links: &[Direction]) -> String {
    match links {
        [one] => format!("{} -> {}", one.from, one.to),
        [] => "no link".to_owned(),
        [there, back] if there.from == back.to && there.to == back.from => {
            format!("{} <-> {}", there.from, there.to)
        }
        many => format!("{} links", many.len()),
    }
}

fn impairment_text(impairment: &Impairment) -> String {
    let change = &impairment.change;
    let mut parts = Vec::new();
    if !impairment.add.is_zero() {
        parts.push(format!("+{}", millis(impairment.add)));
    }
    let chances = [
        ("loss", change.loss),
        ("duplication", change.duplicate),
        ("reordering", change.reorder),
        ("corruption", change.corrupt),
    ];
    for (what, chance) in chances {
        parts.extend(chance.map(|chance| format!("{what} {:.1}%", chance.fraction() * 100.0)));
    }
    parts.extend(change.jitter.map(|jitter| format!("jitter {}", millis(jitter))));
    parts.extend(change.rate.map(|rate| format!("rate {rate}")));
    parts.extend(change.mtu.map(|mtu| format!("mtu {mtu}")));
    parts.extend(change.icmp.filter(|icmp| !icmp).map(|_| "no ICMP".to_owned()));
    parts.join(", ")
}
