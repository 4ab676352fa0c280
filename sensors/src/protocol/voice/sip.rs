//! SIP: requests and their answers (RFC 3261, 7, 17 and 20; the session's description by RFC 8866, 5).
//!
//! In: datagrams, or both directions of a stream. Out: one `sensor.sip` event per response with what its request said
//! (the same `Call-ID` and `CSeq`), one per request that stays unanswered. Credentials are not read. Memory: at most
//! [`MAX_PENDING`] requests of some KiB, and in a stream one head of [`MAX_HEAD`] bytes per side.

use std::collections::VecDeque;

use dongson_event::{Event, Timestamp};

use crate::protocol::Side;
use crate::protocol::dissect::{Datagrams, Stream};
use crate::protocol::wire::text;

/// Requests that wait for an answer.
const MAX_PENDING: usize = 16;
/// Longest head of a message in a stream.
const MAX_HEAD: usize = 16 * 1024;
/// Longest value that is told.
const MAX_VALUE: usize = 512;

/// A request; it stays for further responses until it is pushed out.
#[derive(Debug)]
struct Pending {
    side: Side,
    key: (String, String),
    at: Timestamp,
    event: Event,
    answered: bool,
}

/// A flow or connection that speaks SIP.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Sip {
    held: [Vec<u8>; 2],
    ended: [bool; 2],
    pending: VecDeque<Pending>,
}

/// The parts of one message.
struct Message<'a> {
    first: &'a [u8],
    headers: Vec<(&'static str, &'a [u8])>,
    body: &'a [u8],
}

impl<'a> Message<'a> {
    /// A head and what follows it.
    fn new(head: &'a [u8], body: &'a [u8]) -> Self {
        let mut lines = head.split(|sign| *sign == b'\n').map(<[u8]>::trim_ascii_end);
        let first = lines.next().unwrap_or_default();
        let headers = lines.filter_map(header).take(64).collect();
        Self { first, headers, body }
    }

    fn get(&self, name: &str) -> Option<String> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| text(value, MAX_VALUE))
    }

    /// All values of a header, joined; a value can be a list itself (RFC 3261, 7.3.1).
    fn all(&self, name: &str) -> Vec<String> {
        let values = self.headers.iter().filter(|(known, _)| *known == name);
        values.take(16).map(|(_, value)| text(value, MAX_VALUE)).collect()
    }

    fn length(&self) -> Option<usize> {
        self.get("content-length")?.parse().ok()
    }
}

/// Name and value of a line, when the name is one that is told; compact forms by RFC 3261, 7.3.3.
fn header(line: &[u8]) -> Option<(&'static str, &[u8])> {
    const NAMES: &[(&str, &str)] = &[
        ("from", "f"),
        ("to", "t"),
        ("call-id", "i"),
        ("cseq", ""),
        ("via", "v"),
        ("subject", "s"),
        ("date", ""),
        ("reply-to", ""),
        ("user-agent", ""),
        ("server", ""),
        ("warning", ""),
        ("contact", "m"),
        ("content-type", "c"),
        ("content-length", "l"),
    ];
    let colon = line.iter().position(|sign| *sign == b':')?;
    let name = line.get(..colon)?.trim_ascii();
    let value = line.get(colon + 1..)?.trim_ascii();
    let same = |known: &str| !known.is_empty() && name.eq_ignore_ascii_case(known.as_bytes());
    NAMES.iter().find(|(long, short)| same(long) || same(short)).map(|(long, _)| (*long, value))
}

impl Sip {
    fn message(&mut self, side: Side, at: Timestamp, message: &Message<'_>, out: &mut Vec<Event>) {
        let key = (message.get("call-id").unwrap_or_default(), message.get("cseq").unwrap_or_default());
        if let Some(status) = message.first.strip_prefix(b"SIP/") {
            self.response(side, at, &key, status, message, out);
        } else if let Some(event) = request(at, message) {
            // The same request once more.
            if self.pending.iter().any(|known| known.side == side && known.key == key && !known.answered) {
                return;
            }
            if self.pending.len() >= MAX_PENDING {
                out.extend(self.pending.pop_front().filter(|old| !old.answered).map(|old| old.event));
            }
            self.pending.push_back(Pending { side, key, at, event, answered: false });
        }
    }

