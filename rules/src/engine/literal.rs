//! What a text must hold so that a test can be true: literals that an index can look for.
//!
//! All literals are folded. A folded text has the folded literal wherever the text as it is has the literal, because
//! folding goes sign by sign; so what is found here is necessary for cased tests and regular expressions, too.

use regex_syntax::hir::{Class, Hir, HirKind};

use crate::predicate::Test;
use crate::text::{Pattern, Piece, Shape, fold, fold_char};

/// Shortest literal in bytes that is looked for inside of texts by its rarest part.
pub(super) const SHORTEST: usize = 4;
/// Shortest literal in bytes that is looked for inside of texts at all.
const LEAST: usize = 2;
/// Signs that are as rare in logs as three others in a row; they are looked for by themselves.
const RARE: &str = "`{}^~|$";
/// Most parts of a regular expression whose literals are looked for before it is asked.
const MAX_GUARDS: usize = 6;
/// Most literals that stand for one regular expression.
const MAX_LITERALS: usize = 16;
/// Longest literal in bytes that is taken from a regular expression.
const MAX_LITERAL_BYTES: usize = 128;
/// Deepest nesting of a regular expression that is looked into.
const MAX_DEPTH: usize = 32;

/// Where a literal must stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Needle {
    Exact(String),
    Start(String),
    End(String),
    /// At least [`LEAST`] bytes.
    Inside(String),
}

/// Literals of which a text must have at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Required {
    pub(super) needles: Vec<Needle>,
    /// The test holds on every text that has one; otherwise the test must still be asked.
    pub(super) certain: bool,
}

/// The literals of `test`; `None` where it has none that is long enough.
pub(super) fn required(test: &Test) -> Option<Required> {
    match test {
        Test::Text(pattern) => {
            let folded = |text: &str| if pattern.cased() { fold(text).into_owned() } else { text.to_owned() };
            let needle = match pattern.shape() {
                Shape::Anything => return None,
                Shape::Exact(text) => Needle::Exact(folded(text)),
                Shape::Start(text) => Needle::Start(folded(text)),
                Shape::End(text) => Needle::End(folded(text)),
                Shape::Inside(text) => inside(folded(text))?,
                Shape::Glob => return of_glob(pattern),
            };
            Some(Required { needles: vec![needle], certain: !pattern.cased() })
        }
        // Numbers that are written otherwise are found beside the index.
        Test::Number { text, .. } => Some(Required {
            needles: vec![Needle::Exact(fold(text).into_owned())],
            certain: text.bytes().all(|byte| byte.is_ascii_digit()),
        }),
        Test::Regex(regex) => {
            let literals = [SHORTEST, LEAST].iter().find_map(|least| of_regex(regex.as_str(), *least))?;
            Some(Required { needles: literals.into_iter().map(Needle::Inside).collect(), certain: false })
        }
        _ => None,
    }
}

fn inside(text: String) -> Option<Needle> {
    (text.len() >= LEAST).then_some(Needle::Inside(text))
}

/// What wildcards leave of a pattern: the piece that is likely to be rarest.
fn of_glob(pattern: &Pattern) -> Option<Required> {
    let certain = !pattern.cased() && pattern.only_piece().is_some();
    let usable = |piece: &Piece| {
        piece.begins || piece.ends || piece.texts.iter().all(|text| fold(text).len() >= LEAST)
    };
    let best = pattern.pieces().into_iter().filter(usable).max_by_key(weight)?;
    let needle = |text: &String| {
        let text = fold(text).into_owned();
        match (best.begins, best.ends) {
            (true, true) => Needle::Exact(text),
            (true, false) => Needle::Start(text),
            (false, true) => Needle::End(text),
            (false, false) => Needle::Inside(text),
        }
    };
    Some(Required { needles: best.texts.iter().map(needle).collect(), certain })
}

/// How much a piece tells: its signs, less the extension that most programs have.
fn weight(piece: &Piece) -> usize {
    let own = |text: &String| {
        let bare = text.strip_suffix(".exe").or_else(|| text.strip_suffix(".dll"));
        bare.unwrap_or(text).chars().count()
    };
    piece.texts.iter().map(own).min().unwrap_or(0)
}

/// Lists of literals; a folded text must have one of each list before the regular expression can hold on it.
pub(super) fn guards(regex: &Hir) -> Vec<Vec<String>> {
    let reach = Reach { least: 1, depth: 0 };
    let mut all: Vec<Vec<String>> = of_hir(regex, reach).into_iter().collect();
    let mut whole = regex;
    while let HirKind::Capture(capture) = whole.kind() {
        whole = &capture.sub;
    }
    if let HirKind::Concat(parts) = whole.kind() {
        for own in parts.iter().filter_map(|part| of_hir(part, reach)) {
            if !all.contains(&own) {
                all.push(own);
            }
        }
    }
    // First what is looked for most quickly.
    all.sort_by_key(|literals| (literals.len(), literals.iter().all(|literal| literal.len() > 1)));
    all.truncate(MAX_GUARDS);
    all
}

