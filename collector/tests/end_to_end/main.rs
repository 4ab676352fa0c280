//! Every listener end to end on the loopback address, against a real log in a temporary folder.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test says where it stopped")]

mod desired;
mod hostile;
mod http;
mod rsyslog;
mod sensors;
mod silence;
mod streams;
mod world;