    fn response(
        &mut self,
        side: Side,
        at: Timestamp,
        key: &(String, String),
        status: &[u8],
        message: &Message<'_>,
        out: &mut Vec<Event>,
    ) {
        let mut words = status.splitn(3, |sign| *sign == b' ');
        let version = words.next().unwrap_or_default();
        let Some(code) = words.next().and_then(|code| std::str::from_utf8(code).ok()?.parse::<u16>().ok())
        else {
            return;
        };
        let asked = self.pending.iter_mut().rev().find(|known| known.side != side && known.key == *key);
        let mut event = if let Some(pending) = asked {
            pending.answered = true;
            let mut event = pending.event.clone();
            event.set("event.duration", at.nanos().saturating_sub(pending.at.nanos()));
            event
        } else {
            let mut event = base(at, message);
            event.set("dongson.sip.version", format!("SIP/{}", text(version, 8)));
            event
        };
        event.set("dongson.sip.status_code", code);
        event.set("dongson.sip.status_reason", text(words.next().unwrap_or_default(), MAX_VALUE));
        event.set_some("dongson.sip.response.from", message.get("from").map(untagged));
        event.set_some("dongson.sip.response.to", message.get("to"));
        event.set("dongson.sip.response.path", message.all("via"));
        event.set("dongson.sip.response.body_bytes", body_length(message));
        event.set_some("dongson.sip.server", message.get("server"));
        event.set_some("dongson.sip.warning", message.get("warning"));
        event.set_some("dongson.sip.content_type", message.get("content-type"));
        if (200..700).contains(&code) {
            event.set("event.outcome", if code < 400 { "success" } else { "failure" });
        }
        description(&mut event, message.body);
        out.push(event);
    }

    fn flush(&mut self, out: &mut Vec<Event>) {
        out.extend(self.pending.drain(..).filter(|pending| !pending.answered).map(|pending| pending.event));
    }

    fn lose(&mut self, side: Side) {
        side.of_mut(&mut self.held).clear();
        *side.of_mut(&mut self.ended) = true;
    }
}

fn body_length(message: &Message<'_>) -> usize {
    message.length().unwrap_or(message.body.len())
}

fn base(at: Timestamp, message: &Message<'_>) -> Event {
    let mut event = Event::of("sensor.sip", at);
    event.set("network.protocol", "sip");
    event.set_some("dongson.sip.call_id", message.get("call-id"));
    event.set_some("dongson.sip.seq", message.get("cseq"));
    event
}

/// The sender without the tag that its device adds anew in each dialog (RFC 3261, 19.3), so that one caller has one name.
fn untagged(mut from: String) -> String {
    let is_tag = |at: usize| {
        from.get(at + 1..).is_some_and(|rest| rest.trim_start().to_ascii_lowercase().starts_with("tag="))
    };
    if let Some((at, _)) = from.match_indices(';').find(|(at, _)| is_tag(*at)) {
        from.truncate(at);
    }
    from
}

fn request(at: Timestamp, message: &Message<'_>) -> Option<Event> {
    let mut words = message.first.splitn(3, |sign| *sign == b' ');
    let (method, uri, version) = (words.next()?, words.next()?, words.next()?);
    if !version.starts_with(b"SIP/") {
        return None;
    }
    let mut event = base(at, message);
    event.set("dongson.sip.method", text(method, 32));
    event.set("dongson.sip.uri", text(uri, MAX_VALUE));
    event.set("dongson.sip.version", text(version, 16));
    event.set_some("dongson.sip.request.from", message.get("from").map(untagged));
    event.set_some("dongson.sip.request.to", message.get("to"));
    event.set_some("dongson.sip.contact", message.get("contact"));
    event.set_some("dongson.sip.reply_to", message.get("reply-to"));
    event.set_some("dongson.sip.subject", message.get("subject"));
    event.set_some("dongson.sip.date", message.get("date"));
    event.set_some("user_agent.original", message.get("user-agent"));
    event.set("dongson.sip.request.path", message.all("via"));
    event.set("dongson.sip.request.body_bytes", body_length(message));
    event.set_some("dongson.sip.content_type", message.get("content-type"));
    description(&mut event, message.body);
    Some(event)
}

/// Who offers what where, in a session description.
fn description(event: &mut Event, body: &[u8]) {
    if !body.starts_with(b"v=0") {
        return;
    }
    let mut media = Vec::new();
    for line in body.split(|sign| *sign == b'\n').map(<[u8]>::trim_ascii_end).take(128) {
        match line {
            [b'o', b'=', value @ ..] => drop(event.set("dongson.sip.sdp.origin", text(value, MAX_VALUE))),
            [b's', b'=', value @ ..] => {
                drop(event.set("dongson.sip.sdp.session_name", text(value, MAX_VALUE)));
            }
            [b'c', b'=', value @ ..] if media.is_empty() => {
                event.set("dongson.sip.sdp.connection", text(value, MAX_VALUE));
            }
            [b'm', b'=', value @ ..] if media.len() < 16 => media.push(text(value, MAX_VALUE)),
            _ => {}
        }
    }
    if !media.is_empty() {
        event.set("dongson.sip.sdp.media", media);
    }
}

