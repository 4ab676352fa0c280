//! Where a field of an event stands in the table, and its texts there.

use dongson_event::fields::{self, Kind, Setter, setter};

/// The raw record has a column of another kind.
const ORIGINAL: &str = "event.original";
/// Names under these never count as content ([`dongson_event::fields::setter`]).
const INNER: [&str; 6] =
    ["dongson.asset.", "dongson.match.", "dongson.claimed.", "dongson.time.", "observer.", "organization."];

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
            other => out.push(other),
        }
    }
    out.push('\'');
    out
}

/// The column of a field and what it holds.
fn column(name: &str) -> Option<(String, Kind)> {
    if name == ORIGINAL {
        return Some(("original".to_owned(), Kind::Text));
    }
    fields::find(name).filter(|field| field.column).map(|field| (field.column_name(), field.kind))
}

const fn is_list(kind: Kind) -> bool {
    matches!(kind, Kind::Keywords | Kind::Longs | Kind::Ips)
}

fn filled(column: &str, kind: Kind) -> String {
    if is_list(kind) { format!("notEmpty({column})") } else { format!("isNotNull({column})") }
}

/// Whether the event carries the field.
pub(super) fn present(name: &str) -> String {
    let rest = format!("mapContains(rest, {})", literal(name));
    match column(name) {
        Some((column, kind)) => format!("({rest} OR {})", filled(&column, kind)),
        None => rest,
    }
}

/// The texts of the field, nulls left out: `Array(String)`.
pub(super) fn texts(name: &str) -> String {
    let name_literal = literal(name);
    let rest = json(&format!("rest[{name_literal}]"));
    match column(name) {
        // `rest` holds what a column does not hold exactly, and wins.
        Some((column, kind)) => {
            format!("if(mapContains(rest, {name_literal}), {rest}, {})", cell(&column, kind))
        }
        None => format!("if(mapContains(rest, {name_literal}), {rest}, emptyArrayString())"),
    }
}

/// The texts of a column.
fn cell(column: &str, kind: Kind) -> String {
    let address = |value: &str| format!("replaceRegexpOne(toString({value}), '^::ffff:([0-9.]+)$', '\\\\1')");
    match kind {
        Kind::Keywords => column.to_owned(),
        Kind::Longs => format!("arrayMap(x -> toString(x), {column})"),
        Kind::Ips => format!("arrayMap(x -> {}, {column})", address("x")),
        _ => {
            let text = match kind {
                Kind::Ip => address(&format!("assumeNotNull({column})")),
                // As many decimals as are needed, in threes.
                Kind::Date => format!(
                    "replaceRegexpOne(replaceOne(toString(assumeNotNull({column})), ' ', 'T'), '^(.*[.][0-9]{{3}}(?:[0-9]{{3}})*?)(?:000)*$', '\\\\1Z')"
                ),
                _ => format!(
                    "CAST(ifNull({column}, defaultValueOfArgumentType(assumeNotNull({column}))) AS String)"
                ),
            };
            format!("if(isNotNull({column}), [{text}], emptyArrayString())")
        }
    }
}

/// The texts of a JSON value: of a list those of its elements.
fn json(value: &str) -> String {
    let scalar = "multiIf(startsWith(j, '\"'), JSONExtractString(concat('[', j, ']'), 1), match(j, '^-?[0-9].*[.eE]'), toString(toFloat64OrZero(j)), j)";
    format!(
        "arrayMap(j -> {scalar}, arrayFilter(j -> j != 'null', if(startsWith({value}, '['), JSONExtractArrayRaw({value}), [{value}])))"
    )
}

/// The texts of all fields that keywords look into.
pub(super) fn anywhere() -> String {
    let inner = |name: &str| setter(name) > Setter::Sensor;
    let listed: Vec<String> =
        fields::FIELDS.iter().filter(|field| inner(field.name)).map(|field| literal(field.name)).collect();
    let open: Vec<String> = fields::FIELDS
        .iter()
        .filter(|field| !inner(field.name) && INNER.iter().any(|prefix| field.name.starts_with(prefix)))
        .map(|field| literal(field.name))
        .collect();
    let mut hidden = vec![format!("n IN ('observer', 'organization', 'dongson', {})", listed.join(", "))];
    let prefixes: Vec<String> =
        INNER.iter().map(|prefix| format!("startsWith(n, {})", literal(prefix))).collect();
    let prefixes = prefixes.join(" OR ");
    hidden.push(if open.is_empty() {
        format!("({prefixes})")
    } else {
        format!("(({prefixes}) AND n NOT IN ({}))", open.join(", "))
    });
    let rest = format!(
        "arrayFlatten(arrayMap((n, v) -> if({}, emptyArrayString(), {}), mapKeys(rest), mapValues(rest)))",
        hidden.join(" OR "),
        json("v")
    );
    let columns = fields::FIELDS.iter().filter(|field| field.column && !inner(field.name));
    let columns = columns.map(|field| (field.name, field.column_name(), field.kind));
    let original = (!inner(ORIGINAL)).then(|| (ORIGINAL, "original".to_owned(), Kind::Text));
    let columns = columns.filter(|(name, ..)| *name != ORIGINAL).chain(original);
    let columns: Vec<String> = columns
        .map(|(name, column, kind)| {
            format!("if(mapContains(rest, {}), emptyArrayString(), {})", literal(name), cell(&column, kind))
        })
        .collect();
    format!("arrayConcat({rest}, {})", columns.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_text_leaves_its_quotes(text in "\\PC{0,30}|['\\\\\n\u{0}a]{0,20}") {
            let literal = literal(&text);
            let inner = literal.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')).unwrap_or_default();
            let mut signs = inner.chars();
            while let Some(sign) = signs.next() {
                prop_assert!(sign != '\'');
                if sign == '\\' {
                    prop_assert!(signs.next().is_some());
                }
            }
        }
    }
}
