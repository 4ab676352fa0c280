//! Syslog seen on the wire (RFC 3164, 4.1; RFC 5424, 6; over TCP: RFC 6587).
//!
//! In: datagrams, or the stream of a sender with its messages told apart by lengths or by line ends. Out: one `sensor.syslog` event
//! per message: priority, the text behind it, and what its header says where it has the form of one of the two standards. Memory:
//! over TCP one message of at most [`MAX_MESSAGE`] bytes; of longer ones the beginning is told.

use dongson_event::{Event, Timestamp};

use crate::protocol::Side;
use crate::protocol::dissect::{Datagrams, Stream};
use crate::protocol::lines::Lines;
use crate::protocol::wire::text;

/// Longest text that is told.
const MAX_TEXT: usize = 2048;
/// Bytes kept of a message over TCP.
const MAX_MESSAGE: usize = 8192;
/// Longest length that a frame may tell.
const MAX_FRAME: u64 = 16 * 1024 * 1024;
/// Longest name in a header (RFC 5424, 6).
const MAX_NAME: usize = 255;

/// A flow that carries syslog.
#[derive(Debug)]
pub(in crate::protocol) struct Syslog;

impl Datagrams for Syslog {
    fn datagram(&mut self, _side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        out.push(describe(at, bytes));
    }
}

fn describe(at: Timestamp, bytes: &[u8]) -> Event {
    let mut event = Event::of("sensor.syslog", at);
    event.set("network.protocol", "syslog");
    let (priority, rest) = priority(bytes).unzip();
    if let Some(priority) = priority {
        event.set("log.syslog.priority", priority);
        event.set("log.syslog.facility.code", priority >> 3);
        event.set("log.syslog.severity.code", priority & 7);
    }
    let said = rest.unwrap_or(bytes);
    if priority.is_some() {
        describe_header(&mut event, said);
    }
    event.set("message", text(said, MAX_TEXT));
    event
}

/// The number between `<` and `>`, at most 191, and what follows.
fn priority(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let rest = bytes.strip_prefix(b"<")?;
    let end = rest.iter().take(4).position(|sign| *sign == b'>').filter(|end| *end > 0)?;
    let digits = rest.get(..end)?;
    let value = digits.iter().try_fold(0_u16, |value, digit| {
        digit.is_ascii_digit().then(|| value * 10 + u16::from(digit - b'0'))
    })?;
    (value <= 191).then_some((value, rest.get(end + 1..)?))
}

/// Whether a message begins with `Oct 11 22:14:15 ` (RFC 3164, 4.1.2).
fn old_time(said: &[u8]) -> Option<&[u8]> {
    const MONTHS: [&[u8]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    let (time, rest) = said.split_at_checked(16)?;
    let is_month = MONTHS.iter().any(|month| time.starts_with(month));
    let form = |at: usize, sign: u8| match at {
        0..=2 => true,
        3 | 6 | 15 => sign == b' ',
        4 => sign == b' ' || sign.is_ascii_digit(),
        9 | 12 => sign == b':',
        _ => sign.is_ascii_digit(),
    };
    (is_month && time.iter().enumerate().all(|(at, sign)| form(at, *sign))).then_some(rest)
}

/// Whether what follows a priority has the form of a header.
fn is_header(said: &[u8]) -> bool {
    old_time(said).is_some() || said.starts_with(b"1 ") || said.starts_with(b"1 -")
}

/// Whether a stream or datagram begins with a message that cannot be anything else.
pub(in crate::protocol) fn is_message(bytes: &[u8]) -> bool {
    priority(bytes).is_some_and(|(_, said)| is_header(said))
}

fn describe_header(event: &mut Event, said: &[u8]) {
    let name = |bytes: &[u8]| Some(text(bytes, MAX_NAME)).filter(|name| name != "-" && !name.is_empty());
    if let Some(rest) = old_time(said) {
        let mut words = rest.splitn(3, |sign| *sign == b' ');
        let (Some(host), Some(tag)) = (words.next(), words.next()) else { return };
        // A tag ends with what is neither letter nor digit, most often a colon or the number of the process.
        let end = tag.iter().position(|sign| matches!(sign, b'[' | b':')).unwrap_or(tag.len());
        let behind = tag.get(end..).unwrap_or_default();
        if behind.is_empty() {
            return;
        }
        event.set_some("log.syslog.hostname", name(host));
        event.set_some("log.syslog.appname", name(tag.get(..end).unwrap_or_default()));
        let number = behind.strip_prefix(b"[").and_then(|rest| rest.split(|sign| *sign == b']').next());
        event.set_some("log.syslog.procid", number.and_then(name));
    } else if let Some(rest) = said.strip_prefix(b"1 ") {
        let mut words = rest.splitn(6, |sign| *sign == b' ');
        let time = words.next();
        if let (Some(_), Some(host), Some(app), Some(process), Some(id)) =
            (time, words.next(), words.next(), words.next(), words.next())
        {
            event.set("log.syslog.version", "1");
            event.set_some("log.syslog.hostname", name(host));
            event.set_some("log.syslog.appname", name(app));
            event.set_some("log.syslog.procid", name(process));
            event.set_some("log.syslog.msgid", name(id));
        }
    }
}

/// How the present message of a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// A digit begins a length, anything else a line.
    Unknown,
    /// Digits of a length so far.
    Length(u64),
    /// So many bytes are left.
    Octets(u64),
    Line,
    /// It begins behind the next line end.
    Lost,
}

