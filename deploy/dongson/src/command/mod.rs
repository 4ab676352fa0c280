//! The commands, one file each.

mod admin;
mod backup;
mod detect;
mod drill;
mod fields;
mod intel;
mod key_file;
mod pack;
mod pack_file;
mod rules;
mod store;
mod trust;
mod up;
mod verify;

use std::process::ExitCode;

use clap::Subcommand;

use crate::role::Role;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs everything on this machine: collector, analyzer, store and console.
    Up(up::Up),
    /// Runs a collector: logs and sensors in, events out to Kafka.
    Collector(up::One),
    /// Runs an analyzer: events from Kafka in, alerts out.
    Analyzer(up::One),
    /// Runs a console: the page and its API.
    Console(up::One),
    /// Runs rules over files of events and prints the matches.
    Detect(detect::Detect),
    /// Checks and tests rules.
    #[command(subcommand)]
    Rules(rules::Rules),
    /// Reads lists of indicators.
    #[command(subcommand)]
    Intel(intel::Intel),
    /// Makes the bundled attack and sends it the real way.
    #[command(subcommand)]
    Drill(drill::Drill),
    /// Agencies, tokens, keys and sources, at the data folder of this machine.
    #[command(subcommand)]
    Admin(admin::Admin),
    /// Compares all that is stored with the transparency log and names what was changed.
    Verify(verify::Verify),
    /// Writes the proof of one event, alert or audit entry.
    Evidence(verify::EvidenceCommand),
    /// The store's engine: its process, and its installation.
    Store(store::StoreCommand),
    /// Prints the table of fields as Markdown.
    Fields,
}

impl Command {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Up(up) => up.run(),
            Self::Collector(one) => one.run(Role::Collector),
            Self::Analyzer(one) => one.run(Role::Analyzer),
            Self::Console(one) => one.run(Role::Console),
            Self::Detect(detect) => detect.run(),
            Self::Rules(rules) => rules.run(),
            Self::Intel(intel) => intel.run(),
            Self::Drill(drill) => drill.run(),
            Self::Admin(admin) => admin.run(),
            Self::Verify(verify) => verify.run(),
            Self::Evidence(evidence) => evidence.run(),
            Self::Store(store) => store.run(),
            Self::Fields => fields::run(),
        }
    }
}
