//! HTTP/1 (RFC 9112) over a byte stream: requests and responses paired into one `sensor.http` event per transaction.
//!
//! Pipelining, interim responses, HEAD, 204, 304, chunked and packed bodies, a missing side and holes are understood; what a
//! transaction lacks when the connection ends is left out of its event. After a granted CONNECT the bytes go to a detector of
//! their own ([`Http::data`] hands them back), after an upgrade the reading ends. Memory: two heads of 64 KiB,
//! [`MAX_PENDING`] requests without response (each under 40 KiB), one unpacker per direction.

mod body;
mod event;
mod head;
mod stream;
mod v2;
mod websocket;

use std::collections::VecDeque;

use dongson_event::{Event, Timestamp};

use super::detect::Verdict;
use super::file::{About, File};
use super::mail::multipart::{self, Reader};
use super::{Kind, Options, Side};
use body::{Body, Content};
use head::{Request, Response, Shared};
use stream::{Framing, Part, Role, Stream};

pub(super) use event::describe_datagram;
pub(super) use v2::{Http2, detect as detect_v2};
pub(super) use websocket::WebSocket;

/// Requests that wait for their response; the oldest goes out without one.
const MAX_PENDING: usize = 32;

/// A request and its response.
#[derive(Debug)]
struct Transaction {
    started: Timestamp,
    /// Number of the request in its connection, from 1.
    depth: u32,
    request: Option<Request>,
    request_body: Body,
    response: Option<Response>,
    response_body: Body,
    /// The last interim response (1xx).
    interim: Option<(u16, String)>,
}

impl Transaction {
    fn new(started: Timestamp, depth: u32) -> Self {
        Self {
            started,
            depth,
            request: None,
            request_body: Body::default(),
            response: None,
            response_body: Body::default(),
            interim: None,
        }
    }

    fn method(&self) -> &str {
        self.request.as_ref().map_or("", |request| &request.method)
    }
}

/// What the server is in the middle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reply {
    Interim,
    Final,
}

/// A connection that speaks HTTP/1.
#[derive(Debug)]
pub(super) struct Http {
    client: Side,
    options: Options,
    requests: Stream,
    responses: Stream,
    pending: VecDeque<Transaction>,
    depth: u32,
    /// Depth of the request whose body is passing.
    sending: u32,
    reply: Reply,
    /// Bytes that followed a CONNECT before its answer.
    held: Vec<u8>,
    /// A hole ended the response in front; its event goes out with the next data.
    owed: bool,
    /// A request whose head has a hole, and when its last bytes came; it is taken with the next data.
    cut: Option<(Timestamp, Vec<u8>)>,
    /// When the client spoke last.
    heard: Timestamp,
    next: Next,
    over: bool,
}

/// What follows HTTP/1 in its connection.
#[derive(Debug)]
pub(super) enum Next {
    /// Nothing that is read.
    Nothing,
    /// A connection of its own to where a granted CONNECT asked.
    Tunnel(String),
    /// HTTP/2, which answers the request that asked for it.
    Http2(Box<Http2>),
    WebSocket(Box<WebSocket>),
}

impl Http {
    /// `client` is who sends requests.
    pub(super) fn new(client: Side, options: Options) -> Self {
        Self {
            client,
            options,
            requests: Stream::new(Role::Client),
            responses: Stream::new(Role::Server),
            pending: VecDeque::new(),
            depth: 0,
            sending: 0,
            reply: Reply::Final,
            held: Vec::new(),
            owed: false,
            cut: None,
            heard: Timestamp::default(),
            next: Next::Nothing,
            over: false,
        }
    }

    pub(super) fn wants_more(&self, side: Side) -> bool {
        !self.over && !self.stream_of(side).is_dead()
    }

    fn stream_of(&self, side: Side) -> &Stream {
        if side == self.client { &self.requests } else { &self.responses }
    }

