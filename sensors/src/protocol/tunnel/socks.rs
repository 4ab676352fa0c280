//! SOCKS (version 4, 4a, and 5 of RFC 1928 and 1929): who asks for which tunnel, and where it begins.
//!
//! In: both directions of a stream that begins like SOCKS. Out: one `sensor.socks` event when the proxy has answered or the
//! talk ends, and the bytes behind its consent. Passwords are sealed. Memory: the opening talk of each side, at most
//! [`MAX_TALK`] bytes.

use std::net::{Ipv4Addr, Ipv6Addr};

use dongson_event::{Event, Timestamp};

use crate::protocol::wire::{Cursor, text};
use crate::protocol::{Options, Side, secret};

/// Longest opening talk of one side.
const MAX_TALK: usize = 2048;

/// What a side still has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Greeting,
    Credentials,
    Request,
    Ready,
}

/// A connection to a proxy.
#[derive(Debug)]
pub(in crate::protocol) struct Socks {
    pub(in crate::protocol) client: Side,
    key: [u8; 32],
    held: [Vec<u8>; 2],
    steps: [Step; 2],
    refused: bool,
    /// When the first byte came; `None` once the event is out.
    began: Option<Timestamp>,
    talk: Talk,
}

/// What was said.
#[derive(Debug, Default)]
struct Talk {
    version: u8,
    user: Option<String>,
    password: Option<String>,
    /// The way to sign in that the proxy chose.
    method: Option<u8>,
    command: Option<u8>,
    request: Option<(String, u16)>,
    status: Option<u8>,
    bound: Option<(String, u16)>,
}

impl Socks {
    pub(in crate::protocol) fn new(client: Side, options: &Options) -> Self {
        Self {
            client,
            key: options.secret_key,
            held: Default::default(),
            steps: [Step::Greeting; 2],
            refused: false,
            began: None,
            talk: Talk::default(),
        }
    }

    /// Whether a tunnel can still open, or is to be told of.
    pub(in crate::protocol) fn is_open(&self) -> bool {
        !self.refused || self.talk.version != 0
    }

    pub(in crate::protocol) fn gap(&mut self) {
        self.refused = true;
    }

    /// Where the tunnel leads.
    pub(in crate::protocol) fn target(&self) -> String {
        self.talk.request.as_ref().map(|(host, port)| format!("{host}:{port}")).unwrap_or_default()
    }

    /// Reads bytes of one side; once the tunnel is open, what each side (originator, responder) has sent into it.
    pub(in crate::protocol) fn data(
        &mut self,
        side: Side,
        at: Timestamp,
        bytes: &[u8],
        out: &mut Vec<Event>,
    ) -> Option<[Vec<u8>; 2]> {
        self.began.get_or_insert(at);
        side.of_mut(&mut self.held).extend_from_slice(bytes);
        while !self.refused && (self.advance(self.client.other()) || self.advance(self.client)) {}
        self.refused |= self.held.iter().any(|held| held.len() > MAX_TALK);
        let open = self.steps == [Step::Ready; 2];
        if open || self.refused {
            self.finish(at, out);
        }
        open.then(|| std::mem::take(&mut self.held))
    }

    /// Tells what was said, once.
    pub(in crate::protocol) fn finish(&mut self, at: Timestamp, out: &mut Vec<Event>) {
        let talk = std::mem::take(&mut self.talk);
        if let Some(began) = self.began.filter(|_| talk.version != 0) {
            out.push(talk.describe(began, at));
            // Where it leads is still asked for.
            self.talk.request = talk.request;
        }
    }

    /// Takes one message of a side; false when it is not whole, or not its turn.
    fn advance(&mut self, side: Side) -> bool {
        let (step, other) = (*side.of(&self.steps), *side.other().of(&self.steps));
        let held = side.of(&self.held).as_slice();
        let mut cursor = Cursor::new(held);
        let next = if side == self.client {
            // The client speaks first at each step; its request waits until the server has let it in.
            match step {
                Step::Request if other < Step::Request => None,
                step => self.talk.client(&mut cursor, step, &self.key),
            }
        } else if step < other {
            self.talk.server(&mut cursor, step)
        } else {
            None
        };
        let Some(next) = next else { return false };
        let used = held.len() - cursor.rest().len();
        side.of_mut(&mut self.held).drain(..used);
        match next {
            Answer::Go(step) => *side.of_mut(&mut self.steps) = step,
            Answer::Both(step) => self.steps = [step; 2],
            Answer::Refuse => self.refused = true,
        }
        true
    }
}

/// What a message leads to.
enum Answer {
    Go(Step),
    Both(Step),
    Refuse,
}

