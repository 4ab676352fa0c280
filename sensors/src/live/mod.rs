//! Live traffic to events: the ring where there is one, the portable capture elsewhere.
//!
//! [`Live`] is one source of frames, [`Sources`] one or several of them, [`Capture`] the same with their engines.

mod capture;
mod change;

use std::io;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use dongson_event::Event;

use crate::capture::Frame;
use crate::capture::filter::{Filter, FilterError};
use crate::capture::portable::{Portable, PortableError, now};
#[cfg(target_os = "linux")]
use crate::capture::ring::{self, Ring, RingError, RingOptions};
use crate::engine::Engine;
use crate::packets::Recorder;
pub use capture::{Capture, Counts, Sources};
pub use change::Settings;

/// Longest wait for frames; also how often time goes on without them.
const WAIT: Duration = Duration::from_millis(100);
/// How far the engine's clock stays behind the machine's while no frames come: the ring may still hold some.
const LAG: Duration = Duration::from_secs(2);

/// How frames are captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Backend {
    /// The ring on Linux, the portable capture elsewhere.
    #[default]
    Auto,
    /// The kernel's packet ring (Linux only).
    Ring,
    /// A plain packet socket: slower, cannot count losses.
    Portable,
}

/// What is captured.
#[derive(Debug, Clone, Default)]
pub struct LiveOptions {
    /// The interfaces; their frames are taken in the order of time.
    pub interfaces: Vec<String>,
    /// How.
    pub backend: Backend,
    /// Which frames.
    pub filter: Option<Filter>,
    /// Leaves out what this machine sends.
    pub ignore_outgoing: bool,
    /// How many threads share the frames; 0 is 1.
    pub threads: u16,
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
    /// The filter does not fit.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// There is no ring on this system.
    #[error("there is no packet ring on this system: use --backend portable")]
    NoRing,
    /// What only the ring can do.
    #[error(
        "only the packet ring can take several interfaces or threads, or leave out what this machine sends"
    )]
    OnlyRing,
    /// A thread could not be started, or broke off.
    #[error("a capturing thread: {0}")]
    Thread(io::Error),
    /// The events could not be written.
    #[error("writing the events: {0}")]
    Output(io::Error),
}

/// A live capture.
pub struct Live {
    source: Source,
    recorder: Option<Recorder>,
}

enum Source {
    #[cfg(target_os = "linux")]
    Ring(Ring),
    Portable(Portable),
}

impl Live {
    /// Starts to capture, as one of the rings of the group `fanout`, if any.
    pub fn open(options: &LiveOptions, fanout: Option<u16>) -> Result<Self, LiveError> {
        let source = match options.backend {
            Backend::Portable => Source::Portable(portable(options)?),
            #[cfg(target_os = "linux")]
            Backend::Auto | Backend::Ring => {
                let ring = RingOptions {
                    ignore_outgoing: options.ignore_outgoing,
                    fanout,
                    ..RingOptions::default()
                };
                Source::Ring(Ring::open(&options.interfaces, options.filter.as_ref(), ring)?)
            }
            #[cfg(not(target_os = "linux"))]
            Backend::Auto => Source::Portable(portable(options)?),
            #[cfg(not(target_os = "linux"))]
            Backend::Ring => return Err(LiveError::NoRing),
        };
        Ok(Self { source, recorder: None })
    }

    /// Gives every frame that is read to `recorder` too.
    pub fn keep(&mut self, recorder: Recorder) {
        self.recorder = Some(recorder);
    }

    /// Gives the frames that wait to `engine`, and its events to `emit`; says how many frames they were. Waits a tenth
    /// of a second when there are none; time then goes on for the engine.
    pub fn poll(&mut self, engine: &mut Engine, emit: &mut dyn FnMut(Event)) -> Result<usize, LiveError> {
        let recorder = &mut self.recorder;
        let mut take = |frame: &Frame<'_>| {
            if let Some(recorder) = recorder {
                recorder.frame(frame);
            }
            engine.packet(frame, emit);
        };
        let count = match &mut self.source {
            #[cfg(target_os = "linux")]
            Source::Ring(ring) => ring.poll(WAIT, &mut take)?,
            Source::Portable(portable) => portable.poll(&mut take)?,
        };
        if count == 0 {
            if let Some(recorder) = &mut self.recorder {
                recorder.flush();
            }
            engine.advance(now().minus(LAG), emit);
        }
        Ok(count)
    }

    /// Puts another filter in the place of the present one, or none; no frame is lost.
    pub fn change_filter(&mut self, filter: Option<&Filter>) -> Result<(), LiveError> {
        match &mut self.source {
            #[cfg(target_os = "linux")]
            Source::Ring(ring) => Ok(ring.change_filter(filter)?),
            Source::Portable(portable) => Ok(portable.change_filter(filter)?),
        }
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

fn portable(options: &LiveOptions) -> Result<Portable, LiveError> {
    match options.interfaces.as_slice() {
        [interface] if !options.ignore_outgoing && options.threads <= 1 => {
            Ok(Portable::open(interface, options.filter.as_ref())?)
        }
        _ => Err(LiveError::OnlyRing),
    }
}

/// Sets `flag` when the process is told to stop (SIGINT, SIGTERM); only the first call of a process counts.
pub fn stop_on_signals(flag: &'static AtomicBool) {
    #[cfg(target_os = "linux")]
    ring::stop_on_signals(flag);
    #[cfg(not(target_os = "linux"))]
    let _ = flag;
}
