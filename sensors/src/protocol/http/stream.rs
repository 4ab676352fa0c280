//! One direction of HTTP/1 cut into heads and bodies (RFC 9112, 6 and 7), whatever pieces it arrives in.
//!
//! A pull parser: [`Stream::next`] takes bytes from the front and says what they were; after a head the caller says by
//! [`Stream::frame`] how the body ends. Lines that cannot begin a message are passed over, which is also how the reading
//! starts again behind a hole. Memory: one head, at most [`MAX_HEAD`] bytes.

use super::head;

/// Longest head; what is longer is cut there and the reading starts anew.
const MAX_HEAD: usize = 64 * 1024;
/// Bytes passed over in search of a message before the side is given up.
const MAX_SEARCH: usize = 1 << 20;

/// Who speaks in this direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Client,
    Server,
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// By a chunk of length zero.
    Chunked,
    /// With the connection.
    Close,
    /// The bytes that follow are not HTTP, or not yet known to be: they stay untouched.
    Hold,
}

/// What the next bytes were.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// A whole head; [`Stream::frame`] must follow.
    Head(Vec<u8>),
    /// Bytes of the body, without chunk framing.
    Body(&'a [u8]),
    /// The message is over.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a first line.
    Start,
    /// Behind a first line.
    Headers,
    /// The head is out and the framing not yet said; also: on hold.
    Held,
    /// So many bytes of body to come.
    Body(u64),
    ToClose,
    ChunkSize,
    Chunk(u64),
    /// The line end behind a chunk.
    ChunkEnd,
    Trailers,
    /// Given up.
    Dead,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Stream {
    role: Role,
    state: State,
    /// The head so far, or a line of chunk framing.
    buffer: Vec<u8>,
    /// Where the last line in `buffer` begins.
    line: usize,
    searched: usize,
}

impl Stream {
    pub(super) fn new(role: Role) -> Self {
        Self { role, state: State::Start, buffer: Vec::new(), line: 0, searched: 0 }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.state == State::Dead
    }

    pub(super) fn is_held(&self) -> bool {
        self.state == State::Held
    }

    /// How many bytes of the body a hole of `length` bytes takes.
    pub(super) fn missing_of_body(&self, length: u64) -> u64 {
        match self.state {
            State::Body(left) | State::Chunk(left) => left.min(length),
            State::ToClose => length,
            _ => 0,
        }
    }

    /// In a body that ends with the connection.
    pub(super) fn is_to_close(&self) -> bool {
        self.state == State::ToClose
    }

    /// Between messages, with nothing begun.
    pub(super) fn is_idle(&self) -> bool {
        self.state == State::Start && self.buffer.is_empty()
    }

    /// Says how the body ends whose head was given out.
    pub(super) fn frame(&mut self, framing: Framing) {
        self.state = match framing {
            Framing::Length(bytes) => State::Body(bytes),
            Framing::Chunked => State::ChunkSize,
            Framing::Close => State::ToClose,
            Framing::Hold => State::Held,
        };
    }

    /// Ends a hold: what comes is the next message.
    pub(super) fn release(&mut self) {
        self.state = State::Start;
    }

    /// The next part; `None` when all bytes are used up or held back.
    pub(super) fn next<'a>(&mut self, bytes: &mut &'a [u8]) -> Option<Part<'a>> {
        loop {
            match self.state {
                State::Held | State::Dead => return None,
                State::Body(0) => {
                    self.state = State::Start;
                    return Some(Part::End);
                }
                _ if bytes.is_empty() => return None,
                State::Body(left) => {
                    let part = split(bytes, left);
                    self.state = State::Body(left.saturating_sub(part.len() as u64));
                    return Some(Part::Body(part));
                }
                State::ToClose => return Some(Part::Body(std::mem::take(bytes))),
                State::Chunk(left) => {
                    let part = split(bytes, left);
                    let left = left.saturating_sub(part.len() as u64);
                    self.state = if left == 0 { State::ChunkEnd } else { State::Chunk(left) };
                    return Some(Part::Body(part));
                }
                State::Start | State::Headers | State::ChunkSize | State::ChunkEnd | State::Trailers => {
                    if !self.fill_line(bytes) {
                        return None;
                    }
                    if let Some(part) = self.step() {
                        return Some(part);
                    }
                }
            }
        }
    }

    /// Moves bytes up to a line end into the buffer; true when a line is whole, or the buffer full.
    fn fill_line(&mut self, bytes: &mut &[u8]) -> bool {
        let end = bytes.iter().position(|&sign| sign == b'\n').map(|end| end + 1);
        let room = MAX_HEAD.saturating_sub(self.buffer.len());
        let take = end.unwrap_or(bytes.len()).min(room);
        let (line, rest) = bytes.split_at_checked(take).unwrap_or((bytes, &[]));
        self.buffer.extend_from_slice(line);
        *bytes = rest;
        self.buffer.len() >= MAX_HEAD || end == Some(take)
    }

    /// The last line of the buffer without its end; the next one begins behind it.
    fn take_line(&mut self) -> &[u8] {
        let line = self.buffer.get(self.line..).unwrap_or_default();
        self.line = self.buffer.len();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        line.strip_suffix(b"\r").unwrap_or(line)
    }

    fn step(&mut self) -> Option<Part<'static>> {
        let (state, full) = (self.state, self.buffer.len() >= MAX_HEAD);
        let role = self.role;
        let line = self.take_line();
        match state {
            State::Start => {
                let (starts, simple) = match role {
                    Role::Client => (head::is_request_line(line), head::is_simple_request(line)),
                    Role::Server => (head::is_status_line(line), false),
                };
                match (starts, simple || full) {
                    (true, true) => return Some(self.head()),
                    (true, false) => self.state = State::Headers,
                    (false, _) => self.pass_over(),
                }
            }
            State::Headers if line.is_empty() || full => return Some(self.head()),
            State::ChunkSize => {
                let size = chunk_size(line);
                self.clear();
                self.state = match size {
                    Some(0) => State::Trailers,
                    Some(size) => State::Chunk(size),
                    None => return Some(self.lose()),
                };
            }
            State::ChunkEnd => {
                let empty = line.is_empty();
                self.clear();
                if !empty {
                    return Some(self.lose());
                }
                self.state = State::ChunkSize;
            }
            State::Trailers => {
                let over = line.is_empty() || full;
                self.clear();
                if over {
                    self.state = State::Start;
                    return Some(Part::End);
                }
            }
            _ => {}
        }
        None
    }

    fn clear(&mut self) {
        self.buffer.clear();
        self.line = 0;
    }

    fn head(&mut self) -> Part<'static> {
        self.state = State::Held;
        self.line = 0;
        Part::Head(std::mem::take(&mut self.buffer))
    }

    fn pass_over(&mut self) {
        self.searched += self.buffer.len();
        self.clear();
        if self.searched > MAX_SEARCH {
            self.state = State::Dead;
        }
    }

    /// The framing is broken: the message ends here and the search for the next one begins.
    fn lose(&mut self) -> Part<'static> {
        self.clear();
        self.state = State::Start;
        Part::End
    }

    /// A hole of `length` bytes; the part that it brings about, if any. A head is that of a request with the hole in it:
    /// how its body ends is not known, so that [`Stream::release`] must follow.
    pub(super) fn gap(&mut self, length: u64) -> Option<Part<'static>> {
        match self.state {
            State::Body(left) if left >= length => self.state = State::Body(left - length),
            State::Chunk(left) if left > length => self.state = State::Chunk(left - length),
            State::Headers if self.role == Role::Client => {
                // What a request asks for is known; its last header may be cut in two and is left out.
                self.buffer.truncate(self.line);
                return Some(self.head());
            }
            State::Start | State::Headers => {
                self.clear();
                self.state = State::Start;
            }
            State::ToClose | State::Held | State::Dead => {}
            _ => return Some(self.lose()),
        }
        None
    }

    /// At the end of the connection: a head that began and has its first line.
    pub(super) fn unfinished_head(&mut self) -> Option<Vec<u8>> {
        (self.state == State::Headers).then(|| std::mem::take(&mut self.buffer))
    }
}

