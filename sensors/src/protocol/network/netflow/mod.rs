//! NetFlow 5 and 9 (RFC 3954) and IPFIX (RFC 7011) on their way from an exporter to its collector.
//!
//! In: datagrams. Out: `sensor.netflow` events: one per datagram with its header and counts, one per flow record that its template
//! (or version 5 itself) lets us read, at most [`MAX_RECORDS`] of a datagram; the others are counted. Memory: the templates of the
//! exporter, at most [`template::MAX_TEMPLATES`].

mod record;
mod template;

use dongson_event::{Event, Timestamp};

use crate::protocol::Side;
use crate::protocol::dissect::Datagrams;
use crate::protocol::wire::Cursor;
use record::Record;
use template::Templates;

/// Records told of one datagram.
const MAX_RECORDS: usize = 64;
/// Bytes of header and record of version 5.
const V5_HEADER: usize = 24;
const V5_RECORD: usize = 48;

/// The header of a datagram.
#[derive(Debug, Clone, Copy)]
struct Header {
    version: u16,
    /// Seconds since 1970 on the exporter.
    exported: u32,
    sequence: u32,
    /// Which part of the exporter speaks: source id, observation domain, or type and slot of the engine.
    source: u32,
}

/// What the sets of a datagram held.
#[derive(Debug, Default)]
struct Counts {
    records: u64,
    untold: u64,
    templates: Vec<u16>,
    /// Sets whose template was not seen.
    unknown_sets: u64,
}

/// A flow of datagrams from one exporter.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Netflow {
    templates: Templates,
}

impl Datagrams for Netflow {
    fn datagram(&mut self, _side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        if !is_datagram(bytes) {
            return;
        }
        let Some((header, rest)) = header(bytes) else { return };
        let place = out.len();
        let mut counts = Counts::default();
        let mut tell = |record: &Record, counts: &mut Counts| {
            counts.records += 1;
            if out.len() - place < MAX_RECORDS {
                out.push(record.describe(at, header));
            } else {
                counts.untold += 1;
            }
        };
        if header.version == 5 {
            for bytes in rest.as_chunks::<V5_RECORD>().0 {
                if let Some(record) = Record::version5(bytes) {
                    tell(&record, &mut counts);
                }
            }
        } else {
            for (set, content) in sets(rest) {
                self.templates.set(header, set, content, &mut counts, &mut tell);
            }
        }
        out.insert(place, describe(at, header, &counts));
    }
}

/// The event of a datagram.
fn describe(at: Timestamp, header: Header, counts: &Counts) -> Event {
    let mut event = event(at, header, "export");
    event.set("dongson.netflow.sequence", header.sequence);
    event.set("dongson.netflow.exported", Timestamp::from_seconds(i64::from(header.exported)));
    event.set("dongson.netflow.records", counts.records);
    event.set("dongson.netflow.untold_records", counts.untold);
    event.set("dongson.netflow.unknown_sets", counts.unknown_sets);
    if !counts.templates.is_empty() {
        event.set("dongson.netflow.templates", counts.templates.clone());
    }
    event
}

fn event(at: Timestamp, header: Header, action: &'static str) -> Event {
    let mut event = Event::of("sensor.netflow", at);
    event.set("event.kind", "event");
    event.set("event.category", vec!["network"]);
    event.set("event.type", vec!["info"]);
    event.set("event.action", action);
    event.set("network.protocol", "netflow");
    event.set("dongson.netflow.version", header.version);
    event.set("dongson.netflow.source_id", header.source);
    event
}

/// Whether a datagram is one of these: its length must be what its header and its sets say.
pub(in crate::protocol) fn is_datagram(bytes: &[u8]) -> bool {
    let Some((header, rest)) = header(bytes) else { return false };
    let count = bytes.get(2..4).and_then(|count| count.first_chunk()).map(|count| u16::from_be_bytes(*count));
    let count = usize::from(count.unwrap_or(0));
    match header.version {
        5 => (1..=30).contains(&count) && rest.len() == count * V5_RECORD,
        9 => count > 0 && are_sets(rest, 0..=1),
        _ => count == bytes.len() && are_sets(rest, 2..=3),
    }
}

