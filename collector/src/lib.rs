//! Sensor batches and logs in, normalised events out to the bus.
