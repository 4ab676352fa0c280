//! Logs of the site on their way to the centre: syslog that comes over the network, and files that other programs write.
//!
//! | child | holds |
//! |---|---|
//! | `config` | the inputs, as the machine's owner names them in a file |
//! | `queue` | records that wait for the spool, in bounded memory |
//! | `frame` | records cut out of a stream (RFC 6587; lines) |
//! | `network` | syslog over UDP and TCP |
//! | `socket` | what std does not know of a UDP socket: its room, and what it dropped |
//! | `place` | how far a file was read, and how it is found again |
//! | `file` | a file followed over its rotations |
//!
//! In: bytes of others. Out: events of dataset `sensor.relay`, which hold each record as it was
//! ([`dongson_event::relay`]); the collector reads them. A datagram that finds no room is counted; a stream and a file are
//! read no faster than the spool takes them. How far a file was read stands in the batches themselves
//! ([`Shipper::mark`]), so after a kill -9 nothing of it is missing.
//!
//! Sockets are opened before the process is confined, and read afterwards. Memory: [`queue::MOST_BYTES`] of records that
//! wait, and one record for each connection and file.

mod config;
mod file;
mod frame;
mod network;
mod place;
mod queue;
mod socket;
#[cfg(test)]
mod tests;

pub use config::{Config, ConfigError, Input, Source};
pub use place::Place;

use std::collections::BTreeMap;
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use dongson_event::relay::Relayed;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::ship::{Shipper, SpoolError};
use queue::{Queue, Record};

/// How often a thread that waits looks whether it is to end, or may begin.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Most records that are given to the spool at once, so that the capture does not wait for them.
const AT_ONCE: usize = 5_000;

/// Why logs cannot be relayed.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// A socket could not be opened.
    #[error("relay input {input:?}: listening on {address}: {error}{}", hint(error))]
    Listen {
        /// The input's name.
        input: String,
        /// Where it was to listen.
        address: std::net::SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// A thread could not be started.
    #[error("relay input {input:?}: {error}")]
    Thread {
        /// The input's name.
        input: String,
        /// What the system said.
        error: io::Error,
    },
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need CAP_NET_BIND_SERVICE: take a higher one, or add the capability to the unit"
        }
        _ => "",
    }
}

/// What one input has done since the start.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    records: AtomicU64,
    bytes: AtomicU64,
    dropped: AtomicU64,
    cut: AtomicU64,
    refused: AtomicU64,
    problem: Mutex<Option<String>>,
}

impl Tally {
    /// Says what keeps the input from working; `None` when it works.
    fn set_problem(&self, problem: Option<String>) {
        let mut held = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        if *held != problem {
            if let Some(problem) = &problem {
                warn!(problem, "an input of the relay does not work");
            } else {
                info!("an input of the relay works again");
            }
            *held = problem;
        }
    }
}

/// A look at a tally.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Whether it is on.
    pub on: bool,
    /// Records taken.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Datagrams that found no room, in the socket or in our queue.
    pub dropped: u64,
    /// Records that were too long, of which only the beginning was taken.
    pub cut: u64,
    /// Datagrams and connections of others than the input names, and connections beyond those that there may be.
    pub refused: u64,
    /// What keeps it from working.
    pub problem: Option<String>,
}

/// What the threads of one input hold.
pub(crate) struct Desk {
    input: Arc<Input>,
    on: AtomicBool,
    stop: Arc<AtomicBool>,
    tally: Tally,
    queue: Arc<Queue>,
}

impl Desk {
    fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }
}

/// Open sockets of inputs that nothing reads yet.
enum Open {
    Udp(UdpSocket),
    Tcp(TcpListener),
    File(std::path::PathBuf),
}

/// Inputs whose sockets are open: what needs rights is done, and no thread was started.
pub struct Opened {
    inputs: Vec<(Arc<Input>, Open)>,
}

impl Opened {
    /// Opens the sockets of `config`.
    pub fn open(config: Config) -> Result<Self, RelayError> {
        let open = |input: Input| {
            let listen = |address, opened: io::Result<Open>| {
                let name = input.name.clone();
                opened.map_err(|error| RelayError::Listen { input: name, address, error })
            };
            let opened = match &input.source {
                Source::Udp(address) => listen(*address, socket::bind(*address).map(Open::Udp)),
                Source::Tcp(address) => listen(*address, TcpListener::bind(*address).map(Open::Tcp)),
                Source::File(path) => Ok(Open::File(path.clone())),
            }?;
            Ok((Arc::new(input), opened))
        };
        Ok(Self { inputs: config.inputs.into_iter().map(open).collect::<Result<_, _>>()? })
    }

