//! Packets of sensors, asked for by one person and approved by another.
//!
//! | child | holds |
//! |---|---|
//! | `order` | what is known of one, and reading |
//! | `decide` | what people do: ask, approve, decline, discard |
//! | `answer` | what the sensor does: take up, send, end |
//!
//! asked, then approved or declined; approved, then sent (the sensor has taken it up), then answered or refused by the sensor.
//! Who asked cannot approve. An approved one is a signed request ([`dongson_event::trust::PacketRequest`]) until it ends. The
//! packets lie here in parts, all together at most [`MOST_STORED_BYTES`], until an administrator discards them; what became of an order
//! stays.

mod answer;
mod decide;
mod order;
#[cfg(test)]
mod tests;

pub use decide::NewPacketOrder;
pub use order::{PacketFilter, PacketOrder, PacketState};

/// Most bytes of packets that are kept, or may come for what was approved: 8 GiB.
pub const MOST_STORED_BYTES: i64 = 8 << 30;
