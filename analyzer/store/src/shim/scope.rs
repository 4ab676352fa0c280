//! What a reader may see: row filters that the engine puts on every table of ours, set where no statement reaches.

use axum::http::StatusCode;

use super::request::Refusal;
use crate::migrations::SCOPED_TABLES;

/// Longest list of agencies.
const MAX_ORGANIZATIONS: usize = 10_000;

/// The arguments of a reader's connection for the value of its scope setting; a question may run for `seconds`.
///
/// # Errors
/// Without a value, or with one that is neither `*` nor a list of ids.
pub(super) fn limits(scope: Option<&str>, seconds: u32) -> Result<Vec<String>, Refusal> {
    let filter = match scope {
        None => return Err(refused("a reader must name its agencies in SQL_dongson_organizations")),
        Some("*") => None,
        Some(list) => Some(filter(list)?),
    };
    let mut limits = Vec::new();
    if let Some(filter) = filter {
        let tables: Vec<String> =
            SCOPED_TABLES.iter().map(|table| format!("'dongson.{table}':{}", quote(&filter))).collect();
        limits.push(format!("--additional_table_filters={{{}}}", tables.join(",")));
    }
    limits.push(format!("--max_execution_time={seconds}"));
    limits.push("--readonly=1".to_owned());
    Ok(limits)
}

fn filter(list: &str) -> Result<String, Refusal> {
    let ids: Vec<String> = serde_json::from_str(list)
        .map_err(|_| refused("SQL_dongson_organizations is neither `*` nor a JSON list of ids"))?;
    if ids.is_empty() || ids.len() > MAX_ORGANIZATIONS {
        return Err(refused("SQL_dongson_organizations must hold 1 to 10000 ids"));
    }
    let ids: Vec<String> = ids.iter().map(|id| quote(id)).collect();
    Ok(format!("organization_id IN ({})", ids.join(",")))
}

/// A string literal of `ClickHouse`.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for sign in text.chars() {
        if matches!(sign, '\'' | '\\') {
            quoted.push('\\');
        }
        quoted.push(sign);
    }
    quoted.push('\'');
    quoted
}

fn refused(words: &str) -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, 497, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_becomes_filters() {
        let limits = limits(Some(r#"["so-yte","a'b\\"]"#), 15).unwrap();
        let filters = limits.first().unwrap();
        let expected = r"'dongson.events':'organization_id IN (\'so-yte\',\'a\\\'b\\\\\')'";
        assert!(filters.contains(expected), "{filters}");
        assert!(limits.contains(&"--readonly=1".to_owned()));
        assert!(limits.contains(&"--max_execution_time=15".to_owned()), "{limits:?}");
    }

    #[test]
    fn no_scope_no_answer() {
        for bad in [None, Some(""), Some("[]"), Some("so-yte"), Some("[1]")] {
            assert!(limits(bad, 1).is_err(), "{bad:?}");
        }
        assert_eq!(limits(Some("*"), 1).unwrap().len(), 2);
    }
}
