//! HTTP/2 in the clear (RFC 9113): each stream becomes one `sensor.http` event as a transaction of HTTP/1 does.
//!
//! In: both directions, from the client's preface, from a granted `Upgrade: h2c`, or from somewhere in the middle. Out: requests
//! with their responses, the files in them, what gRPC says of itself, and one `sensor.http2` event with both peers' settings at the
//! end. One side alone, holes and interleaved streams are understood; what a stream lacks is left out. Memory: two tables of
//! HPACK, one header block of [`MAX_BLOCK`] bytes per side, [`MAX_STREAMS`] open streams of at most 40 KiB.

mod connection;
mod frame;
mod headers;
mod hpack;
mod huffman;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use dongson_event::{Event, Timestamp};

use super::head::Request;
use crate::odd;
use crate::protocol::detect::Verdict;
use crate::protocol::{Options, Side};
use connection::Peer;
use frame::{Frames, Head, Part, flag, kind};
use headers::Fields;
use hpack::{Decoder, Fault};
use stream::Open;

/// Streams whose end was not seen; one more, and the oldest goes out as it is.
const MAX_STREAMS: usize = 64;
/// Longest header block, packed.
const MAX_BLOCK: usize = 64 * 1024;

/// A header block on its way.
#[derive(Debug)]
struct Block {
    stream: u32,
    ends: bool,
    /// The stream that a server promises.
    promised: Option<u32>,
    bytes: Vec<u8>,
}

/// What one side sends.
#[derive(Debug)]
struct Half {
    frames: Frames,
    decoder: Decoder,
    block: Option<Block>,
    peer: Peer,
}

impl Half {
    fn new() -> Self {
        // Where the connection began is only known once the settings come, which are first (3.4).
        Self { frames: Frames::new(), decoder: Decoder::new(true), block: None, peer: Peer::default() }
    }

    /// Headers are missing: indexes into the table mean nothing any more.
    fn lose(&mut self) {
        self.decoder.lose();
        self.block = None;
    }
}

/// A connection that speaks HTTP/2.
#[derive(Debug)]
pub(in crate::protocol) struct Http2 {
    client: Side,
    options: Options,
    /// Of client and server.
    halves: [Half; 2],
    streams: VecDeque<Open>,
    /// Requests so far.
    depth: u32,
    began: Option<Timestamp>,
    /// A side that ended its stream in a hole; told with the next data.
    owed: Option<(Side, u32)>,
}

impl Http2 {
    pub(in crate::protocol) fn new(client: Side, options: Options) -> Self {
        Self {
            client,
            options,
            halves: [Half::new(), Half::new()],
            streams: VecDeque::new(),
            depth: 0,
            began: None,
            owed: None,
        }
    }

    /// Goes on behind a request of HTTP/1 that asked for HTTP/2: it is stream 1, and its response comes there (RFC 7540, 3.2).
    pub(in crate::protocol::http) fn upgraded(
        client: Side,
        options: Options,
        at: Timestamp,
        request: Request,
    ) -> Self {
        let mut http = Self::new(client, options);
        let mut open = http.opened(1, at);
        open.adopt(request);
        http.streams.push_back(open);
        http
    }

    pub(in crate::protocol) fn wants_more(&self, side: Side) -> bool {
        !self.half(side).frames.is_dead()
    }

    fn half(&self, side: Side) -> &Half {
        let [client, server] = &self.halves;
        if side == self.client { client } else { server }
    }

    fn half_mut(&mut self, side: Side) -> &mut Half {
        let [client, server] = &mut self.halves;
        if side == self.client { client } else { server }
    }

    /// The next bytes of one side.
    pub(in crate::protocol) fn data(
        &mut self,
        side: Side,
        at: Timestamp,
        mut bytes: &[u8],
        out: &mut Vec<Event>,
    ) {
        self.began.get_or_insert(at);
        self.pay(out);
        while let Some(part) = self.half_mut(side).frames.next(&mut bytes) {
            match part {
                Part::Frame(head, payload) => self.frame(side, at, head, &payload, out),
                Part::Body(stream, body) => self.body(side, at, stream, body),
                Part::BodyEnd(head) if head.has(flag::END_STREAM) => self.end(side, head.stream, out),
                Part::BodyEnd(_) => {}
                Part::TooLong(_) => {
                    out.push(odd::event(at, "http2", "long_frame_data", None));
                    self.half_mut(side).lose();
                }
            }
        }
    }

