//! Kerberos 5: who asked for which ticket, and how it went (RFC 4120; MS-KILE, MS-SFU).
//!
//! In: messages over TCP (4 bytes of length before each), over UDP, or inside GSS-API tokens. Out: one `sensor.kerberos`
//! event per exchange (AS, TGS, AP) when its answer comes, at the next request or at the end. Tickets and authenticators are
//! not kept. Memory: [`MAX_MESSAGE`] bytes of each side and the names of one exchange, each at most 512 bytes.

mod message;
mod names;

use dongson_event::{Event, Timestamp};

use crate::protocol::Side;
use crate::protocol::dissect::{Datagrams, Stream};
use crate::protocol::frames::{Frames, Length, Shape};
pub(in crate::protocol) use message::is_message;

/// Bytes of a message that are kept: what is told stands in front of long tickets.
const MAX_MESSAGE: usize = 32 * 1024;

const SHAPE: Shape = Shape { length, magic: None, keep: MAX_MESSAGE };

/// The length before a message (RFC 4120, 7.2.2); its top bit is reserved.
fn length(bytes: &[u8]) -> Length {
    match bytes {
        [0, high, middle, low, ..] => {
            let length = u32::from_be_bytes([0, *high, *middle, *low]);
            usize::try_from(length).map_or(Length::Broken, |length| Length::Is(length + 4))
        }
        [] | [0, ..] => Length::Unknown,
        _ => Length::Broken,
    }
}

/// A request that waits for its answer.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Exchange {
    pending: Option<(Timestamp, Event)>,
}

impl Exchange {
    /// A message of either side.
    pub(in crate::protocol) fn message(&mut self, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let Some(kind) = message::kind(bytes) else { return };
        if let Some(request) = kind.request() {
            self.finish(None, out);
            let mut event = Event::of("sensor.kerberos", at);
            event.set("network.protocol", "kerberos");
            event.set("dongson.kerberos.request_type", request);
            message::describe_request(&mut event, bytes);
            self.pending = Some((at, event));
            return;
        }
        let (asked, mut event) = self.pending.take().unwrap_or_else(|| {
            let mut event = Event::of("sensor.kerberos", at);
            event.set("network.protocol", "kerberos");
            event.set_some("dongson.kerberos.request_type", kind.answers());
            (at, event)
        });
        let success = message::describe_answer(&mut event, bytes);
        event.set("event.outcome", if success { "success" } else { "failure" });
        event.set("event.duration", i64::try_from(at.since(asked).as_nanos()).unwrap_or(i64::MAX));
        out.push(event);
    }

    /// No answer comes any more; the carrier may know how it went.
    pub(in crate::protocol) fn finish(&mut self, success: Option<bool>, out: &mut Vec<Event>) {
        let Some((_, mut event)) = self.pending.take() else { return };
        event.set_some("event.outcome", success.map(|yes| if yes { "success" } else { "failure" }));
        out.push(event);
    }
}

/// A connection to a key distribution centre.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Kerberos {
    frames: [Frames; 2],
    exchange: Exchange,
}

/// A datagram is one message.
impl Datagrams for Kerberos {
    fn datagram(&mut self, _side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        self.exchange.message(at, bytes, out);
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        self.exchange.finish(None, out);
    }
}

impl Stream for Kerberos {
    fn data(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let exchange = &mut self.exchange;
        side.of_mut(&mut self.frames)
            .feed(&SHAPE, bytes, |message| exchange.message(at, message.get(4..).unwrap_or_default(), out));
    }

    fn gap(&mut self, side: Side, length: u64) {
        side.of_mut(&mut self.frames).gap(&SHAPE, length);
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        self.exchange.finish(None, out);
    }

    fn wants_more(&self, side: Side) -> bool {
        !side.of(&self.frames).is_broken()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::talk;
    use proptest::prelude::*;

    fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
        [&[tag, 0x82][..], &u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat()
    }

    fn name(parts: &[&str]) -> Vec<u8> {
        let parts: Vec<u8> = parts.iter().flat_map(|part| tlv(0x1b, part.as_bytes())).collect();
        tlv(0x30, &[tlv(0xa0, &[2, 1, 2]), tlv(0xa1, &tlv(0x30, &parts))].concat())
    }

    fn request() -> Vec<u8> {
        let body = [
            tlv(0xa0, &[3, 5, 0, 0x40, 0x80, 0, 0x10]),
            tlv(0xa1, &name(&["an"])),
            tlv(0xa2, &tlv(0x1b, b"TINH.VN")),
            tlv(0xa3, &name(&["krbtgt", "TINH.VN"])),
            tlv(0xa5, &tlv(0x18, b"20370913024805Z")),
            tlv(0xa8, &tlv(0x30, &[2, 1, 18, 2, 1, 23])),
        ]
        .concat();
        let padata = tlv(0x30, &tlv(0x30, &[tlv(0xa1, &[2, 1, 2]), tlv(0xa2, &tlv(4, b""))].concat()));
        let fields =
            [tlv(0xa1, &[2, 1, 5]), tlv(0xa2, &[2, 1, 10]), tlv(0xa3, &padata), tlv(0xa4, &tlv(0x30, &body))]
                .concat();
        tlv(0x6a, &tlv(0x30, &fields))
    }

    fn refusal() -> Vec<u8> {
        let fields = [
            tlv(0xa0, &[2, 1, 5]),
            tlv(0xa1, &[2, 1, 30]),
            tlv(0xa6, &[2, 1, 24]),
            tlv(0xa9, &tlv(0x1b, b"TINH.VN")),
            tlv(0xaa, &name(&["krbtgt", "TINH.VN"])),
        ]
        .concat();
        tlv(0x7e, &tlv(0x30, &fields))
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        [&u32::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
    }

    fn run(turns: &[(Side, Vec<u8>)], chunk: usize) -> Vec<Event> {
        talk::hear(&mut Kerberos::default(), turns, chunk)
    }

    #[test]
    fn a_refused_request_is_one_event() {
        let turns = [(Side::Originator, framed(&request())), (Side::Responder, framed(&refusal()))];
        let events = run(&turns, usize::MAX);
        assert_eq!(events, run(&turns, 1));
        let [event] = events.as_slice() else { panic!("{events:?}") };
        let expect = [
            ("dongson.kerberos.request_type", "AS"),
            ("user.name", "an"),
            ("dongson.kerberos.realm", "TINH.VN"),
            ("dongson.kerberos.service", "krbtgt/TINH.VN"),
            ("dongson.kerberos.till", "2037-09-13T02:48:05.000Z"),
            ("dongson.kerberos.error_name", "KDC_ERR_PREAUTH_FAILED"),
            ("event.outcome", "failure"),
        ];
        for (name, value) in expect {
            assert_eq!(event.get(name).map(|value| value.to_text()).as_deref(), Some(value), "{name}");
        }
    }

    #[test]
    fn a_request_without_an_answer_goes_out_at_the_end() {
        let events = run(&[(Side::Originator, framed(&request()))], 5);
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].text("event.outcome"), None);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(talk: Vec<(bool, bool, Vec<u8>)>, chunk in 1..20_usize) {
            let turns: Vec<_> = talk
                .into_iter()
                .map(|(client, known, bytes)| {
                    let bytes = if known { framed(&tlv(if client { 0x6c } else { 0x6d }, &tlv(0x30, &bytes))) } else { bytes };
                    (if client { Side::Originator } else { Side::Responder }, bytes)
                })
                .collect();
            prop_assert_eq!(run(&turns, usize::MAX), run(&turns, chunk));
        }
    }
}
