//! Flows: packets between two endpoints, counted, put in order, and told as one `sensor.conn` event at the end.
//!
//! In: [`Datagram`](crate::layer::Datagram)s in the order of capture. Out: events; those that the protocol parsers make
//! on the way carry the addresses of their flow. What always holds: time comes from packets alone, so the same packets
//! give the same events in the same order; the table, the streams and the histories are bounded, and what the bounds cost
//! is counted in [`Counters`].

mod checksum;
mod conn;
mod deadline;
mod entry;
mod expected;
mod features;
mod history;
pub(crate) mod key;
mod odd;
mod ports;
mod record;
mod rhythm;
mod stream;
mod table;
mod tcp;

pub use stream::Limits as StreamLimits;
pub use table::{Checksums, Counters, FlowTable, Limits};

pub(crate) use crate::protocol::Side;
pub(crate) use conn::Conn;
pub(crate) use record::Scene;
