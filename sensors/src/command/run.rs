//! `run --interface NAME`: the events of live traffic.

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use anyhow::Context as _;
use clap::Args;
use dongson_sensor::Options;
use dongson_sensor::capture::filter::Filter;
use dongson_sensor::capture::portable;
#[cfg(target_os = "linux")]
use dongson_sensor::confine::{Report, confine};
use dongson_sensor::desired::apply::{Base, Shipping};
use dongson_sensor::layer::Vlans;
use dongson_sensor::live::{Backend, Capture, Counts, LiveError, LiveOptions, Sources};
use dongson_sensor::packets::Packets;
use dongson_sensor::relay::Opened;
use dongson_sensor::ship::{Health, Seen, ShipError, SpoolError};
#[cfg(target_os = "linux")]
use tracing::info;
use tracing::warn;

use super::detect::Detect;
use super::keep::Keep;
use super::relay::Inputs;
use super::say;
use super::scope::Scope;
use super::sink::{Ship, Sink};
use super::steer::{Steer, Steering};

/// How often what was captured and lost is told.
const REPORT_EVERY: Duration = Duration::from_mins(1);

/// How often the centre is told how the sensor is.
const HEALTH_EVERY: Duration = Duration::from_secs(10);
/// How long the end waits for the collector; what it has not got by then is sent at the next start.
const FAREWELL: Duration = Duration::from_secs(3);

/// What to capture and how.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The interface to capture on; may stand several times (both sides of a tap). Without it: the only one that there is
    /// beside the loopback.
    #[arg(long, value_name = "NAME")]
    interface: Vec<String>,
    /// Which frames, as in: not host 10.0.0.1 and (tcp port 443 or udp).
    #[arg(long, value_name = "EXPRESSION", value_parser = Filter::parse)]
    filter: Option<Filter>,
    /// How many threads share the frames; each has its own ring and flows.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: u16,
    /// Leave out what this machine sends.
    #[arg(long)]
    ignore_outgoing: bool,
    /// How frames are captured.
    #[arg(long, value_enum, default_value_t = Backend::Auto)]
    backend: Backend,
    /// Name of the monitored point, for observer.name.
    #[arg(long, value_name = "NAME")]
    observer: Option<String>,
    /// Stop after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Let VLAN tags not tell flows and fragments apart: for mirror ports that tag only one direction, or each one
    /// differently. By default the same addresses and ports in another VLAN are another flow.
    #[arg(long)]
    ignore_vlan: bool,
    /// Keep all rights after the interface is open: for debugging only.
    #[arg(long)]
    no_confine: bool,
    #[command(flatten)]
    keep: Keep,
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    ship: Ship,
    #[command(flatten)]
    detect: Detect,
    #[command(flatten)]
    steer: Steer,
}