impl Talk {
    fn client(&mut self, cursor: &mut Cursor<'_>, step: Step, key: &[u8; 32]) -> Option<Answer> {
        match step {
            Step::Greeting => {
                let version = cursor.u8()?;
                if version == 5 {
                    cursor.vec8()?;
                    self.version = version;
                    return Some(Answer::Go(Step::Request));
                }
                let (command, port, address) = (cursor.u8()?, cursor.u16()?, cursor.u32()?);
                let user = until_zero(cursor)?;
                // Version 4a: an address that is none, and a name behind the user.
                let named = (1..256).contains(&address);
                let host =
                    if named { text(until_zero(cursor)?, 255) } else { Ipv4Addr::from(address).to_string() };
                self.version = version;
                self.command = Some(command);
                self.user = Some(text(user, 255)).filter(|user| !user.is_empty());
                self.request = Some((host, port));
                Some(Answer::Go(Step::Ready))
            }
            Step::Credentials => {
                let mut next = *cursor;
                next.u8()?;
                let (user, password) = (next.vec8()?, next.vec8()?);
                *cursor = next;
                self.user = Some(text(user, 255));
                self.password = Some(secret::seal(key, password));
                Some(Answer::Go(Step::Request))
            }
            Step::Request => {
                let (command, place) = address(cursor)?;
                self.command = Some(command);
                self.request = Some(place);
                Some(Answer::Go(Step::Ready))
            }
            Step::Ready => None,
        }
    }

    fn server(&mut self, cursor: &mut Cursor<'_>, step: Step) -> Option<Answer> {
        match step {
            Step::Greeting if self.version != 5 => {
                let mut next = *cursor;
                let (_zero, status, port, host) = (next.u8()?, next.u8()?, next.u16()?, next.u32()?);
                *cursor = next;
                self.status = Some(status);
                self.bound = Some((Ipv4Addr::from(host).to_string(), port));
                Some(if status == 90 { Answer::Go(Step::Ready) } else { Answer::Refuse })
            }
            Step::Greeting => {
                let chosen = cursor.take(2)?;
                self.method = chosen.get(1).copied();
                Some(match chosen {
                    [5, 0] => Answer::Go(Step::Request),
                    [5, 2] => Answer::Both(Step::Credentials),
                    _ => Answer::Refuse,
                })
            }
            Step::Credentials => match cursor.take(2)? {
                [_, 0] => Some(Answer::Go(Step::Request)),
                _ => Some(Answer::Refuse),
            },
            Step::Request => {
                let (status, bound) = address(cursor)?;
                self.status = Some(status);
                self.bound = Some(bound);
                Some(if status == 0 { Answer::Go(Step::Ready) } else { Answer::Refuse })
            }
            Step::Ready => None,
        }
    }

    fn describe(&self, began: Timestamp, at: Timestamp) -> Event {
        let mut event = Event::of("sensor.socks", began);
        event.set("event.kind", "event");
        event.set("event.category", vec!["network"]);
        event.set("event.type", vec!["connection", "protocol"]);
        event.set("event.duration", at.nanos().saturating_sub(began.nanos()));
        event.set("network.protocol", "socks");
        event.set("dongson.socks.version", self.version);
        event.set_some("event.action", self.command.map(command));
        event.set_some("user.name", self.user.clone());
        event.set_some("dongson.socks.password_hash", self.password.clone());
        event.set_some("dongson.socks.auth_method", self.method.map(method));
        if let Some((host, port)) = &self.request {
            event.set("dongson.socks.request.host", host.as_str());
            event.set("dongson.socks.request.port", *port);
        }
        if let Some((host, port)) = &self.bound {
            event.set("dongson.socks.bound.host", host.as_str());
            event.set("dongson.socks.bound.port", *port);
        }
        let granted = if self.version == 5 { 0 } else { 90 };
        if let Some(code) = self.status {
            event.set("dongson.socks.status", status(self.version, code));
            event.set("event.outcome", if code == granted { "success" } else { "failure" });
        } else if self.method.is_some() {
            event.set("event.outcome", "failure");
        }
        event
    }
}

/// RFC 1928, 4.
fn command(number: u8) -> String {
    match number {
        1 => "connect",
        2 => "bind",
        3 => "udp-associate",
        other => return format!("command-{other}"),
    }
    .to_owned()
}

/// RFC 1928, 3.
fn method(number: u8) -> String {
    match number {
        0 => "none",
        1 => "gssapi",
        2 => "password",
        0xff => "refused",
        other => return format!("method-{other}"),
    }
    .to_owned()
}

/// What the proxy answered, in the words of Zeek's `socks.log`.
fn status(version: u8, code: u8) -> String {
    match (version, code) {
        (5, 0) | (4, 90) => "succeeded",
        (5, 1) | (4, 91) => "general SOCKS server failure",
        (5, 2) => "connection not allowed by ruleset",
        (5, 3) => "network unreachable",
        (5, 4) => "host unreachable",
        (5, 5) => "connection refused",
        (5, 6) => "TTL expired",
        (5, 7) => "command not supported",
        (5, 8) => "address type not supported",
        (4, 92) => "request failed because client is not running identd",
        (4, 93) => {
            "request failed because client's identd could not confirm the user ID string in the request"
        }
        _ => return format!("unknown-{code}"),
    }
    .to_owned()
}

