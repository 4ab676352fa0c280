//! Each parser over its fixtures: the events are kept as snapshots, so that a change of a parser is seen.

#![expect(clippy::unwrap_used, reason = "a test says where it stopped")]

use dongson_collector::parse::{Context, PARSERS};
use jiff::tz::TimeZone;
use std::fmt::Write as _;
use std::path::Path;

/// What `parser` makes of each line of each file in its folder.
fn read(parser: &dongson_collector::parse::Parser) -> String {
    let zone = TimeZone::fixed(jiff::tz::offset(7));
    let context = Context { received: "2026-11-23T03:00:00Z".parse().unwrap(), zone: &zone };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(parser.name);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{} needs a folder of fixtures: {error}", parser.name))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut out = String::new();
    for line in files.iter().flat_map(|file| {
        let text = std::fs::read_to_string(file).unwrap();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    }) {
        match (parser.parse)(line.as_bytes(), &context) {
            Ok(parsed) => {
                for (name, value) in parsed.event.iter() {
                    writeln!(out, "{name}: {}", serde_json::to_string(value).unwrap()).unwrap();
                }
            }
            Err(refusal) => writeln!(out, "refused: {refusal}").unwrap(),
        }
        writeln!(out, "--").unwrap();
    }
    out
}

#[test]
fn every_parser_reads_its_fixtures_as_before() {
    for parser in PARSERS {
        insta::assert_snapshot!(parser.name, read(parser));
    }
}
