//! TFTP and the files it carries (RFC 1350; options: RFC 2347 to 2349; windows: RFC 7440).
//!
//! In: the datagrams of a request's flow, and of the flow that its server opens towards the port that asked. Out: one `sensor.tftp`
//! event per request at once, and when the transfer is over one `sensor.tftp_data` event and, where bytes came, one `sensor.file`
//! event. Text (netascii) is taken as it is on the wire. Memory: one [`File`] a flow.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dongson_event::{Event, Timestamp};

use crate::protocol::dissect::{Datagrams, Start, Transfer};
use crate::protocol::file::{About, File, State, describe_name};
use crate::protocol::wire::{Cursor, text};
use crate::protocol::{Kind, Options, Side};

/// Longest name and longest option that is told.
const MAX_NAME: usize = 512;
/// Options told of one request.
const MAX_OPTIONS: usize = 16;
/// Length of a block where none is agreed on.
const BLOCK: u64 = 512;
/// How far ahead of the next block one may be that is believed.
const MAX_AHEAD: u16 = 4096;

/// What is asked for.
#[derive(Debug, Default)]
struct Told {
    write: bool,
    name: String,
    mode: String,
    /// As both ends have agreed; `None` where nobody has spoken of it.
    block: Option<u64>,
    total: Option<u64>,
}

/// What the flow of a request and that of its data tell each other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request(Arc<Mutex<Told>>);

