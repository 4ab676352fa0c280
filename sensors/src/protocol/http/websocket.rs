//! WebSocket behind its handshake in HTTP/1 (RFC 6455; packed messages by RFC 7692).
//!
//! In: the handshake, then both directions. Out: `sensor.websocket` events: one when it opens (as Zeek's `websocket.log`), one for
//! each of the first [`MAX_TOLD`] frames (as Suricata's `websocket`), one at the end with what went which way. What the messages
//! carry, unmasked, is looked at as a connection inside this one unless it is packed. Memory: one frame header and one control
//! frame per side, and the connection inside.

use dongson_event::{Event, Timestamp};

use super::head::{Request, Response};
use crate::odd;
use crate::protocol::wire::text;
use crate::protocol::{Side, Tcp, tunnel};

/// Frames told one by one; the others are counted.
const MAX_TOLD: u64 = 64;
/// Longest control frame (5.5).
const MAX_CONTROL: u64 = 125;

/// A frame on its way.
#[derive(Debug, Clone, Copy)]
struct Frame {
    opcode: u8,
    mask: Option<[u8; 4]>,
    packed: bool,
    length: u64,
    read: u64,
}

impl Frame {
    fn is_control(self) -> bool {
        self.opcode & 8 != 0
    }
}

/// One direction.
#[derive(Debug, Default)]
struct Half {
    held: Vec<u8>,
    frame: Option<Frame>,
    /// The message that is going on is packed.
    packed: bool,
    control: Vec<u8>,
    lost: bool,
    frames: u64,
    messages: u64,
    bytes: u64,
    close_code: Option<u16>,
    close_reason: Option<String>,
}

/// A connection that speaks WebSocket.
#[derive(Debug)]
pub(in crate::protocol) struct WebSocket {
    client: Side,
    /// Of client and server.
    halves: [Half; 2],
    handshake: Event,
    opened: bool,
    began: Timestamp,
    told: u64,
    odd: Vec<&'static str>,
    inside: Option<Box<Tcp>>,
}

impl WebSocket {
    /// Behind a handshake that the server granted.
    pub(super) fn new(client: Side, at: Timestamp, request: &Request, response: &Response) -> Self {
        let mut handshake = Event::of("sensor.websocket", at);
        handshake.set("network.protocol", "websocket");
        handshake.set("url.original", request.target.as_str());
        handshake.set_some("dongson.http.host", request.host.clone());
        handshake.set_some("user_agent.original", request.user_agent.clone());
        let (asked, given) = (&request.shared, &response.shared);
        for (name, value) in [
            ("dongson.websocket.client_protocols", &asked.websocket_protocol),
            ("dongson.websocket.client_extensions", &asked.websocket_extensions),
            ("dongson.websocket.server_extensions", &given.websocket_extensions),
        ] {
            if let Some(value) = value {
                handshake.set(name, list(value));
            }
        }
        handshake.set_some("dongson.websocket.subprotocol", given.websocket_protocol.clone());
        Self {
            client,
            halves: <[Half; 2]>::default(),
            handshake,
            opened: false,
            began: at,
            told: 0,
            odd: Vec::new(),
            inside: None,
        }
    }

    /// Says what reads what the messages carry.
    pub(in crate::protocol) fn look_into(&mut self, inside: Tcp) {
        self.inside = Some(Box::new(inside));
    }

    /// What is spoken inside.
    pub(in crate::protocol) fn inside(&self) -> Option<&Tcp> {
        self.inside.as_deref()
    }

    pub(in crate::protocol) fn wants_more(&self, side: Side) -> bool {
        !self.half(side).lost
    }

    fn half(&self, side: Side) -> &Half {
        let [client, server] = &self.halves;
        if side == self.client { client } else { server }
    }

    fn half_mut(&mut self, side: Side) -> &mut Half {
        let [client, server] = &mut self.halves;
        if side == self.client { client } else { server }
    }

    /// An event of this connection: the handshake's and `action`.
    fn event(&self, at: Timestamp, action: &'static str, kind: &'static str) -> Event {
        let mut event = self.handshake.clone();
        event.set("@timestamp", at);
        event.set("event.kind", "event");
        event.set("event.category", vec!["network", "web"]);
        event.set("event.type", vec![kind]);
        event.set("event.action", action);
        event
    }

    /// Tells of the handshake.
    pub(in crate::protocol) fn open(&mut self, out: &mut Vec<Event>) {
        self.opened = true;
        out.push(self.event(self.began, "open", "start"));
    }

