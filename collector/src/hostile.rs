//! Property tests of everything here that reads bytes from outside: random bytes, and valid input with a few bytes
//! changed, which gets deeper. Nothing panics, everything stays in bounds.
//!
//! | reader | random | valid, then changed |
//! |---|---|---|
//! | every parser of [`crate::parse::PARSERS`] | there | here, from its fixtures |
//! | intake: records and events of sensors | there | here |
//! | syslog framing | there | here |
//! | RELP frames | there | here |
//! | `_bulk`, NDJSON | there, here | here |
//! | compressed bodies | here | here |
//! | `Authorization` | here | here |
//! | certificate requests of sensors | here | here |
//! | settings | here | here |

use crate::authority::Authority;
use crate::intake::{self, Format, Origin};
use crate::parse::{Context, PARSERS};
use crate::source::{body, elastic, framing, identity, relp};
use axum::http::{HeaderMap, HeaderValue, header};
use bytes::{Bytes, BytesMut};
use dongson_event::authority::Principal;
use dongson_event::clock::ClockPolicy;
use dongson_event::fields::Setter;
use dongson_event::{MAX_EVENT_BYTES, Timestamp};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::sample::Index;
use std::path::Path;
use std::sync::LazyLock;

/// Longest input after changes, in bytes.
const LONGEST: usize = 64 << 10;

/// What is done to valid bytes.
#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    Cut(Index, u8),
    Repeat(Index, u8, u8),
    Insert(Index, &'static [u8]),
    End(Index),
}

/// Bytes that mean something to some reader.
const SIGNS: &[&[u8]] = &[
    b"\0",
    b"\n",
    b"\r\n",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"<",
    b">",
    b"=",
    b" ",
    b"-1",
    b"0",
    b"1e999",
    b"99999999999999999999",
    b"\xff\xfe",
    b"\xc3",
    "\u{202e}ặ".as_bytes(),
    b"null",
    b"%00",
    b"[1,[2]]",
];

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (any::<Index>(), 1_u8..20).prop_map(|(at, length)| Change::Cut(at, length)),
        (any::<Index>(), 1_u8..20, 1_u8..50)
            .prop_map(|(at, length, times)| Change::Repeat(at, length, times)),
        (any::<Index>(), proptest::sample::select(SIGNS)).prop_map(|(at, sign)| Change::Insert(at, sign)),
        any::<Index>().prop_map(Change::End),
    ]
}

/// Some of `valid`, with up to five changes.
fn changed(valid: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (proptest::sample::select(valid), proptest::collection::vec(change(), 0..6)).prop_map(
        |(mut bytes, changes)| {
            for change in changes {
                let (Change::Set(at, _)
                | Change::Cut(at, _)
                | Change::Repeat(at, ..)
                | Change::Insert(at, _)
                | Change::End(at)) = &change;
                let at = at.index(bytes.len() + 1);
                let to = |length: u8| bytes.len().min(at + usize::from(length));
                match change {
                    Change::Set(_, byte) => drop(bytes.get_mut(at).map(|old| *old = byte)),
                    Change::Cut(_, length) => drop(bytes.drain(at..to(length))),
                    Change::Repeat(_, length, times) => {
                        let run = bytes[at..to(length)].repeat(usize::from(times));
                        drop(bytes.splice(at..at, run));
                    }
                    Change::Insert(_, sign) => drop(bytes.splice(at..at, sign.iter().copied())),
                    Change::End(_) => bytes.truncate(at),
                }
            }
            bytes.truncate(LONGEST);
            bytes
        },
    )
}

/// Every line of every fixture.
fn records() -> Vec<Vec<u8>> {
    static RECORDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let mut lines = Vec::new();
        for parser in PARSERS {
            for file in std::fs::read_dir(folder.join(parser.name)).unwrap() {
                let text = std::fs::read(file.unwrap().path()).unwrap();
                lines.extend(text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec));
            }
        }
        lines
    });
    RECORDS.clone()
}

fn origin(format: Format, right: Setter) -> Origin {
    Origin {
        principal: Principal {
            id: "key:1".into(),
            right,
            organization: "xa-a".into(),
            observer: "web01".into(),
            drill: None,
        },
        source: None,
        format,
        zone: TimeZone::UTC,
        clock: ClockPolicy::default(),
        way: None,
    }
}

fn cut(input: &[u8], step: usize) {
    let mut framer = framing::Framer::new();
    for piece in input.chunks(step) {
        framer.push(piece);
        while framer.next_frame().is_some() {}
        assert!(framer.held() <= intake::RECORD_BYTES + piece.len());
    }
    drop(framer.finish());
    assert_eq!(framer.held(), 0);
}

fn take_frames(input: &[u8]) {
    let mut buffer = BytesMut::from(input);
    while let Ok(Some(_)) = relp::frame(&mut buffer, 1_000) {}
}

fn decompress(input: &[u8]) {
    for encoding in [body::Encoding::Gzip, body::Encoding::Zstd, body::Encoding::Plain] {
        if let Ok(bytes) = body::inflate(encoding, input, LONGEST) {
            assert!(bytes.len() <= LONGEST);
        }
    }
}

fn authorize(input: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(input) else { return };
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, value);
    assert!(identity::secrets(&headers).iter().all(|secret| (1..=256).contains(&secret.len())));
}

