//! MIME entities in passing (RFC 2045, 2046, 2047, 2231; forms: RFC 7578): parts become files, whatever pieces they come in.
//!
//! In: the bytes of a mail behind DATA, or the body of a form. Out: [`Reader::headers`] of the whole, and a [`File`] for each
//! leaf with a body. Base64 and quoted-printable are undone in mail; forms are taken as they are. Memory: one line of
//! [`MAX_LINE`] bytes, [`MAX_HEADERS`] header lines of the part and of the whole, [`MAX_FILES`] files that wait to be told.

use dongson_event::Timestamp;

use crate::protocol::Side;
use crate::protocol::file::{About, File};
use crate::protocol::wire::{contains_no_case, starts_with_no_case, text};

/// Longest line that is looked at whole; of longer header lines the rest is dropped.
const MAX_LINE: usize = 8192;
/// Header lines kept of one entity.
const MAX_HEADERS: usize = 128;
/// Files told of one message.
const MAX_FILES: usize = 64;
/// Entities in entities.
const MAX_DEPTH: usize = 12;

/// How a body is written (RFC 2045, 6).
#[derive(Debug, Default)]
enum Encoding {
    #[default]
    Plain,
    /// Bits that wait for the rest of their group, and how many letters they are of.
    Base64(u32, u8),
    /// What may be the start of an escape.
    Quoted(Vec<u8>),
}

/// Where the reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Headers,
    Body,
    /// Before the first and behind the last boundary.
    Between,
}

/// One header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::protocol) struct Header {
    /// Lower case.
    pub(in crate::protocol) name: String,
    pub(in crate::protocol) value: String,
}

/// A message in passing.
#[derive(Debug)]
pub(in crate::protocol) struct Reader {
    protocol: &'static str,
    sender: Side,
    now: Timestamp,
    mail: bool,
    place: Place,
    boundaries: Vec<Vec<u8>>,
    /// The line so far; in a body it may have been passed on already.
    line: Vec<u8>,
    passed_on: bool,
    /// A line end that belongs to the boundary, if one follows.
    held_end: Vec<u8>,
    part: Vec<Header>,
    encoding: Encoding,
    file: Option<File>,
    /// Where in the tree of entities, counted as they begin.
    entities: u64,
    /// Headers of the message itself.
    pub(in crate::protocol) headers: Vec<Header>,
    /// Files that are over.
    pub(in crate::protocol) files: Vec<File>,
}

impl Reader {
    /// A mail: headers first.
    pub(in crate::protocol) fn mail(protocol: &'static str, sender: Side, at: Timestamp) -> Self {
        Self::new(protocol, sender, at, true, Place::Headers)
    }

    /// A form, whose boundary its protocol has said.
    pub(in crate::protocol) fn form(
        protocol: &'static str,
        boundary: &str,
        sender: Side,
        at: Timestamp,
    ) -> Self {
        let mut reader = Self::new(protocol, sender, at, false, Place::Between);
        reader.boundaries.push(format!("--{boundary}").into_bytes());
        reader
    }

    fn new(protocol: &'static str, sender: Side, now: Timestamp, mail: bool, place: Place) -> Self {
        Self {
            protocol,
            sender,
            now,
            mail,
            place,
            boundaries: Vec::new(),
            line: Vec::new(),
            passed_on: false,
            held_end: Vec::new(),
            part: Vec::new(),
            encoding: Encoding::Plain,
            file: None,
            entities: 1,
            headers: Vec::new(),
            files: Vec::new(),
        }
    }

    /// The next bytes.
    pub(in crate::protocol) fn data(&mut self, at: Timestamp, mut bytes: &[u8]) {
        self.now = at;
        while !bytes.is_empty() {
            let end = bytes.iter().position(|sign| *sign == b'\n').map(|end| end + 1);
            let (piece, rest) = bytes.split_at_checked(end.unwrap_or(bytes.len())).unwrap_or((bytes, &[]));
            bytes = rest;
            self.line.extend_from_slice(piece);
            if end.is_some() {
                self.whole_line();
            } else {
                self.partial_line();
            }
        }
    }