    fn body(&mut self, side: Side, at: Timestamp, stream: u32, bytes: &[u8]) {
        let by_client = side == self.client;
        if let Some(open) = self.streams.iter_mut().find(|open| open.id == stream) {
            open.body(by_client).push(at, bytes);
        }
    }

    /// `length` bytes of one side are missing.
    pub(in crate::protocol) fn gap(&mut self, side: Side, length: u64) {
        let by_client = side == self.client;
        let half = self.half_mut(side);
        let hole = half.frames.gap(length);
        if hole.lost {
            half.lose();
        }
        let Some((head, missing)) = hole.body else { return };
        if let Some(open) = self.streams.iter_mut().find(|open| open.id == head.stream) {
            open.body(by_client).gap(missing);
        }
        if hole.lost && head.has(flag::END_STREAM) {
            self.owed = Some((side, head.stream));
        }
    }

    fn pay(&mut self, out: &mut Vec<Event>) {
        if let Some((side, stream)) = self.owed.take() {
            self.end(side, stream, out);
        }
    }

    fn frame(&mut self, side: Side, at: Timestamp, head: Head, payload: &[u8], out: &mut Vec<Event>) {
        match head.kind {
            kind::HEADERS => {
                let Some(bytes) = fragment(head, payload) else { return self.bad_frame(side, at, out) };
                let block = Block {
                    stream: head.stream,
                    ends: head.has(flag::END_STREAM),
                    promised: None,
                    bytes: bytes.to_vec(),
                };
                self.half_mut(side).block = Some(block);
                self.continued(side, at, head, out);
            }
            kind::PUSH_PROMISE => {
                let split = fragment(head, payload).and_then(<[u8]>::split_first_chunk::<4>);
                let Some((promised, bytes)) = split else { return self.bad_frame(side, at, out) };
                let promised = Some(u32::from_be_bytes(*promised) & 0x7fff_ffff);
                let block = Block { stream: head.stream, ends: false, promised, bytes: bytes.to_vec() };
                self.half_mut(side).block = Some(block);
                self.continued(side, at, head, out);
            }
            kind::CONTINUATION => {
                let half = self.half_mut(side);
                match half.block.as_mut().filter(|block| block.stream == head.stream) {
                    Some(block) if block.bytes.len() + payload.len() <= MAX_BLOCK => {
                        block.bytes.extend_from_slice(payload);
                    }
                    _ => half.lose(),
                }
                self.continued(side, at, head, out);
            }
            kind::RST_STREAM => {
                let code = payload.first_chunk().map(|code| u32::from_be_bytes(*code));
                let (Some(code), by_client) = (code, side == self.client) else {
                    return self.bad_frame(side, at, out);
                };
                if let Some(place) = self.streams.iter().position(|open| open.id == head.stream)
                    && let Some(mut open) = self.streams.remove(place)
                {
                    open.reset(by_client, code);
                    open.describe(out);
                }
            }
            kind::SETTINGS if !head.has(flag::ACK) => {
                let half = self.half_mut(side);
                if half.peer.is_new() {
                    // Nothing was sent before them but the preface, so that the table is empty indeed.
                    half.decoder = Decoder::new(false);
                }
                half.peer.settings(payload);
                if !head.length.is_multiple_of(6) {
                    self.bad_frame(side, at, out);
                }
            }
            kind::GOAWAY => self.half_mut(side).peer.goaway(payload),
            kind::WINDOW_UPDATE if head.stream == 0 => self.half_mut(side).peer.window(payload),
            _ => {}
        }
    }

    /// A frame that contradicts itself (4.2); headers in it are lost.
    fn bad_frame(&mut self, side: Side, at: Timestamp, out: &mut Vec<Event>) {
        out.push(odd::event(at, "http2", "invalid_frame_data", None));
        self.half_mut(side).lose();
    }

    /// Reads the block once its last frame has come.
    fn continued(&mut self, side: Side, at: Timestamp, head: Head, out: &mut Vec<Event>) {
        if !head.has(flag::END_HEADERS) {
            return;
        }
        let half = self.half_mut(side);
        let Some(block) = half.block.take() else { return };
        match half.decoder.decode(&block.bytes) {
            Ok(list) => self.headers(side, at, &block, &Fields::new(list), out),
            Err(fault) => {
                let name =
                    if fault == Fault::TooLong { "reassembly_limit_reached" } else { "invalid_header" };
                out.push(odd::event(at, "http2", name, None));
                if block.ends {
                    self.end(side, block.stream, out);
                }
            }
        }
    }

