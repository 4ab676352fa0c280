//! Measures the whole system over real processes: a `dongson up` of its own in a temporary folder, fed over its
//! listeners with made-up records from a fixed seed, counted in its store and its registry.
//!
//! - [`random`], [`record`]: what is sent, always the same for the same seed.
//! - [`lane`], [`load`]: the ways in, and how fast they are used.
//! - [`system`], [`cost`]: the processes that are measured, and what they cost.
//! - [`yardstick`]: what the store and the disk alone do on the same machine in the same minute.
//! - [`live`]: frames over a virtual link into each way of receiving; [`sensor`]: captures through the sensor alone.
//! - [`faults`]: numbered events through every way in, while processes are killed, links cut and disks filled.
//! - [`fleet`]: many sensors at once, some of them cut off.
//! - [`ingest`], [`latency`]: the two measurements of a whole system; [`report`] prints them.

mod cost;
mod faults;
mod fleet;
mod ingest;
mod lane;
mod latency;
mod live;
mod load;
mod random;
mod record;
mod report;
mod sensor;
mod system;
mod yardstick;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures throughput and latency of a whole Dongson.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "examples:\n  dongson-bench ingest --dongson target/release/dongson\n  dongson-bench ingest --dongson target/release/dongson --sensor --rate 20000 --seconds 60\n  dongson-bench latency --dongson target/release/dongson\n  dongson-bench sensor --sensor target/sensor/dongson-sensor\nEach prints a table on standard error and one line of JSON on standard output."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sends records and waits until each is a row in the store; fails when the numbers differ.
    Ingest(ingest::Ingest),
    /// Sends attacks among ordinary records and measures the time until each is an alert in the queue.
    Latency(latency::Latency),
    /// Measures the sensor over a capture: packets per second of processor time beside softflowd, memory, a flood.
    Sensor(sensor::Sensor),
    /// Sends frames over a virtual link into each way of receiving; fails when the ring loses one.
    #[command(
        after_help = "Needs root. Example:\n  dongson-bench live --seconds 60 --receiver ring,portable,libpcap"
    )]
    Live(live::Live),
    /// Sends numbered events while processes are killed, links cut, answers lost and disks filled; then counts what was
    /// lost or doubled.
    Faults(faults::Faults),
    /// Sends as many sensors at once, a third of them cut off in turn; fails when something was lost or doubled.
    Fleet(fleet::Fleet),
    /// One simulated sensor of `faults`.
    #[command(name = faults::SENSOR, hide = true)]
    FaultsSensor(faults::Simulated),
}

#[expect(clippy::print_stderr, reason = "the operator of a measurement reads its error here")]
fn main() -> ExitCode {
    // Only the first call in a process can fail, by finding the same provider already there.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let done = match Arguments::parse().command {
        Command::Ingest(ingest) => ingest.run(),
        Command::Latency(latency) => latency.run(),
        Command::Sensor(sensor) => sensor.run(),
        Command::Live(live) => live.run(),
        Command::Faults(faults) => faults.run(),
        Command::Fleet(fleet) => fleet.run(),
        Command::FaultsSensor(sensor) => sensor.run(),
    };
    done.unwrap_or_else(|error| {
        eprintln!("dongson-bench: {error:#}");
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}