    /// The next bytes of one side.
    pub(in crate::protocol) fn data(
        &mut self,
        side: Side,
        at: Timestamp,
        mut bytes: &[u8],
        out: &mut Vec<Event>,
    ) {
        while !bytes.is_empty() && !self.half(side).lost {
            let half = self.half_mut(side);
            let Some(frame) = &mut half.frame else {
                self.header(side, at, &mut bytes, out);
                continue;
            };
            let left = usize::try_from(frame.length - frame.read).unwrap_or(usize::MAX);
            let (piece, rest) = bytes.split_at_checked(left).unwrap_or((bytes, &[]));
            bytes = rest;
            let plain = unmasked(frame, piece);
            frame.read += piece.len() as u64;
            let frame = *frame;
            if frame.is_control() {
                half.control.extend_from_slice(&plain);
            } else if !frame.packed
                && let Some(inside) = &mut self.inside
            {
                let from = out.len();
                inside.data(side, at, &plain, out);
                tunnel::mark(out, from, "websocket", None);
            }
            self.end(side);
        }
    }

    /// Takes the header of a frame; `bytes` is used up where it is not whole.
    fn header(&mut self, side: Side, at: Timestamp, bytes: &mut &[u8], out: &mut Vec<Event>) {
        let by_client = side == self.client;
        let half = self.half_mut(side);
        while let Some((byte, rest)) = bytes.split_first() {
            *bytes = rest;
            half.held.push(*byte);
            let Some((mut frame, is_last)) = parse(&half.held) else { continue };
            let first = half.held.first().copied().unwrap_or(0);
            half.held.clear();
            half.frames += 1;
            if !frame.is_control() {
                half.packed = if frame.opcode == 0 { half.packed } else { first & 0x40 != 0 };
                frame.packed = half.packed;
                half.messages += u64::from(is_last);
                half.bytes += frame.length;
            }
            half.control.clear();
            let name = match (frame.opcode, frame.mask) {
                _ if frame.length >> 63 != 0 => Some("websocket_invalid_length"),
                (3..=7 | 11.., _) => Some("websocket_reserved_opcode"),
                (8.., _) if frame.length > MAX_CONTROL || !is_last => Some("websocket_bad_control_frame"),
                (_, None) if by_client => Some("websocket_unmasked_client_frame"),
                (_, Some(_)) if !by_client => Some("websocket_masked_server_frame"),
                _ => None,
            };
            // What is no frame at all is followed by none.
            half.lost |= frame.length >> 63 != 0 || frame.is_control() && frame.length > MAX_CONTROL;
            half.frame = Some(frame);
            if let Some(name) = name.filter(|name| !self.odd.contains(name)) {
                self.odd.push(name);
                out.push(odd::event(at, "websocket", name, None));
            }
            self.tell(side, at, frame, is_last, out);
            return self.end(side);
        }
    }

    fn tell(&mut self, side: Side, at: Timestamp, frame: Frame, is_last: bool, out: &mut Vec<Event>) {
        if self.told >= MAX_TOLD {
            return;
        }
        self.told += 1;
        let mut event = self.event(at, "frame", "protocol");
        event.set("dongson.websocket.from_source", side == Side::Originator);
        event.set("dongson.websocket.fin", is_last);
        event.set("dongson.websocket.opcode", opcode(frame.opcode));
        event.set_some("dongson.websocket.mask", frame.mask.map(|mask| i64::from(u32::from_be_bytes(mask))));
        event.set("dongson.websocket.frame_bytes", frame.length);
        event.set("dongson.websocket.packed", frame.packed);
        out.push(event);
    }

    /// A frame that is whole leaves the way to the next one.
    fn end(&mut self, side: Side) {
        let half = self.half_mut(side);
        let Some(frame) = half.frame.filter(|frame| frame.read >= frame.length) else { return };
        half.frame = None;
        if frame.opcode == 8 && half.close_code.is_none() {
            let (code, reason) = half.control.split_first_chunk().unwrap_or((&[0, 0], &[]));
            half.close_code = Some(u16::from_be_bytes(*code)).filter(|code| *code != 0);
            half.close_reason = Some(text(reason, 128)).filter(|reason| !reason.is_empty());
        }
    }

    /// `length` bytes of one side are missing.
    pub(in crate::protocol) fn gap(&mut self, side: Side, length: u64) {
        let half = self.half_mut(side);
        match &mut half.frame {
            Some(frame) if !frame.is_control() && frame.length - frame.read >= length => {
                frame.read += length;
                let packed = frame.packed;
                if let Some(inside) = self.inside.as_mut().filter(|_| !packed) {
                    inside.gap(side, length);
                }
                self.end(side);
            }
            _ => half.lost = true,
        }
    }