    /// Reads bytes; true when something else follows, and then [`Self::held`] and the rest in `bytes` belong to [`Self::next`].
    pub(super) fn data(
        &mut self,
        side: Side,
        at: Timestamp,
        bytes: &mut &[u8],
        out: &mut Vec<Event>,
    ) -> bool {
        if self.over {
            *bytes = &[];
            return false;
        }
        self.take_cut(out);
        if side == self.client {
            self.heard = at;
            self.client_data(at, bytes, out);
        } else {
            self.server_data(at, bytes, out);
        }
        !matches!(self.next, Next::Nothing)
    }

    /// What follows.
    pub(super) fn next(&mut self) -> Next {
        std::mem::replace(&mut self.next, Next::Nothing)
    }

    /// What the client sent into a tunnel before it was granted.
    pub(super) fn held(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    fn client_data(&mut self, at: Timestamp, bytes: &mut &[u8], out: &mut Vec<Event>) {
        while let Some(part) = self.requests.next(bytes) {
            match part {
                Part::Head(head) => self.request(at, &head, out),
                Part::Body(part) => {
                    let sending = self.sending;
                    if let Some(transaction) = self.pending.iter_mut().rfind(|held| held.depth == sending) {
                        transaction.request_body.push(at, part);
                    }
                }
                Part::End => {
                    let sending = self.sending;
                    if let Some(transaction) = self.pending.iter_mut().rfind(|held| held.depth == sending) {
                        transaction.request_body.complete = true;
                    }
                }
            }
        }
        if self.requests.is_held() && self.held.len() + bytes.len() <= 64 * 1024 {
            self.held.extend_from_slice(bytes);
            *bytes = &[];
        }
    }

    fn request(&mut self, at: Timestamp, head: &[u8], out: &mut Vec<Event>) {
        let mut request = Request::parse(head, &self.options.secret_key);
        request.seal_uris(&self.options.secret_key);
        self.depth += 1;
        self.sending = self.depth;
        let mut transaction = Transaction::new(at, self.depth);
        let body =
            content("http", &self.options, &request.shared, &request.target, self.client, at, self.depth);
        transaction.request_body = Body::new(request.shared.content_encoding.as_deref(), body);
        self.requests.frame(match &request.shared {
            _ if request.method == "CONNECT" => Framing::Hold,
            shared if shared.chunked => Framing::Chunked,
            shared => Framing::Length(shared.content_length.unwrap_or(0)),
        });
        if request.shared.version == "0.9" && self.pending.is_empty() && self.responses.is_idle() {
            self.reply = Reply::Final;
            self.responses.frame(Framing::Close);
        }
        transaction.request = Some(request);
        if self.pending.len() == MAX_PENDING {
            self.emit(out);
        }
        self.pending.push_back(transaction);
    }

    fn server_data(&mut self, at: Timestamp, bytes: &mut &[u8], out: &mut Vec<Event>) {
        if std::mem::take(&mut self.owed) {
            self.emit(out);
        }
        while let Some(part) = self.responses.next(bytes) {
            match part {
                Part::Head(head) => self.response(at, &head, out),
                Part::Body(part) => {
                    if let Some(transaction) = self.pending.front_mut() {
                        transaction.response_body.push(at, part);
                    }
                }
                Part::End => self.response_over(out),
            }
            if self.over {
                return;
            }
        }
    }

    fn response(&mut self, at: Timestamp, head: &[u8], out: &mut Vec<Event>) {
        let response = Response::parse(head, &self.options.secret_key);
        if self.pending.is_empty() {
            self.depth += 1;
            self.pending.push_back(Transaction::new(at, self.depth));
        }
        let Some(transaction) = self.pending.front_mut() else { return };
        if matches!(response.status, 100 | 102..=199) {
            transaction.interim = Some((response.status, response.reason));
            self.reply = Reply::Interim;
            return self.responses.frame(Framing::Length(0));
        }
        self.reply = Reply::Final;
        let method = transaction.method();
        let connected = method == "CONNECT" && (200..300).contains(&response.status);
        let switched = response.status == 101;
        let bodiless = method == "HEAD" || matches!(response.status, 204 | 304) || connected || switched;
        let refused = method == "CONNECT" && !connected;
        let bodiless = bodiless || response.shared.content_length == Some(0);
        let target = transaction.request.as_ref().map_or("", |request| request.target.as_str());
        let body = if bodiless {
            None
        } else {
            content(
                "http",
                &self.options,
                &response.shared,
                target,
                self.client.other(),
                at,
                transaction.depth,
            )
        };
        transaction.response_body = Body::new(response.shared.content_encoding.as_deref(), body);
        self.responses.frame(match response.shared.content_length {
            _ if bodiless => Framing::Length(0),
            _ if response.shared.chunked => Framing::Chunked,
            Some(length) => Framing::Length(length),
            None => Framing::Close,
        });
        if switched {
            self.next = transaction.request.as_ref().map_or(Next::Nothing, |request| {
                following(self.client, self.options, at, request, &response)
            });
        } else if connected {
            self.next = Next::Tunnel(target.to_owned());
        }
        transaction.response = Some(response);
        if connected || switched {
            self.emit(out);
            self.over = true;
        } else if refused {
            self.requests.release();
            let early = self.held();
            self.client_data(at, &mut early.as_slice(), out);
        }
    }

    fn response_over(&mut self, out: &mut Vec<Event>) {
        if self.reply == Reply::Final {
            if let Some(transaction) = self.pending.front_mut() {
                transaction.response_body.complete = true;
            }
            self.emit(out);
        }
    }

    fn emit(&mut self, out: &mut Vec<Event>) {
        if let Some(transaction) = self.pending.pop_front() {
            event::describe(transaction, out);
        }
    }

    /// A hole in the stream.
    pub(super) fn gap(&mut self, side: Side, length: u64) {
        let missing = self.stream_of(side).missing_of_body(length);
        let sending = self.sending;
        let body = if side == self.client {
            let transaction = self.pending.iter_mut().rfind(|held| held.depth == sending);
            transaction.map(|transaction| &mut transaction.request_body)
        } else {
            self.pending.front_mut().map(|transaction| &mut transaction.response_body)
        };
        if let Some(body) = body.filter(|_| missing > 0) {
            body.gap(missing);
        }
        if side == self.client {
            if let Some(Part::Head(head)) = self.requests.gap(length) {
                self.cut = Some((self.heard, head));
                self.requests.release();
            }
        } else if self.responses.gap(length).is_some() && self.reply == Reply::Final {
            self.owed = true;
        }
    }

    /// Takes a request whose head has a hole; behind it the next request is looked for.
    fn take_cut(&mut self, out: &mut Vec<Event>) {
        if let Some((at, head)) = self.cut.take() {
            self.request(at, &head, out);
            self.requests.release();
        }
    }

    /// The end of the connection: what is incomplete goes out.
    pub(super) fn finish(&mut self, at: Timestamp, out: &mut Vec<Event>) {
        self.take_cut(out);
        if let Some(head) = self.requests.unfinished_head() {
            self.request(at, &head, out);
        }
        if let Some(head) = self.responses.unfinished_head() {
            self.response(at, &head, out);
        }
        if let Some(transaction) = self.pending.front_mut().filter(|_| self.responses.is_to_close()) {
            transaction.response_body.complete = true;
        }
        for transaction in self.pending.drain(..) {
            event::describe(transaction, out);
        }
        self.over = true;
    }
}

/// What a connection turns into after a 101; the server's word counts, where it gives one.
fn following(client: Side, options: Options, at: Timestamp, request: &Request, response: &Response) -> Next {
    let protocol = response.shared.upgrade.as_ref().or(request.shared.upgrade.as_ref());
    match protocol.map(|name| name.to_ascii_lowercase()).as_deref() {
        Some("h2c") => Next::Http2(Box::new(Http2::upgraded(client, options, at, request.clone()))),
        Some("websocket") => Next::WebSocket(Box::new(WebSocket::new(client, at, request, response))),
        _ => Next::Nothing,
    }
}

/// What the body of a message with this head is: a form, or a file that is named by the head or by the target.
fn content(
    protocol: &'static str,
    options: &Options,
    head: &Shared,
    target: &str,
    sender: Side,
    at: Timestamp,
    depth: u32,
) -> Option<Content> {
    if !options.kinds.has(Kind::File) || (!head.chunked && head.content_length == Some(0)) {
        return None;
    }
    let kind = head.content_type.as_deref().unwrap_or_default();
    let boundary = multipart::parameter(kind, "boundary").filter(|_| multipart::is_form(kind));
    if let Some(boundary) = boundary.filter(|boundary| !boundary.is_empty()) {
        return Some(Content::Form(Box::new(Reader::form(protocol, &boundary, sender, at))));
    }
    let given = head.disposition.as_deref().and_then(|header| multipart::parameter(header, "filename"));
    let path = target.split(['?', '#']).next().unwrap_or(target);
    let path =
        path.split_once("://").map_or(path, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
    let last = path.rsplit('/').next().filter(|name| !name.is_empty()).map(str::to_owned);
    let total = head.content_length.filter(|_| !head.chunked && head.content_encoding.is_none());
    let about = About { protocol, name: given.or(last), total, depth: Some(u64::from(depth)) };
    Some(Content::File(Box::new(File::new(about, sender, at))))
}

/// Whether a stream begins with a request, or with a response (`Role::Server`).
pub(super) fn detect(prefix: &[u8]) -> (Verdict, Speaker) {
    let start = prefix.trim_ascii_start();
    let verdict = starts_like(start, b"HTTP/", |rest| match rest {
        [b'0'..=b'9', ..] => Verdict::Yes,
        [] => Verdict::Maybe,
        _ => Verdict::No,
    });
    match verdict {
        Verdict::No => (detect_request(start), Speaker::Client),
        verdict => (verdict, Speaker::Server),
    }
}

/// Who begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    Client,
    Server,
}

fn starts_like(bytes: &[u8], word: &[u8], then: impl Fn(&[u8]) -> Verdict) -> Verdict {
    if let Some(rest) = bytes.strip_prefix(word) {
        then(rest)
    } else if word.starts_with(bytes) {
        Verdict::Maybe
    } else {
        Verdict::No
    }
}

/// A line that can begin a request; a line longer than 512 bytes is judged by its first word.
///
/// The verdict on a longer prefix never contradicts an earlier one, so that chunking cannot change it.
fn detect_request(start: &[u8]) -> Verdict {
    let seen = start.get(..512).unwrap_or(start);
    let line_end = seen.iter().position(|&sign| sign == b'\n');
    let line = seen.get(..line_end.unwrap_or(seen.len())).unwrap_or(seen);
    let word = line.iter().take(33).position(|&sign| sign == b' ');
    let method = line.get(..word.unwrap_or(line.len())).unwrap_or(line);
    let plausible = method.len() < 33
        && method.iter().all(|sign| sign.is_ascii_uppercase() || b"-_".contains(sign) || *sign == b'\r')
        && line.iter().all(|&byte| byte >= 32 || matches!(byte, b'\t' | b'\r'));
    let whole = line_end.is_some() || seen.len() == 512;
    let starts = match line_end {
        Some(_) => head::is_request_line(line.trim_ascii_end()),
        None => head::is_request_line(&[method, b" /"].concat()),
    };
    match (plausible, whole) {
        (false, _) => Verdict::No,
        (true, false) => Verdict::Maybe,
        (true, true) => Verdict::of(starts),
    }
}

#[cfg(test)]
mod tests;
