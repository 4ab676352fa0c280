//! Regular expressions as RE2 reads them the same, or why it does not.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::SqlError;

/// Most repetitions that RE2 takes.
const MAX_REPEAT: u32 = 1_000;
/// Most instructions of RE2 that an expression may need by our estimate; RE2 itself takes about 87,000.
const MAX_STEPS: u64 = 150_000;

/// The expression as RE2 reads it the same: classes written out, no flag left open.
pub(super) fn re2(pattern: &str) -> Result<String, SqlError> {
    let refuse = |reason| SqlError::Regex(pattern.chars().take(80).collect(), reason);
    let hir = regex_syntax::parse(pattern).map_err(|_| refuse("it is not read by our own parser"))?;
    let hir = without_edges(hir);
    check(&hir).map_err(refuse)?;
    if steps(&hir) > MAX_STEPS {
        return Err(refuse("it is too large for RE2"));
    }
    // What is printed has neither flags nor classes by name; a dot of ours never came to be one.
    Ok(format!("(?-s){hir}"))
}

fn check(hir: &Hir) -> Result<(), &'static str> {
    match hir.kind() {
        HirKind::Literal(literal) => {
            std::str::from_utf8(&literal.0).map(|_| ()).map_err(|_| "it asks for bytes that are no text")
        }
        HirKind::Empty | HirKind::Class(Class::Unicode(_)) => Ok(()),
        HirKind::Class(Class::Bytes(_)) => Err("it asks for bytes, not for text"),
        HirKind::Look(Look::Start | Look::End | Look::StartLF | Look::EndLF) => Ok(()),
        HirKind::Look(_) => Err("RE2 knows the edges of ASCII words alone, and no carriage returns"),
        HirKind::Repetition(repetition) => {
            if repetition.min > MAX_REPEAT || repetition.max.is_some_and(|max| max > MAX_REPEAT) {
                return Err("RE2 repeats 1000 times at most");
            }
            check(&repetition.sub)
        }
        HirKind::Capture(capture) => check(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().try_for_each(check),
    }
}

/// About how many instructions RE2 needs.
fn steps(hir: &Hir) -> u64 {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len() as u64,
        HirKind::Class(class) => match class {
            Class::Unicode(class) => 2 * class.ranges().len() as u64,
            Class::Bytes(class) => class.ranges().len() as u64,
        },
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min + 1).max(1);
            steps(&repetition.sub).saturating_mul(u64::from(times)).saturating_add(1)
        }
        HirKind::Capture(capture) => steps(&capture.sub).saturating_add(2),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().fold(1, |sum, part| sum.saturating_add(steps(part)).saturating_add(1))
        }
    }
}

/// The same without edges of words at its begin and end, where a sign or an end beside says as much: an expression is
/// only asked whether it is found.
fn without_edges(hir: Hir) -> Hir {
    let (kind, whole) = (hir.kind().clone(), hir);
    let mut parts = match kind {
        HirKind::Concat(parts) => parts,
        HirKind::Alternation(parts) => {
            return Hir::alternation(parts.into_iter().map(without_edges).collect());
        }
        HirKind::Capture(capture) => return without_edges(*capture.sub),
        _ => return whole,
    };
    let edge = |part: Option<&Hir>| part.is_some_and(|part| *part.kind() == HirKind::Look(Look::WordUnicode));
    if edge(parts.first()) && parts.get(1).is_some_and(|next| first_is_word(next, true)) {
        if let Some(first) = parts.first_mut() {
            *first = Hir::alternation(vec![Hir::look(Look::Start), other_than_word()]);
        }
    }
    let before = parts.len().checked_sub(2).and_then(|at| parts.get(at));
    if edge(parts.last()) && before.is_some_and(|before| first_is_word(before, false)) {
        if let Some(last) = parts.last_mut() {
            *last = Hir::alternation(vec![Hir::look(Look::End), other_than_word()]);
        }
    }
    Hir::concat(parts)
}

/// A sign that is not of a word.
fn other_than_word() -> Hir {
    // Read by the same parser that gave `\b` its meaning.
    regex_syntax::parse(r"\W").unwrap_or_else(|_| Hir::fail())
}

/// True when the part is never empty and its first (or last) sign is always of a word.
fn first_is_word(hir: &Hir, first: bool) -> bool {
    let end = |parts: &[Hir]| if first { parts.first().cloned() } else { parts.last().cloned() };
    match hir.kind() {
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).is_ok_and(|text| {
            let sign = if first { text.chars().next() } else { text.chars().next_back() };
            sign.is_some_and(|sign| regex_syntax::is_word_character(sign))
        }),
        HirKind::Class(Class::Unicode(class)) => {
            let signs = |range: &regex_syntax::hir::ClassUnicodeRange| range.start()..=range.end();
            let count: usize = class.iter().map(|range| signs(range).count()).sum();
            count > 0
                && count < 200_000
                && class.iter().flat_map(signs).all(regex_syntax::is_word_character)
        }
        HirKind::Repetition(repetition) => repetition.min > 0 && first_is_word(&repetition.sub, first),
        HirKind::Capture(capture) => first_is_word(&capture.sub, first),
        HirKind::Concat(parts) => end(parts).is_some_and(|part| first_is_word(&part, first)),
        HirKind::Alternation(parts) => {
            !parts.is_empty() && parts.iter().all(|part| first_is_word(part, first))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn same(pattern: &str, text: &str) {
        let ours = regex::Regex::new(pattern).unwrap().is_match(text);
        let printed = re2(pattern).unwrap();
        // Rust reads what is printed as RE2 does: there is nothing left in which they differ.
        assert_eq!(ours, regex::Regex::new(&printed).unwrap().is_match(text), "{pattern} on {text:?}");
    }

    #[test]
    fn expressions_keep_their_meaning() {
        for (pattern, text) in [
            ("a.c", "a\nc"),
            (r"^\d+$", "٣"),
            (r"(?i)straße|x{2,}", "STRAẞE"),
            (r"[\w-]+\.exe", "ư-1.exe"),
            (r"\bcat\b", "a cat"),
            (r"\bcat\b", "concat"),
            (r"\bcat\b", "ưcat"),
            (r"\b(cat|dog)", "ưdog dog"),
            (r"\w+\b", "x"),
        ] {
            same(pattern, text);
        }
        assert!(!re2(r"\bcat\b").unwrap().contains(r"\b"));
    }

    #[test]
    fn what_re2_reads_otherwise_is_refused() {
        for pattern in [r"a\bx", r"\b-x", "x{1001}", r"(?-u:\w)", r"(\w{90}){10}", "(?Rm)x$", r"\Bx"] {
            assert!(re2(pattern).is_err(), "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn edges_of_words(pattern in r"(\\b|)[aư-]{1,2}(\\b|)(\|\\b[aư]\\b)?", text in "[aư -]{0,8}") {
            if re2(&pattern).is_ok() {
                same(&pattern, &text);
            }
        }

        #[test]
        fn any_expression_is_taken(pattern in r"[ab\\wd.*+?()\[\]|^${}0-9,bB-]{0,20}") {
            drop(re2(&pattern));
        }
    }
}
