//! Packets in, events out.
//!
//! - [`answer`]: requests of the centre for packets, and the journal of them.
//! - [`capture`]: where frames come from: files, a kernel ring, a portable socket.
//! - [`layer`]: from a frame to the IP packets inside it.
//! - [`flow`]: flows, TCP streams in order, `sensor.conn` events.
//! - [`packets`]: the last packets on disk, and how they are found again.
//! - [`protocol`]: what the streams say: DNS, HTTP, TLS.
//! - [`confine`]: what the process gives up once its sockets are open.
//! - [`local`]: indicators and rules at the sensor, for when the centre cannot be reached.
//! - [`relay`]: the site's own logs on their way to the centre.
//! - [`ship`]: the spool and the link to the collector.
//! - [`desired`]: what the centre wants of this sensor: asked for, verified, kept.
//! - [`engine`]: the three of them in a row; [`read_file`] runs it over a capture, [`mod@follow`] over one that grows, [`live`] over an interface.
//!
//! What always holds: any bytes give events or counted anomalies, in bounded memory, without a panic; time comes from
//! packets, so a capture read twice gives the same events with the same ids.

pub mod answer;
mod arp;
pub mod capture;
#[cfg(target_os = "linux")]
pub mod confine;
pub mod desired;
#[cfg(target_os = "linux")]
pub mod doctor;
pub mod engine;
pub mod flow;
pub mod follow;
pub mod layer;
pub mod live;
pub mod local;
mod odd;
pub mod packets;
pub mod protocol;
mod read;
pub mod relay;
pub mod ship;
mod told;

pub use engine::{Engine, Options, Statistics};
pub use read::{ReadError, Summary, read_file, read_filtered, read_told};
pub use told::Told;
