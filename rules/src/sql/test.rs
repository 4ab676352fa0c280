//! What a test asks of an array of texts, in SQL.
//!
//! Case is ignored by RE2's simple folding, which is the folding of [`crate::text::fold`] (a unit test compares them
//! sign by sign); only where two fields are compared both are folded, sign by sign.

use std::sync::LazyLock;

use ipnet::IpNet;
use regex_syntax::hir::{Hir, HirKind, Look};

use super::SqlError;
use super::place::literal;
use crate::predicate::{Affix, Test};
use crate::sigma::modifier::Order;
use crate::text::fold_char;

/// Most texts of one field that are compared with those of another, as in the engine.
const MAX_REFERRED: usize = 256;
/// Most repetitions that RE2 takes.
const MAX_REPEAT: u32 = 1_000;
/// A number as Rust reads it.
const NUMBER: &str = "'(?i)^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)(e[+-]?[0-9]+)?$'";
/// An IPv4 address without leading zeros.
const IPV4: &str =
    "'^((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])[.]){3}(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])$'";

/// True when any of `texts` fits.
pub(super) fn holds(test: &Test, texts: &str) -> Result<String, SqlError> {
    let any = |condition: String| format!("arrayExists(x -> {condition}, {texts})");
    Ok(match test {
        Test::Text(pattern) => any(format!("match(x, {})", literal(&pattern.regex()))),
        Test::Number { text, number } => any(number_is(text, *number)),
        Test::Compare { order, number } => {
            let sign = match order {
                Order::Lt => "<",
                Order::Lte => "<=",
                Order::Gt => ">",
                Order::Gte => ">=",
            };
            any(format!(
                "match({TRIMMED}, {NUMBER}) AND toFloat64OrZero({TRIMMED}) {sign} {}",
                float(*number)
            ))
        }
        Test::Regex(regex) => any(format!("match(x, {})", literal(&re2(regex.as_str())?))),
        Test::Cidr(net) => any(inside(net)),
        Test::Part { .. } => return Err(SqlError::Moment),
        // Asked without texts, by the writer.
        Test::Null | Test::Exists | Test::FieldRef { .. } => "false".to_owned(),
    })
}

const TRIMMED: &str = "replaceRegexpAll(x, '^[\\\\s\\\\pZ]+|[\\\\s\\\\pZ]+$', '')";

fn float(number: f64) -> String {
    format!("toFloat64({})", literal(&number.to_string()))
}

/// Whole numbers as text, fractions as floats: as the engine does.
fn number_is(text: &str, number: f64) -> String {
    let fraction = if text.contains(['.', 'e', 'E']) { "true" } else { "match(x, '[.eE]')" };
    format!(
        "(x = {} OR ({fraction} AND match({TRIMMED}, {NUMBER}) AND abs(toFloat64OrZero({TRIMMED}) - {}) < {}))",
        literal(text),
        float(number),
        float(f64::EPSILON)
    )
}

fn inside(net: &IpNet) -> String {
    let range = literal(&net.to_string());
    match net {
        IpNet::V4(_) => {
            format!("isIPAddressInRange(if(match({TRIMMED}, {IPV4}), {TRIMMED}, '::'), {range})")
        }
        IpNet::V6(_) => format!(
            "(isIPv6String({TRIMMED}) AND isIPAddressInRange(if(isIPv6String({TRIMMED}), {TRIMMED}, '0.0.0.0'), {range}))"
        ),
    }
}

/// True when any text is one of these, whose case was folded.
pub(super) fn is_one_of(texts: &str, values: &[&String]) -> String {
    let values: Vec<String> = values.iter().map(|value| regex::escape(value)).collect();
    let pattern = format!("(?is)\\A(?:{})\\z", values.join("|"));
    format!("arrayExists(x -> match(x, {}), {texts})", literal(&pattern))
}