fn of_regex(regex: &str, least: usize) -> Option<Vec<String>> {
    of_hir(&regex_syntax::parse(regex).ok()?, Reach { least, depth: 0 })
}

/// How short literals may be, and how deep we are.
#[derive(Debug, Clone, Copy)]
struct Reach {
    least: usize,
    depth: usize,
}

impl Reach {
    const fn deeper(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }

    /// How good a set of literals is: long ones, and few of them.
    fn worth(self, literals: &[String]) -> Option<usize> {
        let rare = |literal: &str| literal.len() == 1 && RARE.contains(literal);
        let length = |literal: &String| if rare(literal) { 3 } else { literal.len() };
        let shortest = literals.iter().map(length).min()?;
        (shortest >= self.least).then(|| (shortest.min(12) * 4 + MAX_LITERALS).saturating_sub(literals.len()))
    }

    fn better(self, one: Option<Vec<String>>, other: Vec<String>) -> Option<Vec<String>> {
        match one {
            Some(one) if self.worth(&one) >= self.worth(&other) => Some(one),
            one => self.worth(&other).map(|_| other).or(one),
        }
    }
}

/// Literals of which every match of `hir` has at least one.
fn of_hir(hir: &Hir, reach: Reach) -> Option<Vec<String>> {
    if reach.depth > MAX_DEPTH {
        return None;
    }
    if let Some(all) = exact(hir, reach.depth)
        && reach.worth(&all).is_some()
    {
        return Some(all);
    }
    match hir.kind() {
        HirKind::Capture(capture) => of_hir(&capture.sub, reach.deeper()),
        HirKind::Repetition(repetition) if repetition.min > 0 => of_hir(&repetition.sub, reach.deeper()),
        HirKind::Alternation(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(of_hir(part, reach.deeper())?);
            }
            all.sort();
            all.dedup();
            (all.len() <= MAX_LITERALS).then_some(all)
        }
        HirKind::Concat(parts) => of_row(parts, reach),
        _ => None,
    }
}

/// The best literals among runs of parts that stand for few texts, and among the parts themselves.
fn of_row(parts: &[Hir], reach: Reach) -> Option<Vec<String>> {
    let (mut best, mut run) = (None, vec![String::new()]);
    for part in parts {
        let joined = exact(part, reach.depth + 1).and_then(|tails| joined(&run, &tails));
        if let Some(longer) = joined {
            run = longer;
            continue;
        }
        best = reach.better(best, std::mem::replace(&mut run, vec![String::new()]));
        match exact(part, reach.depth + 1) {
            Some(all) if all.len() <= MAX_LITERALS => run = all,
            _ => {
                if let Some(own) = of_hir(part, reach.deeper()) {
                    best = reach.better(best, own);
                }
            }
        }
    }
    reach.better(best, run)
}

/// Every head with every tail; `None` where that is too much.
fn joined(heads: &[String], tails: &[String]) -> Option<Vec<String>> {
    let longest = |texts: &[String]| texts.iter().map(String::len).max().unwrap_or(0);
    if heads.len() * tails.len() > MAX_LITERALS || longest(heads) + longest(tails) > MAX_LITERAL_BYTES {
        return None;
    }
    Some(heads.iter().flat_map(|head| tails.iter().map(move |tail| format!("{head}{tail}"))).collect())
}

/// All texts that `hir` can match, folded, where these are few.
fn exact(hir: &Hir, depth: usize) -> Option<Vec<String>> {
    if depth > MAX_DEPTH {
        return None;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(vec![String::new()]),
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            (text.len() <= MAX_LITERAL_BYTES).then(|| vec![fold(text).into_owned()])
        }
        HirKind::Class(class) => signs(class),
        HirKind::Capture(capture) => exact(&capture.sub, depth + 1),
        HirKind::Concat(parts) => parts.iter().try_fold(vec![String::new()], |heads, part| {
            let tails = exact(part, depth + 1)?;
            joined(&heads, &tails)
        }),
        HirKind::Alternation(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(exact(part, depth + 1)?);
            }
            all.sort();
            all.dedup();
            (all.len() <= MAX_LITERALS).then_some(all)
        }
        HirKind::Repetition(repetition) => {
            let one = exact(&repetition.sub, depth + 1)?;
            match (repetition.min, repetition.max?) {
                (0, 1) => {
                    let mut all = one;
                    all.push(String::new());
                    (all.len() <= MAX_LITERALS).then_some(all)
                }
                (min, max) if min == max && max <= 8 => {
                    (0..max).try_fold(vec![String::new()], |heads, _| joined(&heads, &one))
                }
                _ => None,
            }
        }
    }
}