/// At least one set, of templates or data, and nothing behind the last but padding.
fn are_sets(bytes: &[u8], templates: std::ops::RangeInclusive<u16>) -> bool {
    let mut read = 0;
    for (set, content) in sets(bytes) {
        read += content.len() + 4;
        if !templates.contains(&set) && set < 256 {
            return false;
        }
    }
    read > 4 && bytes.get(read..).is_some_and(|rest| rest.len() < 4 && rest.iter().all(|byte| *byte == 0))
}

fn header(bytes: &[u8]) -> Option<(Header, &[u8])> {
    let mut cursor = Cursor::new(bytes);
    let version = cursor.u16()?;
    cursor.u16()?;
    if matches!(version, 5 | 9) {
        // Milliseconds since the exporter started.
        cursor.u32()?;
    }
    let exported = cursor.u32()?;
    if version == 5 {
        cursor.u32()?;
    }
    let sequence = cursor.u32()?;
    let source = match version {
        5 => u32::from(cursor.u16()?),
        9 | 10 => cursor.u32()?,
        _ => return None,
    };
    let length = if version == 5 { V5_HEADER } else { bytes.len() - cursor.rest().len() };
    Some((Header { version, exported, sequence, source }, bytes.get(length..)?))
}

/// Number and content of each set, up to the first that is not whole.
fn sets(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut cursor = Cursor::new(bytes);
    std::iter::from_fn(move || {
        let (set, length) = (cursor.u16()?, cursor.u16()?);
        Some((set, cursor.take(usize::from(length).checked_sub(4)?)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(datagrams: &[&[u8]]) -> Vec<Event> {
        let (mut netflow, mut out) = (Netflow::default(), Vec::new());
        for bytes in datagrams {
            netflow.datagram(Side::Originator, Timestamp::default(), bytes, &mut out);
        }
        out
    }

    fn text(event: &Event, name: &str) -> String {
        event
            .get(&format!("dongson.netflow.{name}"))
            .map_or("-".to_owned(), |value| value.to_text().into_owned())
    }

    #[track_caller]
    fn check(event: &Event, expected: &[&str]) {
        let names = [
            "flow.source",
            "flow.source_port",
            "flow.destination",
            "flow.destination_port",
            "flow.transport",
            "flow.bytes",
            "flow.packets",
        ];
        assert_eq!(names.map(|name| text(event, name)), expected);
    }

    fn set(number: u16, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len() + 4).unwrap();
        [&number.to_be_bytes()[..], &length.to_be_bytes(), content].concat()
    }

    fn numbers(numbers: &[u16]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    fn version9(sets: &[Vec<u8>]) -> Vec<u8> {
        [&[0, 9, 0, 1, 0, 0, 0, 7, 0x65, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 42][..], &sets.concat()].concat()
    }

    fn ipfix(sets: &[Vec<u8>]) -> Vec<u8> {
        let sets = sets.concat();
        let length = u16::try_from(sets.len() + 16).unwrap().to_be_bytes();
        [&[0, 10][..], &length, &[0x65, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 43], &sets].concat()
    }

    #[test]
    fn version_5() {
        let mut bytes = vec![0, 5, 0, 1, 0, 0, 0, 9, 0x65, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 1, 2, 0, 0];
        bytes.extend([10, 0, 0, 1, 10, 0, 0, 2, 0, 0, 0, 0, 0, 3, 0, 4, 0, 0, 0, 5, 0, 0, 1, 0]);
        bytes.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x9c, 0x40, 0, 53, 0, 0x18, 17, 0, 0, 0, 0, 0, 24, 24, 0, 0]);
        assert!(is_datagram(&bytes) && !is_datagram(&bytes[..71]));
        let told = run(&[&bytes]);
        assert_eq!(told.len(), 2);
        assert_eq!((text(&told[0], "version"), text(&told[0], "records")), ("5".to_owned(), "1".to_owned()));
        assert_eq!(
            (text(&told[0], "sequence"), text(&told[0], "source_id")),
            ("8".to_owned(), "258".to_owned())
        );
        check(&told[1], &["10.0.0.1", "40000", "10.0.0.2", "53", "udp", "256", "5"]);
    }

    #[test]
    fn version_9_and_its_templates() {
        // Addresses, ports, protocol, bytes of four, packets of two.
        let template = set(0, &numbers(&[260, 7, 8, 4, 12, 4, 7, 2, 11, 2, 4, 1, 1, 4, 2, 2]));
        let one = [10, 0, 0, 1, 10, 0, 0, 2, 0x1f, 0x90, 0, 80, 6, 0, 0, 2, 0, 0, 9];
        let data = set(260, &[&one[..], &one, &[0, 0]].concat());
        let told = run(&[&version9(std::slice::from_ref(&data)), &version9(&[template, data])]);
        assert_eq!(told.len(), 4);
        assert_eq!(text(&told[0], "unknown_sets"), "1");
        assert_eq!(
            (text(&told[1], "templates"), text(&told[1], "records")),
            ("260".to_owned(), "2".to_owned())
        );
        check(&told[2], &["10.0.0.1", "8080", "10.0.0.2", "80", "tcp", "512", "9"]);
    }

    #[test]
    fn ipfix_with_fields_of_any_length_and_of_companies() {
        // IPv6 addresses, a company's field, a name of any length, the start in milliseconds.
        let fields = numbers(&[256, 5, 27, 16, 28, 16, 0x8001, 2, 0, 9, 82, 0xffff, 152, 8]);
        let data =
            [&[0xfe; 16][..], &[0xfd; 16], &[1, 2], b"\x04eth0", &[0, 0, 1, 0x8b, 0xcf, 0xe5, 0x68, 0]]
                .concat();
        let bytes = ipfix(&[set(2, &fields), set(256, &data)]);
        assert!(is_datagram(&bytes));
        let told = run(&[&bytes]);
        assert_eq!(told.len(), 2);
        assert_eq!(text(&told[1], "flow.destination"), "fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd");
        assert_eq!(text(&told[1], "flow.start"), "2023-11-14T22:13:20.000Z");
    }

    #[test]
    fn other_datagrams_are_none() {
        let good = version9(&[set(0, &numbers(&[260, 1, 8, 4]))]);
        assert!(is_datagram(&good));
        for other in [
            &b""[..],
            b"\x00\x05\x00\x01",
            &good[..26],
            &[&good[..], &[1]].concat(),
            &[0; 60],
            &version9(&[set(7, &[0; 8])]),
        ] {
            assert!(!is_datagram(other), "{other:?}");
        }
    }

    #[test]
    fn records_told_are_bounded() {
        let template = set(0, &numbers(&[300, 1, 4, 1]));
        let told = run(&[&version9(&[template, set(300, &[6; 500])])]);
        assert_eq!(told.len(), 1 + MAX_RECORDS);
        assert_eq!(text(&told[0], "untold_records"), (500 - MAX_RECORDS).to_string());
    }

    proptest! {
        #[test]
        fn any_sets_are_survived(sets in prop::collection::vec((0..4_u8, 0..300_u16, prop::collection::vec(any::<u8>(), 0..60)), 0..8)) {
            let mut netflow = Netflow::default();
            let mut out = Vec::new();
            for (kind, number, content) in sets {
                let number = if kind < 2 { u16::from(kind) * 2 } else { number };
                for bytes in [version9(&[set(number, &content)]), ipfix(&[set(number, &content)])] {
                    netflow.datagram(Side::Originator, Timestamp::default(), &bytes, &mut out);
                }
            }
        }
    }
}
