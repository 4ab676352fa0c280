//! Regular expressions as RE2 reads them the same, or why it does not.

use regex_syntax::hir::{Class, ClassUnicode, Hir, HirKind, Look};

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
        HirKind::Class(Class::Bytes(_)) => Err("it asks for bytes, not for text"),
        HirKind::Empty
        | HirKind::Class(Class::Unicode(_))
        | HirKind::Look(Look::Start | Look::End | Look::StartLF | Look::EndLF) => Ok(()),
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

/// The same without edges of words where the signs beside say as much: at its begin and end (an expression is only asked
/// whether it is found), and between a sign of a word and one that is none.
fn without_edges(hir: Hir) -> Hir {
    let (kind, whole) = (hir.kind().clone(), hir);
    let parts = match kind {
        HirKind::Concat(parts) => parts,
        HirKind::Alternation(parts) => {
            return Hir::alternation(parts.into_iter().map(without_edges).collect());
        }
        HirKind::Capture(capture) => return without_edges(*capture.sub),
        _ => return whole,
    };
    let Some(words) = words() else { return whole };
    let last = parts.len().saturating_sub(1);
    let beside = |at: Option<usize>, first: bool| words.side(parts.get(at?)?, first);
    let written = |(at, part): (usize, &Hir)| {
        if *part.kind() != HirKind::Look(Look::WordUnicode) {
            return part.clone();
        }
        let (before, after) = (beside(at.checked_sub(1), false), beside(at.checked_add(1), true));
        let outside = |look| Hir::alternation(vec![Hir::look(look), words.others.clone()]);
        match (before, after) {
            (None, Some(true)) if at == 0 => outside(Look::Start),
            (Some(true), None) if at == last => outside(Look::End),
            (Some(before), Some(after)) if before != after => Hir::empty(),
            _ => part.clone(),
        }
    };
    Hir::concat(parts.iter().enumerate().map(written).collect())
}

/// What the parser that gave `\b` its meaning takes for words.
struct Words {
    /// Signs of words.
    signs: ClassUnicode,
    /// A sign that is not of a word.
    others: Hir,
}

fn words() -> Option<Words> {
    let (word, others) = (regex_syntax::parse(r"\w").ok()?, regex_syntax::parse(r"\W").ok()?);
    match word.into_kind() {
        HirKind::Class(Class::Unicode(signs)) => Some(Words { signs, others }),
        _ => None,
    }
}

impl Words {
    /// Whether the first (or last) sign of what the part takes is always of a word, or never; `None` where it is now the
    /// one, now the other, or where the part may take nothing.
    fn side(&self, hir: &Hir, first: bool) -> Option<bool> {
        let end = |parts: &[Hir]| if first { parts.first().cloned() } else { parts.last().cloned() };
        match hir.kind() {
            HirKind::Literal(literal) => {
                let text = std::str::from_utf8(&literal.0).ok()?;
                let sign = if first { text.chars().next() } else { text.chars().next_back() };
                Some(regex_syntax::is_word_character(sign?))
            }
            HirKind::Class(Class::Unicode(class)) => {
                let (mut inside, mut outside) = (class.clone(), class.clone());
                inside.intersect(&self.signs);
                outside.difference(&self.signs);
                match (inside.ranges().is_empty(), outside.ranges().is_empty()) {
                    (false, true) => Some(true),
                    (true, false) => Some(false),
                    _ => None,
                }
            }
            HirKind::Repetition(repetition) if repetition.min > 0 => self.side(&repetition.sub, first),
            HirKind::Capture(capture) => self.side(&capture.sub, first),
            HirKind::Concat(parts) => self.side(&end(parts)?, first),
            HirKind::Alternation(parts) => {
                let mut sides = parts.iter().map(|part| self.side(part, first));
                let one = sides.next()??;
                sides.all(|side| side == Some(one)).then_some(one)
            }
            _ => None,
        }
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
            (r"(?i)\b(save|export)\b\s+x\b", "reg SAVE  x"),
            (r"(?i)\b(save|export)\b\s+x\b", "reg unsave x"),
            (r"a\b-\bb", "a-b"),
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
        fn edges_of_words(pattern in r"(\\b|)[aư-]{1,2}(\\b|)[aư -]?(\|\\b[aư]\\b)?", text in "[aư -]{0,8}") {
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
