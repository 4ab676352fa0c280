//! A file cut into its YAML documents, with line numbers.

use serde_yaml_ng::{Mapping, Value};

use super::nesting;
use crate::RuleError;

/// Most bytes that one rule file may have.
pub(crate) const MAX_FILE_BYTES: u64 = 1 << 20;

/// One document of a file.
#[derive(Debug, Clone)]
pub(crate) struct Document<'t> {
    /// What it holds.
    pub(crate) content: Mapping,
    /// Line of its first line, from 1.
    pub(crate) line: usize,
    pub(crate) text: &'t str,
}

impl Document<'_> {
    /// The line of the first occurrence of `needle`; the document's own line where it does not occur.
    pub(crate) fn line_of(&self, needle: Option<&str>) -> usize {
        line_of(self.text, self.line, needle)
    }
}

/// The line of the first occurrence of `needle` in `text`, whose first line is `line`.
pub(crate) fn line_of(text: &str, line: usize, needle: Option<&str>) -> usize {
    let holds = |needle: &str| text.lines().position(|line| line.contains(needle));
    let found = needle.and_then(|needle| {
        let head = needle.lines().next().unwrap_or_default().trim();
        if head.is_empty() { None } else { holds(head).or_else(|| holds(&head.replace('\'', "''"))) }
    });
    line + found.unwrap_or(0)
}

/// The documents of `text`, or why one of them is none.
pub(crate) fn split(text: &str) -> Vec<Result<Document<'_>, RuleError>> {
    parts(text.strip_prefix('\u{feff}').unwrap_or(text))
        .into_iter()
        .filter_map(|(line, part)| read(line, part))
        .collect()
}

/// Cuts at lines that begin with `---` or `...`, which YAML allows nowhere else at the start of a line.
fn parts(text: &str) -> Vec<(usize, &str)> {
    let mut parts = Vec::new();
    let (mut start, mut first_line, mut offset) = (0, 1, 0);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let bare = line.trim_end();
        if bare == "---" || bare == "..." || bare.starts_with("--- ") {
            parts.push((first_line, text.get(start..offset).unwrap_or_default()));
            start = offset + line.len().min(if bare.starts_with("--- ") { 4 } else { line.len() });
            first_line = index + if bare.starts_with("--- ") { 1 } else { 2 };
        }
        offset += line.len();
    }
    parts.push((first_line, text.get(start..).unwrap_or_default()));
    parts
}

fn read(line: usize, text: &str) -> Option<Result<Document<'_>, RuleError>> {
    let blank = |line: &str| line.trim().is_empty() || line.starts_with(['#', '%']);
    if text.lines().all(blank) {
        return None;
    }
    if let Err(error) = nesting::check(text, line) {
        return Some(Err(error));
    }
    Some(match serde_yaml_ng::from_str::<Value>(text) {
        Ok(Value::Mapping(content)) => {
            let lead = text.lines().take_while(|line| blank(line)).count();
            let rest: usize = text.split_inclusive('\n').take(lead).map(str::len).sum();
            Ok(Document { content, line: line + lead, text: text.get(rest..).unwrap_or_default() })
        }
        Ok(_) => {
            Err(RuleError::NotYaml { line, reason: "a rule is a map that begins with `title:`".to_owned() })
        }
        Err(error) => {
            let at = error.location().map_or(0, |location| location.line().saturating_sub(1));
            Err(RuleError::NotYaml { line: line + at, reason: error.to_string() })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn documents_and_lines() {
        let documents =
            split("# head\ntitle: a\nx: 1\n---\n\ntitle: b\n bad: x\n---\n- list\n--- \ntitle: 'it''s'\n");
        assert_eq!(documents.len(), 4);
        let first = documents[0].as_ref().unwrap();
        assert_eq!((first.line, first.line_of(Some("x: 1")), first.line_of(Some("nowhere"))), (2, 3, 2));
        assert!(matches!(documents[1], Err(RuleError::NotYaml { line: 6..=8, .. })), "{:?}", documents[1]);
        assert!(matches!(documents[2], Err(RuleError::NotYaml { line: 9, .. })));
        let last = documents[3].as_ref().unwrap();
        assert_eq!((last.line, last.line_of(Some("it's"))), (11, 11));
    }

    #[test]
    fn a_key_twice_is_an_error() {
        assert!(matches!(split("a: 1\nb: 2\na: 3\n").as_slice(), [Err(RuleError::NotYaml { .. })]));
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in r"([a-z:'%\-\[\]{}&*!| \n#]|---\n){0,60}") {
            drop(split(&text));
        }
    }
}