/// The signs of a class, folded, each once.
fn signs(class: &Class) -> Option<Vec<String>> {
    let Class::Unicode(class) = class else { return None };
    let mut all: Vec<char> = Vec::new();
    for range in class.ranges() {
        if u32::from(range.end()) - u32::from(range.start()) > 64 {
            return None;
        }
        all.extend((range.start()..=range.end()).map(fold_char));
    }
    all.sort_unstable();
    all.dedup();
    (all.len() <= MAX_LITERALS).then(|| all.into_iter().map(String::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Pattern;
    use crate::text::glyph::parse;
    use proptest::prelude::*;
    use regex::Regex;

    fn check(regex: &str, expected: &[&str]) {
        let given = required(&Test::Regex(Regex::new(regex).unwrap()));
        let texts: Vec<String> = given.map_or_else(Vec::new, |given| {
            given
                .needles
                .into_iter()
                .map(|needle| if let Needle::Inside(text) = needle { text } else { String::new() })
                .collect()
        });
        assert_eq!(texts, expected, "{regex}");
    }

    #[test]
    fn literals_of_regular_expressions() {
        check(r"(?i)Invoke-Mimi[kc]atz\s+", &["invoke-mimicatz", "invoke-mimikatz"]);
        check(r"\d{3}(certutil|bitsadmin)\.exe$", &["bitsadmin.exe", "certutil.exe"]);
        check(r"(abc)?[0-9]+", &[]);
        check(r"a.*longer.*b", &["longer"]);
        check(r"(x|longer)", &[]);
        check(r"(?:abcd){2}", &["abcdabcd"]);
        check(r"[a-z]{9}", &[]);
    }

    #[test]
    fn guards_may_be_short() {
        for (regex, expected) in [
            (r"\w+`(\w+|-|.)`[\w+|\s]", "`"),
            (r"\s-O\s", "-o"),
            (r"a?b?", ""),
            (r#""(?:\{\d\})+"\s*-f"#, "{ \" -f"),
        ] {
            let given = guards(&regex_syntax::parse(regex).unwrap());
            let given: Vec<String> = given.iter().map(|literals| literals.concat()).collect();
            assert_eq!(given.join(" "), expected, "{regex}");
        }
    }

    const PARTS: &[&str] = &[
        "abcd",
        "[ab]c",
        "x?",
        "\\.",
        "[a-c]{1,2}",
        "(?i:ABC)",
        "d{2}",
        "e+",
        "(abca|bcda|ca)",
        ".",
        ".*",
        "(ab)*",
        "(abcd)+",
        "[^a]",
        "^",
        "A",
    ];

    proptest! {
        #[test]
        fn every_match_has_a_literal(
            parts in prop::collection::vec(prop::sample::select(PARTS), 1..6),
            text in "[abcdxeABC.]{0,24}",
        ) {
            let regex = Regex::new(&parts.concat()).unwrap();
            for guard in guards(&regex_syntax::parse(regex.as_str()).unwrap()) {
                let there = guard.iter().any(|literal| fold(&text).contains(literal.as_str()));
                prop_assert!(there || !regex.is_match(&text), "{:?}", guard);
            }
            if let Some(required) = required(&Test::Regex(regex.clone()))
                && regex.is_match(&text)
            {
                let folded = fold(&text);
                let has = required.needles.iter().any(|needle| matches!(needle, Needle::Inside(literal) if folded.contains(literal.as_str())));
                prop_assert!(has, "{:?}", required);
            }
        }

        #[test]
        fn every_fitting_text_has_the_piece(value in r"[ab*?]{0,4}[abcA]{4,6}[ab*?]{0,4}", text in "[abcA]{0,12}", cased: bool) {
            let test = Test::Text(Box::new(Pattern::new(&parse(&value), cased)));
            let folded = fold(&text);
            if let Some(required) = required(&test) {
                let has = required.needles.iter().any(|needle| match needle {
                    Needle::Exact(literal) => *folded == **literal,
                    Needle::Start(literal) => folded.starts_with(literal.as_str()),
                    Needle::End(literal) => folded.ends_with(literal.as_str()),
                    Needle::Inside(literal) => folded.contains(literal.as_str()),
                });
                let fits = test.fits(&text, &folded);
                prop_assert!(has || !fits, "{:?}", required);
                prop_assert!(fits || !has || !required.certain, "{:?}", required);
            }
        }
    }
}
