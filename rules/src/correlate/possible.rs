//! Conditions of correlations that nothing can satisfy: refused, because such a rule would silently do nothing.
//!
//! A condition is asked when a match was counted, so a count is never less than one.

use super::condition::{Relation, Truth};
use super::definition::Kind;

/// Most rules over which all combinations are tried.
const MAX_TRIED: usize = 12;

/// Why no number satisfies all of these; `None` where one does.
pub(super) fn numbers(all: &[(Relation, f64)], kind: Kind, rules: usize) -> Option<String> {
    let rules = f64::from(u32::try_from(rules).unwrap_or(u32::MAX));
    let (least, most) = match kind {
        Kind::EventCount | Kind::ValueCount => (1.0, f64::INFINITY),
        // Of an order no step may have been made yet.
        Kind::Temporal => (1.0, rules),
        Kind::TemporalOrdered => (0.0, rules),
        Kind::Share => (0.0, 100.0),
        Kind::Sum | Kind::Average | Kind::Percentile(_) => (f64::NEG_INFINITY, f64::INFINITY),
    };
    let fits = |number: f64| {
        number >= least && number <= most && all.iter().all(|(how, wanted)| how.holds(number, *wanted))
    };
    if candidates(all, kind.is_count()).into_iter().chain([least, most]).any(fits) {
        return None;
    }
    let range = match kind {
        Kind::EventCount | Kind::ValueCount => {
            "; it is asked when something was counted, so the count is at least 1 (that nothing comes cannot be told by a correlation)"
                .to_owned()
        }
        Kind::Temporal | Kind::TemporalOrdered => format!("; at most the {rules} rules of its list can match"),
        Kind::Share => "; a share is a number from 0 to 100".to_owned(),
        _ => String::new(),
    };
    Some(format!("its condition can never hold: no number is all of {}{range}", written(all)))
}

/// Numbers of which one satisfies the relations if any does: the thresholds, what lies next to them and between them.
fn candidates(all: &[(Relation, f64)], whole: bool) -> Vec<f64> {
    let mut thresholds: Vec<f64> = all.iter().map(|(_, wanted)| *wanted).collect();
    thresholds.sort_by(f64::total_cmp);
    let next = |at: &f64| {
        if whole { [at - 1.0, *at, at + 1.0] } else { [at - at.abs() - 1.0, *at, at + at.abs() + 1.0] }
    };
    let between = thresholds.windows(2).filter_map(|pair| match pair {
        [low, high] if !whole => Some(low + (high - low) / 2.0),
        _ => None,
    });
    thresholds.iter().flat_map(next).chain(between).collect()
}

fn written(all: &[(Relation, f64)]) -> String {
    let one = |(how, wanted): &(Relation, f64)| format!("`{}: {wanted}`", how.word());
    all.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Why no rules that match satisfy it; `None` where some do, or where they are too many to be tried.
pub(super) fn truth(truth: &Truth, rules: usize) -> Option<String> {
    if rules > MAX_TRIED || (1_u64..1 << rules).any(|present| truth.holds(present)) {
        return None;
    }
    Some("its condition can never hold, whichever of its rules match".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RELATIONS: [Relation; 6] =
        [Relation::Gt, Relation::Gte, Relation::Lt, Relation::Lte, Relation::Eq, Relation::Neq];

    proptest! {
        #[test]
        fn counts_agree_with_trying_all(given in prop::collection::vec((0_usize..6, 0_u32..8), 1..5)) {
            let all: Vec<(Relation, f64)> =
                given.iter().map(|(how, wanted)| (RELATIONS[*how], f64::from(*wanted))).collect();
            let some = (1_u32..20).any(|number| all.iter().all(|(how, wanted)| how.holds(f64::from(number), *wanted)));
            prop_assert_eq!(numbers(&all, Kind::EventCount, 1).is_none(), some, "{:?}", all);
        }

        #[test]
        fn fractions_agree_with_trying_halves(given in prop::collection::vec((0_usize..6, -4_i32..4), 1..4)) {
            let all: Vec<(Relation, f64)> =
                given.iter().map(|(how, wanted)| (RELATIONS[*how], f64::from(*wanted))).collect();
            let eighths = (-80_i32..80).map(|number| f64::from(number) / 8.0);
            let some = eighths.into_iter().any(|number| all.iter().all(|(how, wanted)| how.holds(number, *wanted)));
            prop_assert_eq!(numbers(&all, Kind::Sum, 1).is_none(), some, "{:?}", all);
        }
    }
}
