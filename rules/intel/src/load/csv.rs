//! CSV (RFC 4180) with a line of names, or a plain list with one value a line.

use super::{Taker, moment};
use crate::indicator::{Detail, Kind, Tlp};

/// Confidence where a list says nothing.
const CONFIDENCE: u8 = 50;
/// Most columns.
const MAX_COLUMNS: usize = 64;

/// Which column holds what.
#[derive(Debug, Default)]
struct Columns {
    value: usize,
    kind: Option<usize>,
    source: Option<usize>,
    confidence: Option<usize>,
    tlp: Option<usize>,
    expires: Option<usize>,
}

/// Reads a list. A line that begins with `#` is a comment; without a line of names the first column holds the values.
pub(super) fn read(text: &str, taker: &mut Taker<'_>) {
    let mut columns = None;
    let (mut rest, mut line) = (text, 1);
    while !rest.is_empty() {
        let (cells, tail, lines) = record(rest);
        let place = line;
        (rest, line) = (tail, line + lines);
        let first = cells.first().map_or("", |cell| cell.trim());
        if first.starts_with('#') || (cells.len() == 1 && first.is_empty()) {
            continue;
        }
        if columns.is_none() {
            match names(&cells) {
                Some(found) => {
                    columns = Some(found);
                    continue;
                }
                None => columns = Some(Columns::default()),
            }
        }
        if let Some(columns) = &columns {
            row(place, &cells, columns, taker);
        }
    }
}

fn row(place: usize, cells: &[String], columns: &Columns, taker: &mut Taker<'_>) {
    let cell = |column: Option<usize>| {
        column.and_then(|column| cells.get(column)).map(|cell| cell.trim()).filter(|cell| !cell.is_empty())
    };
    let Some(value) = cell(Some(columns.value)) else { return taker.refuse(place, "has no value") };
    let kind = match cell(columns.kind).map(|word| (word, Kind::parse(word))) {
        None => None,
        Some((_, Some(kind))) => Some(kind),
        Some((word, None)) => return taker.refuse(place, format!("{word:?} is no kind that is matched")),
    };
    let expires = match cell(columns.expires).map(|text| (text, moment(text))) {
        None => None,
        Some((_, Some(at))) => Some(at),
        Some((text, None)) => {
            return taker.refuse(place, format!("{text:?} is no moment such as 2027-01-31"));
        }
    };
    let confidence = match cell(columns.confidence).map(|text| (text, text.parse::<u8>().ok())) {
        None => CONFIDENCE,
        Some((_, Some(number @ 0..=100))) => number,
        Some((text, _)) => return taker.refuse(place, format!("{text:?} is no confidence from 0 to 100")),
    };
    let tlp = match cell(columns.tlp).map(|text| (text, Tlp::parse(text))) {
        None => Tlp::default(),
        Some((_, Some(tlp))) => tlp,
        Some((text, None)) => return taker.refuse(place, format!("{text:?} is no TLP such as amber")),
    };
    let source = cell(columns.source).map_or_else(|| taker.source(), str::to_owned);
    taker.take(place, kind, value, &Detail { source, confidence, tlp, expires });
}

/// The columns, when this line names them.
fn names(cells: &[String]) -> Option<Columns> {
    let find = |words: &[&str]| {
        cells.iter().position(|cell| words.contains(&cell.trim().to_ascii_lowercase().as_str()))
    };
    let value = find(&["value", "indicator", "ioc", "ioc_value", "pattern"])
        .or_else(|| find(&["ip", "domain", "url", "hash", "sha256", "md5"]))?;
    Some(Columns {
        value,
        kind: find(&["type", "kind", "ioc_type"]),
        source: find(&["source", "feed", "provider", "reporter"]),
        confidence: find(&["confidence", "confidence_level", "score"]),
        tlp: find(&["tlp"]),
        expires: find(&["expires", "valid_until", "expiration", "until"]),
    })
}

/// One record, what follows it, and how many lines it had.
fn record(text: &str) -> (Vec<String>, &str, usize) {
    let mut cells = Vec::new();
    let (mut cell, mut quoted, mut lines) = (String::new(), false, 0);
    let mut signs = text.char_indices().peekable();
    while let Some((at, sign)) = signs.next() {
        match sign {
            '"' if quoted && signs.peek().is_some_and(|(_, next)| *next == '"') => {
                cell.push('"');
                signs.next();
            }
            '"' if quoted => quoted = false,
            '"' if cell.is_empty() => quoted = true,
            ',' | ';' | '\t' if !quoted && cells.len() < MAX_COLUMNS => cells.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                cells.push(cell);
                return (cells, text.get(at + 1..).unwrap_or_default(), lines + 1);
            }
            '\r' if !quoted => {}
            sign => {
                lines += usize::from(sign == '\n');
                cell.push(sign);
            }
        }
    }
    cells.push(cell);
    (cells, "", lines + 1)
}

#[cfg(test)]
mod tests {
    use super::super::{LoadReport, text};
    use super::*;
    use crate::set::Builder;
    use proptest::prelude::*;

    fn load(list: &str) -> (crate::Set, LoadReport) {
        let (mut builder, mut report) = (Builder::default(), LoadReport::default());
        text("feeds/list.csv", list.as_bytes(), &mut builder, &mut report);
        (builder.finish(), report)
    }

    #[test]
    fn names_quotes_and_refusals() {
        let list = "# of today\ntype,value,confidence,tlp,expires,source\nip,203.0.113.7,90,red,2027-01-01,\"ours, own\"\ndomain,\"bad.example\",,,,\nip,nowhere,,,,\nemail,a@b.c,,,,\nip,203.0.113.8,200,,,\nip,203.0.113.8,,,soon,\n";
        let (set, report) = load(list);
        assert_eq!((report.taken, report.refused), (2, 4), "{report:?}");
        assert_eq!(report.reasons.iter().map(|one| one.place).collect::<Vec<_>>(), [5, 6, 7, 8]);
        assert_eq!(set.len(), 2);
    }

    #[test]
    fn a_plain_list_needs_no_names() {
        let (set, report) = load("203.0.113.7\r\nbad.example\n\n# no\nhxxp://bad[.]example/x\nbad.example\n");
        assert_eq!((set.len(), report.taken, report.repeated, report.refused), (3, 3, 1, 0));
    }

    proptest! {
        #[test]
        fn records_come_back(rows in prop::collection::vec(prop::collection::vec("[a-z\",;\n ]{0,8}", 1..5), 1..6)) {
            let quoted = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
            let lines: Vec<String> =
                rows.iter().map(|row| row.iter().map(quoted).collect::<Vec<_>>().join(",")).collect();
            let text = lines.join("\n");
            let (mut rest, mut read) = (text.as_str(), Vec::new());
            while !rest.is_empty() {
                let (cells, tail, _) = record(rest);
                read.push(cells);
                rest = tail;
            }
            prop_assert_eq!(read, rows);
        }

        #[test]
        fn it_never_panics(list in "\\PC{0,200}") {
            load(&list);
        }
    }
}