    fn headers(&mut self, side: Side, at: Timestamp, block: &Block, fields: &Fields, out: &mut Vec<Event>) {
        let by_client = side == self.client || block.promised.is_some();
        let id = block.promised.unwrap_or(block.stream);
        if fields.userinfo() {
            out.push(odd::event(at, "http2", "userinfo_in_uri", None));
        }
        if fields.differs_from_host() {
            out.push(odd::event(at, "http2", "authority_host_mismatch", None));
        }
        let place = self.streams.iter().position(|open| open.id == id).unwrap_or_else(|| {
            if self.streams.len() == MAX_STREAMS
                && let Some(oldest) = self.streams.pop_front()
            {
                oldest.describe(out);
            }
            let open = self.opened(id, at);
            self.streams.push_back(open);
            self.streams.len() - 1
        });
        let (client, options) = (self.client, self.options);
        if let Some(open) = self.streams.get_mut(place) {
            if by_client {
                open.request(&options, client, at, fields, block.ends);
                open.pushed |= block.promised.is_some();
            } else {
                open.response(&options, client.other(), at, fields, block.ends);
            }
        }
        if block.ends || block.promised.is_some() {
            // Who promises a request has said all of it.
            self.end(if by_client { self.client } else { side }, id, out);
        }
    }

    fn opened(&mut self, id: u32, at: Timestamp) -> Open {
        self.depth += 1;
        Open::new(id, at, self.depth)
    }

    /// One side has said all in a stream.
    fn end(&mut self, side: Side, id: u32, out: &mut Vec<Event>) {
        let by_client = side == self.client;
        let Some(place) = self.streams.iter().position(|open| open.id == id) else { return };
        let over = self.streams.get_mut(place).is_some_and(|open| open.end(by_client));
        if over && let Some(open) = self.streams.remove(place) {
            open.describe(out);
        }
    }

    /// The end of the connection: what is incomplete goes out.
    pub(in crate::protocol) fn finish(&mut self, at: Timestamp, out: &mut Vec<Event>) {
        self.pay(out);
        for open in self.streams.drain(..) {
            open.describe(out);
        }
        let [client, server] = &self.halves;
        out.extend(connection::describe(self.began.unwrap_or(at), at, &client.peer, &server.peer));
    }
}

/// The fragment of a header block in a frame, without padding and priority (6.2 and 6.6).
fn fragment(head: Head, payload: &[u8]) -> Option<&[u8]> {
    let (padding, rest) = match payload.split_first() {
        Some((padding, rest)) if head.has(flag::PADDED) => (usize::from(*padding), rest),
        _ if head.has(flag::PADDED) => return None,
        _ => (0, payload),
    };
    let rest = if head.kind == kind::HEADERS && head.has(flag::PRIORITY) { rest.get(5..)? } else { rest };
    rest.get(..rest.len().checked_sub(padding)?)
}

/// The client's preface (3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether a stream begins with the preface, so that its sender is the client; or as a server begins, with settings of known
/// names and another frame behind them.
pub(in crate::protocol) fn detect(prefix: &[u8]) -> (Verdict, super::Speaker) {
    let start = prefix.get(..PREFACE.len()).unwrap_or(prefix);
    if PREFACE.starts_with(start) {
        let whole = start.len() == PREFACE.len();
        return (if whole { Verdict::Yes } else { Verdict::Maybe }, super::Speaker::Client);
    }
    (detect_settings(prefix), super::Speaker::Server)
}

fn detect_settings(prefix: &[u8]) -> Verdict {
    // The length comes first: two bytes of zero, then a few settings of six bytes.
    let early = prefix.iter().zip([0, 0]).all(|(byte, wanted)| *byte == wanted);
    let kind = prefix.get(3..9).or(prefix.get(3..)).unwrap_or_default();
    if !early || !kind.iter().zip([kind::SETTINGS, 0, 0, 0, 0, 0]).all(|(byte, wanted)| *byte == wanted) {
        return Verdict::No;
    }
    let Some(head) = Head::parse(prefix) else { return Verdict::Maybe };
    if !head.is_plausible() {
        return Verdict::No;
    }
    let settings = prefix.get(9..).unwrap_or_default();
    let (settings, next) = settings.split_at_checked(head.length).unwrap_or((settings, &[]));
    if !connection::are_settings(settings) {
        return Verdict::No;
    }
    match Head::parse(next) {
        // Settings alone are enough when there are two of them.
        _ if settings.len() >= 12 && settings.len() == head.length => Verdict::Yes,
        Some(next) => Verdict::of(next.is_plausible()),
        None => Verdict::Maybe,
    }
}
