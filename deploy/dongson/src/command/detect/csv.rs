//! Matches as CSV (RFC 4180): every cell quoted, and no cell that a spreadsheet takes for a formula.

use std::io::{self, Write};

use dongson_rules::RuleSet;
use dongson_rules::detect::Hit;

use super::attack;
use crate::output::harmless;

/// The columns.
const HEADS: [&str; 11] = [
    "timestamp",
    "level",
    "rule_title",
    "rule_id",
    "host",
    "tactics",
    "techniques",
    "count",
    "file",
    "event",
    "fields",
];

/// The first line.
pub(super) fn head(out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{}\r\n", HEADS.join(","))
}

/// One match.
pub(super) fn line(hit: &Hit, rules: &RuleSet, out: &mut dyn Write) -> io::Result<()> {
    let tags = rules.rule(hit.rule).map(|rule| rule.tags.as_slice()).unwrap_or_default();
    let fields: Vec<String> =
        hit.fields.iter().map(|field| format!("{}={}", field.field, field.value.to_text())).collect();
    let tactics: Vec<&str> = attack::tactics(tags).into_iter().map(|tactic| tactic.en).collect();
    let cells = [
        hit.timestamp.clone().unwrap_or_default(),
        hit.level.as_str().to_owned(),
        hit.rule_title.clone(),
        hit.rule_id.clone(),
        hit.host.clone().unwrap_or_default(),
        tactics.join("; "),
        attack::techniques(tags).join("; "),
        hit.count.map(|count| count.to_string()).unwrap_or_default(),
        hit.file.to_string(),
        hit.event.to_string(),
        fields.join("; "),
    ];
    let cells: Vec<String> = cells.iter().map(|text| cell(text)).collect();
    write!(out, "{}\r\n", cells.join(","))
}

/// A cell in quotes. What a spreadsheet would run begins with an apostrophe; control characters are written out.
fn cell(text: &str) -> String {
    let text = harmless(text);
    let begin = text.trim_start().chars().next();
    // The full-width forms are taken for the plain ones in some languages.
    let formula = begin.is_some_and(|sign| "=+-@|%＝＋－＠".contains(sign));
    let guard = if formula { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn formulas_are_text() {
        assert_eq!(cell("=1+1"), "\"'=1+1\"");
        assert_eq!(cell(" @SUM(A1)"), "\"' @SUM(A1)\"");
        assert_eq!(cell("a \"b\", c\n=d"), "\"a \"\"b\"\", c\\u{a}=d\"");
        assert_eq!(cell("đ"), "\"đ\"");
    }

    proptest! {
        #[test]
        fn no_cell_leaves_its_quotes(text in "\\PC{0,40}|[=+@\",'\n\r\t -]{0,20}") {
            let cell = cell(&text);
            let inner = cell.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default();
            prop_assert!(!inner.replace("\"\"", "").contains('"'));
            prop_assert!(!inner.contains(['\n', '\r']));
            prop_assert!(!inner.trim_start().starts_with(['=', '+', '-', '@']));
        }
    }
}