fn sign(request: &[u8]) {
    static AUTHORITY: LazyLock<(tempfile::TempDir, Authority)> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path(), 1_800_000_000_000).unwrap();
        (folder, authority)
    });
    if let Ok(request) = std::str::from_utf8(request) {
        drop(AUTHORITY.1.sign(request, "0192f0c1", 1_800_000_000_000));
    }
}

fn settings(text: &[u8]) {
    if let Ok(text) = std::str::from_utf8(text)
        && let Ok(config) = toml::from_str::<crate::Config>(text)
    {
        drop(config.check());
    }
}

fn requests() -> Vec<Vec<u8>> {
    static REQUEST: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let key = rcgen::KeyPair::generate().unwrap();
        let request =
            rcgen::CertificateParams::new(vec!["gw.example".into()]).unwrap().serialize_request(&key);
        request.unwrap().pem().unwrap().into_bytes()
    });
    vec![REQUEST.clone()]
}

fn packed() -> Vec<Vec<u8>> {
    let text = records().concat();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &text).unwrap();
    vec![gzip.finish().unwrap(), zstd::encode_all(&text[..], 1).unwrap()]
}

fn texts(all: &[&str]) -> Vec<Vec<u8>> {
    all.iter().map(|text| text.as_bytes().to_vec()).collect()
}

const STREAMS: &[&str] = &[
    "<13>Nov 23 09:00:00 h p: a\n<14>1 2026-11-23T09:00:00Z h p 1 - - b\n",
    "26 <13>Nov 23 09:00:00 h p: a34 <14>1 2026-11-23T09:00:00Z h p 1 -",
    "8 {\"a\":1}\n7 {\"a\":1}<13>x\0\n100 <13>cut",
];
const SESSIONS: &[&str] = &[
    "1 open 48 relp_version=0\nrelp_software=x\ncommands=syslog,eventlog\n2 syslog 5 <13>a\n3 close 0\n",
    "2 syslog 5 a\nb\nc\n4 syslog 0\n5 syslog 3 abc\n",
];
const BULKS: &[&str] = &[
    "{\"create\":{\"_index\":\"f\",\"_id\":\"a\"}}\n{\"x\":1}\n{\"index\":{}}\n{\"message\":\"<13>x\"}\n{\"delete\":{\"_id\":7}}\n",
    "{\"update\":{\"_index\":\"f\",\"_id\":\"a\"}}\n{\"doc\":{}}\n{\"create\":{\"_index\":\"logs-x-default\",\"dynamic_templates\":{}}}\n{}\n",
];
const AUTHORIZATIONS: &[&str] = &["Bearer 0123abcd", "ApiKey aWQ6YWJj", "Basic dTphYmM=", "apikey x"];
const SETTINGS: &[&str] = &[
    "data = \"d\"\nhttps = \"127.0.0.1:1\"\nserver_names = [\"a\"]\nsyslog_udp = \"[::]:514\"\ntime_zone = \"UTC\"\n[silence]\nowner = \"an\"\nquiet_percent = 10\n[limits]\nconnections = 10\nbody_bytes = 16777216\n",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn changed_records(raw in changed(records())) {
        let context = Context { received: jiff::Timestamp::UNIX_EPOCH, zone: &TimeZone::UTC };
        let now = Timestamp::parse("2026-11-23T03:00:00Z").unwrap();
        for parser in PARSERS {
            drop((parser.parse)(&raw, &context));
        }
        let auto = Format::Records(crate::parse::by_name("auto").unwrap());
        for origin in [origin(auto, Setter::Source), origin(Format::Events, Setter::Sensor)] {
            let mut out = Vec::new();
            intake::record(&origin, &raw, uuid::Uuid::from_u128(7), now, &mut out);
            prop_assert!(!out.is_empty());
            for mut normal in out {
                normal.mark_cut();
                prop_assert!(normal.json.len() <= MAX_EVENT_BYTES);
                prop_assert_eq!(normal.event.organization(), "xa-a");
                let (again, anomalies) = dongson_event::Event::parse(normal.json.as_bytes()).unwrap();
                prop_assert!(anomalies.is_empty());
                prop_assert_eq!(again, normal.event);
            }
        }
    }

    #[test]
    fn changed_streams(input in changed(texts(STREAMS)), step in 1_usize..40) {
        cut(&input, step);
    }

    #[test]
    fn changed_relp_sessions(input in changed(texts(SESSIONS))) {
        take_frames(&input);
    }

    #[test]
    fn random_and_changed_bulk_bodies(random: Vec<u8>, changed in changed(texts(BULKS))) {
        for input in [random, changed] {
            let input = Bytes::from(input);
            drop(elastic::actions(&input));
            prop_assert!(body::lines(&input).all(|line| !line.is_empty() && !line.contains(&b'\n')));
        }
    }

    #[test]
    fn random_and_changed_compressed_bodies(random: Vec<u8>, changed in changed(packed())) {
        decompress(&random);
        decompress(&changed);
    }

    #[test]
    fn random_and_changed_authorizations(random: Vec<u8>, changed in changed(texts(AUTHORIZATIONS))) {
        authorize(&random);
        authorize(&changed);
    }

    #[test]
    fn random_and_changed_certificate_requests(random: Vec<u8>, changed in changed(requests())) {
        sign(&random);
        sign(&changed);
    }

    #[test]
    fn random_and_changed_settings(random in "\\PC{0,80}", changed in changed(texts(SETTINGS))) {
        settings(random.as_bytes());
        settings(&changed);
    }
}