/// A connection that carries syslog.
#[derive(Debug)]
pub(in crate::protocol) struct SyslogStream {
    sender: Side,
    framing: Framing,
    lines: Lines,
    held: Vec<u8>,
}

impl SyslogStream {
    pub(in crate::protocol) fn new(sender: Side) -> Self {
        Self { sender, framing: Framing::Unknown, lines: Lines::default(), held: Vec::new() }
    }
}

impl Stream for SyslogStream {
    fn data(&mut self, side: Side, at: Timestamp, mut bytes: &[u8], out: &mut Vec<Event>) {
        if side != self.sender {
            return;
        }
        while let [first, rest @ ..] = bytes {
            match self.framing {
                Framing::Unknown if first.is_ascii_digit() => self.framing = Framing::Length(0),
                Framing::Unknown if matches!(first, b'\n' | b'\r' | 0) => bytes = rest,
                Framing::Unknown => self.framing = Framing::Line,
                Framing::Length(length) if first.is_ascii_digit() => {
                    bytes = rest;
                    let longer = length * 10 + u64::from(first - b'0');
                    self.framing = if longer > MAX_FRAME { Framing::Lost } else { Framing::Length(longer) };
                }
                Framing::Length(length) => {
                    bytes = rest;
                    let fits = *first == b' ' && length > 0;
                    self.framing = if fits { Framing::Octets(length) } else { Framing::Lost };
                }
                Framing::Octets(left) => {
                    let take = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    let (part, behind) = bytes.split_at_checked(take).unwrap_or((bytes, &[]));
                    bytes = behind;
                    let room = MAX_MESSAGE.saturating_sub(self.held.len());
                    self.held.extend_from_slice(part.get(..room).unwrap_or(part));
                    let left = left - part.len() as u64;
                    self.framing = Framing::Octets(left);
                    if left == 0 {
                        self.framing = Framing::Unknown;
                        out.push(describe(at, &std::mem::take(&mut self.held)));
                    }
                }
                Framing::Line => {
                    if let Some(line) = self.lines.next(MAX_MESSAGE, &mut bytes) {
                        self.framing = Framing::Unknown;
                        out.push(describe(at, line.content()));
                    }
                }
                Framing::Lost => {
                    if self.lines.next(0, &mut bytes).is_some() {
                        self.framing = Framing::Unknown;
                    }
                }
            }
        }
    }

    fn gap(&mut self, side: Side, length: u64) {
        if side != self.sender {
            return;
        }
        if let Framing::Octets(left) = self.framing
            && left > length
        {
            self.framing = Framing::Octets(left - length);
            return;
        }
        self.held.clear();
        self.lines.clear();
        self.framing = Framing::Lost;
    }