    /// `length` bytes are missing.
    pub(in crate::protocol) fn gap(&mut self, length: u64) {
        if let Some(file) = &mut self.file {
            file.gap(length);
        }
    }

    /// The end of the message.
    pub(in crate::protocol) fn finish(&mut self) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() && !self.is_boundary(&line) {
            match self.place {
                Place::Body => self.body(&line),
                Place::Headers => {
                    self.header(&line);
                    self.end_of_headers();
                }
                Place::Between => {}
            }
        } else if self.place == Place::Headers {
            self.end_of_headers();
        }
        if self.mail && self.boundaries.is_empty() && self.place == Place::Body {
            self.body(&[]);
        }
        self.end_part();
    }

    /// What is left of a part whose transfer was cut.
    pub(in crate::protocol) fn is_inside(&self) -> bool {
        self.file.is_some()
    }

    fn partial_line(&mut self) {
        let maybe_boundary = !self.passed_on && (self.line.len() < 2 || self.line.starts_with(b"--"));
        if self.place != Place::Body {
            self.line.truncate(MAX_LINE);
        } else if !maybe_boundary || self.line.len() > MAX_LINE {
            let keep = usize::from(self.line.ends_with(b"\r"));
            let line = std::mem::take(&mut self.line);
            let (now, later) = line.split_at_checked(line.len() - keep).unwrap_or((&line, &[]));
            self.body(now);
            self.line.extend_from_slice(later);
            self.passed_on = true;
        }
    }

    fn whole_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let passed_on = std::mem::take(&mut self.passed_on);
        let content = line.strip_suffix(b"\n").unwrap_or(&line);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        if !passed_on && self.is_boundary(content) {
            self.boundary(content);
            return;
        }
        match self.place {
            Place::Headers if content.is_empty() => self.end_of_headers(),
            Place::Headers => self.header(content),
            Place::Body => {
                self.body(content);
                self.held_end = line.get(content.len()..).unwrap_or_default().to_vec();
            }
            Place::Between => {}
        }
    }

    fn is_boundary(&self, line: &[u8]) -> bool {
        line.starts_with(b"--") && self.boundaries.iter().any(|boundary| line.starts_with(boundary))
    }

    fn boundary(&mut self, line: &[u8]) {
        self.end_part();
        let matches = |boundary: &Vec<u8>| {
            let rest = line.strip_prefix(boundary.as_slice()).map(<[u8]>::trim_ascii_end);
            rest.is_some_and(|rest| rest.is_empty() || rest == b"--")
        };
        let found = self
            .boundaries
            .iter()
            .rposition(matches)
            .or_else(|| self.boundaries.iter().rposition(|boundary| line.starts_with(boundary)));
        let Some(at) = found else { return };
        let closes = line.trim_ascii_end().ends_with(b"--")
            && self.boundaries.get(at).is_some_and(|boundary| line.len() > boundary.len() + 1);
        self.boundaries.truncate(if closes { at } else { at + 1 });
        self.place = if closes { Place::Between } else { Place::Headers };
    }

    fn header(&mut self, line: &[u8]) {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            if let Some(last) = self.part.last_mut().filter(|last| last.value.len() < MAX_LINE) {
                last.value.push(' ');
                last.value.push_str(&text(line.trim_ascii(), MAX_LINE));
            }
            return;
        }
        let colon = line.iter().position(|sign| *sign == b':');
        let Some((name, value)) = colon.and_then(|at| line.split_at_checked(at)) else { return };
        if self.part.len() < MAX_HEADERS {
            self.part.push(Header {
                name: text(name.trim_ascii(), 128).to_ascii_lowercase(),
                value: text(value.get(1..).unwrap_or_default().trim_ascii(), MAX_LINE),
            });
        }
    }

    fn end_of_headers(&mut self) {
        let part = std::mem::take(&mut self.part);
        let value = |name: &str| part.iter().find(|header| header.name == name).map(|header| &*header.value);
        let kind = value("content-type").unwrap_or_default();
        let disposition = value("content-disposition").unwrap_or_default();
        self.place = Place::Body;
        self.held_end.clear();
        self.entities += 1;
        let multipart = starts_with_no_case(kind.as_bytes(), b"multipart/");
        let boundary = parameter(kind, "boundary").filter(|boundary| multipart && !boundary.is_empty());
        let name = parameter(disposition, "filename").or_else(|| parameter(kind, "name"));
        let encoding = value("content-transfer-encoding").unwrap_or_default().trim();
        self.encoding = match encoding {
            _ if !self.mail => Encoding::Plain,
            _ if encoding.eq_ignore_ascii_case("base64") => Encoding::Base64(0, 0),
            _ if encoding.eq_ignore_ascii_case("quoted-printable") => Encoding::Quoted(Vec::new()),
            _ => Encoding::Plain,
        };
        let embedded = self.mail && starts_with_no_case(kind.as_bytes(), b"message/rfc822");
        if let Some(boundary) = boundary.filter(|_| self.boundaries.len() < MAX_DEPTH) {
            self.boundaries.push(format!("--{boundary}").into_bytes());
            self.place = Place::Between;
        } else if embedded && self.boundaries.len() < MAX_DEPTH && name.is_none() {
            self.place = Place::Headers;
        } else if self.mail || name.is_some() {
            let about = About { protocol: self.protocol, name, total: None, depth: Some(self.entities - 1) };
            self.file = Some(File::new(about, self.sender, self.now));
        }
        if self.mail && self.headers.is_empty() {
            self.headers = part;
        }
    }

    /// Bytes of a body, behind the line end that was held.
    fn body(&mut self, bytes: &[u8]) {
        let end = std::mem::take(&mut self.held_end);
        for bytes in [&end, bytes] {
            let Some(file) = &mut self.file else { return };
            match &mut self.encoding {
                Encoding::Plain => file.data(self.now, bytes),
                Encoding::Base64(bits, count) => file.data(self.now, &base64(bytes, bits, count)),
                Encoding::Quoted(held) => file.data(self.now, &quoted(bytes, held)),
            }
        }
    }

    fn end_part(&mut self) {
        self.held_end.clear();
        self.part.clear();
        let Some(mut file) = self.file.take() else { return };
        if let Encoding::Quoted(held) = std::mem::take(&mut self.encoding) {
            file.data(self.now, &held);
        }
        if self.files.len() < MAX_FILES && (file.size() > 0 || file.about.name.is_some()) {
            self.files.push(file);
        }
    }
}

