//! The command line: `read` takes the events of capture files, `run` those of an interface; both print them, or ship
//! them to the collector once `enrol` has made this machine known there.
//!
//! Exit codes: 0 done, 1 something could not be read (`doctor`: something is to be mended), 2 the command line is wrong
//! (`doctor`: or the interface cannot be opened).

mod command;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Events are many short texts, made and freed packet by packet.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The sensor of Dongson: packets in, events out.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Gets this machine its certificate from the collector, with a one-time token.
    #[command(
        after_help = "Example:\n  dongson-sensor enrol https://collector.example:9443 dst1.SECRET.FINGERPRINT --data sensor"
    )]
    Enrol(command::enrol::Enrol),
    /// Prints the events of capture files (pcap, pcapng, also .gz and .zst), one JSON object a line, or ships them.
    #[command(
        after_help = "Example:\n  dongson-sensor read gateway.pcap | jq 'select(.\"event.dataset\" == \"sensor.dns\")'"
    )]
    Read(command::read::Read),
    /// Captures on an interface and prints the events, one JSON object a line, or ships them.
    #[command(after_help = "Example:\n  dongson-sensor run --interface eth1 --data sensor")]
    Run(command::run::Run),
    /// Says what is wrong with an interface, and what to type to mend it: offloads, MTU, link, directions, VLANs, drops, clock.
    #[cfg(target_os = "linux")]
    #[command(after_help = "Example:\n  dongson-sensor doctor --interface eth1 --vlan 10 --vlan 20")]
    Doctor(command::doctor::Doctor),
    /// Finds packets that a sensor with `run --packets` has kept.
    Packets(command::packets::Packets),
    /// Prints what the sensor found by itself: indicators, and rules while the centre could not be reached.
    #[command(after_help = "Example:\n  dongson-sensor alerts --data sensor --newest 20")]
    Alerts(command::alerts::Alerts),
    /// Prints what the centre asked of this sensor and what became of it, and checks that nothing was changed.
    #[command(after_help = "Example:\n  dongson-sensor journal --data sensor")]
    Journal(command::journal::Journal),
    /// Lists the interfaces that can be captured on.
    Interfaces,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log();
    match arguments.command {
        Command::Enrol(enrol) => command::enrol::enrol(&enrol),
        Command::Read(read) => command::read::read(&read),
        Command::Run(run) => command::run::run(&run),
        #[cfg(target_os = "linux")]
        Command::Doctor(doctor) => command::doctor::doctor(&doctor),
        Command::Packets(packets) => command::packets::packets(&packets),
        Command::Alerts(alerts) => command::alerts::alerts(&alerts),
        Command::Journal(journal) => command::journal::journal(&journal),
        Command::Interfaces => command::run::list(),
    }
}

/// Logs to the standard error, from `info` on; `RUST_LOG` says otherwise.
fn log() {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
}
