//! Connections of made-up frames, whole, in pieces, one-sided and with holes.

use super::frame::frame;
use super::*;
use proptest::prelude::*;

const C: Side = Side::Originator;
const S: Side = Side::Responder;
const SETTINGS: [u8; 12] = [0, 3, 0, 0, 0, 100, 0, 4, 0, 0, 0xff, 0xff];

type Turns = Vec<(Side, Vec<u8>)>;

fn run(turns: &Turns, chunk: usize) -> Vec<Event> {
    let mut http = Http2::new(C, Options::default());
    let mut out = Vec::new();
    for (side, bytes) in turns {
        for piece in bytes.chunks(chunk.max(1)) {
            http.data(*side, Timestamp::default(), piece, &mut out);
        }
    }
    http.finish(Timestamp::default(), &mut out);
    out
}

/// A literal field that is entered into the table, its value in Huffman code.
fn field(name: &str, value: &str) -> Vec<u8> {
    let packed = huffman::encode(value.as_bytes());
    let lengths = |length: usize| u8::try_from(length).unwrap();
    [&[0x40, lengths(name.len())], name.as_bytes(), &[0x80 | lengths(packed.len())], &packed].concat()
}

fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| field(name, value)).collect()
}

fn get(path: &str) -> Vec<u8> {
    block(&[(":method", "GET"), (":path", path), (":scheme", "http"), (":authority", "x.vn")])
}

fn hello() -> Turns {
    let client = [PREFACE, &frame(kind::SETTINGS, 0, 0, &SETTINGS)].concat();
    vec![(C, client), (S, frame(kind::SETTINGS, 0, 0, &SETTINGS[..6]))]
}

fn headers(flags: u8, stream: u32, block: &[u8]) -> Vec<u8> {
    frame(kind::HEADERS, flags | flag::END_HEADERS, stream, block)
}

/// `dataset stream target status bytes` of each event, the same in any pieces.
#[track_caller]
fn check(turns: &Turns, expected: &[&str]) -> Vec<Event> {
    let events = run(turns, usize::MAX);
    for chunk in [1, 7, 100] {
        assert_eq!(run(turns, chunk), events, "pieces of {chunk}");
    }
    let shown: Vec<String> = events.iter().map(shown).collect();
    assert_eq!(shown, expected);
    events
}

fn shown(event: &Event) -> String {
    let text = |name| event.get(name).map_or("-".to_owned(), |value| value.to_text().into_owned());
    let names =
        ["dongson.http2.stream_id", "url.original", "http.response.status_code", "http.response.body.bytes"];
    let told = names.map(text).join(" ");
    if event.dataset() == "sensor.weird" {
        text("dongson.weird.name")
    } else {
        format!("{} {told}", event.dataset())
    }
}

#[test]
fn interleaved_streams_and_their_files() {
    let mut turns = hello();
    let ask =
        [headers(flag::END_STREAM, 1, &get("/a.txt")), headers(flag::END_STREAM, 3, &get("/b"))].concat();
    turns.push((C, ask));
    let answer = [
        headers(0, 3, &block(&[(":status", "200"), ("content-length", "4")])),
        headers(0, 1, &block(&[(":status", "200"), ("content-type", "text/plain")])),
        frame(kind::DATA, 0, 1, b"xin "),
        frame(kind::DATA, flag::END_STREAM, 3, b"abcd"),
        frame(kind::DATA, flag::END_STREAM | flag::PADDED, 1, b"\x02chao\0\0"),
    ];
    turns.push((S, answer.concat()));
    let events = check(
        &turns,
        &[
            "sensor.http 3 /b 200 4",
            "sensor.file - /b 200 -",
            "sensor.http 1 /a.txt 200 8",
            "sensor.file - /a.txt 200 -",
            "sensor.http2 0 - - -",
        ],
    );
    assert_eq!(events[2].text("http.version"), Some("2"));
    assert_eq!(events[2].text("url.domain"), Some("x.vn"));
    assert_eq!((events[3].text("file.name"), events[3].int("file.size")), (Some("a.txt"), Some(8)));
    assert_eq!(events[3].text("dongson.file.state"), Some("closed"));
    let settings = events[4].get("dongson.http2.request.settings").unwrap().scalars();
    assert_eq!(settings[0].to_text(), "MAX_CONCURRENT_STREAMS=100");
    assert_eq!(settings[1].to_text(), "INITIAL_WINDOW_SIZE=65535");
}

