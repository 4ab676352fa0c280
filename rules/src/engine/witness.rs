//! What must be seen before a rule can hold.
//!
//! A witness of a rule is a set of things of which at least one is seen in every event on which the rule holds. Of
//! parts that must all hold the one that is seen least often is enough; of alternatives every one is needed. A rule
//! that holds on what is absent has no witness and is always asked. Only what is a witness, or supports one, has a place
//! in an index.

use super::arena::Slot;
use super::costs::Costs;
use super::tree::{Shared, Tree};
use crate::predicate::Test;

/// Something that the look at an event tells without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Seen {
    /// An indexed test may hold.
    Test(u32),
    /// One of a union's tests may hold.
    Union(u32),
    /// A field has a text.
    Text(Slot),
    /// A field is there, be it as `null`.
    Present(Slot),
}

/// What to look for, and how often it is seen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Witness {
    /// Share of the events of the route.
    pub(super) chance: f32,
    pub(super) seen: Vec<Seen>,
}

/// How often a field that a rule asks about has a text.
const PRESENCE: f32 = 0.7;

/// The best witness of `tree`.
pub(super) fn witness(tree: &Tree, shared: &Shared<'_>, costs: &Costs) -> Option<Witness> {
    let one = |seen: Seen, chance: f32| Some(Witness { chance, seen: vec![seen] });
    match tree {
        Tree::All(parts) => cheapest(parts.iter().map(|part| witness(part, shared, costs))),
        Tree::Any(parts) => together(parts.iter().map(|part| witness(part, shared, costs))),
        Tree::Not(inner) => refuted(inner, shared, costs),
        Tree::Union(union) => {
            let members = shared.unions.get(*union as usize)?;
            one(Seen::Union(*union), members.iter().map(|test| chance(*test, shared, costs)).sum())
        }
        Tree::Test(test) => {
            let asked = shared.tests.get(*test as usize)?;
            match shared.test(*test)? {
                _ if asked.indexed => one(Seen::Test(*test), chance(*test, shared, costs)),
                Test::Null => None,
                Test::Exists => one(Seen::Present(asked.slot), PRESENCE + 0.1),
                _ => one(Seen::Text(asked.slot), PRESENCE),
            }
        }
    }
}

/// The best witness of what holds where `tree` does not.
fn refuted(tree: &Tree, shared: &Shared<'_>, costs: &Costs) -> Option<Witness> {
    match tree {
        Tree::All(parts) => together(parts.iter().map(|part| refuted(part, shared, costs))),
        Tree::Any(parts) => cheapest(parts.iter().map(|part| refuted(part, shared, costs))),
        Tree::Not(inner) => witness(inner, shared, costs),
        Tree::Union(_) => None,
        Tree::Test(test) => {
            let asked = shared.tests.get(*test as usize)?;
            // The whole event is never null, so nothing needs to be there for that.
            let null = asked.field && matches!(shared.test(*test)?, Test::Null);
            null.then(|| Witness { chance: PRESENCE, seen: vec![Seen::Text(asked.slot)] })
        }
    }
}

/// Beyond this share of the events a rule is not asked before something else was seen, too.
const RARE: f32 = 0.000_5;

/// What else is to be looked for, so that a rule whose witness is seen often is mostly refused at once: of parts that
/// must all hold those that are seen least often, until all of them together are rare.
pub(super) fn support(tree: &Tree, shared: &Shared<'_>, costs: &Costs) -> Vec<Seen> {
    let Tree::All(parts) = tree else { return Vec::new() };
    let mut all: Vec<Witness> = parts.iter().filter_map(|part| witness(part, shared, costs)).collect();
    all.sort_by(|one, other| one.chance.total_cmp(&other.chance));
    let mut together = 1.0;
    let mut seen = Vec::new();
    for own in all {
        if together <= RARE || own.chance > HOT {
            break;
        }
        together *= own.chance;
        seen.extend(own.seen);
    }
    seen
}

/// What is seen in most events tells nothing.
const HOT: f32 = 0.5;

/// How often the test is expected to hold.
pub(super) fn chance(test: u32, shared: &Shared<'_>, costs: &Costs) -> f32 {
    match (shared.tests.get(test as usize), shared.test(test)) {
        (Some(asked), Some(test)) => costs.chance(asked.predicate, test),
        _ => 1.0,
    }
}

fn cheapest(all: impl Iterator<Item = Option<Witness>>) -> Option<Witness> {
    all.flatten().min_by(|one, other| one.chance.total_cmp(&other.chance))
}

fn together(all: impl Iterator<Item = Option<Witness>>) -> Option<Witness> {
    let mut sum = Witness { chance: 0.0, seen: Vec::new() };
    for one in all {
        let one = one?;
        sum.chance += one.chance;
        sum.seen.extend(one.seen);
    }
    sum.seen.sort_unstable();
    sum.seen.dedup();
    Some(sum)
}
