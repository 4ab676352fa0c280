//! The command line: `read` prints the events of capture files, `run` those of an interface.
//!
//! Exit codes: 0 done, 1 something could not be read, 2 the command line is wrong.

mod command;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The sensor of Dongson: packets in, events out.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints the events of capture files (pcap, pcapng, also .gz and .zst), one JSON object a line.
    #[command(
        after_help = "Example:\n  dongson-sensor read gateway.pcap | jq 'select(.\"event.dataset\" == \"sensor.dns\")'"
    )]
    Read(command::read::Read),
    /// Captures on interfaces and prints the events, one JSON object a line.
    #[command(after_help = "Example:\n  dongson-sensor run --interface eth1 --observer xa-hamrong-gw")]
    Run(command::run::Run),
    /// Lists the interfaces that can be captured on.
    Interfaces,
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Read(read) => command::read::read(&read),
        Command::Run(run) => command::run::run(&run),
        Command::Interfaces => command::run::list(),
    }
}
