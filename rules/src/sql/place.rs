//! Where a field of an event stands in the table, and its texts there.

use std::fmt::Write as _;

use dongson_event::fields::{self, Kind, Setter, setter};

use crate::taxonomy::Mode;

/// The raw record has a column of another kind.
const ORIGINAL: &str = "event.original";
/// Names under these never count as content ([`dongson_event::fields::setter`]); a unit test compares.
const INNER: [&str; 6] =
    ["dongson.asset.", "dongson.match.", "dongson.claimed.", "dongson.time.", "observer.", "organization."];
/// Names that are not listed and never count as content.
const INNER_WORDS: [&str; 3] = ["observer", "organization", "dongson"];
/// Names that never count as content where events say their log source themselves.
const SAID: [&str; 3] = ["product", "category", "service"];

/// A text as a literal of SQL.
pub(super) fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('\'');
    for sign in text.chars() {
        match sign {
            '\'' | '\\' => out.extend(['\\', sign]),
            '\0' => out.push_str("\\0"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            other if is_hidden(other) => {
                for byte in other.encode_utf8(&mut [0; 4]).bytes() {
                    let _infallible = write!(out, "\\x{byte:02x}");
                }
            }
            other => out.push(other),
        }
    }
    out.push('\'');
    out
}

/// True for signs that a terminal obeys or hides.
fn is_hidden(sign: char) -> bool {
    sign.is_control()
        || matches!(sign, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Literals with commas between them.
pub(super) fn literals<'t>(texts: impl IntoIterator<Item = &'t str>) -> String {
    texts.into_iter().map(literal).collect::<Vec<_>>().join(", ")
}

/// A column of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    kind: Kind,
}

impl Column {
    /// The column of a field; `None` for one that only stands in `rest`.
    pub(super) fn of(field: &str) -> Option<Self> {
        if field == ORIGINAL {
            return Some(Self { name: "original".to_owned(), kind: Kind::Text });
        }
        let field = fields::find(field).filter(|field| field.column)?;
        Some(Self { name: field.column_name(), kind: field.kind })
    }

    /// True where a conversion to text prints it as events do.
    const fn is_plain(&self) -> bool {
        matches!(self.kind, Kind::Keyword | Kind::LowKeyword | Kind::Text | Kind::Long | Kind::Bool)
    }

    /// Whether something stands in it.
    pub(super) fn filled(&self) -> String {
        let Self { name, kind } = self;
        match kind {
            Kind::Keywords | Kind::Longs | Kind::Ips => format!("notEmpty({name})"),
            _ => format!("isNotNull({name})"),
        }
    }

    /// The texts of what stands in it: `Array(String)`. For a row where nothing stands in it, it may be anything.
    pub(super) fn texts(&self) -> String {
        let Self { name, kind } = self;
        match kind {
            Kind::Keywords => name.clone(),
            Kind::Longs => format!("arrayMap(x -> toString(x), {name})"),
            Kind::Ips => format!("arrayMap(x -> {}, {name})", address("x")),
            Kind::Ip => format!("[{}]", address(&format!("assumeNotNull({name})"))),
            // As many decimals as are needed, in threes.
            Kind::Date => format!(
                "[replaceRegexpOne(replaceOne(toString(assumeNotNull({name})), ' ', 'T'), \
                 '^(.*[.][0-9]{{3}}(?:[0-9]{{3}})*?)(?:000)*$', '\\\\1Z')]"
            ),
            Kind::Float => format!("arrayMap(x -> {}, [toString(assumeNotNull({name}))])", decimal("x")),
            _ => format!("[ifNull(CAST({name}, 'Nullable(String)'), '')]"),
        }
    }
}

/// An address as it is printed in events: IPv4 plain, and no IPv4 inside other IPv6.
fn address(value: &str) -> String {
    let group =
        |at: u8| format!("replaceRegexpOne(substring(lower(hex({value})), {at}, 4), '^0{{1,3}}', '')");
    format!(
        "if(match(toString({value}), '^::[0-9]+[.]'), concat('::', {}, ':', {}), \
         replaceRegexpOne(toString({value}), '^::ffff:([0-9.]+)$', '\\\\1'))",
        group(25),
        group(29)
    )
}

/// A number with a fraction or an exponent, printed without an exponent and without `.0`.
fn decimal(text: &str) -> String {
    let digits = format!("replaceRegexpAll({text}, '^-|[.]|[eE].*$', '')");
    let point = format!("toInt32OrZero(extract({text}, '[eE][+]?(.*)$')) + 1");
    format!(
        "if(match({text}, '[eE]'), concat(if(startsWith({text}, '-'), '-', ''), \
         if({point} > 0, rightPad({digits}, {point}, '0'), concat('0.', repeat('0', -({point})), {digits}))), \
         replaceRegexpOne({text}, '[.]0$', ''))"
    )
}

