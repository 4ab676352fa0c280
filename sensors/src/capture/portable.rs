//! The list of interfaces, and a capture for systems without a ring.
//!
//! The fallback copies each packet, stamps it when it reads it, cannot count what was lost and does not see VLAN tags
//! that the kernel took out: the ring is better wherever it exists.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dongson_event::Timestamp;
use pnet_datalink::{Channel, Config, DataLinkReceiver, NetworkInterface};

use super::filter::{Filter, FilterError, Program};
use super::{Frame, LinkType};

/// Longest frame that the fallback takes whole.
const BUFFER: usize = 1 << 16;

/// Why an interface cannot be captured.
#[derive(Debug, thiserror::Error)]
pub enum PortableError {
    /// No interface has this name.
    #[error("no interface is called {name:?}; there are {known:?}")]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// The system refused, or reading failed.
    #[error("capturing on {name:?}: {source} (capturing needs CAP_NET_RAW, or root)")]
    System {
        /// The interface.
        name: String,
        /// What the system says.
        source: io::Error,
    },
    /// The filter does not fit.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The interface has frames of a kind that the fallback does not know.
    #[error("interface {0:?} gives no Ethernet frames")]
    NotEthernet(String),
}

/// The names of all interfaces.
pub fn interfaces() -> Vec<String> {
    pnet_datalink::interfaces().into_iter().map(|interface| interface.name).collect()
}

/// An interface by name.
fn find(name: &str) -> Result<NetworkInterface, PortableError> {
    let all = pnet_datalink::interfaces();
    let known = all.iter().map(|interface| interface.name.clone()).collect();
    all.into_iter()
        .find(|interface| interface.name == name)
        .ok_or_else(|| PortableError::Unknown { name: name.to_owned(), known })
}

/// A capture on one interface.
pub struct Portable {
    name: String,
    filter: Option<Program>,
    receiver: Box<dyn DataLinkReceiver>,
}

impl Portable {
    /// Opens `name` in promiscuous mode; frames that `filter` does not take are read and left out.
    pub fn open(name: &str, filter: Option<&Filter>) -> Result<Self, PortableError> {
        let filter = filter.map(|filter| filter.compile(LinkType::ETHERNET)).transpose()?;
        let interface = find(name)?;
        let config = Config {
            read_buffer_size: BUFFER,
            read_timeout: Some(Duration::from_millis(100)),
            promiscuous: true,
            ..Config::default()
        };
        let failed = |source| PortableError::System { name: name.to_owned(), source };
        match pnet_datalink::channel(&interface, config).map_err(failed)? {
            Channel::Ethernet(_, receiver) => Ok(Self { name: name.to_owned(), filter, receiver }),
            _ => Err(PortableError::NotEthernet(name.to_owned())),
        }
    }

    /// Puts another filter in the place of the present one, or none.
    pub fn change_filter(&mut self, filter: Option<&Filter>) -> Result<(), FilterError> {
        self.filter = filter.map(|filter| filter.compile(LinkType::ETHERNET)).transpose()?;
        Ok(())
    }

    /// Waits up to a tenth of a second for one frame and gives it to `sink`; says how many came.
    pub fn poll(&mut self, sink: &mut dyn FnMut(&Frame<'_>)) -> Result<usize, PortableError> {
        match self.receiver.next() {
            Ok(bytes) => {
                let frame = Frame {
                    at: now(),
                    link: LinkType::ETHERNET,
                    bytes,
                    wire_length: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
                    vlan: None,
                };
                if self.filter.as_ref().is_none_or(|filter| filter.takes(&frame)) {
                    sink(&frame);
                }
                Ok(1)
            }
            Err(error) if is_a_pause(&error) => Ok(0),
            Err(source) => Err(PortableError::System { name: self.name.clone(), source }),
        }
    }
}

/// True when nothing came in time, or a signal did.
fn is_a_pause(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// The clock of this machine.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
