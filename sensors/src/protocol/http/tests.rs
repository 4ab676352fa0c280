//! Transactions of made-up connections, whole and in pieces.

use super::*;

type Turn<'a> = (Side, &'a [u8]);
const C: Side = Side::Originator;
const S: Side = Side::Responder;

fn run(turns: &[Turn<'_>], chunk: usize) -> Vec<Event> {
    let mut http = Http::new(C, Options::default());
    let mut out = Vec::new();
    for (side, bytes) in turns {
        for mut piece in bytes.chunks(chunk) {
            http.data(*side, Timestamp::default(), &mut piece, &mut out);
        }
    }
    http.finish(Timestamp::default(), &mut out);
    out
}

/// Runs whole and in pieces, wants the same events, and gives `method target status request-bytes response-bytes` of each.
#[track_caller]
fn check(turns: &[Turn<'_>], expected: &[&str]) {
    let whole = run(turns, usize::MAX);
    assert_eq!(run(turns, 1), whole);
    assert_eq!(run(turns, 13), whole);
    let shown: Vec<String> = whole
        .iter()
        .filter(|event| event.dataset() == "sensor.http")
        .map(|event| {
            let text = |name| event.get(name).map_or("-".to_owned(), |value| value.to_text().into_owned());
            let names = [
                "http.request.method",
                "url.original",
                "http.response.status_code",
                "http.request.body.bytes",
                "http.response.body.bytes",
            ];
            names.map(text).join(" ")
        })
        .collect();
    assert_eq!(shown, expected);
}

#[test]
fn pipelined_requests_meet_their_responses() {
    check(
        &[
            (C, b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nHEAD /2 HTTP/1.1\r\n\r\nPOST /3 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"),
            (S, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
            (S, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\n\r\n"),
        ],
        &["GET /1 200 0 2", "HEAD /2 200 0 0", "POST /3 201 3 3"],
    );
}

#[test]
fn a_response_to_the_end_of_the_connection() {
    check(&[(C, b"GET /\r\n"), (S, b"<html>old</html>")], &["GET / - 0 16"]);
    check(
        &[(C, b"GET / HTTP/1.0\r\n\r\n"), (S, b"HTTP/1.0 200 OK\r\n\r\n<html>old</html>")],
        &["GET / 200 0 16"],
    );
}

#[test]
fn what_is_incomplete_goes_out_at_the_end() {
    check(&[(C, b"GET /a HTTP/1.1\r\nHost: a\r\n")], &["GET /a - 0 0"]);
    check(&[(S, b"HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\nab")], &["- - 403 0 2"]);
    check(&[(C, b"nothing of the kind\r\n")], &[]);
}

#[test]
fn a_tunnel_is_handed_over() {
    let mut http = Http::new(C, Options::default());
    let mut out = Vec::new();
    let at = Timestamp::default();
    let mut bytes = &b"CONNECT a.vn:443 HTTP/1.1\r\n\r\nearly"[..];
    assert!(!http.data(C, at, &mut bytes, &mut out));
    let mut bytes = &b"HTTP/1.1 200 Connection established\r\n\r\nlate"[..];
    assert!(http.data(S, at, &mut bytes, &mut out));
    assert_eq!((http.held().as_slice(), bytes, out.len()), (&b"early"[..], &b"late"[..], 1));
}

#[test]
fn a_refused_tunnel_goes_on() {
    check(
        &[
            (C, b"CONNECT a:1 HTTP/1.1\r\n\r\n"),
            (S, b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"),
            (C, b"GET /x HTTP/1.1\r\n\r\n"),
            (S, b"HTTP/1.1 304 Same\r\n\r\n"),
        ],
        &["CONNECT a:1 407 0 0", "GET /x 304 0 0"],
    );
}

#[test]
fn requests_without_answers_do_not_pile_up() {
    let mut http = Http::new(C, Options::default());
    let mut out = Vec::new();
    for _ in 0..500 {
        http.data(C, Timestamp::default(), &mut &b"GET / HTTP/1.1\r\n\r\n"[..], &mut out);
    }
    assert!(http.pending.len() <= MAX_PENDING, "{}", http.pending.len());
    http.finish(Timestamp::default(), &mut out);
    assert_eq!(out.len(), 500);
}

#[test]
fn packed_bodies_are_measured_twice() {
    use std::io::Write as _;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"<html>tin</html>").unwrap();
    let packed = gzip.finish().unwrap();
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", packed.len());
    let events = run(&[(C, b"GET / HTTP/1.1\r\n\r\n"), (S, &[head.as_bytes(), &packed].concat())], 7);
    assert_eq!(events[0].int("dongson.http.response.unpacked_bytes"), Some(16));
    assert_eq!(events[0].text("http.response.mime_type"), Some("text/html"));
}

#[test]
fn streams_are_recognised() {
    let check = |bytes: &[u8], expected| assert_eq!(detect(bytes), expected);
    check(b"GET / HTTP/1.1\r\n", (Verdict::Yes, Speaker::Client));
    check(b"GET / HT", (Verdict::Maybe, Speaker::Client));
    check(b"HTTP/1.1 200", (Verdict::Yes, Speaker::Server));
    check(b"EHLO mail.vn\r\n", (Verdict::No, Speaker::Client));
    check(b"\x16\x03\x01", (Verdict::No, Speaker::Client));
    check(&[&b"POST /"[..], &[b'a'; 600]].concat(), (Verdict::Yes, Speaker::Client));
}

#[test]
fn a_hole_in_the_headers_of_a_request_leaves_its_first_line() {
    let mut http = Http::new(C, Options::default());
    let mut out = Vec::new();
    let (early, late) = (Timestamp::from_seconds(1), Timestamp::from_seconds(2));
    http.data(
        C,
        early,
        &mut &b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nAccept: te"[..],
        &mut out,
    );
    http.gap(C, 7);
    http.data(C, late, &mut &b"GET /2 HTTP/1.1\r\nHost: b\r\n\r\n"[..], &mut out);
    for _ in 0..2 {
        http.data(S, late, &mut &b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"[..], &mut out);
    }
    let shown: Vec<_> = out.iter().map(|event| (event.text("url.original"), event.timestamp())).collect();
    assert_eq!(shown, [(Some("/1"), Some(early)), (Some("/2"), Some(late))]);
}

/// Names and details of the anomalies in an answer with this head, asked for or not.
fn oddities(asked: bool, head: &str) -> Vec<String> {
    let answer = format!("HTTP/1.1 206 Partial\r\nContent-Length: 2\r\n{head}\r\nhi");
    let mut turns: Vec<Turn<'_>> = Vec::new();
    if asked {
        turns.push((C, b"GET /a HTTP/1.1\r\n\r\n"));
    }
    turns.push((S, answer.as_bytes()));
    let events = run(&turns, 3);
    let told = events.iter().filter(|event| event.dataset() == "sensor.weird");
    let text = |event: &Event, name| event.text(name).unwrap_or_default().to_owned();
    told.map(|event| text(event, "dongson.weird.name") + " " + &text(event, "dongson.weird.detail")).collect()
}

#[test]
fn odd_answers_are_told() {
    assert_eq!(oddities(true, "Content-Range: bytes 0-1/9\r\n"), Vec::<String>::new());
    assert_eq!(oddities(true, "Content-Range: bytes 0-7/9\r\n"), ["HTTP_range_not_matching_len "]);
    assert_eq!(
        oddities(true, "Content-Range: bytes foo-bar/baz\r\n"),
        ["HTTP_content_range_cannot_parse foo-bar/baz"]
    );
    assert_eq!(oddities(false, ""), ["unmatched_HTTP_reply "]);
}