impl Request {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names and values.
type Pairs<'a> = Vec<(&'a [u8], &'a [u8])>;

/// A request to read or write: whether it writes, name, mode, and the options behind them.
fn request(bytes: &[u8]) -> Option<(bool, &[u8], &[u8], Pairs<'_>)> {
    let [0, code @ 1..=2, rest @ ..] = bytes else { return None };
    let mut words = rest.strip_suffix(&[0])?.split(|byte| *byte == 0);
    let (name, mode) = (words.next()?, words.next()?);
    let known = [&b"octet"[..], b"netascii", b"mail"].iter().any(|known| mode.eq_ignore_ascii_case(known));
    let readable = !name.is_empty() && name.len() <= MAX_NAME && !name.iter().any(u8::is_ascii_control);
    let mut options = Vec::new();
    while let (Some(option), Some(value)) = (words.next(), words.next()) {
        if options.len() < MAX_OPTIONS {
            options.push((option, value));
        }
    }
    (known && readable).then_some((*code == 2, name, mode, options))
}

/// Whether a datagram asks for a file.
pub(in crate::protocol) fn is_request(bytes: &[u8]) -> bool {
    request(bytes).is_some()
}

fn value(options: &[(&[u8], &[u8])], wanted: &[u8]) -> Option<u64> {
    let (_, value) = options.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// The flow of requests.
#[derive(Debug)]
pub(in crate::protocol) struct Tftp {
    options: Options,
    /// The last request, which may come again.
    last: Vec<u8>,
    announced: Option<(Side, Transfer)>,
    /// The transfer, where it goes on in this flow.
    request: Option<Request>,
    data: Option<Data>,
}

impl Tftp {
    pub(in crate::protocol) fn new(start: &Start<'_>) -> Self {
        let options = *start.options;
        Self { options, last: Vec::new(), announced: None, request: None, data: None }
    }
}

impl Datagrams for Tftp {
    fn datagram(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let Some((write, name, mode, options)) = request(bytes) else {
            if let Some(request) = &self.request {
                let data = self.data.get_or_insert_with(|| Data::new(request.clone(), self.options));
                data.datagram(side, at, bytes, out);
            }
            return;
        };
        if self.last == bytes {
            return;
        }
        self.last = bytes.to_vec();
        if let Some(mut data) = self.data.take() {
            data.finish(at, out);
        }
        let told = Told {
            write,
            name: text(name, MAX_NAME),
            mode: text(mode, 16).to_ascii_lowercase(),
            block: None,
            total: value(&options, b"tsize").filter(|_| write),
        };
        let mut event = Event::of("sensor.tftp", at);
        describe(&mut event, &told);
        let written: Vec<String> = options
            .iter()
            .map(|(name, value)| format!("{}={}", text(name, 64).to_ascii_lowercase(), text(value, 64)))
            .collect();
        if !written.is_empty() {
            event.set("dongson.tftp.options", written);
        }
        out.push(event);
        let request = Request(Arc::new(Mutex::new(told)));
        self.announced = Some((side, Transfer::Tftp(request.clone())));
        self.request = Some(request);
    }

    fn finish(&mut self, at: Timestamp, out: &mut Vec<Event>) {
        if let Some(data) = &mut self.data {
            data.finish(at, out);
        }
    }

    fn announced(&mut self) -> Option<(Side, Transfer)> {
        self.announced.take()
    }
}

fn describe(event: &mut Event, told: &Told) {
    event.set("network.protocol", "tftp");
    event.set("dongson.tftp.packet", if told.write { "write" } else { "read" });
    event.set("dongson.tftp.mode", told.mode.as_str());
    describe_name(event, &told.name);
}

/// The flow of a transfer.
#[derive(Debug)]
pub(in crate::protocol) struct Data {
    request: Request,
    options: Options,
    started: Option<Timestamp>,
    file: Option<File>,
    /// The number that the next block should have.
    next: u16,
    /// The last block has come.
    complete: bool,
    error: Option<(u16, String)>,
    told: bool,
}

impl Data {
    pub(in crate::protocol) fn new(request: Request, options: Options) -> Self {
        let (started, file, error) = (None, None, None);
        Self { request, options, started, file, next: 1, complete: false, error, told: false }
    }

    fn block(&mut self, side: Side, at: Timestamp, number: u16, bytes: &[u8]) {
        let length = self.request.told().block.unwrap_or(BLOCK);
        let ahead = number.wrapping_sub(self.next);
        // Anything else has come before.
        if ahead > MAX_AHEAD {
            return;
        }
        let total = self.request.told().total;
        let about = About { protocol: "tftp", total, ..About::default() };
        let file = self.file.get_or_insert_with(|| File::new(about, side, at));
        if ahead > 0 {
            file.gap(u64::from(ahead) * length);
        }
        file.data(at, bytes);
        self.next = number.wrapping_add(1);
        self.complete = (bytes.len() as u64) < length;
    }

    fn agree(&mut self, bytes: &[u8]) {
        let words: Vec<&[u8]> = bytes.split(|byte| *byte == 0).take(2 * MAX_OPTIONS).collect();
        let (pairs, _) = words.as_chunks::<2>();
        let pairs: Pairs<'_> = pairs.iter().map(|[name, value]| (*name, *value)).collect();
        let mut told = self.request.told();
        told.block = value(&pairs, b"blksize").filter(|size| (8..=65_464).contains(size)).or(told.block);
        told.total = value(&pairs, b"tsize").or(told.total);
    }

    fn tell(&mut self, at: Timestamp, out: &mut Vec<Event>) {
        if self.told {
            return;
        }
        self.told = true;
        let told = self.request.told();
        let mut event = Event::of("sensor.tftp_data", self.started.unwrap_or(at));
        describe(&mut event, &told);
        let outcome = match (&self.error, self.complete) {
            (Some(_), _) => "failure",
            (None, true) => "success",
            (None, false) => "unknown",
        };
        event.set("event.outcome", outcome);
        if let Some((code, message)) = &self.error {
            event.set("dongson.tftp.error_code", *code);
            event.set_some("error.message", Some(message.as_str()).filter(|message| !message.is_empty()));
        }
        let file = self.file.take().map(|mut file| {
            file.about.name = Some(told.name.clone());
            file.describe(if self.complete { State::Closed } else { State::Truncated })
        });
        if let Some(file) = &file {
            for name in ["file.size", "file.mime_type", "file.hash.sha256"] {
                event.set_some(name, file.get(name).cloned());
            }
        }
        out.push(event);
        out.extend(file.filter(|_| self.options.kinds.has(Kind::File)));
    }
}

impl Datagrams for Data {
    fn datagram(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let mut cursor = Cursor::new(bytes);
        let (Some(code), false) = (cursor.u16(), self.told) else { return };
        self.started.get_or_insert(at);
        match code {
            3 => {
                let Some(number) = cursor.u16() else { return };
                self.block(side, at, number, cursor.rest());
            }
            5 => {
                let Some(error) = cursor.u16() else { return };
                let words = cursor.rest().split(|byte| *byte == 0).next().unwrap_or_default();
                self.error = Some((error, text(words, MAX_NAME)));
            }
            6 => self.agree(cursor.rest()),
            _ => {}
        }
        if self.complete || self.error.is_some() {
            self.tell(at, out);
        }
    }

    fn finish(&mut self, at: Timestamp, out: &mut Vec<Event>) {
        if self.started.is_some() {
            self.tell(at, out);
        }
    }

    fn wants_more(&self) -> bool {
        !self.told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const C: Side = Side::Originator;
    const S: Side = Side::Responder;

    fn run(turns: &[(Side, &[u8])]) -> Vec<Event> {
        let options = Options::default();
        let mut tftp = Tftp::new(&Start { client: C, options: &options });
        let (mut out, mut data) = (Vec::new(), None::<Data>);
        for (side, bytes) in turns {
            match &mut data {
                Some(data) => data.datagram(*side, Timestamp::default(), bytes, &mut out),
                None => tftp.datagram(*side, Timestamp::default(), bytes, &mut out),
            }
            if let Some((_, Transfer::Tftp(request))) = tftp.announced() {
                data = Some(Data::new(request, options));
            }
        }
        if let Some(mut data) = data {
            data.finish(Timestamp::default(), &mut out);
        }
        tftp.finish(Timestamp::default(), &mut out);
        out
    }

    fn block(number: u16, bytes: &[u8]) -> Vec<u8> {
        [&[0, 3][..], &number.to_be_bytes(), bytes].concat()
    }

    #[test]
    fn a_file_is_read_with_options() {
        let (one, two) = (block(1, &[b'a'; 16]), block(2, b"bc"));
        let events = run(&[
            (C, b"\0\x01boot/pxe.0\0octet\0blksize\x0016\0tsize\x000\0"),
            (S, b"\0\x06blksize\x0016\0tsize\x0018\0"),
            (C, b"\0\x04\0\0"),
            (S, &one),
            (S, &one),
            (S, &two),
        ]);
        let [request, data, file] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(request.text("dongson.tftp.packet"), Some("read"));
        assert_eq!(
            (request.text("file.path"), request.text("file.name")),
            (Some("boot/pxe.0"), Some("pxe.0"))
        );
        assert_eq!((data.text("event.outcome"), data.int("file.size")), (Some("success"), Some(18)));
        assert_eq!(file.text("dongson.file.state"), Some("closed"));
        assert_eq!(file.int("dongson.file.total_bytes"), Some(18));
    }

    #[test]
    fn errors_and_holes() {
        let events = run(&[(C, b"\0\x01a\0netascii\0"), (S, b"\0\x05\0\x01File not found\0")]);
        assert_eq!(events[1].text("error.message"), Some("File not found"));
        assert_eq!(events[1].text("event.outcome"), Some("failure"));
        let (one, three) = (block(1, &[1; 512]), block(3, b"x"));
        let events = run(&[(C, b"\0\x02a\0octet\0"), (S, b"\0\x04\0\0"), (C, &one), (C, &three)]);
        assert_eq!(events[2].int("dongson.file.missing_bytes"), Some(512));
        assert_eq!(events[2].text("file.hash.md5"), None);
        assert!(
            is_request(b"\0\x01a\0octet\0")
                && !is_request(b"\0\x01a\0ascii\0")
                && !is_request(b"\0\x01\0octet\0")
        );
    }

    #[test]
    fn a_server_may_answer_from_its_own_port() {
        let options = Options::default();
        let mut tftp = Tftp::new(&Start { client: C, options: &options });
        let (mut out, now) = (Vec::new(), Timestamp::default());
        tftp.datagram(C, now, b"\0\x01a\0octet\0", &mut out);
        tftp.datagram(S, now, &block(1, b"abc"), &mut out);
        assert_eq!(
            out.iter().map(Event::dataset).collect::<Vec<_>>(),
            ["sensor.tftp", "sensor.tftp_data", "sensor.file"]
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(turns: Vec<(bool, u8, Vec<u8>)>) {
            let bytes: Vec<(Side, Vec<u8>)> = turns.into_iter().map(|(client, code, noise)| {
                (if client { C } else { S }, [&[0, code % 7][..], &noise].concat())
            }).collect();
            let mut turns: Vec<(Side, &[u8])> = vec![(C, b"\0\x01a\0octet\0")];
            turns.extend(bytes.iter().map(|(side, bytes)| (*side, bytes.as_slice())));
            run(&turns);
        }
    }
}
