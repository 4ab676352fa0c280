//! Syslog seen on the wire (RFC 3164, 4.1; RFC 5424, 6).
//!
//! In: datagrams. Out: one `sensor.syslog` event per message: priority and the text behind it, not taken apart, since the
//! sender need not be one of ours. Memory: nothing is kept between datagrams.

use dongson_event::{Event, Timestamp};

use crate::protocol::Side;
use crate::protocol::dissect::Datagrams;
use crate::protocol::wire::text;

/// Longest text that is told.
const MAX_TEXT: usize = 2048;

/// A flow that carries syslog.
#[derive(Debug)]
pub(in crate::protocol) struct Syslog;

impl Datagrams for Syslog {
    fn datagram(&mut self, _side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let mut event = Event::of("sensor.syslog", at);
        event.set("network.protocol", "syslog");
        let (priority, rest) = priority(bytes).unzip();
        if let Some(priority) = priority {
            event.set("log.syslog.priority", priority);
            event.set("log.syslog.facility.code", priority >> 3);
            event.set("log.syslog.severity.code", priority & 7);
        }
        event.set("message", text(rest.unwrap_or(bytes), MAX_TEXT));
        out.push(event);
    }
}

/// The number between `<` and `>`, at most 191, and what follows.
fn priority(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let rest = bytes.strip_prefix(b"<")?;
    let end = rest.iter().take(4).position(|sign| *sign == b'>').filter(|end| *end > 0)?;
    let digits = rest.get(..end)?;
    let value = digits.iter().try_fold(0_u16, |value, digit| {
        digit.is_ascii_digit().then(|| value * 10 + u16::from(digit - b'0'))
    })?;
    (value <= 191).then_some((value, rest.get(end + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Event {
        let mut out = Vec::new();
        Syslog.datagram(Side::Originator, Timestamp::default(), bytes, &mut out);
        out.remove(0)
    }

    #[test]
    fn priority_and_text() {
        let event = read(b"<133>xin chao\x00");
        assert_eq!(event.int("log.syslog.facility.code"), Some(16));
        assert_eq!(event.int("log.syslog.severity.code"), Some(5));
        assert_eq!(event.text("message"), Some("xin chao\\x00"));
        for odd in [&b"none"[..], b"<999>x", b"<>x", b"<1x>y"] {
            assert_eq!(read(odd).int("log.syslog.priority"), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            read(&bytes);
        }
    }
}
