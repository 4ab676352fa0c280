//! The collector: logs and sensor batches in, normalised events out to the bus.

pub mod parse;