/// Undoes base64; other signs are passed over, `=` ends a group.
fn base64(bytes: &[u8], bits: &mut u32, count: &mut u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() / 4 * 3 + 3);
    for sign in bytes {
        let value = match sign {
            b'A'..=b'Z' => sign - b'A',
            b'a'..=b'z' => sign - b'a' + 26,
            b'0'..=b'9' => sign - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                (*bits, *count) = (0, 0);
                continue;
            }
            _ => continue,
        };
        *bits = *bits << 6 | u32::from(value);
        *count = (*count + 1) % 4;
        // Each letter behind the first of a group completes a byte.
        let shift = match *count {
            2 => 4,
            3 => 2,
            0 => 0,
            _ => continue,
        };
        out.extend(u8::try_from(*bits >> shift & 0xff));
    }
    out
}

/// Undoes quoted-printable; `held` is what may be the start of an escape.
fn quoted(bytes: &[u8], held: &mut Vec<u8>) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for &sign in bytes {
        match held.as_slice() {
            [] if sign == b'=' => held.push(sign),
            [] => out.push(sign),
            [b'='] if sign == b'\r' || sign.is_ascii_hexdigit() => held.push(sign),
            [b'='] | [b'=', b'\r'] if sign == b'\n' => held.clear(),
            [b'=', high] if high.is_ascii_hexdigit() && sign.is_ascii_hexdigit() => {
                let digit = |sign: u8| char::from(sign).to_digit(16).unwrap_or(0);
                out.extend(u8::try_from(digit(*high) << 4 | digit(sign)));
                held.clear();
            }
            _ => {
                out.append(held);
                out.push(sign);
            }
        }
    }
    out
}

