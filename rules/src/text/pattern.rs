//! One compiled value: plain comparison where that is enough, wildcards where it must be.

use memchr::memmem::Finder;

use super::glyph::{DASHES, Glyph, print};
use super::{any_case, fold, fold_char};

/// A value with wildcards, ready to match. Without `cased`, the text must be given folded ([`fold()`]).
#[derive(Debug, Clone)]
pub struct Pattern {
    plan: Plan,
    cased: bool,
    key: String,
}

/// How to compare; the last one can do everything, the others do the same faster.
#[derive(Debug, Clone)]
enum Plan {
    Anything,
    Exact(String),
    Start(String),
    End(String),
    Inside(Box<Finder<'static>>),
    Glob(Vec<Sign>),
}

/// The plain text that a pattern asks for, in the form in which it compares (folded unless it is cased).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape<'p> {
    /// Everything fits.
    Anything,
    /// The whole text is this.
    Exact(&'p str),
    /// The text begins so.
    Start(&'p str),
    /// The text ends so.
    End(&'p str),
    /// The text has this inside.
    Inside(&'p str),
    /// Wildcards between signs; [`Pattern::pieces`] tells what stands between them.
    Glob,
}

/// What stands between the wildcards of a pattern, in each way in which its dashes can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// A text that fits has one of them.
    pub(crate) texts: Vec<String>,
    /// The text begins with it.
    pub(crate) begins: bool,
    /// The text ends with it.
    pub(crate) ends: bool,
}

/// Most dashes that are spelled out; beyond that they are wildcards between pieces.
const MAX_DASHES: usize = 2;

/// A glyph cut down to single signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Char(char),
    One,
    Many,
    Dash,
}

impl Pattern {
    /// Compiles `glyphs`.
    pub fn new(glyphs: &[Glyph], cased: bool) -> Self {
        let ready = |text: &str| if cased { text.to_owned() } else { fold(text).into_owned() };
        let plan = match glyphs {
            [Glyph::Many] => Plan::Anything,
            [] => Plan::Exact(String::new()),
            [Glyph::Text(text)] => Plan::Exact(ready(text)),
            [Glyph::Text(text), Glyph::Many] => Plan::Start(ready(text)),
            [Glyph::Many, Glyph::Text(text)] => Plan::End(ready(text)),
            [Glyph::Many, Glyph::Text(text), Glyph::Many] => {
                Plan::Inside(Box::new(Finder::new(ready(text).as_bytes()).into_owned()))
            }
            _ => Plan::Glob(signs(glyphs, cased)),
        };
        let dashes = glyphs.iter().filter(|glyph| **glyph == Glyph::Dash).count();
        let key = format!("{}{dashes}:{}", if cased { "=" } else { "~" }, ready(&print(glyphs)));
        Self { plan, cased, key }
    }

    /// True when case matters.
    pub const fn cased(&self) -> bool {
        self.cased
    }

    /// Equal for patterns that match the same texts because they were written the same.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How it compares.
    pub(crate) fn shape(&self) -> Shape<'_> {
        match &self.plan {
            Plan::Anything => Shape::Anything,
            Plan::Exact(whole) => Shape::Exact(whole),
            Plan::Start(start) => Shape::Start(start),
            Plan::End(end) => Shape::End(end),
            // The needle was a text when it was given.
            Plan::Inside(finder) => Shape::Inside(std::str::from_utf8(finder.needle()).unwrap_or_default()),
            Plan::Glob(_) => Shape::Glob,
        }
    }

    /// The pieces between the wildcards: every text that fits has each of them.
    pub(crate) fn pieces(&self) -> Vec<Piece> {
        let Plan::Glob(signs) = &self.plan else { return Vec::new() };
        let spelled = spells(signs);
        let part = |sign: &Sign| matches!(sign, Sign::Char(_)) || (spelled && *sign == Sign::Dash);
        let runs: Vec<&[Sign]> = signs.split(|sign| !part(sign)).collect();
        let last = runs.len() - 1;
        let pieces = runs.into_iter().enumerate().map(|(at, run)| Piece {
            texts: spellings(run),
            begins: at == 0,
            ends: at == last,
        });
        pieces.filter(|piece| piece.texts.iter().all(|text| !text.is_empty())).collect()
    }

    /// The only piece, where a text fits whenever it has it.
    pub(crate) fn only_piece(&self) -> Option<Piece> {
        let Plan::Glob(signs) = &self.plan else { return None };
        let others = !spells(signs) || signs.contains(&Sign::One);
        let mut pieces = self.pieces();
        let only = pieces.pop().filter(|_| pieces.is_empty());
        only.filter(|_| !others)
    }

    /// The same as a regular expression that RE2 reads, for text that is not folded.
    pub(crate) fn regex(&self) -> String {
        let own = |text: &str| if self.cased { regex::escape(text) } else { any_case(text) };
        let body = match &self.plan {
            Plan::Glob(signs) => expression(signs, own),
            _ => match self.shape() {
                Shape::Exact(whole) => format!("\\A{}\\z", own(whole)),
                Shape::Start(start) => format!("\\A{}", own(start)),
                Shape::End(end) => format!("{}\\z", own(end)),
                Shape::Inside(inside) => own(inside),
                Shape::Anything | Shape::Glob => String::new(),
            },
        };
        format!("(?s){body}")
    }

    /// Wildcards as a regular expression for text in the form in which the pattern compares; a dot stands for any sign.
    pub(crate) fn glob(&self) -> String {
        if let Plan::Glob(signs) = &self.plan { expression(signs, regex::escape) } else { String::new() }
    }

    /// True when all that it asks for is ASCII or a wildcard, dashes apart.
    pub(crate) fn is_ascii(&self) -> bool {
        match &self.plan {
            Plan::Glob(signs) => {
                signs.iter().all(|sign| if let Sign::Char(sign) = sign { sign.is_ascii() } else { true })
            }
            _ => match self.shape() {
                Shape::Exact(text) | Shape::Start(text) | Shape::End(text) | Shape::Inside(text) => {
                    text.is_ascii()
                }
                Shape::Anything | Shape::Glob => true,
            },
        }
    }

    /// True when the whole of `text` fits.
    pub fn matches(&self, text: &str) -> bool {
        match &self.plan {
            Plan::Anything => true,
            Plan::Exact(whole) => text == whole,
            Plan::Start(start) => text.starts_with(start.as_str()),
            Plan::End(end) => text.ends_with(end.as_str()),
            Plan::Inside(finder) => finder.find(text.as_bytes()).is_some(),
            Plan::Glob(signs) => glob(signs, text),
        }
    }
}

fn signs(glyphs: &[Glyph], cased: bool) -> Vec<Sign> {
    let mut out = Vec::new();
    for glyph in glyphs {
        match glyph {
            Glyph::Text(text) => {
                out.extend(text.chars().map(|sign| Sign::Char(if cased { sign } else { fold_char(sign) })));
            }
            Glyph::One => out.push(Sign::One),
            Glyph::Many => out.push(Sign::Many),
            Glyph::Dash => out.push(Sign::Dash),
        }
    }
    out
}

fn spells(signs: &[Sign]) -> bool {
    signs.iter().filter(|sign| **sign == Sign::Dash).count() <= MAX_DASHES
}

/// All ways to write a run of signs.
fn spellings(run: &[Sign]) -> Vec<String> {
    let mut all = vec![String::new()];
    for sign in run {
        match sign {
            Sign::Dash => {
                let longer = |text: &String| DASHES.map(|dash| format!("{text}{dash}"));
                all = all.iter().flat_map(longer).collect();
            }
            Sign::Char(own) => all.iter_mut().for_each(|text| text.push(*own)),
            Sign::One | Sign::Many => {}
        }
    }
    all
}

/// Wildcards as an expression that is found where the whole text fits.
fn expression(signs: &[Sign], own: impl Fn(&str) -> String) -> String {
    let part = |sign: &Sign| match sign {
        Sign::Char(sign) => own(sign.encode_utf8(&mut [0; 4])),
        Sign::One => ".".to_owned(),
        Sign::Many => ".*".to_owned(),
        Sign::Dash => format!("[{}]", DASHES.map(|dash| format!("\\x{{{:x}}}", u32::from(dash))).concat()),
    };
    let open = |sign: Option<&Sign>| sign == Some(&Sign::Many);
    let begin = if open(signs.first()) { "" } else { "\\A" };
    let end = if open(signs.last()) { "" } else { "\\z" };
    let from = usize::from(open(signs.first()));
    let to = signs.len() - usize::from(open(signs.last()) && signs.len() > from);
    let parts: String = signs.get(from..to).unwrap_or_default().iter().map(part).collect();
    format!("{begin}{parts}{end}")
}

impl Sign {
    fn takes(self, sign: char) -> bool {
        match self {
            Self::Char(own) => own == sign,
            Self::One => true,
            Self::Dash => DASHES.contains(&sign),
            Self::Many => false,
        }
    }
}

/// Wildcard match in at most `signs * text` steps: on a mismatch only the last `*` takes one sign more.
fn glob(signs: &[Sign], text: &str) -> bool {
    let (mut at, mut rest) = (0, text);
    let mut retry: Option<(usize, &str)> = None;
    loop {
        let mut next = rest.chars();
        match (signs.get(at), next.next()) {
            (Some(Sign::Many), _) => {
                at += 1;
                if at == signs.len() {
                    return true;
                }
                retry = Some((at, rest));
            }
            (Some(sign), Some(given)) if sign.takes(given) => {
                at += 1;
                rest = next.as_str();
            }
            (None, None) => return true,
            _ => {
                let Some((again, from)) = retry else { return false };
                let mut longer = from.chars();
                if longer.next().is_none() {
                    return false;
                }
                rest = longer.as_str();
                retry = Some((again, rest));
                at = again;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::glyph::{parse, windash};
    use super::*;
    use proptest::prelude::*;

    /// The definition, written down without any care for speed.
    fn naive(signs: &[Sign], text: &[char]) -> bool {
        match (signs.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((Sign::Many, more)), None) => naive(more, text),
            (Some((Sign::Many, more)), Some((_, tail))) => naive(more, text) || naive(signs, tail),
            (Some((sign, more)), Some((first, tail))) => sign.takes(*first) && naive(more, tail),
            _ => false,
        }
    }

    fn check(value: &str, text: &str, expected: bool) {
        assert_eq!(Pattern::new(&parse(value), false).matches(&fold(text)), expected, "{value} on {text}");
    }

    #[test]
    fn wildcards() {
        check("*\\cmd.exe", "C:\\Windows\\CMD.EXE", true);
        check("a?c", "aĐc", true);
        check("a?c", "ac", false);
        check("a*b*c", "a__b__b__c", true);
        check("*", "", true);
        check("", "", true);
        check("", "x", false);
        check("?*", "", false);
        let dashed = Pattern::new(&windash(&parse("* -x*")), false);
        assert!(dashed.matches("a —x") && dashed.matches("a /x b") && !dashed.matches("a +x"));
    }

    proptest! {
        #[test]
        fn the_expression_says_the_same(value in r"[ab*?Đ.-]{0,9}", text in "[abBđ./\\n-]{0,10}", dashed: bool, cased: bool) {
            let glyphs = if dashed { windash(&parse(&value)) } else { parse(&value) };
            let pattern = Pattern::new(&glyphs, cased);
            let given = if cased { text.clone() } else { fold(&text).into_owned() };
            let regex = regex::Regex::new(&pattern.regex()).unwrap();
            prop_assert_eq!(pattern.matches(&given), regex.is_match(&text), "{} on {:?}", pattern.regex(), text);
            if pattern.shape() == Shape::Glob {
                let glob = regex::Regex::new(&format!("(?s){}", pattern.glob())).unwrap();
                prop_assert_eq!(pattern.matches(&given), glob.is_match(&given), "{} on {:?}", pattern.glob(), given);
            }
        }

        #[test]
        fn pieces_are_in_every_text_that_fits(value in r"[ab*?-]{0,9}", text in "[abB/—-]{0,10}", dashed: bool) {
            let glyphs = if dashed { windash(&parse(&value)) } else { parse(&value) };
            let pattern = Pattern::new(&glyphs, false);
            let text = fold(&text);
            let has = |piece: &Piece| piece.texts.iter().any(|own| match (piece.begins, piece.ends) {
                (true, true) => *text == *own,
                (true, false) => text.starts_with(own.as_str()),
                (false, true) => text.ends_with(own.as_str()),
                (false, false) => text.contains(own.as_str()),
            });
            let fits = pattern.matches(&text);
            prop_assert!(!fits || pattern.pieces().iter().all(has));
            if let Some(only) = pattern.only_piece() {
                prop_assert_eq!(fits, has(&only));
            }
        }

        #[test]
        fn agrees_with_the_definition(value in r"[ab*?-]{0,9}", text in "[abB/-]{0,10}", dashed: bool) {
            let glyphs = if dashed { windash(&parse(&value)) } else { parse(&value) };
            let folded = fold(&text);
            let all: Vec<char> = folded.chars().collect();
            prop_assert_eq!(
                Pattern::new(&glyphs, false).matches(&folded),
                naive(&signs(&glyphs, false), &all)
            );
        }
    }
}