#[test]
fn continued_headers_and_secrets() {
    let mut turns = hello();
    let list =
        [get("/"), block(&[("authorization", "Bearer bi-mat"), ("cookie", "a=mat1"), ("cookie", "b=mat2")])]
            .concat();
    let (first, rest) = list.split_at(9);
    let ask = [
        frame(kind::HEADERS, flag::END_STREAM, 1, first),
        frame(kind::CONTINUATION, flag::END_HEADERS, 1, rest),
    ];
    turns.push((C, ask.concat()));
    turns.push((S, headers(flag::END_STREAM, 1, &block(&[(":status", "204")]))));
    let events = check(&turns, &["sensor.http 1 / 204 0", "sensor.http2 0 - - -"]);
    let names = events[0].get("dongson.http.request.headers").unwrap().scalars();
    assert_eq!((names.len(), names[0].to_text().into_owned()), (7, ":method: GET".to_owned()));
    assert!(!format!("{events:?}").contains("mat"), "secrets are sealed");
    assert!(events[0].text("dongson.http.authorization").unwrap().starts_with("Bearer hmac-sha256:"));
}

#[test]
fn calls_of_grpc() {
    let mut turns = hello();
    let ask =
        block(&[(":method", "POST"), (":path", "/kho.Kho/Lay"), ("content-type", "application/grpc+proto")]);
    turns.push((C, [headers(0, 1, &ask), frame(kind::DATA, flag::END_STREAM, 1, b"\0\0\0\0\x01a")].concat()));
    let answer = [
        headers(0, 1, &block(&[(":status", "200"), ("content-type", "application/grpc")])),
        frame(kind::DATA, 0, 1, b"\0\0\0\0\x01b"),
        headers(flag::END_STREAM, 1, &block(&[("grpc-status", "5"), ("grpc-message", "none")])),
    ];
    turns.push((S, answer.concat()));
    let events = check(&turns, &["sensor.http 1 /kho.Kho/Lay 200 6", "sensor.http2 0 - - -"]);
    let told = ["service", "method", "message"].map(|name| events[0].text(&format!("dongson.grpc.{name}")));
    assert_eq!(told, [Some("kho.Kho"), Some("Lay"), Some("none")]);
    assert_eq!(events[0].int("dongson.grpc.status"), Some(5));
}

#[test]
fn what_is_broken_off_or_promised() {
    let mut turns = hello();
    turns.push((C, headers(flag::END_STREAM, 1, &get("/a"))));
    let promise = [&2_u32.to_be_bytes()[..], &get("/style.css")].concat();
    let answer = [
        frame(kind::PUSH_PROMISE, flag::END_HEADERS, 1, &promise),
        headers(flag::END_STREAM, 2, &block(&[(":status", "304")])),
        frame(kind::RST_STREAM, 0, 1, &8_u32.to_be_bytes()),
        frame(kind::GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 11]),
    ];
    turns.push((S, answer.concat()));
    let events =
        check(&turns, &["sensor.http 2 /style.css 304 0", "sensor.http 1 /a - 0", "sensor.http2 0 - - -"]);
    assert_eq!(events[0].get("dongson.http2.pushed"), Some(&dongson_event::Value::Bool(true)));
    assert_eq!(events[1].text("dongson.http2.response.error_code"), Some("CANCEL"));
    assert_eq!(events[2].text("dongson.http2.response.error_code"), Some("ENHANCE_YOUR_CALM"));
}

#[test]
fn one_side_alone() {
    let server =
        [headers(0, 1, &block(&[(":status", "200")])), frame(kind::DATA, flag::END_STREAM, 1, b"abc")];
    check(
        &vec![(S, server.concat())],
        &["sensor.http 1 - 200 3", "sensor.file - - 200 -", "unmatched_HTTP_reply"],
    );
    check(&vec![(C, headers(flag::END_STREAM, 5, &get("/a")))], &["sensor.http 5 /a - 0"]);
}