    /// The end of the connection.
    pub(in crate::protocol) fn finish(&mut self, at: Timestamp, out: &mut Vec<Event>) {
        if !std::mem::take(&mut self.opened) {
            return;
        }
        if let Some(inside) = &mut self.inside {
            let from = out.len();
            inside.finish(at, out);
            tunnel::mark(out, from, "websocket", None);
        }
        let mut event = self.event(at, "close", "end");
        event.set("event.duration", at.nanos().saturating_sub(self.began.nanos()));
        let [client, server] = &self.halves;
        event.set(
            "dongson.websocket.untold_frames",
            (client.frames + server.frames).saturating_sub(self.told),
        );
        for (half, names) in [(client, CLIENT), (server, SERVER)] {
            let [messages, bytes, code, reason] = names;
            event.set(messages, half.messages);
            event.set(bytes, half.bytes);
            event.set_some(code, half.close_code.map(i64::from));
            event.set_some(reason, half.close_reason.clone());
        }
        out.push(event);
    }
}

const CLIENT: [&str; 4] = [
    "dongson.websocket.client.messages",
    "dongson.websocket.client.bytes",
    "dongson.websocket.client.close_code",
    "dongson.websocket.client.close_reason",
];
const SERVER: [&str; 4] = [
    "dongson.websocket.server.messages",
    "dongson.websocket.server.bytes",
    "dongson.websocket.server.close_code",
    "dongson.websocket.server.close_reason",
];

/// The header of a frame, and whether it ends its message; `None` while it is not whole (5.2).
fn parse(bytes: &[u8]) -> Option<(Frame, bool)> {
    let [first, second, rest @ ..] = bytes else { return None };
    let (length, rest) = match second & 0x7f {
        126 => {
            rest.split_first_chunk().map(|(length, rest)| (u64::from(u16::from_be_bytes(*length)), rest))?
        }
        127 => rest.split_first_chunk().map(|(length, rest)| (u64::from_be_bytes(*length), rest))?,
        length => (u64::from(length), rest),
    };
    let mask = if second & 0x80 == 0 { None } else { Some(*rest.first_chunk::<4>()?) };
    Some((Frame { opcode: first & 15, mask, packed: false, length, read: 0 }, first & 0x80 != 0))
}

/// A piece of a payload as it was before it was masked (5.3).
fn unmasked(frame: &Frame, piece: &[u8]) -> Vec<u8> {
    let Some(mask) = frame.mask else { return piece.to_vec() };
    let skip = usize::try_from(frame.read % 4).unwrap_or(0);
    piece.iter().zip(mask.iter().cycle().skip(skip)).map(|(byte, key)| byte ^ key).collect()
}

/// Names of kinds of frames (11.8).
fn opcode(number: u8) -> String {
    match number {
        0 => "continuation",
        1 => "text",
        2 => "binary",
        8 => "close",
        9 => "ping",
        10 => "pong",
        other => return format!("reserved-{other}"),
    }
    .to_owned()
}

