//! Functions of ours that scripts can call: what would take many operations in Rhai, at a price that is counted.

use dongson_event::identity;
use rhai::{Array, Dynamic, Engine, FLOAT, INT, Map};

use crate::engine::charge;

/// Milliseconds of an hour and of a day.
const HOUR_MS: INT = 3_600_000;
const DAY_MS: INT = 24 * HOUR_MS;
/// Vietnam is seven hours before UTC, all year.
const VIETNAM_MS: INT = 7 * HOUR_MS;

/// Makes all of them known.
pub(crate) fn register(engine: &mut Engine) {
    engine
        .register_fn("entropy", entropy)
        .register_fn("mean", |values: &mut Array| mean(&numbers(values)))
        .register_fn("deviation", |values: &mut Array| deviation(&numbers(values)))
        .register_fn("sum", |values: &mut Array| numbers(values).iter().sum::<FLOAT>())
        .register_fn("keep_last", keep_last)
        .register_fn("keep_largest", keep_largest)
        .register_fn("decayed", decayed)
        .register_fn("hour", |at: INT| (at.saturating_add(VIETNAM_MS)).rem_euclid(DAY_MS) / HOUR_MS)
        .register_fn("weekday", weekday)
        .register_fn("print_of", print_of)
        .register_fn("base_name", base_name);
}

/// Shannon entropy of the signs of a text, in bits for each.
fn entropy(text: &str) -> FLOAT {
    charge(text.len() / 16);
    let mut counts = [0_u32; 256];
    for byte in text.bytes() {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let total = float(text.len());
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = FLOAT::from(*count) / total;
            -share * share.log2()
        })
        .sum()
}

/// The numbers of an array; what is none is left out.
fn numbers(values: &mut Array) -> Vec<FLOAT> {
    charge(values.len() / 8);
    values.iter().filter_map(number).collect()
}

#[expect(clippy::cast_precision_loss, reason = "moments and counts of scripts are below 2^53")]
fn number(value: &Dynamic) -> Option<FLOAT> {
    value.as_float().ok().or_else(|| value.as_int().ok().map(|whole| whole as FLOAT))
}

fn float(count: usize) -> FLOAT {
    FLOAT::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// The mean; 0 of nothing.
fn mean(values: &[FLOAT]) -> FLOAT {
    if values.is_empty() { 0.0 } else { values.iter().sum::<FLOAT>() / float(values.len()) }
}

/// The standard deviation; 0 of nothing.
fn deviation(values: &[FLOAT]) -> FLOAT {
    let middle = mean(values);
    let squares: Vec<FLOAT> = values.iter().map(|value| (value - middle) * (value - middle)).collect();
    mean(&squares).sqrt()
}

/// Drops what stands before the last `count` elements.
fn keep_last(values: &mut Array, count: INT) {
    let excess = values.len().saturating_sub(usize::try_from(count).unwrap_or(0));
    charge(values.len() / 8);
    values.drain(..excess);
}

/// Drops the entries with the smallest numbers until `count` are left; of equals the first by name goes first.
fn keep_largest(map: &mut Map, count: INT) {
    let excess = map.len().saturating_sub(usize::try_from(count).unwrap_or(0));
    if excess == 0 {
        return;
    }
    charge(map.len() / 4);
    let mut order: Vec<(FLOAT, rhai::ImmutableString)> =
        map.iter().map(|(name, value)| (number(value).unwrap_or(FLOAT::MIN), name.as_str().into())).collect();
    order.sort_by(|one, other| one.0.total_cmp(&other.0).then_with(|| one.1.cmp(&other.1)));
    for (_, name) in order.into_iter().take(excess) {
        map.remove(name.as_str());
    }
}

/// What is left of `value` after `elapsed` milliseconds, when half of it goes in `half_life` milliseconds.
#[expect(clippy::cast_precision_loss, reason = "a span of time, not an identity")]
fn decayed(value: FLOAT, elapsed: INT, half_life: INT) -> FLOAT {
    value * (-(elapsed.max(0) as FLOAT) / half_life.max(1) as FLOAT).exp2()
}

/// 1 for Monday to 7 for Sunday, in Vietnam.
fn weekday(at: INT) -> INT {
    // The first of January 1970 was a Thursday.
    (at.saturating_add(VIETNAM_MS).div_euclid(DAY_MS) + 3).rem_euclid(7) + 1
}

/// Twelve hexadecimal digits that stand for a text: short keys for what was seen.
fn print_of(text: &str) -> String {
    charge(text.len() / 16);
    identity::hex_of(&[text.as_bytes()]).chars().take(12).collect()
}

/// The last part of a path of either kind, in lower case.
fn base_name(path: &str) -> String {
    charge(path.len() / 16);
    path.rsplit(['/', '\\']).next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times() {
        assert!((entropy("aabb") - 1.0).abs() < 1e-12 && entropy("").abs() < 1e-12);
        assert!((deviation(&[2.0, 4.0]) - 1.0).abs() < 1e-12);
        assert!((decayed(8.0, 20, 10) - 2.0).abs() < 1e-12);
        // 2026-01-05 was a Monday; 20:00 UTC is 03:00 on Tuesday in Vietnam.
        let monday = 1_767_571_200_000;
        assert_eq!((weekday(monday), weekday(monday + 20 * HOUR_MS)), (1, 2));
        assert_eq!(weekday(INT::MIN).clamp(1, 7), weekday(INT::MIN));
        assert_eq!(base_name("C:\\Windows\\CMD.exe"), "cmd.exe");
        assert_eq!(print_of("x").len(), 12);
    }

    #[test]
    fn the_largest_stay() {
        let mut map: Map = [("a", 3), ("b", 1), ("c", 2), ("d", 1)]
            .map(|(name, number)| (name.into(), Dynamic::from_int(number)))
            .into_iter()
            .collect();
        keep_largest(&mut map, 2);
        assert!(map.len() == 2 && map.contains_key("a") && map.contains_key("c"));
        let mut list: Array = (0..5).map(Dynamic::from_int).collect();
        keep_last(&mut list, 2);
        assert_eq!(list.len(), 2);
        keep_last(&mut list, -1);
        assert_eq!(list.len(), 0);
    }
}
