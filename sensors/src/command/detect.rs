//! Whether and when the sensor looks for something by itself.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use dongson_sensor::local::{Local, When};
use dongson_sensor::ship::Identity;

use super::sink::Sink;

/// Detection at the sensor.
#[derive(Debug, Args)]
pub(crate) struct Detect {
    /// When the rules of the packs that the centre sent are asked here too. Indicators always are, but for `never`.
    #[arg(long, value_enum, default_value_t = When::Away, requires = "data")]
    local_rules: When,
    /// After how many seconds without an answer of the collector the centre counts as away.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "data",
        value_parser = clap::value_parser!(u32).range(1..=86_400))]
    away_after: u32,
}

impl Detect {
    /// Has `sink` look at what it ships from the sensor's `folder`.
    pub(crate) fn start(&self, folder: Option<&Path>, sink: &mut Sink) -> anyhow::Result<()> {
        if let (Some(folder), Sink::Ship(shipping)) = (folder, sink) {
            let local = Local::open(folder, &Identity::load(folder)?, self.local_rules)?;
            shipping.detect(local, Duration::from_secs(self.away_after.into()));
        }
        Ok(())
    }
}