/// A request or reply of version 5: version, command or result, zero, address, port. Gives command or result, and the place.
fn address(cursor: &mut Cursor<'_>) -> Option<(u8, (String, u16))> {
    let mut next = *cursor;
    let (_version, code, _zero, kind) = (next.u8()?, next.u8()?, next.u8()?, next.u8()?);
    let host = match kind {
        1 => Ipv4Addr::from(next.u32()?).to_string(),
        4 => Ipv6Addr::from(*next.take(16)?.first_chunk::<16>()?).to_string(),
        _ => text(next.vec8()?, 255),
    };
    let port = next.u16()?;
    *cursor = next;
    Some((code, (host, port)))
}

fn until_zero<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let end = cursor.rest().iter().position(|byte| *byte == 0)?;
    let bytes = cursor.take(end)?;
    cursor.u8()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const C: Side = Side::Originator;
    const S: Side = Side::Responder;

    #[track_caller]
    fn check(turns: &[(Side, &[u8])], expected: Option<[&[u8]; 2]>) -> Option<Event> {
        let mut told = Vec::new();
        for chunk in [1, 3, 1000] {
            let mut socks = Socks::new(C, &Options::default());
            let (mut found, mut out): (Option<[Vec<u8>; 2]>, _) = (None, Vec::new());
            for (side, bytes) in turns {
                for part in bytes.chunks(chunk) {
                    match &mut found {
                        None => found = socks.data(*side, Timestamp::default(), part, &mut out),
                        Some(halves) => side.of_mut(halves).extend_from_slice(part),
                    }
                }
            }
            assert_eq!(found, expected.map(|halves| halves.map(<[u8]>::to_vec)), "pieces of {chunk}");
            socks.finish(Timestamp::default(), &mut out);
            told.push(out);
        }
        assert!(told.iter().all(|out| *out == told[0] && out.len() <= 1), "{told:?}");
        told.swap_remove(0).pop()
    }

    #[track_caller]
    fn check_fields(event: Option<Event>, expected: &[&str]) {
        let event = event.unwrap();
        let text = |name: &str| event.get(name).map_or("-".to_owned(), |value| value.to_text().into_owned());
        let names =
            ["version", "auth_method", "request.host", "request.port", "status", "bound.host", "bound.port"];
        let told: Vec<String> = names.iter().map(|name| text(&format!("dongson.socks.{name}"))).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn tunnels_open() {
        let request = b"\x05\x01\x00\x03\x02vn\x01\xbb";
        let reply = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00";
        let told = check(
            &[(C, b"\x05\x01\x00"), (S, b"\x05\x00"), (C, request), (S, reply), (C, b"hi")],
            Some([b"hi", b""]),
        );
        check_fields(told, &["5", "none", "vn", "443", "succeeded", "0.0.0.0", "0"]);
        let told = check(
            &[
                (C, b"\x05\x01\x02"),
                (S, b"\x05\x02"),
                (C, b"\x01\x01a\x01b"),
                (S, b"\x01\x00"),
                (C, request),
                (S, reply),
            ],
            Some([b"", b""]),
        );
        let told = told.unwrap();
        assert_eq!(told.text("user.name"), Some("a"));
        assert!(told.text("dongson.socks.password_hash").unwrap().starts_with("hmac-sha256:"));
        let told = check(&[(C, b"\x05\x01\x00"), (S, b"\x05\xff")], None);
        check_fields(told, &["5", "refused", "-", "-", "-", "-", "-"]);
        let told = check(
            &[(C, b"\x04\x01\x00\x50\x01\x02\x03\x04me\x00"), (S, b"\x00\x5a\x00\x00\x00\x00\x00\x00ok")],
            Some([b"", b"ok"]),
        );
        check_fields(told, &["4", "-", "1.2.3.4", "80", "succeeded", "0.0.0.0", "0"]);
        let refused = b"\x05\x05\x00\x01\x0a\x00\x00\x01\x00\x16";
        let told = check(&[(C, b"\x05\x01\x00"), (S, b"\x05\x00"), (C, request), (S, refused)], None);
        check_fields(told, &["5", "none", "vn", "443", "connection refused", "10.0.0.1", "22"]);
    }

    proptest! {
        #[test]
        fn any_talk_is_survived(talk: Vec<(bool, Vec<u8>)>) {
            let (mut socks, mut out) = (Socks::new(C, &Options::default()), Vec::new());
            for (client, bytes) in talk {
                drop(socks.data(if client { C } else { S }, Timestamp::default(), &bytes, &mut out));
            }
            prop_assert!(out.len() <= 1);
        }
    }
}
