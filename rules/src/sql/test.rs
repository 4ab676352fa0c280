//! What a test asks of an array of texts, in SQL.
//!
//! Case: where a value is ASCII alone, the texts are folded once ([`folded`]) and compared as they are. Other values are
//! asked by an expression in which every case of every sign is written out. Where two fields are compared both are
//! folded, sign by sign.

use std::sync::LazyLock;

use ipnet::IpNet;

use super::SqlError;
use super::place::{literal, literals};
use crate::number::{Decimal, Limit};
use crate::predicate::Affix;
use crate::sigma::modifier::Order;
use crate::text::{Pattern, Shape, any_case, fold_char};

/// Most texts of one field that are compared with those of another, as in the engine.
const MAX_REFERRED: usize = 256;
/// Most needles of one `multiSearchAny`.
const MAX_NEEDLES: usize = 255;
/// Most bytes of expressions that are joined to one.
const MAX_JOINED: usize = 4_096;
/// Where a number is at least this, another one that is nearer than `f64::EPSILON` is the same.
const SPARSE: f64 = 2.0;
/// A number with digits, as Rust reads it.
const NUMBER: &str = "'(?i)^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)(e[+-]?[0-9]+)?$'";
/// A number without an exponent.
const DECIMAL: &str = "'^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)$'";
/// An IPv4 address without leading zeros.
const IPV4: &str =
    "((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])[.]){3}(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
/// White space as Rust trims it.
const SPACE: &str = "[\\\\x{9}-\\\\x{d} \\\\x{85}\\\\x{a0}\\\\x{1680}\\\\x{2000}-\\\\x{200a}\\\\x{2028}\\\\x{2029}\\\\x{202f}\\\\x{205f}\\\\x{3000}]";

/// The two signs beyond ASCII that fold to ASCII letters, and these.
const TO_ASCII: [(&str, &str); 2] = [("\u{212a}", "k"), ("\u{17f}", "s")];

/// Texts folded as far as a comparison with ASCII needs it.
pub(super) fn folded(texts: &str) -> String {
    let plain = TO_ASCII.iter().fold("x".to_owned(), |text, (from, to)| {
        format!("replaceAll({text}, {}, {})", literal(from), literal(to))
    });
    format!("arrayMap(x -> lower({plain}), {texts})")
}

/// Texts without the white space around them.
fn trimmed(texts: &str) -> String {
    format!("arrayMap(x -> replaceRegexpAll(x, '^{SPACE}+|{SPACE}+$', ''), {texts})")
}

/// Texts as numbers; those that are none are not-a-number, which no comparison takes.
pub(super) fn numbers(texts: &str) -> String {
    format!(
        "arrayMap(t -> multiIf(match(t, '(?i)^[+]?inf(inity)?$'), inf, match(t, '(?i)^-inf(inity)?$'), -inf, \
         match(t, {NUMBER}), toFloat64OrZero(t), nan), {})",
        trimmed(texts)
    )
}

/// Those that have a fraction or an exponent.
pub(super) fn fractions(texts: &str) -> String {
    numbers(&format!("arrayFilter(x -> match(x, '[.eE]'), {texts})"))
}

/// True when the text of the number is written as a fraction.
pub(super) fn is_fraction(text: &str) -> bool {
    text.contains(['.', 'e', 'E'])
}

/// True when no other number is so near that it would be taken for this one.
pub(super) fn is_sparse(number: f64) -> bool {
    number.is_finite() && number.abs() >= SPARSE
}

/// True when any of the numbers is this one.
pub(super) fn equals(numbers: &str, number: f64) -> String {
    if is_sparse(number) {
        return format!("has({numbers}, toFloat64({number:?}))");
    }
    format!("arrayExists(x -> abs(x - toFloat64({number:?})) < {:?}, {numbers})", f64::EPSILON)
}

/// Plain decimal texts in parts that order them: below zero, how many digits before the point, these, those behind it.
pub(super) fn decimals(texts: &str) -> String {
    let plain = format!("arrayFilter(t -> match(t, {DECIMAL}), {})", trimmed(texts));
    let whole = "replaceRegexpOne(extract(t, '^[+-]?([0-9]*)'), '^0+', '')";
    let fraction = "replaceRegexpOne(extract(t, '[.]([0-9]*)$'), '0+$', '')";
    let parts = format!("arrayMap(t -> (startsWith(t, '-'), {whole}, {fraction}), {plain})");
    format!("arrayMap(p -> (p.1 AND (p.2 != '' OR p.3 != ''), length(p.2), p.2, p.3), {parts})")
}

/// The numbers among the texts that are no plain decimals, as floats.
pub(super) fn exponents(texts: &str) -> String {
    numbers(&format!("arrayFilter(t -> NOT match(t, {DECIMAL}), {})", trimmed(texts)))
}

