//! Where frames come from: capture files ([`mod@file`]), a kernel ring ([`ring`]), or a portable socket ([`portable`]).
//!
//! Each source hands out [`Frame`]s, borrowed from its own buffer, in the order in which they were captured. Nothing
//! here looks inside a frame.

pub mod file;
mod pcap;
mod pcapng;
pub mod portable;
#[cfg(target_os = "linux")]
pub mod ring;

pub use dongson_filter as filter;
pub use dongson_filter::{Frame, LinkType};
pub use file::{CaptureError, CaptureFile};

/// Longest frame that is read, in bytes; a longer record means that the file is damaged.
pub const MAX_FRAME_BYTES: usize = 16 << 20;