/// Signs that fold to another, and what they fold to.
static FOLDS: LazyLock<(String, String)> = LazyLock::new(|| {
    ('\0'..=char::MAX).map(|sign| (sign, fold_char(sign))).filter(|(sign, folded)| sign != folded).unzip()
});

/// True when any text of `one` stands to any of `other` as `affix` says.
pub(super) fn refers(one: &str, other: &str, affix: Affix, cased: bool) -> String {
    let ready = |texts: &str| {
        let few = format!("arraySlice({texts}, 1, {MAX_REFERRED})");
        if cased {
            return few;
        }
        let (from, to) = &*FOLDS;
        format!("arrayMap(x -> translateUTF8(x, {}, {}), {few})", literal(from), literal(to))
    };
    let relation = match affix {
        Affix::Whole => "x = y",
        Affix::Start => "startsWith(x, y)",
        Affix::End => "endsWith(x, y)",
        Affix::Inside => "position(x, y) > 0",
    };
    format!("arrayExists(x -> arrayExists(y -> {relation}, {}), {})", ready(other), ready(one))
}

/// The expression as RE2 reads it the same: classes written out, no flag left open.
fn re2(pattern: &str) -> Result<String, SqlError> {
    let refuse = |reason| SqlError::Regex(pattern.chars().take(80).collect(), reason);
    let hir = regex_syntax::parse(pattern).map_err(|_| refuse("it is not read by our own parser"))?;
    check(&hir).map_err(refuse)?;
    // What is printed has neither flags nor classes by name; a dot of ours never came to be one.
    Ok(format!("(?-s){hir}"))
}

fn check(hir: &Hir) -> Result<(), &'static str> {
    match hir.kind() {
        HirKind::Literal(literal) => {
            std::str::from_utf8(&literal.0).map(|_| ()).map_err(|_| "bytes that are no text")
        }
        HirKind::Empty | HirKind::Class(regex_syntax::hir::Class::Unicode(_)) => Ok(()),
        HirKind::Class(regex_syntax::hir::Class::Bytes(class)) => {
            if class.is_ascii() {
                Ok(())
            } else {
                Err("bytes that are no text")
            }
        }
        HirKind::Look(look) => match look {
            Look::Start | Look::End | Look::StartLF | Look::EndLF => Ok(()),
            _ => Err("edges of words and of lines with carriage returns are other ones"),
        },
        HirKind::Repetition(repetition) => {
            if repetition.min > MAX_REPEAT || repetition.max.is_some_and(|max| max > MAX_REPEAT) {
                return Err("more than 1000 repetitions");
            }
            check(&repetition.sub)
        }
        HirKind::Capture(capture) => check(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().try_for_each(check),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

    #[test]
    fn simple_folding_is_our_folding() {
        for sign in ('\0'..=char::MAX).filter(|sign| fold_char(*sign) != *sign) {
            let folded = fold_char(sign);
            let mut class = ClassUnicode::new([ClassUnicodeRange::new(folded, folded)]);
            class.case_fold_simple();
            let variants: Vec<char> = class.iter().flat_map(|range| range.start()..=range.end()).collect();
            assert!(
                variants.contains(&sign),
                "{sign:?} folds to {folded:?}, whose variants are {variants:?}"
            );
            for variant in variants {
                assert_eq!(fold_char(variant), folded, "{variant:?} is a variant of {folded:?}");
            }
        }
    }

    #[test]
    fn expressions_keep_their_meaning() {
        for (pattern, text) in
            [("a.c", "a\nc"), (r"^\d+$", "٣"), (r"(?i)straße|x{2,}", "STRAẞE"), (r"[\w-]+\.exe", "ư-1.exe")]
        {
            let ours = regex::Regex::new(pattern).unwrap().is_match(text);
            let theirs = regex::Regex::new(&re2(pattern).unwrap()).unwrap().is_match(text);
            assert_eq!(ours, theirs, "{pattern}");
        }
        assert!(re2(r"\bx").is_err() && re2("x{1001}").is_err());
    }
}
