//! Requests that wait for their answers.
//!
//! In: events of requests under a key of the protocol's (a transaction number, an invoke id). Out: the same events when
//! their answers come, with the time that passed. Memory: [`MAX_OPEN`] requests; one more, and the oldest goes out unanswered.

use dongson_event::{Event, Timestamp};

/// Requests of one connection that may be unanswered.
pub(in crate::protocol) const MAX_OPEN: usize = 32;

/// The open requests of one connection, the oldest first.
#[derive(Debug)]
pub(in crate::protocol) struct Asked<K> {
    open: Vec<(K, Timestamp, Event)>,
}

impl<K> Default for Asked<K> {
    fn default() -> Self {
        Self { open: Vec::new() }
    }
}

impl<K: PartialEq> Asked<K> {
    /// A request; the oldest goes to `out` when there is no room.
    pub(in crate::protocol) fn ask(&mut self, key: K, at: Timestamp, event: Event, out: &mut Vec<Event>) {
        if self.open.len() >= MAX_OPEN {
            out.push(self.open.remove(0).2);
        }
        self.open.push((key, at, event));
    }

    /// Whether a request under this key waits.
    pub(in crate::protocol) fn waits(&self, key: &K) -> bool {
        self.open.iter().any(|(open, ..)| open == key)
    }

    /// The oldest request under `key`, which is answered now.
    pub(in crate::protocol) fn answer(&mut self, key: &K, at: Timestamp) -> Option<Event> {
        let place = self.open.iter().position(|(open, ..)| open == key)?;
        let (_, before, mut event) = self.open.remove(place);
        event.set("event.duration", at.nanos().saturating_sub(before.nanos()));
        Some(event)
    }

    /// What nobody has answered.
    pub(in crate::protocol) fn flush(&mut self, out: &mut Vec<Event>) {
        out.extend(self.open.drain(..).map(|(_, _, event)| event));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_find_their_requests_and_memory_is_bounded() {
        let (mut asked, mut out) = (Asked::default(), Vec::new());
        for number in 0..40_u8 {
            let mut event = Event::of("sensor.bacnet", Timestamp::default());
            event.set("dongson.bacnet.invoke_id", number);
            asked.ask(number, Timestamp::from_nanos(i64::from(number)), event, &mut out);
        }
        assert_eq!(out.len(), 8, "the oldest went out");
        assert!(asked.waits(&39) && !asked.waits(&7));
        let event = asked.answer(&39, Timestamp::from_nanos(50)).unwrap();
        assert_eq!(
            (event.int("dongson.bacnet.invoke_id"), event.int("event.duration")),
            (Some(39), Some(11))
        );
        assert!(asked.answer(&39, Timestamp::default()).is_none());
        asked.flush(&mut out);
        assert_eq!(out.len(), 39);
    }
}
