//! Tests that no index decides, asked of a text that is still written as in JSON.
//!
//! Most tests are asked so rarely that they are not worth a place in an index; to look for one literal needs no
//! spelling out either.

use memchr::memmem::Finder;
use regex::Regex;
use regex_syntax::hir::{Hir, HirKind};

use super::literal::guards;
use super::run::Run;
use super::trim::shorter;
use super::written::{aligned, written};
use crate::predicate::Test;
use crate::text::{Pattern, Piece, Shape};

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
    /// One of these must say so.
    Among(Vec<Direct>),
    /// Where the text passes it, the test must still be asked.
    Guard(Box<Guard>),
}

/// What a text must have before a test is worth asking.
#[derive(Debug)]
pub(super) struct Guard {
    /// So many signs.
    least: usize,
    run: Option<Run>,
    /// One literal of each list.
    literals: Vec<Vec<Finder<'static>>>,
    /// Found in the same texts as the regular expression of the test, and sooner.
    shorter: Option<Regex>,
}

impl Direct {
    /// What can be said of `test` without spelling out the text.
    pub(super) fn new(test: &Test) -> Option<Self> {
        if let Test::Regex(regex) = test {
            return Some(Self::Guard(Box::new(Guard::of_regex(&regex_syntax::parse(regex.as_str()).ok()?))));
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
            Shape::Glob => Self::of_glob(pattern),
        })
    }

    fn of_glob(pattern: &Pattern) -> Self {
        if let Some(only) = pattern.only_piece() {
            return Self::Among(only.texts.iter().map(|text| Self::of_piece(&only, text)).collect());
        }
        let finders = |piece: Piece| piece.texts.iter().map(|text| finder(text)).collect();
        let literals = pattern.pieces().into_iter().map(finders).collect();
        Self::Guard(Box::new(Guard { least: 0, run: None, literals, shorter: None }))
    }

    fn of_piece(piece: &Piece, text: &str) -> Self {
        match (piece.begins, piece.ends) {
            (true, true) => Self::Whole(written(text).into()),
            (true, false) => Self::Begin(written(text).into()),
            (false, true) => Self::End(written(text).into()),
            (false, false) => Self::Inside(Box::new(finder(text))),
        }
    }

    /// What to ask instead of the test, of a text as it is.
    pub(super) fn instead(&self) -> Option<&Regex> {
        if let Self::Guard(guard) = self { guard.shorter.as_ref() } else { None }
    }

    /// Whether the test holds on `text`; `None` where it must be asked.
    pub(super) fn holds(&self, text: &[u8]) -> Option<bool> {
        match self {
            Self::Whole(own) => Some(*text == **own),
            Self::Begin(own) => Some(text.starts_with(own)),
            Self::End(own) => Some(text.ends_with(own) && aligned(text, text.len() - own.len())),
            Self::Inside(own) => Some(stands(own, text)),
            Self::Among(all) => Some(all.iter().any(|own| own.holds(text) == Some(true))),
            Self::Guard(guard) => {
                if guard.lets(text) {
                    None
                } else {
                    Some(false)
                }
            }
        }
    }
}

impl Guard {
    fn of_regex(regex: &Hir) -> Self {
        let finders = |literals: Vec<String>| literals.iter().map(|text| finder(text)).collect();
        let literals = guards(regex).into_iter().map(finders).collect();
        Self { least: least_signs(regex), run: Run::of_regex(regex), literals, shorter: shorter(regex) }
    }

    /// Folding leaves the number of signs as it is, and escapes only make texts longer.
    fn lets(&self, text: &[u8]) -> bool {
        text.len() >= self.least
            && self.run.as_ref().is_none_or(|run| run.stands(text))
            && self.literals.iter().all(|all| all.iter().any(|literal| literal.find(text).is_some()))
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
    use crate::text::fold;
    use crate::text::glyph::{parse, windash};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn says_what_the_test_says(
            value in r"\*?[an\\ ?*-]{1,5}\*?", text in "[aAn\\\\\n /-]{0,12}", dashed: bool,
        ) {
            let glyphs = if dashed { windash(&parse(&value)) } else { parse(&value) };
            let test = Test::Text(Box::new(Pattern::new(&glyphs, false)));
            let folded = fold(&text);
            let (direct, holds) = (Direct::new(&test).unwrap(), test.fits(&text, &folded));
            match direct.holds(&written(&folded)) {
                Some(given) => prop_assert_eq!(given, holds),
                None => prop_assert!(matches!(direct, Direct::Guard(_))),
            }
        }

        #[test]
        fn refuses_only_what_does_not_match(
            text in "[anKſđ\\\\\n]{0,12}|n?[akKA]{7,12}",
            regex in prop::sample::select(vec![r"n\\a|\na", "(?i)k{2}s?", "\u{212a}{3}|[aſ]{4,}", "đ(a|nn)+", "(?i)[a-k]{9}", "n[ak]{8,}a"]),
        ) {
            let regex = regex::Regex::new(regex).unwrap();
            let holds = regex.is_match(&text);
            let direct = Direct::new(&Test::Regex(regex)).unwrap();
            prop_assert!(!holds || direct.holds(&written(&fold(&text))).is_none());
        }
    }
}
