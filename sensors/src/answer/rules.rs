//! What this sensor answers at all, whatever the centre signs: set by whoever runs the machine.

use std::path::PathBuf;
use std::time::Duration;

use dongson_event::trust::{MAX_ANSWER_BYTES, MAX_REQUEST_SPAN, PacketRequest};

use crate::capture::filter::Filter;
use crate::packets::{Flow, Query};

/// The rules of one sensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The ring; `None` where no packets are kept.
    pub packets: Option<PathBuf>,
    /// Whether requests are answered.
    pub answers: bool,
    /// Most bytes of one answer.
    pub max_bytes: u64,
    /// Longest time that one request may cover.
    pub max_span: Duration,
    /// Most requests in a day that are answered.
    pub per_day: usize,
}

impl Default for Rules {
    /// Answers, up to what a request may ask for, twenty in a day; without a ring.
    fn default() -> Self {
        Self {
            packets: None,
            answers: true,
            max_bytes: MAX_ANSWER_BYTES,
            max_span: MAX_REQUEST_SPAN,
            per_day: 20,
        }
    }
}

impl Rules {
    /// Where and what to look for; an error is why the request is refused. `today`: how many were answered in the last day.
    pub(super) fn admit(&self, request: &PacketRequest, today: usize) -> Result<(PathBuf, Query), String> {
        if !self.answers {
            return Err(
                "this sensor gives no packets to the centre (run --packets-requests refuse)".to_owned()
            );
        }
        let Some(folder) = self.packets.clone() else {
            return Err("this sensor keeps no packets (run --packets)".to_owned());
        };
        if request.max_bytes > self.max_bytes {
            let (asked, most) = (request.max_bytes, self.max_bytes);
            return Err(format!("{asked} bytes are asked for, this sensor gives at most {most} at once"));
        }
        let (span, most) = (request.to.since(request.from), self.max_span);
        if span > most {
            let (span, most) = (span.as_secs(), most.as_secs());
            return Err(format!("{span} seconds are asked for, this sensor gives at most {most} at once"));
        }
        if today >= self.per_day {
            return Err(format!("this sensor answers at most {} requests in a day", self.per_day));
        }
        let flow = request.community_id.as_deref().map(Flow::of_community_id).transpose();
        let filter = request.filter.as_deref().map(Filter::parse).transpose();
        let query = Query {
            from: request.from,
            to: request.to,
            flow: flow.map_err(|error| error.to_string())?,
            filter: filter.map_err(|error| error.to_string())?,
            max_bytes: request.max_bytes,
        };
        Ok((folder, query))
    }
}