#[test]
fn holes() {
    let mut http = Http2::new(C, Options::default());
    let (mut out, at) = (Vec::new(), Timestamp::default());
    for (side, bytes) in hello() {
        http.data(side, at, &bytes, &mut out);
    }
    http.data(C, at, &headers(flag::END_STREAM, 1, &get("/a")), &mut out);
    let body = frame(kind::DATA, flag::END_STREAM, 1, &[b'a'; 100]);
    http.data(S, at, &headers(0, 1, &block(&[(":status", "200")])), &mut out);
    http.data(S, at, &body[..40], &mut out);
    // The rest of the body, and what a table of HPACK would need.
    http.gap(S, 500);
    http.data(C, at, &headers(flag::END_STREAM, 3, &get("/b")), &mut out);
    let late = [vec![0xc0], block(&[(":status", "404")])].concat();
    http.data(S, at, &headers(flag::END_STREAM, 3, &late), &mut out);
    http.finish(at, &mut out);
    let told: Vec<String> = out.iter().map(shown).collect();
    let wanted = [
        "sensor.http 1 /a 200 31",
        "sensor.file - /a 200 -",
        "sensor.http 3 /b 404 0",
        "sensor.http2 0 - - -",
    ];
    assert_eq!(told, wanted);
    assert_eq!(out[1].int("dongson.file.missing_bytes"), Some(69));
}

#[test]
fn odd_headers_are_told() {
    let mut turns = hello();
    let list = block(&[(":method", "GET"), (":path", "/"), (":authority", "a:b@x.vn"), ("host", "y.vn")]);
    turns.push((
        C,
        [headers(flag::END_STREAM, 1, &list), headers(flag::END_STREAM, 3, &[0xff, 0x80])].concat(),
    ));
    check(
        &turns,
        &[
            "userinfo_in_uri",
            "authority_host_mismatch",
            "invalid_header",
            "sensor.http 1 / - 0",
            "sensor.http2 0 - - -",
        ],
    );
}

#[test]
fn open_streams_are_bounded() {
    let mut http = Http2::new(C, Options::default());
    let mut out = Vec::new();
    http.data(C, Timestamp::default(), &frame(kind::SETTINGS, 0, 0, &SETTINGS), &mut out);
    for stream in 0..500_u32 {
        let ask = headers(flag::END_STREAM, 2 * stream + 1, &[0x82, 0x84]);
        http.data(C, Timestamp::default(), &ask, &mut out);
    }
    assert_eq!((http.streams.len(), out.len()), (MAX_STREAMS, 500 - MAX_STREAMS));
}

#[test]
fn beginnings_are_recognised() {
    let check = |bytes: &[u8], expected| assert_eq!(detect(bytes).0, expected, "{bytes:?}");
    check(PREFACE, Verdict::Yes);
    check(&PREFACE[..9], Verdict::Maybe);
    check(b"PRI * HTTP/2.1", Verdict::No);
    let server = frame(kind::SETTINGS, 0, 0, &SETTINGS);
    check(&server, Verdict::Yes);
    check(&server[..12], Verdict::Maybe);
    check(&frame(kind::SETTINGS, 0, 0, &SETTINGS[..6]), Verdict::Maybe);
    let two = [frame(kind::SETTINGS, 0, 0, &[]), frame(kind::SETTINGS, flag::ACK, 0, &[])].concat();
    check(&two, Verdict::Yes);
    check(b"\0\0\0\x04\0\0\0\0\0\x01\x02\x03\x04\x05\x06\x07\x08\x09", Verdict::No);
    check(&frame(kind::SETTINGS, 0, 0, &[0x77; 12]), Verdict::No);
}

proptest! {
    #[test]
    fn any_frames_in_any_pieces(frames in prop::collection::vec((any::<bool>(), 0..11_u8, any::<u8>(), 0..4_u32, prop::collection::vec(any::<u8>(), 0..40)), 0..12), chunk in 1..30_usize) {
        let mut turns = hello();
        for (client, kind, flags, stream, payload) in frames {
            turns.push((if client { C } else { S }, frame(kind, flags, stream, &payload)));
        }
        prop_assert_eq!(run(&turns, chunk), run(&turns, usize::MAX));
    }

    #[test]
    fn any_bytes_and_holes(turns: Vec<(bool, Vec<u8>, u8)>) {
        let mut http = Http2::new(C, Options::default());
        let (mut out, at) = (Vec::new(), Timestamp::default());
        for (client, bytes, hole) in turns {
            let side = if client { C } else { S };
            http.data(side, at, &bytes, &mut out);
            http.gap(side, u64::from(hole));
        }
        http.finish(at, &mut out);
    }

    #[test]
    fn verdicts_are_final(start in prop::sample::select(vec![PREFACE.to_vec(), frame(kind::SETTINGS, 0, 0, &SETTINGS), frame(kind::SETTINGS, 0, 0, &[])]), tail: Vec<u8>, cut in 0..60_usize) {
        let whole = [start, tail].concat();
        let early = detect(&whole[..cut.min(whole.len())]);
        prop_assert!(early.0 == Verdict::Maybe || early == detect(&whole));
    }
}
