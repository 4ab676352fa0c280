//! How much of the traffic a sensor did not see, from the drops of the kernel and from the conversations themselves.
//!
//! Three shares, each from 0 to 1, of what was seen since the last account:
//!
//! - dropped: frames that the kernel dropped, of all that reached the machine;
//! - gaps: payload missing inside TCP conversations, of the payload that they had;
//! - one direction: TCP conversations of three packets or more of which only one direction was seen.
//!
//! The blind share is `1 - (1 - dropped)(1 - gaps)(1 - one direction / 2)`: what is lost at one step cannot be lost at
//! the next, and of a conversation seen from one side half is unseen. Where nobody counts drops they count as none. Gaps
//! that come of drops are counted twice, so the share errs towards blindness.

use dongson_event::Event;

/// Conversations with fewer packets say nothing about directions.
const ENOUGH: i64 = 3;

/// What the ended TCP conversations tell about the capture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sight {
    both: u64,
    one: u64,
    payload: u64,
    missed: u64,
    bypassed: u64,
}

impl Sight {
    /// Notes an event; only `sensor.conn` of TCP counts.
    pub fn note(&mut self, event: &Event) {
        if event.dataset() != "sensor.conn" || event.text("network.transport") != Some("tcp") {
            return;
        }
        let count = |name| event.int(name).unwrap_or_default();
        let bytes = |name| u64::try_from(count(name)).unwrap_or_default();
        self.payload = self
            .payload
            .saturating_add(bytes("dongson.conn.source.payload_bytes"))
            .saturating_add(bytes("dongson.conn.destination.payload_bytes"));
        self.missed = self.missed.saturating_add(bytes("dongson.conn.missed_bytes"));
        self.bypassed = self.bypassed.saturating_add(bytes("dongson.conn.bypassed_bytes"));
        let (sent, answered) = (count("source.packets"), count("destination.packets"));
        if sent.saturating_add(answered) >= ENOUGH {
            let counter = if sent > 0 && answered > 0 { &mut self.both } else { &mut self.one };
            *counter = counter.saturating_add(1);
        }
    }

    /// Payload that is missing in conversations; `None` without payload.
    pub fn gaps(&self) -> Option<f64> {
        share(self.missed, self.payload)
    }

    /// Payload bytes that were seen and not looked into, because nothing more was to be learnt from them.
    pub fn bypassed_bytes(&self) -> u64 {
        self.bypassed
    }

    /// Conversations of one direction; `None` without conversations.
    pub fn one_direction(&self) -> Option<f64> {
        share(self.one, self.both)
    }

    /// The blind share, when `packets` were seen and `dropped` were not; `None` when there was nothing to see.
    pub fn blind(&self, packets: u64, dropped: u64) -> Option<f64> {
        let dropped = share(dropped, packets)?;
        let (gaps, one) = (self.gaps().unwrap_or_default(), self.one_direction().unwrap_or_default());
        Some(1.0 - (1.0 - dropped) * (1.0 - gaps) * (1.0 - one / 2.0))
    }
}

/// `part` of `part` and `rest` together.
#[expect(clippy::cast_precision_loss, reason = "a share of counts needs no more than 52 bits")]
fn share(part: u64, rest: u64) -> Option<f64> {
    let whole = part.saturating_add(rest);
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// A share as a percentage with two digits after the point.
pub fn percent(share: f64) -> f64 {
    (share * 10_000.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use dongson_event::Timestamp;
    use proptest::prelude::*;

    fn conversation(packets: (i64, i64), payload: i64, missed: i64) -> Event {
        let mut event = Event::of("sensor.conn", Timestamp::from_seconds(1));
        event.set("network.transport", "tcp");
        event.set("source.packets", packets.0);
        event.set("destination.packets", packets.1);
        event.set("dongson.conn.source.payload_bytes", payload);
        event.set("dongson.conn.missed_bytes", missed);
        event.set(
            "dongson.conn.bypassed_bytes",
            payload.saturating_div(20).saturating_add(missed.saturating_div(4)),
        );
        event
    }

    fn sight(events: &[Event]) -> Sight {
        let mut sight = Sight::default();
        for event in events {
            sight.note(event);
        }
        sight
    }

    #[track_caller]
    fn check(share: Option<f64>, expected: Option<f64>) {
        assert_eq!(share.map(percent), expected);
    }

    #[test]
    fn shares_of_known_conversations() {
        let sight = sight(&[
            conversation((5, 5), 700, 100),
            conversation((5, 0), 200, 0),
            conversation((9, 1), 0, 0),
            conversation((4, 4), 0, 0),
            // Two packets say nothing about directions.
            conversation((2, 0), 0, 0),
        ]);
        check(sight.gaps(), Some(10.0));
        check(sight.one_direction(), Some(25.0));
        assert_eq!(sight.bypassed_bytes(), 70);
        // 1 - 0.8 * 0.9 * 0.875
        check(sight.blind(80, 20), Some(37.0));
    }

    #[test]
    fn what_was_not_there_has_no_share() {
        let sight = Sight::default();
        assert_eq!((sight.gaps(), sight.one_direction(), sight.blind(0, 0)), (None, None, None));
        check(sight.blind(10, 0), Some(0.0));
        check(sight.blind(0, 10), Some(100.0));
    }

    proptest! {
        #[test]
        fn every_share_is_one(
            conversations in prop::collection::vec((any::<i64>(), any::<i64>(), any::<i64>(), any::<i64>()), 0..20),
            packets: u64,
            dropped: u64,
        ) {
            let events: Vec<Event> = conversations
                .into_iter()
                .map(|(sent, answered, payload, missed)| conversation((sent, answered), payload, missed))
                .collect();
            let sight = sight(&events);
            for share in [sight.gaps(), sight.one_direction(), sight.blind(packets, dropped)].into_iter().flatten() {
                prop_assert!((0.0..=1.0).contains(&share), "{share}");
            }
        }
    }
}