/// True when any of the plain decimals or of the other numbers compares so.
pub(super) fn compares((plain, other): (&str, &str), order: Order, limit: &Limit) -> String {
    let Decimal { negative, whole, fraction } = limit.decimal();
    let (sign, turned) = match order {
        Order::Lt => ("<", ">"),
        Order::Lte => ("<=", ">="),
        Order::Gt => (">", "<"),
        Order::Gte => (">=", "<="),
    };
    // What is below zero is the less the larger its digits are; across zero the sign alone decides.
    let below = matches!(order, Order::Lt | Order::Lte);
    let sized = |sign: &str| {
        format!("(d.2, d.3, d.4) {sign} ({}, {}, {})", whole.len(), literal(whole), literal(fraction))
    };
    let holds = match (negative, below) {
        (false, true) => format!("d.1 OR {}", sized(sign)),
        (false, false) => format!("NOT d.1 AND {}", sized(sign)),
        (true, true) => format!("d.1 AND {}", sized(turned)),
        (true, false) => format!("NOT d.1 OR {}", sized(turned)),
    };
    let float = limit.float();
    format!(
        "(arrayExists(d -> {holds}, {plain}) OR arrayExists(x -> x {sign} toFloat64({float:?}), {other}))"
    )
}

/// Those of the texts, which were trimmed, that are addresses of the network's kind.
pub(super) fn addresses(texts: &str, net: &IpNet) -> String {
    let is = match net {
        IpNet::V4(_) => format!("^{IPV4}$"),
        IpNet::V6(_) => format!("^({})$", ipv6()),
    };
    format!("arrayFilter(x -> match(x, '{is}'), {})", trimmed(texts))
}

/// True when any of the addresses is inside one of the networks of their kind.
pub(super) fn inside(addresses: &str, nets: &[&IpNet]) -> String {
    let within: Vec<String> =
        nets.iter().map(|net| format!("isIPAddressInRange(x, {})", literal(&net.to_string()))).collect();
    format!("arrayExists(x -> {}, {addresses})", within.join(" OR "))
}

/// An IPv6 address (RFC 3986, appendix A).
fn ipv6() -> String {
    const H16: &str = "[0-9A-Fa-f]{1,4}";
    let last = format!("({H16}:{H16}|{IPV4})");
    let some = |most: usize| format!("(({H16}:){{0,{most}}}{H16})?");
    let mut forms = vec![format!("({H16}:){{6}}{last}"), format!("::({H16}:){{5}}{last}")];
    forms.extend((0..5).map(|most| format!("{}::({H16}:){{{}}}{last}", some(most), 4 - most)));
    forms.push(format!("{}::{H16}", some(5)));
    forms.push(format!("{}::", some(6)));
    forms.join("|")
}

/// Values of which a text must fit one. What fits alike is asked together.
#[derive(Debug, Default)]
pub(super) struct Values<'v> {
    anything: bool,
    whole: Vec<&'v str>,
    inside: Vec<&'v str>,
    start: Vec<&'v str>,
    end: Vec<&'v str>,
    expressions: Vec<String>,
}

impl<'v> Values<'v> {
    /// One value.
    pub(super) fn of(pattern: &'v Pattern) -> Self {
        let mut one = Self::default();
        one.add(pattern);
        one
    }

    pub(super) fn add(&mut self, pattern: &'v Pattern) {
        match pattern.shape() {
            Shape::Anything => self.anything = true,
            Shape::Exact(text) => self.whole.push(text),
            Shape::Inside(text) => self.inside.push(text),
            Shape::Start(text) => self.start.push(text),
            Shape::End(text) => self.end.push(text),
            Shape::Glob => self.expressions.push(pattern.glob()),
        }
    }

    /// True when any of the texts fits.
    pub(super) fn hold(&self, texts: &str) -> String {
        let mut parts = Vec::new();
        if self.anything {
            parts.push(format!("notEmpty({texts})"));
        }
        match self.whole.as_slice() {
            [] => {}
            [only] => parts.push(format!("has({texts}, {})", literal(only))),
            several => parts.push(format!("hasAny({texts}, [{}])", literals(several.iter().copied()))),
        }
        let fits = self.fits();
        if !fits.is_empty() {
            parts.push(format!("arrayExists(x -> {}, {texts})", fits.join(" OR ")));
        }
        if parts.len() == 1 { parts.concat() } else { format!("({})", parts.join(" OR ")) }
    }

    /// What is asked of a single text.
    fn fits(&self) -> Vec<String> {
        let mut fits: Vec<String> = self
            .inside
            .chunks(MAX_NEEDLES)
            .map(|needles| match needles {
                [only] => format!("position(x, {}) > 0", literal(only)),
                several => format!("multiSearchAny(x, [{}])", literals(several.iter().copied())),
            })
            .collect();
        fits.extend(self.start.iter().map(|text| format!("startsWith(x, {})", literal(text))));
        fits.extend(self.end.iter().map(|text| format!("endsWith(x, {})", literal(text))));
        fits.extend(joined(&self.expressions).iter().map(|glob| matches(glob)));
        fits
    }
}

