//! Live traffic to events: the ring where there is one, the portable capture elsewhere.

use std::io;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use dongson_event::Event;

use crate::capture::portable::{Portable, PortableError, now};
#[cfg(target_os = "linux")]
use crate::capture::ring::{self, Ring, RingError, RingOptions};
use crate::engine::Engine;

/// Longest wait for frames; also how often time goes on without them.
const WAIT: Duration = Duration::from_millis(100);
/// How far the engine's clock stays behind the machine's while no frames come: the ring may still hold some.
const LAG: Duration = Duration::from_secs(2);

/// How frames are captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Backend {
    /// The ring on Linux, the portable capture elsewhere.
    Auto,
    /// The kernel's packet ring (Linux only).
    Ring,
    /// A plain packet socket: slower, cannot count losses.
    Portable,
}

/// Why live traffic cannot be captured.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The ring failed.
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Ring(#[from] RingError),
    /// The portable capture failed.
    #[error(transparent)]
    Portable(#[from] PortableError),
    /// There is no ring on this system.
    #[error("there is no packet ring on this system: use --backend portable")]
    NoRing,
    /// The events could not be written.
    #[error("writing the events: {0}")]
    Output(io::Error),
}

/// A live capture.
pub struct Live {
    source: Source,
}

enum Source {
    #[cfg(target_os = "linux")]
    Ring(Ring),
    Portable(Portable),
}

impl Live {
    /// Starts to capture on `interface`.
    pub fn open(interface: &str, backend: Backend) -> Result<Self, LiveError> {
        let source = match backend {
            Backend::Portable => Source::Portable(Portable::open(interface)?),
            #[cfg(target_os = "linux")]
            Backend::Auto | Backend::Ring => Source::Ring(Ring::open(interface, RingOptions::default())?),
            #[cfg(not(target_os = "linux"))]
            Backend::Auto => Source::Portable(Portable::open(interface)?),
            #[cfg(not(target_os = "linux"))]
            Backend::Ring => return Err(LiveError::NoRing),
        };
        Ok(Self { source })
    }

    /// Gives the frames that wait to `engine`, and its events to `emit`; says how many frames they were. Waits a tenth
    /// of a second when there are none; time then goes on for the engine.
    pub fn poll(&mut self, engine: &mut Engine, emit: &mut dyn FnMut(Event)) -> Result<usize, LiveError> {
        let count = match &mut self.source {
            #[cfg(target_os = "linux")]
            Source::Ring(ring) => ring.poll(WAIT, &mut |frame| engine.packet(frame, emit))?,
            Source::Portable(portable) => portable.poll(&mut |frame| engine.packet(frame, emit))?,
        };
        if count == 0 {
            engine.advance(now().minus(LAG), emit);
        }
        Ok(count)
    }

    /// How many frames the kernel dropped since the start; `None` where nobody counts them.
    pub fn dropped(&mut self) -> Result<Option<u64>, LiveError> {
        match &mut self.source {
            #[cfg(target_os = "linux")]
            Source::Ring(ring) => Ok(Some(ring.statistics()?.dropped)),
            Source::Portable(_) => Ok(None),
        }
    }
}

/// Sets `flag` when the process is told to stop (SIGINT, SIGTERM); only the first call of a process counts.
pub fn stop_on_signals(flag: &'static AtomicBool) {
    #[cfg(target_os = "linux")]
    ring::stop_on_signals(flag);
    #[cfg(not(target_os = "linux"))]
    let _ = flag;
}
