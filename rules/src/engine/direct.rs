//! Tests that no index decides, asked of a text that is still written as in JSON.
//!
//! Most tests are asked so rarely that they are not worth a place in an index; to look for one literal needs no
//! spelling out either.

use memchr::memmem::Finder;
use regex_syntax::hir::{Hir, HirKind};

use super::literal::guard;
use super::written::{aligned, written};
use crate::predicate::Test;
use crate::text::Shape;

/// What to look for.
#[derive(Debug)]
pub(super) enum Direct {
    /// The text must be this.
    Whole(Box<[u8]>),
    /// The text must begin so.
    Begin(Box<[u8]>),
    /// The text must end so.
    End(Box<[u8]>),
    /// The text must have this inside.
    Inside(Box<Finder<'static>>),
    /// The text must have so many signs and one of these literals inside, where there are any; then the test must still
    /// be asked.
    Guard { least: usize, literals: Vec<Finder<'static>> },
}

impl Direct {
    /// What can be said of `test` without spelling out the text.
    pub(super) fn new(test: &Test) -> Option<Self> {
        if let Test::Regex(regex) = test {
            let least = regex_syntax::parse(regex.as_str()).map_or(0, |hir| least_signs(&hir));
            let literals = guard(test).unwrap_or_default();
            return Some(Self::Guard { least, literals: literals.iter().map(|text| finder(text)).collect() });
        }
        let Test::Text(pattern) = test else { return None };
        // Capitals are not told apart in folded texts.
        if pattern.cased() {
            return None;
        }
        Some(match pattern.shape() {
            Shape::Anything => Self::Begin(Box::default()),
            Shape::Exact(text) => Self::Whole(written(text).into()),
            Shape::Start(text) => Self::Begin(written(text).into()),
            Shape::End(text) => Self::End(written(text).into()),
            Shape::Inside(text) => Self::Inside(Box::new(finder(text))),
            Shape::Glob => return None,
        })
    }

    /// Whether the test holds on `text`; `None` where it must be asked.
    pub(super) fn holds(&self, text: &[u8]) -> Option<bool> {
        match self {
            Self::Whole(own) => Some(*text == **own),
            Self::Begin(own) => Some(text.starts_with(own)),
            Self::End(own) => Some(text.ends_with(own) && aligned(text, text.len() - own.len())),
            Self::Inside(own) => Some(stands(own, text)),
            Self::Guard { least, literals } => {
                // Folding leaves the number of signs as it is, and escapes only make texts longer.
                let there =
                    literals.is_empty() || literals.iter().any(|literal| literal.find(text).is_some());
                if text.len() < *least || !there { Some(false) } else { None }
            }
        }
    }
}

/// Signs that every match has at least. The parser limits how deep expressions go.
fn least_signs(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).map_or(0, |text| text.chars().count()),
        HirKind::Class(_) => 1,
        HirKind::Repetition(own) => least_signs(&own.sub).saturating_mul(own.min as usize),
        HirKind::Capture(own) => least_signs(&own.sub),
        HirKind::Concat(parts) => parts.iter().map(least_signs).fold(0, usize::saturating_add),
        HirKind::Alternation(parts) => parts.iter().map(least_signs).min().unwrap_or(0),
    }
}

fn finder(text: &str) -> Finder<'static> {
    Finder::new(&written(text)).into_owned()
}

/// True when the literal stands in `text`, and not inside of an escape.
fn stands(literal: &Finder<'_>, text: &[u8]) -> bool {
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| literal.find(rest)) {
        if aligned(text, from + found) {
            return true;
        }
        from += found + 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::glyph::parse;
    use crate::text::{Pattern, fold};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn says_what_the_test_says(value in r"\*?[an\\]{1,5}\*?", text in "[aAn\\\\\n]{0,12}") {
            let test = Test::Text(Box::new(Pattern::new(&parse(&value), false)));
            let folded = fold(&text);
            if let Some(direct) = Direct::new(&test) {
                prop_assert_eq!(direct.holds(&written(&folded)), Some(test.fits(&text, &folded)));
            }
        }

        #[test]
        fn refuses_only_what_does_not_match(
            text in "[anKſđ\\\\\n]{0,12}",
            regex in prop::sample::select(vec![r"n\\a|\na", "(?i)k{2}s?", "\u{212a}{3}|[aſ]{4,}", "đ(a|nn)+"]),
        ) {
            let regex = regex::Regex::new(regex).unwrap();
            let holds = regex.is_match(&text);
            let direct = Direct::new(&Test::Regex(regex)).unwrap();
            prop_assert!(!holds || direct.holds(&written(&fold(&text))).is_none());
        }
    }
}
