//! `run --interface NAME`: the events of live traffic.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use dongson_sensor::capture::portable;
use dongson_sensor::live::{Backend, Live, LiveError};
use dongson_sensor::{Engine, Options};

use super::{Lines, say};

/// How often what was captured and lost is told.
const REPORT_EVERY: Duration = Duration::from_mins(1);

/// What to capture and how.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The interface to capture on.
    #[arg(long, value_name = "NAME")]
    interface: String,
    /// How frames are captured.
    #[arg(long, value_enum, default_value_t = Backend::Auto)]
    backend: Backend,
    /// Name of the monitored point, for observer.name.
    #[arg(long, value_name = "NAME")]
    observer: Option<String>,
    /// Stop after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
}

/// Captures until a signal comes, the time is over, or nobody reads the events any more.
pub(crate) fn run(arguments: &Run) -> ExitCode {
    match capture(arguments) {
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

fn capture(arguments: &Run) -> Result<(), LiveError> {
    static STOP: AtomicBool = AtomicBool::new(false);
    dongson_sensor::live::stop_on_signals(&STOP);
    let mut live = Live::open(&arguments.interface, arguments.backend)?;
    let mut options = Options { observer: arguments.observer.clone(), ..Options::default() };
    options.protocol.secret_key = rand::random();
    let mut engine = Engine::new(options);
    let mut lines = Lines::new();
    let started = Instant::now();
    let mut reported = started;
    let over = |started: Instant| {
        arguments.seconds.is_some_and(|seconds| started.elapsed() >= Duration::from_secs(seconds))
    };
    while !STOP.load(Ordering::Relaxed) && !lines.is_closed() && !over(started) {
        live.poll(&mut engine, &mut |event| lines.event(&event))?;
        lines.flush();
        if reported.elapsed() >= REPORT_EVERY {
            reported = Instant::now();
            report(&mut live, &engine)?;
        }
    }
    engine.finish(&mut |event| lines.event(&event));
    report(&mut live, &engine)?;
    lines.finish().map_err(LiveError::Output)
}

/// Tells the operator what was captured and what was lost.
fn report(live: &mut Live, engine: &Engine) -> Result<(), LiveError> {
    let statistics = engine.statistics();
    let (frames, events, flows) = (statistics.frames, statistics.events, engine.live_flows());
    match live.dropped()? {
        Some(dropped) => say(format_args!(
            "{frames} frames, {dropped} dropped by the kernel, {events} events, {flows} live flows"
        )),
        None => say(format_args!(
            "{frames} frames, losses unknown (no ring), {events} events, {flows} live flows"
        )),
    }
    Ok(())
}