    /// The folders of the files that are followed, for the sandbox: rotation puts other files there.
    pub fn folders(&self) -> Vec<&Path> {
        self.inputs
            .iter()
            .filter_map(|(_, open)| match open {
                Open::File(path) => path.parent(),
                Open::Udp(_) | Open::Tcp(_) => None,
            })
            .collect()
    }

    /// Starts to read; files go on where `places` says.
    pub fn start(self, places: &BTreeMap<String, Place>) -> Result<Relay, RelayError> {
        let (queue, stop) = (Arc::<Queue>::default(), Arc::<AtomicBool>::default());
        let connections = Arc::<AtomicU64>::default();
        let mut relay = Relay { desks: Vec::new(), threads: Vec::new(), queue, stop };
        for (input, open) in self.inputs {
            let desk = Arc::new(Desk {
                on: AtomicBool::new(input.enabled),
                input: Arc::clone(&input),
                stop: Arc::clone(&relay.stop),
                tally: Tally::default(),
                queue: Arc::clone(&relay.queue),
            });
            relay.desks.push(Arc::clone(&desk));
            let (place, connections) = (places.get(&input.name).cloned(), Arc::clone(&connections));
            let thread = std::thread::Builder::new().name("relay".to_owned()).spawn(move || match open {
                Open::Udp(socket) => network::datagrams(&desk, &socket),
                Open::Tcp(listener) => network::connections(&desk, &listener, &connections),
                Open::File(path) => file::follow(&desk, path, place),
            });
            let thread = thread.map_err(|error| RelayError::Thread { input: input.name.clone(), error })?;
            relay.threads.push(thread);
        }
        Ok(relay)
    }
}

/// Inputs that are read.
pub struct Relay {
    desks: Vec<Arc<Desk>>,
    threads: Vec<JoinHandle<()>>,
    queue: Arc<Queue>,
    stop: Arc<AtomicBool>,
}

impl Relay {
    /// Puts these inputs on and the others off; `None`: as their owner's file says. An input that is off takes nothing: what
    /// is sent to it is thrown away, a file waits.
    pub fn set_on(&self, names: Option<&[String]>) {
        for desk in &self.desks {
            let on = names.map_or(desk.input.enabled, |names| names.contains(&desk.input.name));
            if desk.on.swap(on, Ordering::Relaxed) != on {
                info!(input = desk.input.name, on, "an input of the relay is switched");
            }
        }
    }

    /// Gives what waits to the spool, at most some thousands of records; true when more waits.
    pub fn drain(&self, shipper: &mut Shipper) -> Result<bool, SpoolError> {
        let (records, more) = self.queue.take(AT_ONCE);
        records.into_iter().try_for_each(|record| ship(record, shipper)).map(|()| more)
    }

    /// What each input has done since the start, by its name.
    pub fn counts(&self) -> BTreeMap<String, Counts> {
        let count = |desk: &Arc<Desk>| {
            let (tally, get) = (&desk.tally, |number: &AtomicU64| number.load(Ordering::Relaxed));
            let counts = Counts {
                on: desk.is_on(),
                records: get(&tally.records),
                bytes: get(&tally.bytes),
                dropped: get(&tally.dropped),
                cut: get(&tally.cut),
                refused: get(&tally.refused),
                problem: tally.problem.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            };
            (desk.input.name.clone(), counts)
        };
        self.desks.iter().map(count).collect()
    }

    /// Stops to read and gives the rest to the spool.
    pub fn finish(mut self, shipper: &mut Shipper) -> Result<(), SpoolError> {
        self.stop.store(true, Ordering::Relaxed);
        self.queue.end();
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
        while self.drain(shipper)? {}
        Ok(())
    }
}

fn ship(record: Record, shipper: &mut Shipper) -> Result<(), SpoolError> {
    let Record { input, raw, received, peer, path, missing_bytes, place } = record;
    let urgent = is_alert(&raw);
    if let Some(place) = place {
        shipper.mark(&input.name, place);
    }
    let relayed = Relayed {
        input: input.name.clone(),
        raw,
        received,
        peer,
        path,
        parser: input.parser.clone(),
        time_zone: input.time_zone.clone(),
        missing_bytes,
    };
    shipper.push(relayed.into_event(urgent))
}

/// Whether a record is an alert of Suricata (EVE, `event_type`): those go first.
fn is_alert(raw: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Eve<'e> {
        #[serde(borrow)]
        event_type: Option<std::borrow::Cow<'e, str>>,
    }
    raw.first() == Some(&b'{')
        && serde_json::from_slice::<Eve<'_>>(raw)
            .is_ok_and(|eve| eve.event_type.is_some_and(|kind| kind == "alert"))
}