    fn finish(&mut self, at: Timestamp, out: &mut Vec<Event>) {
        let mut end: &[u8] = b"\n";
        let last = match self.framing {
            Framing::Line => self.lines.next(MAX_MESSAGE, &mut end).map(|line| line.content().to_vec()),
            Framing::Octets(_) => Some(std::mem::take(&mut self.held)),
            _ => None,
        };
        out.extend(last.filter(|last| !last.is_empty()).map(|last| describe(at, &last)));
    }

    fn wants_more(&self, side: Side) -> bool {
        side == self.sender
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Event {
        let mut out = Vec::new();
        Syslog.datagram(Side::Originator, Timestamp::default(), bytes, &mut out);
        out.remove(0)
    }

    fn stream(bytes: &[u8], chunk: usize) -> Vec<Event> {
        let (mut stream, mut out) = (SyslogStream::new(Side::Originator), Vec::new());
        for part in bytes.chunks(chunk) {
            stream.data(Side::Originator, Timestamp::default(), part, &mut out);
        }
        stream.finish(Timestamp::default(), &mut out);
        out
    }

    #[test]
    fn priority_and_text() {
        let event = read(b"<133>xin chao\x00");
        assert_eq!(event.int("log.syslog.facility.code"), Some(16));
        assert_eq!(event.int("log.syslog.severity.code"), Some(5));
        assert_eq!(event.text("message"), Some("xin chao\\x00"));
        for odd in [&b"none"[..], b"<999>x", b"<>x", b"<1x>y"] {
            assert_eq!(read(odd).int("log.syslog.priority"), None);
        }
    }

    #[test]
    fn headers_of_both_standards() {
        let old = read(b"<34>Oct  1 22:14:15 may-chu sshd[77]: Failed password");
        assert_eq!(old.text("log.syslog.hostname"), Some("may-chu"));
        assert_eq!(
            (old.text("log.syslog.appname"), old.text("log.syslog.procid")),
            (Some("sshd"), Some("77"))
        );
        assert_eq!(old.text("message"), Some("Oct  1 22:14:15 may-chu sshd[77]: Failed password"));
        let new = read(b"<165>1 2026-08-24T05:14:15.000003-07:00 fw1 evntslog - ID47 [x a=\"1\"] hi");
        assert_eq!((new.text("log.syslog.appname"), new.text("log.syslog.procid")), (Some("evntslog"), None));
        assert_eq!(new.text("log.syslog.msgid"), Some("ID47"));
        assert!(
            is_message(b"<34>Oct  1 22:14:15 x")
                && is_message(b"<165>1 2026-08-24T05")
                && !is_message(b"<34>hello")
        );
    }

    #[test]
    fn a_stream_is_cut_both_ways() {
        let bytes = b"14 <34>Oct: hello\n<35>two\r\n9 <36>three<37>four";
        for chunk in [1, 3, 100] {
            let texts: Vec<_> =
                stream(bytes, chunk).iter().map(|event| event.text("message").unwrap().to_owned()).collect();
            assert_eq!(texts, ["Oct: hello", "two", "three", "four"], "pieces of {chunk}");
        }
        assert!(stream(b"99999999999999999999 x\n<1>y", 5).len() == 1);
    }

    #[test]
    fn gaps_are_crossed() {
        let (mut stream, mut out) = (SyslogStream::new(Side::Originator), Vec::new());
        stream.data(Side::Originator, Timestamp::default(), b"<1>on", &mut out);
        stream.gap(Side::Originator, 9);
        stream.data(Side::Originator, Timestamp::default(), b"rest\n<2>two\n", &mut out);
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].text("message"), Some("two"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, cut in 0..60_usize) {
            read(&bytes);
            let whole = b"<34>Oct 11 22:14:15 a b[1]: c";
            read(&whole[..cut.min(whole.len())]);
            read(&[&b"<3>1 "[..], &bytes].concat());
        }

        #[test]
        fn pieces_do_not_matter(words in prop::collection::vec(prop::sample::select(vec!["<1>a", "\n", "3 ", "12 ", "0 ", "x", "99999999999"]), 0..40), chunk in 1..9_usize) {
            let bytes = words.concat().into_bytes();
            prop_assert_eq!(stream(&bytes, chunk), stream(&bytes, usize::MAX));
        }
    }
}