/// As few expressions as hold the same, each of about [`MAX_JOINED`] bytes.
fn joined(expressions: &[String]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for expression in expressions {
        match all.last_mut().filter(|last| last.len() + expression.len() <= MAX_JOINED) {
            Some(last) => {
                last.push('|');
                last.push_str(expression);
            }
            None => all.push(expression.clone()),
        }
    }
    all
}

fn matches(glob: &str) -> String {
    format!("match(x, {})", literal(&format!("(?s){glob}")))
}

/// True when any of the texts fits an expression that RE2 reads.
pub(super) fn found(texts: &str, expression: &str) -> String {
    format!("arrayExists(x -> match(x, {}), {texts})", literal(expression))
}

/// True when any of the texts fits any of these expressions, which all set the same flags.
pub(super) fn found_any(texts: &str, expressions: &[String]) -> String {
    let fits: Vec<String> =
        joined(expressions).iter().map(|one| format!("match(x, {})", literal(one))).collect();
    format!("arrayExists(x -> {}, {texts})", fits.join(" OR "))
}

/// True when any text is one of these, whose case was folded.
pub(super) fn is_one_of(texts: &str, values: &[impl AsRef<str>]) -> Result<String, SqlError> {
    let values = || values.iter().map(AsRef::as_ref);
    if values().any(str::is_empty) {
        return Err(SqlError::EmptyWord);
    }
    if values().all(|value| value.bytes().all(|byte| byte.is_ascii_digit())) {
        return Ok(format!("hasAny({texts}, [{}])", literals(values())));
    }
    if values().all(str::is_ascii) {
        return Ok(format!("hasAny({}, [{}])", folded(texts), literals(values())));
    }
    let values: Vec<String> = values().map(any_case).collect();
    Ok(found(texts, &format!("(?s)\\A(?:{})\\z", values.join("|"))))
}

/// Signs that fold to another, and what they fold to.
static FOLDS: LazyLock<(String, String)> = LazyLock::new(|| {
    ('\0'..=char::MAX).map(|sign| (sign, fold_char(sign))).filter(|(sign, folded)| sign != folded).unzip()
});

/// Texts folded whole.
pub(super) fn folded_whole(texts: &str) -> String {
    let (from, to) = &*FOLDS;
    format!(
        "arrayMap(x -> if(isValidASCII(x), lower(x), translateUTF8(x, {}, {})), {texts})",
        literal(from),
        literal(to)
    )
}

/// True when any text of `one` stands to any of `other` as `affix` says.
pub(super) fn refers(one: &str, other: &str, affix: Affix) -> String {
    let few = |texts: &str| format!("arraySlice({texts}, 1, {MAX_REFERRED})");
    let relation = match affix {
        Affix::Whole => return format!("hasAny({}, {})", few(one), few(other)),
        Affix::Start => "startsWith(x, y)",
        Affix::End => "endsWith(x, y)",
        Affix::Inside => "position(x, y) > 0",
    };
    format!("arrayExists(x -> arrayExists(y -> {relation}, {}), {})", few(other), few(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_other_sign_folds_to_ascii() {
        let strange: Vec<(char, char)> = ('\u{80}'..=char::MAX)
            .map(|sign| (sign, fold_char(sign)))
            .filter(|(_, folded)| folded.is_ascii())
            .collect();
        let known = TO_ASCII.map(|(from, to)| (from.chars().next().unwrap(), to.chars().next().unwrap()));
        assert_eq!(strange.len(), known.len(), "{strange:?}");
        assert!(known.iter().all(|pair| strange.contains(pair)), "{strange:?}");
    }

    #[test]
    fn addresses_are_those_of_rust() {
        let four = regex::Regex::new(&format!("^{IPV4}$")).unwrap();
        let six = regex::Regex::new(&format!("^({})$", ipv6())).unwrap();
        for text in [
            "1.2.3.4",
            "01.2.3.4",
            "256.1.1.1",
            "1.2.3",
            "::",
            "::1",
            "1::",
            "1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7::",
            "::2:3:4:5:6:7:8",
            "1::3:4:5:6:7:8",
            "1:2:3:4:5:6:7:8::",
            "1::2:3:4:5:6:7:8",
            "::ffff:1.2.3.4",
            "1:2:3:4:5:6:1.2.3.4",
            "1:2:3:4:5:6:7:1.2.3.4",
            "12345::",
            "fe80::1%eth0",
            "::1.2.3.04",
            "1:::2",
            ":1",
            "",
            "1::2::3",
            "1:2:3:4:5::1.2.3.4",
            "1:2:3:4:5:6::1.2.3.4",
        ] {
            assert_eq!(four.is_match(text), text.parse::<std::net::Ipv4Addr>().is_ok(), "{text}");
            assert_eq!(six.is_match(text), text.parse::<std::net::Ipv6Addr>().is_ok(), "{text}");
        }
    }
}
