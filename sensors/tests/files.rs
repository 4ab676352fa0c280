//! Capture files through the public interface: formats, compression, cut and damaged files, identity.

mod support;

use std::io::Write as _;

use dongson_event::Event;
use dongson_sensor::capture::CaptureError;
use dongson_sensor::{Options, read_file, read_told};
use proptest::prelude::*;
use support::{exchange, of, pcap, pcapng, read};

/// What must be the same however the packets are stored: everything but the identity.
fn essence(events: &[Event]) -> Vec<String> {
    events
        .iter()
        .cloned()
        .map(|mut event| {
            event.remove("event.id");
            event.to_json()
        })
        .collect()
}

#[test]
fn every_format_gives_the_same_events() {
    let packets = exchange();
    let (expected, _) = read(&pcap(&packets, false, false));
    assert_eq!(of(&expected, "sensor.conn").len(), 1);
    assert_eq!(of(&expected, "sensor.http").len(), 1);
    let plain = pcap(&packets, false, false);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&plain).unwrap();
    let stored = [
        pcap(&packets, true, false),
        pcap(&packets, false, true),
        pcap(&packets, true, true),
        pcapng(&packets, false),
        pcapng(&packets, true),
        gzip.finish().unwrap(),
        zstd::encode_all(plain.as_slice(), 0).unwrap(),
    ];
    for (number, bytes) in stored.iter().enumerate() {
        let (events, summary) = read(bytes);
        assert!(summary.warning.is_none(), "format {number}: {:?}", summary.warning);
        assert_eq!(essence(&events), essence(&expected), "format {number}");
    }
}

#[test]
fn what_is_printed_is_what_the_events_say() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("capture.pcap");
    std::fs::write(&path, pcap(&exchange(), false, false)).unwrap();
    let options = Options { observer: Some("cổng \"1\"".to_owned()), ..Options::default() };
    let mut expected = Vec::new();
    read_file(&path, &options, &mut |event| expected.push(event.to_json())).unwrap();
    let mut printed = Vec::new();
    read_told(&path, &options, None, &mut |told, id| {
        let mut line = String::new();
        told.print(id, &mut line);
        printed.push(line);
    })
    .unwrap();
    assert!(expected.len() >= 2);
    assert_eq!(printed, expected);
}

#[test]
fn a_connection_is_told_as_zeek_tells_it() {
    let (events, summary) = read(&pcap(&exchange(), false, false));
    let [conn] = of(&events, "sensor.conn").try_into().unwrap();
    assert_eq!(conn.text("dongson.conn.state"), Some("SF"));
    assert_eq!(conn.text("dongson.conn.history"), Some("ShADdFf"));
    // The last packet acknowledges the second FIN: both ends were done before it.
    assert_eq!(conn.int("event.duration"), Some(6_000_000));
    assert_eq!(conn.int("source.packets"), Some(5));
    assert_eq!(conn.int("dongson.conn.source.payload_bytes"), Some(36));
    assert_eq!(conn.int("dongson.conn.destination.payload_bytes"), Some(40));
    assert_eq!(conn.int("dongson.conn.missed_bytes"), Some(0));
    assert_eq!(conn.int("source.port"), Some(40_000));
    assert_eq!(conn.text("network.protocol"), Some("http"));
    let [http] = of(&events, "sensor.http").try_into().unwrap();
    assert_eq!(http.get("network.community_id"), conn.get("network.community_id"));
    assert_eq!(http.get("dongson.conn.uid"), conn.get("dongson.conn.uid"));
    assert_eq!(http.int("http.response.status_code"), Some(200));
    assert_eq!(summary.statistics.frames, 8);
}

#[test]
fn ids_come_from_the_file_and_the_number() {
    let bytes = pcap(&exchange(), false, false);
    let (first, _) = read(&bytes);
    let (again, _) = read(&bytes);
    assert_eq!(first, again);
    let ids: std::collections::BTreeSet<&str> = first.iter().map(Event::id).collect();
    assert_eq!(ids.len(), first.len());
    let (other, _) = read(&pcap(&exchange(), true, false));
    assert!(other.iter().all(|event| !ids.contains(event.id())));
}

#[test]
fn a_cut_file_gives_what_it_holds_and_says_so() {
    let packets = exchange();
    for whole in [pcap(&packets, false, false), pcapng(&packets, false)] {
        let cut = whole.get(..whole.len() - 5).unwrap();
        let (events, summary) = read(cut);
        assert!(matches!(summary.warning, Some(CaptureError::Cut { .. })), "{:?}", summary.warning);
        assert_eq!(summary.statistics.frames, 7);
        assert_eq!(of(&events, "sensor.conn").len(), 1);
    }
}

#[test]
fn what_is_no_capture_is_an_error_that_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letter.txt");
    std::fs::write(&path, "Kính gửi").unwrap();
    let error = read_file(&path, &Options::default(), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("letter.txt"), "{error}");
    let missing = read_file(&folder.path().join("none"), &Options::default(), &mut |_| {}).unwrap_err();
    assert!(matches!(missing.source, CaptureError::Open { .. }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_file_cut_anywhere_never_panics(share in 0.0_f64..1.0, ng: bool, big: bool) {
        let whole = if ng { pcapng(&exchange(), big) } else { pcap(&exchange(), big, false) };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a share of a small number")]
        let length = 24.max((whole.len() as f64 * share) as usize);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut");
        std::fs::write(&path, whole.get(..length).unwrap()).unwrap();
        drop(read_file(&path, &Options::default(), &mut |_| {}));
    }

    #[test]
    fn a_damaged_file_never_panics(at in 0_usize..1_000, byte: u8, ng: bool) {
        let mut whole = if ng { pcapng(&exchange(), false) } else { pcap(&exchange(), false, false) };
        let length = whole.len();
        whole[at % length] = byte;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("damaged");
        std::fs::write(&path, whole).unwrap();
        drop(read_file(&path, &Options::default(), &mut |_| {}));
    }
}