/// A parameter of a structured header (RFC 2045, 5.1), with the long form of RFC 2231 (`name*0*=`) joined and undone.
pub(in crate::protocol) fn parameter(header: &str, wanted: &str) -> Option<String> {
    let mut plain = None;
    let mut long = Vec::new();
    let mut escaped = false;
    for (name, value) in parameters(header) {
        if name.eq_ignore_ascii_case(wanted) {
            plain.get_or_insert(value);
        } else if let Some(section) = name
            .get(..wanted.len())
            .filter(|start| start.eq_ignore_ascii_case(wanted))
            .and_then(|_| name.get(wanted.len()..)?.strip_prefix('*'))
        {
            escaped |= section.is_empty() || section.ends_with('*');
            long.push((section.trim_end_matches('*').parse::<u16>().unwrap_or(0), value));
        }
    }
    if long.is_empty() {
        return plain.map(|value| words(&value));
    }
    long.sort_by_key(|(number, _)| *number);
    let joined: String = long.into_iter().map(|(_, value)| value).collect();
    Some(if escaped { unescape(joined.rsplit('\'').next().unwrap_or(&joined)) } else { joined })
}

/// Names and values behind the first word.
fn parameters(header: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = header.split_once(';').map_or("", |(_, rest)| rest);
    while !rest.is_empty() && found.len() < 32 {
        let Some((name, after)) = rest.split_once('=') else { break };
        if let Some((_, next)) = name.split_once(';') {
            rest = rest.get(rest.len() - next.len() - after.len() - 1..).unwrap_or_default();
            continue;
        }
        let after = after.trim_start();
        let (value, next) = if let Some(inner) = after.strip_prefix('"') {
            quoted_string(inner)
        } else {
            let end = after.find(';').unwrap_or(after.len());
            let (value, next) = after.split_at_checked(end).unwrap_or((after, ""));
            (value.trim().to_owned(), next)
        };
        found.push((name.trim().to_owned(), value));
        rest = next.split_once(';').map_or("", |(_, next)| next);
    }
    found
}

/// A quoted string behind its opening quote, and what follows it.
fn quoted_string(inner: &str) -> (String, &str) {
    let mut value = String::new();
    let mut signs = inner.char_indices();
    while let Some((at, sign)) = signs.next() {
        match sign {
            '"' => return (value, inner.get(at + 1..).unwrap_or_default()),
            '\\' => value.extend(signs.next().map(|(_, sign)| sign)),
            sign => value.push(sign),
        }
    }
    (value, "")
}

fn unescape(value: &str) -> String {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        let byte = digits.and_then(|pair| u8::from_str_radix(pair, 16).ok()).filter(|_| *first == b'%');
        out.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    text(&out, MAX_LINE)
}

/// Undoes the encoded words (RFC 2047) of a header; words in alphabets other than UTF-8, ASCII and Latin 1 stay as sent.
pub(in crate::protocol) fn words(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("=?") {
        let Some((word, next)) = encoded_word(after) else {
            out.push_str(before);
            out.push_str("=?");
            rest = after;
            continue;
        };
        // Blanks between two encoded words are not shown (RFC 2047, 6.2).
        if rest.len() == value.len() || !before.trim().is_empty() {
            out.push_str(before);
        }
        out.push_str(&word);
        rest = next;
    }
    out.push_str(rest);
    out
}

fn encoded_word(after: &str) -> Option<(String, &str)> {
    let (charset, after) = after.split_once('?')?;
    let (method, after) = after.split_once('?')?;
    let (coded, next) = after.split_once("?=")?;
    if coded.contains(' ') || charset.contains(' ') {
        return None;
    }
    let bytes = match method {
        "B" | "b" => base64(coded.as_bytes(), &mut 0, &mut 0),
        "Q" | "q" => quoted(coded.replace('_', " ").as_bytes(), &mut Vec::new()),
        _ => return None,
    };
    let charset = charset.split('*').next().unwrap_or(charset).to_ascii_lowercase();
    let decoded = match charset.as_str() {
        "utf-8" | "us-ascii" | "utf8" | "ascii" => text(&bytes, MAX_LINE),
        "iso-8859-1" | "latin1" => {
            let wide: String = bytes.iter().map(|byte| char::from(*byte)).collect();
            text(wide.as_bytes(), MAX_LINE)
        }
        _ => return None,
    };
    Some((decoded, next))
}

