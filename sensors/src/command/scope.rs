//! What is told, and how much is kept in mind for it.

use clap::Args;
use dongson_sensor::Options;
use dongson_sensor::protocol::{Kind, Kinds};

/// Which events, of how many flows at once.
#[derive(Debug, Args)]
pub(crate) struct Scope {
    /// Tell only events of these kinds; what is left out is not parsed either. With conn alone nothing of what connections
    /// carry is looked at, so that conn has no network.protocol.
    #[arg(long, value_enum, value_name = "KIND", value_delimiter = ',')]
    only: Option<Vec<Kind>>,
    /// Tell no events of these kinds.
    #[arg(long, value_enum, value_name = "KIND", value_delimiter = ',')]
    without: Vec<Kind>,
    /// Most flows that are live at once, of each thread; about one KiB each. A new flow then ends the oldest connection
    /// that nobody answered, or where there is none the flow that would end next; an anomaly counts those.
    #[arg(long, value_name = "N", default_value_t = 400_000,
        value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    max_flows: u32,
    /// Whether conn has features for models: payload sizes in bins, first lengths and intervals, entropy of the first KiB,
    /// rhythm of a client's flows. By default `run` tells them, unless it tells conn alone, and `read` does not.
    #[arg(long, value_name = "WHETHER", num_args = 0..=1, default_missing_value = "true")]
    features: Option<bool>,
}

impl Scope {
    /// Writes it into `options`; `features` says whether those are told when the command line does not say.
    pub(crate) fn apply(&self, options: &mut Options, features: bool) {
        let only = self.only.as_deref().map_or_else(Kinds::default, Kinds::of);
        options.protocol.kinds = only.without(&self.without);
        let conn_alone = self.only.as_deref() == Some(&[Kind::Conn]);
        options.protocol.features = self.features.unwrap_or(features && !conn_alone);
        options.limits.flows = self.max_flows as usize;
    }
}
