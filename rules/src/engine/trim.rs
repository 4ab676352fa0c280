//! Regular expressions that only say whether something is there need not look how far it goes: `-k\s\w{1,64}( -p)?` is
//! found in the same texts as `-k\s\w`, but the longer one takes thousands of states.

use regex::Regex;
use regex_syntax::hir::{Capture, Hir, HirKind, Repetition};

/// Deepest nesting of groups that is looked into.
const MAX_DEPTH: usize = 32;

/// A shorter expression that is found in the same texts; `None` where there is none.
pub(super) fn shorter(regex: &Hir) -> Option<Regex> {
    let trimmed = trim(regex, End::First, 0);
    let trimmed = trim(&trimmed, End::Last, 0);
    if trimmed == *regex { None } else { Regex::new(&trimmed.to_string()).ok() }
}

/// Where a search may begin, or stop, at once.
#[derive(Debug, Clone, Copy)]
enum End {
    First,
    Last,
}

/// Leaves out what may be absent at this end, and repeats what stands there no more often than it must be.
fn trim(regex: &Hir, end: End, depth: usize) -> Hir {
    match regex.kind() {
        _ if depth > MAX_DEPTH => regex.clone(),
        HirKind::Capture(own) => {
            let sub = Box::new(trim(&own.sub, end, depth + 1));
            Hir::capture(Capture { sub, ..own.clone() })
        }
        HirKind::Repetition(own) if own.min == 0 => Hir::empty(),
        HirKind::Repetition(own) => Hir::repetition(Repetition { max: Some(own.min), ..own.clone() }),
        HirKind::Concat(parts) => {
            let mut parts = parts.clone();
            if matches!(end, End::First) {
                parts.reverse();
            }
            while let Some(part) = parts.pop() {
                let part = trim(&part, end, depth + 1);
                if *part.kind() != HirKind::Empty {
                    parts.push(part);
                    break;
                }
            }
            if matches!(end, End::First) {
                parts.reverse();
            }
            Hir::concat(parts)
        }
        _ => regex.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn short(regex: &str) -> Option<String> {
        shorter(&regex_syntax::parse(regex).unwrap()).map(|regex| regex.to_string())
    }

    #[test]
    fn ends_are_left_out() {
        let states = |regex: &str| short(regex).map(|text| regex_syntax::parse(&text).unwrap());
        assert_eq!(states(r"-k\s\w{1,64}(?:\s?(?:-p|-s))?"), regex_syntax::parse(r"-k\s\w").ok());
        assert_eq!(states("a*b{2,}c*d?"), regex_syntax::parse("b{2}").ok());
        for same in ["abc", "^a+$", r"\ba", "a|b*"] {
            assert_eq!(short(same), None, "{same}");
        }
    }

    const PARTS: &[&str] =
        &["a", "b?", "(a|b)+", "[ab]*?", "^", "$", "(?:ab){1,3}", "(b*a{2,})", r"\b", "c{0}"];

    proptest! {
        #[test]
        fn found_in_the_same_texts(
            parts in prop::collection::vec(prop::sample::select(PARTS), 1..5), text in "[ab -]{0,8}",
        ) {
            let regex = parts.concat();
            if let Some(short) = shorter(&regex_syntax::parse(&regex).unwrap()) {
                prop_assert_eq!(short.is_match(&text), Regex::new(&regex).unwrap().is_match(&text), "{}", short);
            }
        }
    }
}