/// Where the head ends: behind an empty line.
fn head_end(bytes: &[u8]) -> Option<usize> {
    let ends = |at: usize| match bytes.get(at + 1..).unwrap_or_default() {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    };
    bytes.iter().enumerate().filter(|(_, sign)| **sign == b'\n').find_map(|(at, _)| ends(at))
}

impl Datagrams for Sip {
    fn datagram(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let bytes = bytes.trim_ascii_start();
        let end = head_end(bytes).unwrap_or(bytes.len());
        let (head, body) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
        self.message(side, at, &Message::new(head, body), out);
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        self.flush(out);
    }
}

impl Stream for Sip {
    fn data(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        if *side.of(&self.ended) {
            return;
        }
        let mut held = std::mem::take(side.of_mut(&mut self.held));
        held.extend_from_slice(bytes);
        let mut rest = held.as_slice();
        loop {
            // Empty lines keep a connection alive (RFC 5626, 3.5.1).
            rest = rest.trim_ascii_start();
            let Some(end) = head_end(rest.get(..MAX_HEAD).unwrap_or(rest)) else { break };
            let (start, behind) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            let length = Message::new(start, &[]).length().unwrap_or(0);
            let Some((body, next)) = behind.split_at_checked(length).filter(|_| length <= MAX_HEAD) else {
                if length > MAX_HEAD {
                    self.message(side, at, &Message::new(start, &[]), out);
                    return self.lose(side);
                }
                break;
            };
            self.message(side, at, &Message::new(start, body), out);
            rest = next;
        }
        if rest.len() > MAX_HEAD && head_end(rest.get(..MAX_HEAD).unwrap_or(rest)).is_none() {
            return self.lose(side);
        }
        *side.of_mut(&mut self.held) = rest.to_vec();
    }

    fn gap(&mut self, side: Side, _length: u64) {
        self.lose(side);
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        self.flush(out);
    }

    fn wants_more(&self, side: Side) -> bool {
        !*side.of(&self.ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::talk;
    use proptest::prelude::*;

    const C: Side = Side::Originator;
    const S: Side = Side::Responder;
    const ASK: &[u8] = b"INVITE sip:b@vn SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nf: <sip:a@vn>;x=1;tag=7b\r\nTo: <sip:b@vn>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Length: 26\r\n\r\nv=0\r\no=a 1 1 IN IP4 1.2.3.4";

    fn run(turns: &[(Side, Vec<u8>)], chunk: usize) -> Vec<Event> {
        talk::hear(&mut Sip::default(), turns, chunk)
    }

    #[test]
    fn answers_meet_their_request() {
        let answer = b"SIP/2.0 100 Trying\r\ni: 1\r\nCSeq: 1 INVITE\r\n\r\nSIP/2.0 486 Busy Here\r\ni: 1\r\nCSeq: 1 INVITE\r\n\r\n";
        let turns = [(C, ASK.to_vec()), (S, answer.to_vec())];
        let events = run(&turns, usize::MAX);
        assert_eq!(events, run(&turns, 1));
        let [trying, busy] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(trying.text("event.outcome"), None);
        assert_eq!(busy.text("dongson.sip.status_reason"), Some("Busy Here"));
        assert_eq!(busy.text("dongson.sip.request.from"), Some("<sip:a@vn>;x=1"));
        assert_eq!(busy.text("dongson.sip.method"), Some("INVITE"));
        assert_eq!(busy.int("dongson.sip.request.body_bytes"), Some(26));
    }

    #[test]
    fn a_datagram_without_an_answer() {
        let (mut sip, mut out) = (Sip::default(), Vec::new());
        sip.datagram(C, Timestamp::default(), ASK, &mut out);
        sip.datagram(C, Timestamp::default(), ASK, &mut out);
        Datagrams::finish(&mut sip, Timestamp::default(), &mut out);
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].text("dongson.sip.sdp.origin"), Some("a 1 1 IN IP4 1.2.3.4"));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(talk: Vec<(bool, String)>, begin: bool, chunk in 1..20_usize) {
            let mut turns: Vec<_> = talk.into_iter().map(|(client, words)| (if client { C } else { S }, words.into_bytes())).collect();
            if begin {
                turns.insert(0, (C, ASK.to_vec()));
            }
            prop_assert_eq!(run(&turns, usize::MAX), run(&turns, chunk));
        }
    }
}
