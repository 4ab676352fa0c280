//! `dongson detect`: rules over files of events, by the engine that watches live events.

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use dongson_event::Event;
use dongson_rules::detect::{Detector, Hit, open};
use dongson_rules::{LoadOptions, Mode, RuleSet, Taxonomies};

use crate::output::harmless;

/// How events are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Taxonomy {
    /// ECS, Winlogbeat, EVTX JSON, Zeek, Suricata EVE, our own sensor: told by the event.
    Auto,
    /// Field names as the rules write them, the log source in `product`, `service`, `category`.
    Sigma,
}

/// How matches are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object per match and line.
    Jsonl,
    /// Aligned text for people.
    Table,
}

/// Detection over files.
#[derive(Debug, Args)]
#[command(
    after_help = "example: dongson detect --rules rules/content/sigma --format jsonl events.jsonl.zst capture.pcap Security.evtx\nexit codes: 0 everything was read, 1 something could not be read, 2 wrong usage"
)]
pub(crate) struct Detect {
    /// Folder or file of Sigma rules; may be given several times.
    #[arg(long, required = true)]
    rules: Vec<PathBuf>,
    /// How the events name their fields.
    #[arg(long, value_enum, default_value = "auto")]
    taxonomy: Taxonomy,
    /// How matches are printed.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// JSON lines, a JSON array, EVTX, pcap or pcapng; plain, gzip or Zstandard; `-` reads standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// What is wrong so far.
#[derive(Default)]
struct Troubles {
    bad_records: u64,
    bad_files: u64,
}

impl Detect {
    pub(super) fn run(self) -> Result<ExitCode> {
        if let Some(missing) = self.rules.iter().find(|path| !path.exists()) {
            bail!("{}: there is no such file or folder of rules", missing.display());
        }
        let loaded = RuleSet::load(&self.rules, &LoadOptions::default());
        for refusal in &loaded.refused {
            tell(&format!("{}:{}: refused: {}", refusal.file, refusal.line, refusal.reason));
        }
        if loaded.compiled == 0 {
            bail!("no rule could be used");
        }
        let mode = match self.taxonomy {
            Taxonomy::Auto => Mode::Auto,
            Taxonomy::Sigma => Mode::Sigma,
        };
        let mut detector = Detector::new(Arc::new(loaded.rules), Arc::new(Taxonomies::embedded()), mode);
        let mut out = BufWriter::new(io::stdout().lock());
        let mut troubles = Troubles::default();
        for file in &self.files {
            if let Err(error) = self.file(file, &mut detector, &mut out, &mut troubles) {
                if error
                    .downcast_ref::<io::Error>()
                    .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
                {
                    return Ok(ExitCode::SUCCESS);
                }
                troubles.bad_files += 1;
                tell(&format!("{error:#}"));
            }
        }
        out.flush()
            .or_else(|error| if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })?;
        if troubles.bad_records > 0 {
            tell(&format!("{} records could not be read", troubles.bad_records));
        }
        let clean = troubles.bad_files == 0 && troubles.bad_records == 0;
        Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn file(
        &self,
        path: &Path,
        detector: &mut Detector,
        out: &mut impl io::Write,
        troubles: &mut Troubles,
    ) -> Result<()> {
        let name = path.display().to_string();
        let mut number = 0;
        let print =
            |detector: &mut Detector, number: u64, event: Event, out: &mut dyn io::Write| -> io::Result<()> {
                for hit in detector.event(&name, number, event) {
                    write_hit(self.format, &hit, out)?;
                }
                Ok(())
            };
        match kind_of(path)? {
            Kind::Records => {
                for record in open(path).with_context(|| name.clone())? {
                    match record {
                        Ok(record) => print(detector, record.number, record.event, out)?,
                        Err(bad) => {
                            troubles.bad_records += 1;
                            tell(&format!("{name}: {bad}"));
                        }
                    }
                }
            }
            Kind::Evtx => {
                let mut parser = evtx::EvtxParser::from_path(path).with_context(|| name.clone())?;
                for record in parser.records_json_value() {
                    number += 1;
                    let event = record.map_err(|error| error.to_string()).and_then(|record| {
                        let text = record.data.to_string();
                        Event::parse(text.as_bytes())
                            .map(|(event, _)| event)
                            .map_err(|error| error.to_string())
                    });
                    match event {
                        Ok(event) => print(detector, number, event, out)?,
                        Err(reason) => {
                            troubles.bad_records += 1;
                            tell(&format!("{name}: record {number}: {reason}"));
                        }
                    }
                }
            }
            Kind::Capture => {
                let mut failed = Ok(());
                let summary =
                    dongson_sensor::read_file(path, &dongson_sensor::Options::default(), &mut |event| {
                        number += 1;
                        if failed.is_ok() {
                            failed = print(detector, number, event, out);
                        }
                    })?;
                failed?;
                if let Some(warning) = summary.warning {
                    troubles.bad_records += 1;
                    tell(&format!("{name}: {warning}"));
                }
            }
        }
        Ok(())
    }
}

enum Kind {
    Records,
    Evtx,
    Capture,
}

/// First bytes of pcap (both byte orders, micro and nanoseconds) and pcapng.
const CAPTURES: [[u8; 4]; 5] = [
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0x4d, 0x3c, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0x0a, 0x0d, 0x0d, 0x0a],
];

/// What a file holds, by its first bytes (behind gzip or Zstandard only records and captures are looked for).
fn kind_of(path: &Path) -> Result<Kind> {
    if path.as_os_str() == "-" {
        return Ok(Kind::Records);
    }
    let context = || path.display().to_string();
    let mut head = [0_u8; 8];
    let file = File::open(path).with_context(context)?;
    let mut reader: Box<dyn io::Read> = Box::new(file);
    let length = reader.read(&mut head).with_context(context)?;
    let plain = head.get(..length).unwrap_or_default();
    let unpacked: Vec<u8> = if plain.starts_with(&[0x1f, 0x8b]) {
        first_bytes(flate2::read::MultiGzDecoder::new(File::open(path).with_context(context)?))
    } else if plain.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        zstd::Decoder::new(File::open(path).with_context(context)?).map(first_bytes).unwrap_or_default()
    } else {
        plain.to_vec()
    };
    Ok(if plain.starts_with(b"ElfFile") {
        Kind::Evtx
    } else if CAPTURES.iter().any(|magic| unpacked.starts_with(magic)) {
        Kind::Capture
    } else {
        Kind::Records
    })
}

fn first_bytes(reader: impl io::Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What cannot be unpacked is not told apart here; reading it later says what is wrong.
    let _read = reader.take(8).read_to_end(&mut bytes);
    bytes
}

fn write_hit(format: Format, hit: &Hit, out: &mut dyn io::Write) -> io::Result<()> {
    match format {
        Format::Jsonl => {
            serde_json::to_writer(&mut *out, hit)?;
            writeln!(out)
        }
        Format::Table => writeln!(
            out,
            "{:<13} {:<24} {}:{}  {}  {}",
            hit.level.as_str(),
            hit.timestamp.as_deref().map(harmless).unwrap_or_default(),
            harmless(&hit.file),
            hit.event,
            harmless(&hit.rule_title),
            hit.rule_id
        ),
    }
}

#[expect(
    clippy::print_stderr,
    reason = "what could not be read is for the person at the terminal, matches are on standard output"
)]
fn tell(text: &str) {
    eprintln!("{}", harmless(text));
}