/// The members of a header that is a list.
fn list(value: &str) -> Vec<String> {
    value.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const C: Side = Side::Originator;
    const S: Side = Side::Responder;

    fn socket() -> WebSocket {
        let head = b"GET /chat HTTP/1.1\r\nHost: x.vn\r\nSec-WebSocket-Protocol: mqtt, v1\r\n\r\n";
        let answer = b"HTTP/1.1 101 Go\r\nSec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
        let (request, response) = (Request::parse(head, &[0; 32]), Response::parse(answer, &[0; 32]));
        let mut socket = WebSocket::new(C, Timestamp::default(), &request, &response);
        socket.look_into(Tcp::new(1, 2));
        socket
    }

    fn run(turns: &[(Side, Vec<u8>)], chunk: usize) -> Vec<Event> {
        let (mut socket, mut out) = (socket(), Vec::new());
        socket.open(&mut out);
        for (side, bytes) in turns {
            for piece in bytes.chunks(chunk.max(1)) {
                socket.data(*side, Timestamp::default(), piece, &mut out);
            }
        }
        socket.finish(Timestamp::default(), &mut out);
        out
    }

    fn frame(first: u8, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
        let marked = if mask.is_some() { 0x80 } else { 0 };
        let mut bytes = vec![first];
        match payload.len() {
            length @ ..=125 => bytes.push(marked | u8::try_from(length).unwrap()),
            length => {
                bytes.push(marked + 126);
                bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
        }
        let key = mask.unwrap_or_default();
        bytes.extend(mask.unwrap_or_default().iter().take(if mask.is_some() { 4 } else { 0 }));
        bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        bytes
    }

    fn shown(events: &[Event]) -> Vec<String> {
        let text = |event: &Event, name| {
            event.get(name).map_or("-".to_owned(), |value| value.to_text().into_owned())
        };
        let one = |event: &Event| match event.dataset() {
            "sensor.websocket" => {
                let names = ["event.action", "dongson.websocket.opcode", "dongson.websocket.frame_bytes"];
                names.map(|name| text(event, name)).join(" ")
            }
            "sensor.weird" => text(event, "dongson.weird.name"),
            other => format!("{other} {}", text(event, "dongson.tunnel.kind")),
        };
        events.iter().map(one).collect()
    }

    #[track_caller]
    fn check(turns: &[(Side, Vec<u8>)], expected: &[&str]) -> Vec<Event> {
        let events = run(turns, usize::MAX);
        for chunk in [1, 3, 50] {
            assert_eq!(run(turns, chunk), events, "pieces of {chunk}");
        }
        assert_eq!(shown(&events), expected);
        events
    }

    #[test]
    fn messages_and_their_end() {
        let turns = [
            (C, frame(0x01, Some([1, 2, 3, 4]), b"xin ")),
            (C, frame(0x80, Some([9; 4]), b"chao")),
            (S, frame(0x82, None, &[7; 300])),
            (C, frame(0x88, Some([5; 4]), b"\x03\xe8tam biet")),
            (S, frame(0x88, None, b"\x03\xe8")),
        ];
        let frames =
            ["frame text 4", "frame continuation 4", "frame binary 300", "frame close 10", "frame close 2"];
        let expected = [&["open - -"], &frames[..], &["close - -"]].concat();
        let events = check(&turns, &expected);
        assert_eq!(events[0].text("dongson.websocket.subprotocol"), Some("mqtt"));
        assert_eq!(events[0].text("dongson.http.host"), Some("x.vn"));
        assert_eq!(events[1].int("dongson.websocket.mask"), Some(0x0102_0304));
        let last = &events[6];
        assert_eq!(last.int("dongson.websocket.client.messages"), Some(1));
        assert_eq!(last.int("dongson.websocket.client.bytes"), Some(8));
        assert_eq!(last.int("dongson.websocket.client.close_code"), Some(1000));
        assert_eq!(last.text("dongson.websocket.client.close_reason"), Some("tam biet"));
    }

    #[test]
    fn what_is_inside_is_found() {
        let ask = b"GET /trong HTTP/1.1\r\nHost: y.vn\r\n\r\n";
        let turns = [
            (C, frame(0x82, Some([1, 2, 3, 4]), &ask[..10])),
            (C, frame(0x82, Some([4, 3, 2, 1]), &ask[10..])),
            (S, frame(0x82, None, b"HTTP/1.1 204 No\r\n\r\n")),
        ];
        let expected = [
            "open - -",
            "frame binary 10",
            "frame binary 25",
            "frame binary 19",
            "sensor.http websocket",
            "close - -",
        ];
        check(&turns, &expected);
        // Packed messages are not looked into.
        check(
            &[(S, frame(0xc1, None, b"GET / HTTP/1.0\r\n\r\n"))],
            &["open - -", "frame text 18", "close - -"],
        );
    }

    #[test]
    fn odd_frames_are_told_once() {
        let turns = [
            (C, frame(0x81, None, b"a")),
            (C, frame(0x81, None, b"b")),
            (S, frame(0x83, None, b"")),
            (S, frame(0x89, None, &[0; 126])),
        ];
        let told = [
            "open - -",
            "websocket_unmasked_client_frame",
            "frame text 1",
            "frame text 1",
            "websocket_reserved_opcode",
            "frame reserved-3 0",
            "websocket_bad_control_frame",
            "frame ping 126",
            "close - -",
        ];
        check(&turns, &told);
    }

    #[test]
    fn frames_told_are_bounded_and_holes_survived() {
        let (mut socket, mut out) = (socket(), Vec::new());
        let at = Timestamp::default();
        socket.open(&mut out);
        for _ in 0..100 {
            socket.data(S, at, &frame(0x82, None, b"x"), &mut out);
        }
        let long = frame(0x82, None, &[0; 100]);
        socket.data(S, at, &long[..10], &mut out);
        socket.gap(S, 92);
        socket.data(S, at, &frame(0x88, None, b"\x03\xe9"), &mut out);
        socket.gap(S, 1);
        assert!(!socket.wants_more(S) && socket.wants_more(C));
        socket.finish(at, &mut out);
        assert_eq!(out.len(), 2 + 64);
        let last = out.last().unwrap();
        assert_eq!(last.int("dongson.websocket.untold_frames"), Some(102 - 64));
        assert_eq!(last.int("dongson.websocket.server.close_code"), Some(1001));
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces(turns: Vec<(bool, Vec<u8>)>, chunk in 1..20_usize) {
            let turns: Vec<(Side, Vec<u8>)> =
                turns.into_iter().map(|(client, bytes)| (if client { C } else { S }, bytes)).collect();
            prop_assert_eq!(run(&turns, chunk), run(&turns, usize::MAX));
        }
    }
}
