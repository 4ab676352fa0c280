//! `packets`: what a sensor with `run --packets` has kept, for the engineer on the machine.
//!
//! Files of the ring belong to the sensor's user and are closed to others, so this runs as that user or as root.

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use dongson_event::Timestamp;
use dongson_sensor::capture::filter::Filter;
use dongson_sensor::packets::{Flow, Found, Query, find, spans};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::say;

/// What to do with kept packets.
#[derive(Debug, Args)]
pub(crate) struct Packets {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Saves the packets of a time, a flow or a filter as pcapng, and prints its SHA-256 and what is missing from it.
    #[command(
        after_help = "Example:\n  dongson-sensor packets find --packets sensor/packets --community-id 1:LQU9qZlK+B5F3KDmev6m5PMibrg= --out flow.pcapng"
    )]
    Find(Find),
    /// Lists the files with their times.
    #[command(after_help = "Example:\n  dongson-sensor packets list --packets sensor/packets")]
    List {
        /// The folder of `run --packets`.
        #[arg(long, value_name = "DIR")]
        packets: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Find {
    /// The folder of `run --packets`.
    #[arg(long, value_name = "DIR")]
    packets: PathBuf,
    /// From when, as in 2026-11-24T08:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Timestamp>,
    /// Up to when.
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Timestamp>,
    /// Of the flow with this Community ID.
    #[arg(long, value_name = "ID", conflicts_with = "tuple", value_parser = Flow::of_community_id)]
    community_id: Option<Flow>,
    /// Of this flow, both directions, as in: "tcp 10.0.0.1 40000 10.0.0.2 443".
    #[arg(long, value_name = "TUPLE", value_parser = Flow::of_tuple)]
    tuple: Option<Flow>,
    /// Which frames, as in: host 10.0.0.1 and tcp port 443.
    #[arg(long, value_name = "EXPRESSION", value_parser = Filter::parse)]
    filter: Option<Filter>,
    /// Most MiB of the answer.
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    max_mib: u64,
    /// The file to write, which must not be there yet; - for the standard output.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|error| error.to_string())
}

/// Runs the subcommand.
pub(crate) fn packets(arguments: &Packets) -> ExitCode {
    let done = match &arguments.what {
        What::Find(arguments) => search(arguments),
        What::List { packets } => list(packets),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the list is the output")]
fn list(folder: &Path) -> anyhow::Result<()> {
    for span in spans(folder)? {
        let (first, last) = span.times.unzip();
        let line = json!({
            "file": span.name,
            "bytes": span.bytes,
            "frames": span.frames,
            "first": first.map(|time| time.to_string()),
            "last": last.map(|time| time.to_string()),
        });
        println!("{line}");
    }
    Ok(())
}

fn search(arguments: &Find) -> anyhow::Result<()> {
    let all = Query::default();
    let query = Query {
        from: arguments.from.unwrap_or(all.from),
        to: arguments.to.unwrap_or(all.to),
        flow: arguments.community_id.clone().or_else(|| arguments.tuple.clone()),
        filter: arguments.filter.clone(),
        max_bytes: arguments.max_mib << 20,
    };
    anyhow::ensure!(query.from <= query.to, "--from is after --to");
    if arguments.out == Path::new("-") {
        let (found, sha256) = save(&arguments.packets, &query, io::stdout().lock())?;
        say(format_args!("{}", summary(&found, &sha256)));
        return Ok(());
    }
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(&arguments.out);
    let file = file.map_err(|error| anyhow::anyhow!("{}: {error}", arguments.out.display()))?;
    match save(&arguments.packets, &query, file) {
        Ok((found, sha256)) => {
            print(&summary(&found, &sha256));
            Ok(())
        }
        Err(error) => {
            // Half an answer would pass for a whole one.
            fs::remove_file(&arguments.out)?;
            Err(error)
        }
    }
}

#[expect(clippy::print_stdout, reason = "the account is the output")]
fn print(summary: &serde_json::Value) {
    println!("{summary}");
}

fn save(folder: &Path, query: &Query, out: impl Write) -> anyhow::Result<(Found, String)> {
    let mut out = Hashed { out: BufWriter::new(out), sum: Sha256::new() };
    let found = find(folder, query, &mut out)?;
    Ok((found, hex::encode(out.sum.finalize())))
}

fn summary(found: &Found, sha256: &str) -> serde_json::Value {
    let mut summary = json!(found);
    if let Some(fields) = summary.as_object_mut() {
        fields.insert("sha256".to_owned(), sha256.into());
    }
    summary
}

/// Hashes what is written.
struct Hashed<W: Write> {
    out: BufWriter<W>,
    sum: Sha256,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.sum.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