/// Captures until a signal comes, the time is over, or nobody reads the events any more.
pub(crate) fn run(arguments: &Run) -> ExitCode {
    let interfaces = match chosen(&arguments.interface, portable::interfaces()) {
        Ok(interfaces) => interfaces,
        Err(choice) => {
            say(format_args!(
                "say which interface sees the traffic, with --interface: {}",
                choice.join(", ")
            ));
            return ExitCode::from(2);
        }
    };
    match capture(arguments, interfaces) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("{error}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints the names of the interfaces.
#[expect(clippy::print_stdout, reason = "the list is the output")]
pub(crate) fn list() -> ExitCode {
    for name in portable::interfaces() {
        println!("{name}");
    }
    ExitCode::SUCCESS
}

/// The interfaces that were named, else the only one of `present` beside the loopback; an error is the choice there is.
fn chosen(named: &[String], mut present: Vec<String>) -> Result<Vec<String>, Vec<String>> {
    if !named.is_empty() {
        return Ok(named.to_vec());
    }
    present.retain(|name| name != "lo");
    if present.len() == 1 { Ok(present) } else { Err(present) }
}

fn capture(arguments: &Run, interfaces: Vec<String>) -> anyhow::Result<()> {
    static STOP: AtomicBool = AtomicBool::new(false);
    dongson_sensor::live::stop_on_signals(&STOP);
    let vlans = if arguments.ignore_vlan { Vlans::Ignore } else { Vlans::Separate };
    let mut options = Options { observer: arguments.observer.clone(), vlans, ..Options::default() };
    options.protocol.secret_key = rand::random();
    arguments.scope.apply(&mut options, true);
    let folder = arguments.ship.folder()?;
    let live = LiveOptions {
        interfaces,
        backend: arguments.backend,
        filter: arguments.filter.clone(),
        ignore_outgoing: arguments.ignore_outgoing,
        threads: arguments.threads,
    };
    let mut sources = Sources::open(&live)?;
    let limits = arguments.steer.limits()?;
    let inputs = arguments.inputs.read(folder)?;
    let shipping = Shipping {
        spool_bytes: arguments.ship.spool_bytes(),
        daily_bytes: arguments.ship.daily_bytes(),
        inputs: inputs.names(),
    };
    let opened = Opened::open(inputs)?;
    // Before the first thread: what is given up is given up by this one and those that it starts.
    give_up_rights(arguments, folder, &opened)?;
    let mut sink = arguments.ship.open(&mut options)?;
    arguments.detect.start(folder, &mut sink)?;
    let packets = arguments.keep.start()?;
    if let Some(packets) = &packets {
        sources.keep(packets);
    }
    let base = Base::new(arguments.filter.clone(), &options, shipping);
    let mut steering = Steering::start(folder, base, limits, &arguments.keep, &arguments.ship, &sink)?;
    if let Sink::Ship(shipping) = &mut sink {
        let places = shipping.shipper.places();
        shipping.relay = Some(opened.start(&places)?);
    }
    let mut capture = sources.start(&options)?;
    if let Some(steering) = &mut steering {
        steering.begin(&mut capture, &mut sink);
    }
    let end = arguments.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let is_over = || STOP.load(Ordering::Relaxed) || end.is_some_and(|end| Instant::now() >= end);
    // Whatever ends the capture, the events that were seen are given on.
    let captured = follow(&mut capture, &mut sink, &mut steering, packets.as_ref(), is_over);
    if let Some(steering) = steering.as_mut().filter(|_| captured.is_ok()) {
        steering.stop();
    }
    let counted = capture.finish(&mut |event| sink.event(event));
    if let Ok(counts) = &counted {
        report(counts);
    }
    match sink.finish(FAREWELL) {
        Err(error) if error.downcast_ref::<ShipError>().is_some_and(is_unsent) => {
            say(format_args!("{error}"));
        }
        finished => drop(finished?),
    }
    captured?;
    counted?;
    Ok(())
}

/// Confines the process and says how far that went.
#[cfg(target_os = "linux")]
fn give_up_rights(arguments: &Run, folder: Option<&Path>, relay: &Opened) -> anyhow::Result<()> {
    if arguments.no_confine {
        warn!("not confined, as --no-confine asks: for debugging only");
        return Ok(());
    }
    arguments.keep.prepare(folder).context("making the folder of --packets")?;
    let folders: Vec<&Path> = folder.into_iter().chain(arguments.keep.folder()).collect();
    let Report { user, files, calls } = confine(&folders, &relay.folders())?;
    info!(user, %files, %calls, "confined: no capabilities; files by landlock, calls by seccomp");
    if user == 0 {
        warn!("running as root without capabilities: give the folder of --data to another user");
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn give_up_rights(_: &Run, _: Option<&Path>, _: &Opened) -> anyhow::Result<()> {
    warn!("not confined: this system has no landlock and no seccomp");
    Ok(())
}

fn is_unsent(error: &ShipError) -> bool {
    matches!(error, ShipError::Unsent { .. })
}

/// Captures until it is over, or nobody takes the events any more.
fn follow(
    capture: &mut Capture,
    sink: &mut Sink,
    steering: &mut Option<Steering>,
    packets: Option<&Packets>,
    is_over: impl Fn() -> bool,
) -> Result<(), LiveError> {
    let mut health = Health::new();
    let mut told: Option<Instant> = None;
    let mut reported = Instant::now();
    let mut failed: Result<(), SpoolError> = Ok(());
    while !is_over() && !sink.is_closed() {
        if told.is_none_or(|told| told.elapsed() >= HEALTH_EVERY) {
            told = Some(Instant::now());
            let counts = capture.counts()?;
            if let Some(packets) = packets {
                health.set_kept(packets.counts());
            }
            failed = tell(&mut health, &counts, sink).and(failed);
            if let Some(steering) = steering {
                steering.turn(capture, sink, &counts, &mut health);
            }
        }
        capture.poll(&mut |event| {
            health.note(&event);
            sink.event(event);
        })?;
        failed = sink.settle().and(failed);
        if reported.elapsed() >= REPORT_EVERY {
            reported = Instant::now();
            report(&capture.counts()?);
            if let Err(error) = std::mem::replace(&mut failed, Ok(())) {
                say(format_args!("events were lost and counted: {error}"));
            }
        }
    }
    Ok(())
}

/// Tells the centre how the sensor is, when events are shipped.
fn tell(health: &mut Health, counts: &Counts, sink: &mut Sink) -> Result<(), SpoolError> {
    let Sink::Ship(shipping) = sink else { return Ok(()) };
    if let Some(relay) = &shipping.relay {
        health.set_relay(relay.counts());
    }
    let seen = Seen { packets: counts.frames, dropped: counts.dropped, flows: counts.flows };
    health.tell(seen, portable::now(), &mut shipping.shipper)
}

/// Tells the operator what was captured and what was lost.
fn report(counts: &Counts) {
    let Counts { frames, events, flows, dropped } = counts;
    match dropped {
        Some(dropped) => say(format_args!(
            "{frames} frames, {dropped} dropped by the kernel, {events} events, {flows} live flows"
        )),
        None => say(format_args!(
            "{frames} frames, losses unknown (no ring), {events} events, {flows} live flows"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_interface_is_taken_and_of_several_one_must_be_named() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(chosen(&names(&["lo"]), names(&["lo", "eth0"])), Ok(names(&["lo"])));
        assert_eq!(chosen(&[], names(&["lo", "eth0"])), Ok(names(&["eth0"])));
        assert_eq!(chosen(&[], names(&["lo", "eth0", "eth1"])), Err(names(&["eth0", "eth1"])));
        assert_eq!(chosen(&[], names(&["lo"])), Err(Vec::new()));
    }
}
