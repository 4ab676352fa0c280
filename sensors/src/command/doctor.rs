//! `doctor --interface NAME`: what is wrong with an interface, and what to type to mend it.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use dongson_sensor::confine::{self, Fence};
use dongson_sensor::doctor::{Facts, Finding, examine, findings, of_fences};
use serde_json::json;

use super::say;

/// What to look at.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The interface.
    #[arg(long, value_name = "NAME")]
    interface: String,
    /// How long to listen.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    seconds: u64,
    /// A VLAN that should be seen; may stand several times.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=4094))]
    vlan: Vec<u16>,
    /// How findings are printed.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One JSON object: facts and findings.
    Json,
}

/// Exit codes: 0 all is well, 1 there are findings, 2 the interface cannot be opened.
pub(crate) fn doctor(arguments: &Doctor) -> ExitCode {
    let facts = match examine(&arguments.interface, Duration::from_secs(arguments.seconds)) {
        Ok(facts) => facts,
        Err(error) => {
            say(format_args!("{error}"));
            return ExitCode::from(2);
        }
    };
    let mut found = findings(&facts, &arguments.vlan);
    let fences = confine::offered();
    found.extend(of_fences(fences));
    match arguments.format {
        Format::Text => print_text(&facts, fences, &found),
        Format::Json => print_json(&facts, fences, &found),
    }
    if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::print_stdout, reason = "the findings are the output")]
fn print_text(facts: &Facts, (files, calls): (Fence, Fence), found: &[Finding]) {
    let (both, one) = facts.conversations;
    println!(
        "{}: {} frames, {} dropped by the kernel, {} VLANs, {both} TCP conversations whole and {one} of one direction",
        facts.interface,
        facts.frames,
        facts.dropped,
        facts.vlans.len()
    );
    println!("confinement: landlock {files}, seccomp {calls}");
    for Finding { name, what, mend } in found {
        println!("- {what} ({name})\n    {mend}");
    }
    if found.is_empty() {
        println!("nothing to mend was found");
    }
}

#[expect(clippy::print_stdout, reason = "the findings are the output")]
fn print_json(facts: &Facts, (files, calls): (Fence, Fence), found: &[Finding]) {
    let fences = json!({ "landlock": files.to_string(), "seccomp": calls.to_string() });
    println!("{}", json!({ "facts": facts, "confinement": fences, "findings": found }));
}