/// The texts of a JSON text that is not empty, nulls left out: of a list those of its elements.
pub(super) fn json(value: &str) -> String {
    format!(
        "arrayMap(j -> multiIf(startsWith(j, '\"'), JSONExtractString(j), \
         match(j, '^-?[0-9]+.*[.eE]'), {}, j), \
         arrayFilter(j -> j != 'null', if(startsWith({value}, '['), JSONExtractArrayRaw({value}), [{value}])))",
        decimal("j")
    )
}

/// True when keywords do not look into the field of this name.
fn hidden(name: &str, mode: Mode) -> bool {
    match mode {
        Mode::Auto => setter(name) > Setter::Sensor,
        Mode::Sigma => SAID.contains(&name),
    }
}

/// True for the names in the variable `n` into which keywords do not look.
fn hidden_names(mode: Mode) -> String {
    if mode == Mode::Sigma {
        return format!("n IN ({})", literals(SAID));
    }
    let listed = fields::FIELDS.iter().map(|field| field.name);
    let closed = listed.clone().filter(|name| hidden(name, mode)).chain(INNER_WORDS);
    let open: Vec<&str> = listed
        .filter(|name| !hidden(name, mode) && INNER.iter().any(|prefix| name.starts_with(prefix)))
        .collect();
    let prefixes: Vec<String> =
        INNER.iter().map(|prefix| format!("startsWith(n, {})", literal(prefix))).collect();
    let but = if open.is_empty() { String::new() } else { format!(" AND n NOT IN ({})", literals(open)) };
    format!("n IN ({}) OR (({}){but})", literals(closed), prefixes.join(" OR "))
}

/// The texts of all fields that keywords look into, and the columns that this asks.
pub(super) fn anywhere(mode: Mode) -> (String, Vec<String>) {
    let texts = json("v");
    let rest = format!(
        "arrayFlatten(arrayMap((n, v) -> if({}, emptyArrayString(), {texts}), mapKeys(rest), mapValues(rest)))",
        hidden_names(mode)
    );
    let named = fields::FIELDS.iter().map(|field| field.name).filter(|name| !hidden(name, mode));
    let columns: Vec<(&str, Column)> =
        named.filter_map(|name| Column::of(name).map(|column| (name, column))).collect();
    // What prints as it stands is asked together.
    let (plain, other): (Vec<_>, Vec<_>) = columns.iter().partition(|(_, column)| column.is_plain());
    let cells: Vec<String> =
        plain.iter().map(|(_, column)| format!("CAST({}, 'Nullable(String)')", column.name)).collect();
    let mut parts = vec![
        rest,
        format!(
            "arrayMap(v -> assumeNotNull(v), arrayFilter((v, n) -> isNotNull(v) AND NOT mapContains(rest, n), [{}], [{}]))",
            cells.join(", "),
            literals(plain.iter().map(|(name, _)| *name))
        ),
    ];
    parts.extend(other.iter().map(|(name, column)| {
        let absent = format!("mapContains(rest, {}) OR NOT {}", literal(name), column.filled());
        format!("if({absent}, emptyArrayString(), {})", column.texts())
    }));
    let asked = columns.into_iter().map(|(_, column)| column.name).chain(["rest".to_owned()]).collect();
    (format!("arrayConcat({})", parts.join(", ")), asked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_text_leaves_its_quotes(text in "\\PC{0,30}|['\\\\\n\u{0}a]{0,20}") {
            let literal = literal(&text);
            let inner = literal.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).unwrap();
            let mut signs = inner.chars();
            while let Some(sign) = signs.next() {
                prop_assert!(sign != '\'');
                if sign == '\\' {
                    prop_assert!(signs.next().is_some());
                }
            }
        }
    }

    #[test]
    fn what_is_no_content_is_known_by_name() {
        for prefix in INNER {
            assert!(hidden(&format!("{prefix}unlisted"), Mode::Auto), "{prefix}");
        }
        for word in INNER_WORDS {
            assert!(hidden(word, Mode::Auto), "{word}");
        }
        assert!(!hidden("dongson.other", Mode::Auto) && !hidden("winlog.channel", Mode::Auto));
        for field in fields::FIELDS.iter().filter(|field| field.name == ORIGINAL) {
            assert!(!field.column, "the raw record has its own column");
        }
    }
}
