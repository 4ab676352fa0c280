//! DCE/RPC over datagrams, version 4 (C706, 12.5).
//!
//! In: datagrams of both sides. Out: one `sensor.dce_rpc` event per call, when it is answered, when too many wait, or at the
//! end. Memory: [`MAX_CALLS`] calls.

use dongson_event::{Event, Timestamp};

use super::{Sum, describe_sums, described};
use crate::protocol::dissect::Datagrams;
use crate::protocol::{Side, le};

/// Calls that wait for their answers.
const MAX_CALLS: usize = 16;
/// Length of the header (C706, 12.5.2).
const HEADER: usize = 80;

/// A flow of calls.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Connectionless {
    calls: Vec<Call>,
}

#[derive(Debug)]
struct Call {
    activity: String,
    sequence: u32,
    at: Timestamp,
    event: Event,
    request: Sum,
    response: Sum,
}

/// Whether a datagram is one: version, kind, byte order, and a length that fits.
pub(in crate::protocol) fn is_message(bytes: &[u8]) -> bool {
    let [4, 0..=10, _, _, order @ (0 | 0x10), 0, 0, ..] = bytes else { return false };
    let length = bytes.get(74..).and_then(|length| le::in_order16(length, *order != 0));
    length.is_some_and(|length| HEADER + usize::from(length) <= bytes.len())
}

impl Call {
    fn told(mut self) -> Event {
        describe_sums(&mut self.event, self.request, self.response);
        self.event
    }
}

impl Connectionless {
    fn request(
        &mut self,
        at: Timestamp,
        activity: String,
        sequence: u32,
        event: Event,
        out: &mut Vec<Event>,
    ) -> usize {
        if self.calls.len() >= MAX_CALLS {
            out.push(self.calls.remove(0).told());
        }
        let sums = (Sum::default(), Sum::default());
        self.calls.push(Call { activity, sequence, at, event, request: sums.0, response: sums.1 });
        self.calls.len() - 1
    }
}

impl Datagrams for Connectionless {
    fn datagram(&mut self, _side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        if !is_message(bytes) {
            return;
        }
        let little = le::u8(bytes, 4) == Some(0x10);
        let number = |place: usize| bytes.get(place..).and_then(|two| le::in_order16(two, little));
        let uuid = |place: usize| bytes.get(place..).and_then(|uuid| le::uuid(uuid, little));
        // In this order whatever the header says of the rest, as Suricata prints it.
        let activity = |place: usize| bytes.get(place..).and_then(|uuid| le::uuid(uuid, true));
        let (Some(kind), Some(flags)) = (le::u8(bytes, 1), le::u8(bytes, 2)) else { return };
        let (Some(opnum), Some(length), Some(activity)) = (number(68), number(74), activity(40)) else {
            return;
        };
        let Some(sequence) = bytes.get(64..).and_then(|four| le::in_order32(four, little)) else { return };
        let place = self.calls.iter().position(|call| call.sequence == sequence && call.activity == activity);
        let place = match (kind, place) {
            (0 | 2 | 3 | 6, Some(place)) => place,
            (0, None) => {
                let mut event = described(at, uuid(24).as_deref(), opnum);
                event.set("dongson.dce_rpc.version", "4.0");
                event.set("dongson.dce_rpc.activity", activity.as_str());
                event.set("dongson.dce_rpc.sequence", i64::from(sequence));
                self.request(at, activity, sequence, event, out)
            }
            _ => return,
        };
        let Some(call) = self.calls.get_mut(place) else { return };
        let sum = if kind == 0 { &mut call.request } else { &mut call.response };
        sum.add(u64::from(length));
        // A fragment that is not the last has bit 2 set and bit 1 not (C706, 12.5.2.4).
        if kind != 0 && (flags & 4 == 0 || flags & 2 != 0) {
            let mut call = self.calls.remove(place);
            let duration = i64::try_from(at.since(call.at).as_nanos()).unwrap_or(i64::MAX);
            call.event.set("event.duration", duration);
            call.event.set("event.outcome", if kind == 2 { "success" } else { "failure" });
            out.push(call.told());
        }
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        out.extend(self.calls.drain(..).map(Call::told));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(kind: u8, sequence: u8, tail: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        (bytes[0], bytes[1], bytes[4], bytes[64], bytes[68]) = (4, kind, 0x10, sequence, 5);
        bytes[74] = u8::try_from(tail.len()).unwrap();
        bytes.extend(tail);
        bytes
    }

    #[test]
    fn a_call_and_its_answer() {
        let (mut rpc, mut out) = (Connectionless::default(), Vec::new());
        for bytes in [message(0, 1, b"abc"), message(2, 1, b"de"), message(0, 2, b"")] {
            rpc.datagram(Side::Originator, Timestamp::default(), &bytes, &mut out);
        }
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].int("dongson.dce_rpc.opnum"), Some(5));
        assert_eq!(out[0].int("dongson.dce_rpc.response_bytes"), Some(2));
        rpc.finish(Timestamp::default(), &mut out);
        assert_eq!(out[1].get("dongson.dce_rpc.response_bytes"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(talk: Vec<(u8, u8, Vec<u8>)>) {
            let (mut rpc, mut out) = (Connectionless::default(), Vec::new());
            for (kind, sequence, mut tail) in talk {
                tail.truncate(200);
                let known = message(kind % 12, sequence % 3, &tail);
                rpc.datagram(Side::Originator, Timestamp::default(), &known, &mut out);
                rpc.datagram(Side::Originator, Timestamp::default(), &tail, &mut out);
            }
            rpc.finish(Timestamp::default(), &mut out);
        }
    }
}