fn split<'a>(bytes: &mut &'a [u8], length: u64) -> &'a [u8] {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let (part, rest) = bytes.split_at_checked(length).unwrap_or((bytes, &[]));
    *bytes = rest;
    part
}

/// The length at the start of a chunk line; extensions are passed over.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let line = line.trim_ascii_start();
    let digits = line.iter().take_while(|sign| sign.is_ascii_hexdigit()).count();
    let digits = std::str::from_utf8(line.get(..digits)?).ok()?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a stream in pieces; bodies are joined, `framing` answers each head.
    fn run(role: Role, bytes: &[u8], chunk: usize, framing: Framing) -> Vec<String> {
        let mut stream = Stream::new(role);
        let mut parts: Vec<String> = Vec::new();
        for mut piece in bytes.chunks(chunk) {
            while let Some(part) = stream.next(&mut piece) {
                match part {
                    Part::Head(head) => {
                        parts.push(format!(
                            "head {}",
                            String::from_utf8_lossy(&head).lines().next().unwrap_or("")
                        ));
                        parts.push(String::new());
                        stream.frame(framing);
                    }
                    Part::Body(body) => parts.last_mut().unwrap().push_str(&String::from_utf8_lossy(body)),
                    Part::End => parts.push("end".to_owned()),
                }
            }
        }
        parts
    }

    #[test]
    fn chunked_bodies_in_any_pieces() {
        let bytes = b"HTTP/1.1 200 OK\r\n\r\n4;x=1\r\nabcd\r\n2\r\nef\r\n0\r\nT: 1\r\n\r\nHTTP/1.1 201 A\r\n\r\n0\r\n\r\n";
        for chunk in [1, 2, 5, 1000] {
            let parts = run(Role::Server, bytes, chunk, Framing::Chunked);
            assert_eq!(parts, ["head HTTP/1.1 200 OK", "abcdef", "end", "head HTTP/1.1 201 A", "", "end"]);
        }
    }

    #[test]
    fn noise_is_passed_over() {
        let bytes = b"\r\nnoise\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b\r\n";
        for chunk in [1, 3, 1000] {
            let parts = run(Role::Client, bytes, chunk, Framing::Length(0));
            assert_eq!(parts, ["head GET /a HTTP/1.1", "", "end", "head GET /b", "", "end"]);
        }
    }

    #[test]
    fn a_hole_inside_a_body_is_counted_off() {
        let mut stream = Stream::new(Role::Server);
        let mut bytes = &b"HTTP/1.1 200 OK\r\n\r\n"[..];
        assert!(matches!(stream.next(&mut bytes), Some(Part::Head(_))));
        stream.frame(Framing::Length(10));
        assert_eq!(stream.gap(8), None);
        let mut rest = &b"xyHTTP/1.1 404 N\r\n\r\n"[..];
        assert_eq!(stream.next(&mut rest), Some(Part::Body(b"xy")));
        assert_eq!(stream.next(&mut rest), Some(Part::End));
        assert!(matches!(stream.next(&mut rest), Some(Part::Head(_))));
    }

    #[test]
    fn an_endless_line_is_given_up() {
        let mut stream = Stream::new(Role::Client);
        let block = [b'a'; 4096];
        for _ in 0..600 {
            assert_eq!(stream.next(&mut &block[..]), None);
            assert!(stream.buffer.len() <= MAX_HEAD);
        }
        assert!(stream.is_dead());
    }
}
