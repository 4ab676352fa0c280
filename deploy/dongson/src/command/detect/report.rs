//! Where matches go: printed as they come, or gathered for the page; what is no match is told on standard error.

use std::io::{self, Write};
use std::sync::Arc;

use dongson_rules::RuleSet;
use dongson_rules::detect::{BadRecord, Hit, Sink, Totals};

use super::html::Page;
use super::summary::Summary;
use super::{Format, Lang, csv};
use crate::output::{harmless, tell};

/// Most bad records of one file that are named one by one.
const MAX_NAMED: u64 = 20;

/// Prints, counts and complains.
pub(super) struct Report {
    format: Format,
    rules: Arc<RuleSet>,
    out: Box<dyn Write>,
    page: Page,
    pub(super) summary: Summary,
    bad_records: u64,
    bad_files: u64,
    /// The file of the last bad record and how many it had.
    bad_here: (String, u64),
}

impl Report {
    pub(super) fn new(format: Format, lang: Lang, rules: &Arc<RuleSet>, out: Box<dyn Write>) -> Self {
        Self {
            format,
            rules: Arc::clone(rules),
            out,
            page: Page::new(lang, Arc::clone(rules)),
            summary: Summary::default(),
            bad_records: 0,
            bad_files: 0,
            bad_here: (String::new(), 0),
        }
    }

    pub(super) fn begin(&mut self) -> io::Result<()> {
        if self.format == Format::Csv { csv::head(&mut self.out) } else { Ok(()) }
    }

    /// Writes what waits for the end.
    pub(super) fn end(&mut self, totals: &Totals, files: usize) -> io::Result<()> {
        if self.format == Format::Html {
            self.page.write(&self.summary, totals.records, files, self.bad_records, &mut self.out)?;
        }
        self.out.flush()?;
        self.unnamed();
        if self.bad_records > 0 {
            tell(&format!("{} records could not be read", self.bad_records));
        }
        Ok(())
    }

    /// Records and files that could not be read.
    pub(super) fn troubles(&self) -> u64 {
        self.bad_records + self.bad_files
    }

    /// Says how many bad records of the last file were not named.
    fn unnamed(&mut self) {
        let (file, count) = std::mem::take(&mut self.bad_here);
        if count > MAX_NAMED {
            tell(&format!("{file}: {} more records could not be read", count - MAX_NAMED));
        }
    }
}

impl Sink for Report {
    type Error = io::Error;

    fn hit(&mut self, hit: Hit) -> io::Result<()> {
        self.summary.add(&hit);
        match self.format {
            Format::Jsonl => {
                serde_json::to_writer(&mut self.out, &hit)?;
                self.out.write_all(b"\n")
            }
            Format::Table => writeln!(
                self.out,
                "{:<13} {:<24} {}:{}  {}  {}",
                hit.level.as_str(),
                hit.timestamp.as_deref().map(harmless).unwrap_or_default(),
                harmless(&hit.file),
                hit.event,
                harmless(&hit.rule_title),
                hit.rule_id
            ),
            Format::Csv => csv::line(&hit, &self.rules, &mut self.out),
            Format::Html => {
                self.page.add(hit);
                Ok(())
            }
        }
    }

    fn bad(&mut self, file: &str, bad: &BadRecord) {
        self.bad_records += 1;
        if self.bad_here.0 != file {
            self.unnamed();
            file.clone_into(&mut self.bad_here.0);
        }
        self.bad_here.1 += 1;
        if self.bad_here.1 <= MAX_NAMED {
            tell(&format!("{file}: {bad}"));
        }
    }

    fn unreadable(&mut self, file: &str, reason: &str) {
        self.bad_files += 1;
        tell(&format!("{file}: {reason}"));
    }
}