/// Whether a media type is that of a form with files.
pub(in crate::protocol) fn is_form(kind: &str) -> bool {
    contains_no_case(kind.as_bytes(), b"multipart/form-data")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::file::State;
    use proptest::prelude::*;

    fn read(mut reader: Reader, bytes: &[u8], chunk: usize) -> (Vec<Header>, Vec<dongson_event::Event>) {
        for piece in bytes.chunks(chunk) {
            reader.data(Timestamp::default(), piece);
        }
        reader.finish();
        (reader.headers, reader.files.into_iter().map(|file| file.describe(State::Closed)).collect())
    }

    #[test]
    fn a_mail_with_an_attachment() {
        let mail = b"From: a@vn\r\nSubject: =?UTF-8?B?Q2jDoG8=?=\r\n =?utf-8?q?_b=E1=BA=A1n?=\r\n\
            Content-Type: multipart/mixed;\r\n boundary=\"x y\"\r\n\r\nintro\r\n--x y\r\n\
            Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=20b=\r\nc\r\n\
            --x y\r\nContent-Disposition: attachment; filename=\"a.zip\"\r\n\
            Content-Transfer-Encoding: base64\r\n\r\nUEsD\r\nBA==\r\n--x y--\r\nend\r\n";
        for chunk in [1, 2, 7, 1000] {
            let (headers, files) =
                read(Reader::mail("smtp", Side::Originator, Timestamp::default()), mail, chunk);
            assert_eq!(words(&headers[1].value), "Chào bạn");
            assert_eq!(files.len(), 2);
            assert_eq!((files[0].int("file.size"), files[0].text("file.name")), (Some(4), None));
            assert_eq!(files[1].text("file.name"), Some("a.zip"));
            assert_eq!(files[1].int("file.size"), Some(4));
            assert_eq!(files[1].text("file.mime_type"), Some("application/zip"));
        }
    }

    #[test]
    fn a_form_with_a_file() {
        let form = b"--B\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n--B\r\n\
            Content-Disposition: form-data; name=\"f\"; filename=\"t.txt\"\r\n\r\n--no\r\r\nb\r\n\r\n--B--\r\n";
        for chunk in [1, 3, 1000] {
            let reader = Reader::form("http", "B", Side::Originator, Timestamp::default());
            let (_, files) = read(reader, form, chunk);
            assert_eq!(files.len(), 1);
            assert_eq!((files[0].text("file.name"), files[0].int("file.size")), (Some("t.txt"), Some(10)));
        }
    }

    #[test]
    fn parameters_are_found() {
        let check =
            |header, expected: Option<&str>| assert_eq!(parameter(header, "filename").as_deref(), expected);
        check("attachment; filename=a.txt; size=3", Some("a.txt"));
        check("attachment; x; FileName=\"a;\\\"b\"", Some("a;\"b"));
        check("attachment; filename*=UTF-8''ti%E1%BB%87n%20.txt", Some("tiện .txt"));
        check("attachment; filename*1=b; filename*0=\"a\"", Some("ab"));
        check("inline", None);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(lines in prop::collection::vec(prop::sample::select(vec![
            "--B\r\n", "--B--\r\n", "\r\n", "Content-Type: multipart/x; boundary=C\n", "--C\n", "text", "-", "\r",
            "Content-Transfer-Encoding: base64\r\n", "Content-Disposition: x; filename=a\r\n", "=3D=\r\n", "QUJD\n"]), 0..40),
            mail: bool, noise: Vec<u8>, chunk in 1..30_usize) {
            let bytes = [lines.concat().into_bytes(), noise].concat();
            let reader = || if mail {
                Reader::mail("smtp", Side::Originator, Timestamp::default())
            } else {
                Reader::form("http", "B", Side::Originator, Timestamp::default())
            };
            prop_assert_eq!(read(reader(), &bytes, chunk), read(reader(), &bytes, usize::MAX));
        }

        #[test]
        fn any_header_is_read(header: String) {
            drop((parameter(&header, "filename"), words(&header)));
        }
    }
}
