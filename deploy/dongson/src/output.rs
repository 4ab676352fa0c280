//! What commands print: tables for people, JSON for programs. Text from outside is made harmless for a terminal.

use std::io::{self, Write};

use clap::ValueEnum;

/// How a command's answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns.
    Table,
    /// One JSON value.
    Json,
}

/// Prints one line on standard output; a closed pipe is no error of ours.
pub(crate) fn line(text: &str) -> io::Result<()> {
    written(writeln!(io::stdout().lock(), "{text}"))
}

/// Tells the person at the terminal; standard output is for results.
#[expect(clippy::print_stderr, reason = "standard output is for results")]
pub(crate) fn tell(text: &str) {
    eprintln!("{}", harmless(text));
}

/// Prints `value` as one JSON text.
pub(crate) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    Ok(line(&serde_json::to_string(value)?)?)
}

/// Prints rows under their heads, each column as wide as its widest cell.
pub(crate) fn table(heads: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|text| cell(text)).collect()).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(heads.get(column).map(|head| head.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let mut out = io::stdout().lock();
    let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
    for row in std::iter::once(&heads).chain(&rows) {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| padded(cell, *width)).collect();
        written(writeln!(out, "{}", cells.join("  ").trim_end()))?;
    }
    Ok(())
}

/// `cell` with spaces up to `width` signs.
fn padded(cell: &str, width: usize) -> String {
    let missing = width.saturating_sub(cell.chars().count());
    [cell, &" ".repeat(missing)].concat()
}

/// An error and its causes in one line; a cause that an error above has quoted already is not said again.
pub(crate) fn causes(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if said.is_empty() {
            said = text;
        } else if !said.contains(text.trim_end()) {
            said = format!("{said}: {text}");
        }
    }
    said
}

/// A cell that is longer is cut: a table is for people.
const CELL_CHARS: usize = 300;

fn cell(text: &str) -> String {
    let mut signs = text.chars();
    let head: String = signs.by_ref().take(CELL_CHARS).collect();
    harmless(&if signs.next().is_some() { head + "..." } else { head })
}

/// Text from outside as one line without control, bidirectional and zero-width signs.
pub(crate) fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for sign in text.chars() {
        let hidden = matches!(sign, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}');
        if sign.is_control() || hidden { out.extend(sign.escape_unicode()) } else { out.push(sign) }
    }
    out
}

fn written(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let cause = anyhow::anyhow!("no such file").context("/a/b: no such file").context("starting");
        assert_eq!(causes(&cause), "starting: /a/b: no such file");
        assert_eq!(causes(&anyhow::anyhow!("one").context("two")), "two: one");
    }

    #[test]
    fn a_terminal_is_not_steered_from_outside() {
        assert_eq!(harmless("a\u{1b}[2Jb\u{202e}"), "a\\u{1b}[2Jb\\u{202e}");
    }
}
