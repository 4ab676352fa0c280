//! SMTP (RFC 5321; pipelining: RFC 2920; BDAT: RFC 3030; AUTH: RFC 4954): one event for each mail, with its envelope and headers.
//!
//! In: both directions of a connection. Out: a `sensor.smtp` event when a mail is answered, given up or the connection ends (a
//! session without a mail gives one too), and a `sensor.file` event for each part of a mail. Passwords are sealed. Memory: one
//! line of [`MAX_LINE`] bytes per side, [`MAX_WAITING`] commands without reply, [`MAX_RECIPIENTS`] recipients, and what
//! [`Reader`] keeps of a mail.

use std::collections::VecDeque;

use dongson_event::{Event, Timestamp};

use crate::odd;
use crate::protocol::dissect::{Start, Stream};
use crate::protocol::file::State;
use crate::protocol::mail::message::{describe_mail, share_with_files};
use crate::protocol::mail::multipart::Reader;
use crate::protocol::mail::sasl::Sasl;
use crate::protocol::wire::{starts_with_no_case, text};
use crate::protocol::{Kind, Options, Side};

/// Longest line kept (RFC 5321, 4.5.3.1.4 allows 512; extensions send more).
const MAX_LINE: usize = 4096;
/// Commands that wait for their reply.
const MAX_WAITING: usize = 128;
/// Recipients kept of one mail.
const MAX_RECIPIENTS: usize = 256;
/// Longest address kept.
const MAX_ADDRESS: usize = 512;

/// What a reply answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Greeting,
    Hello,
    StartTls,
    Auth,
    /// DATA, whose grant opens the mail.
    Data,
    /// The end of a mail, given by its number.
    End(u32),
    Other,
}

/// What the client's next bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Commands,
    /// DATA was said and not answered yet.
    Asking,
    /// Lines up to a lone dot.
    Mail,
    /// So many bytes of a chunk, and whether it is the last one.
    Chunk(u64, bool),
    /// Answers to challenges.
    Auth,
}

/// One mail.
#[derive(Debug)]
struct Mail {
    started: Timestamp,
    number: u32,
    /// As Zeek counts: mails that were sent whole before, and this one.
    depth: u32,
    from: Option<String>,
    recipients: Vec<String>,
    reader: Option<Reader>,
    /// Its last line was seen.
    complete: bool,
}

/// A connection that speaks SMTP.
#[derive(Debug)]
pub(in crate::protocol) struct Smtp {
    client: Side,
    options: Options,
    started: Option<Timestamp>,
    lines: [Vec<u8>; 2],
    mode: Mode,
    waiting: VecDeque<Asked>,
    mails: VecDeque<Mail>,
    number: u32,
    completed: u32,
    told: bool,
    helo: Option<String>,
    last_reply: Option<String>,
    sasl: Option<Sasl>,
    tls: bool,
    /// Sides (originator, responder) that cannot be read any more.
    dead: [bool; 2],
}

impl Smtp {
    pub(in crate::protocol) fn new(start: &Start<'_>) -> Self {
        Self {
            client: start.client,
            options: *start.options,
            started: None,
            lines: Default::default(),
            mode: Mode::Commands,
            waiting: VecDeque::from([Asked::Greeting]),
            mails: VecDeque::new(),
            number: 0,
            completed: 0,
            told: false,
            helo: None,
            last_reply: None,
            sasl: None,
            tls: false,
            dead: [false; 2],
        }
    }

    fn client_data(&mut self, at: Timestamp, mut bytes: &[u8], out: &mut Vec<Event>) {
        while !bytes.is_empty() {
            if let Mode::Chunk(left, last) = self.mode {
                let take = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let (part, rest) = bytes.split_at_checked(take).unwrap_or((bytes, &[]));
                bytes = rest;
                self.mail_bytes(at, part);
                self.mode = Mode::Chunk(left.saturating_sub(part.len() as u64), last);
                self.end_chunk();
                continue;
            }
            let end = bytes.iter().position(|sign| *sign == b'\n').map(|end| end + 1);
            let (piece, rest) = bytes.split_at_checked(end.unwrap_or(bytes.len())).unwrap_or((bytes, &[]));
            bytes = rest;
            let line = self.client.of_mut(&mut self.lines);
            let inside = matches!(self.mode, Mode::Mail | Mode::Asking);
            let room = if inside { usize::MAX } else { MAX_LINE.saturating_sub(line.len()) };
            line.extend_from_slice(piece.get(..room).unwrap_or(piece));
            if end.is_some() || (inside && line.len() > MAX_LINE) {
                let line = std::mem::take(line);
                self.client_line(at, &line, out);
            }
        }
    }

    fn client_line(&mut self, at: Timestamp, line: &[u8], out: &mut Vec<Event>) {
        if self.mode == Mode::Asking {
            // Nobody has refused it: what follows DATA is the mail.
            self.mode = Mode::Mail;
        }
        match self.mode {
            Mode::Mail if matches!(line, b".\r\n" | b".\n") => self.end_of_mail(),
            Mode::Mail => self.mail_bytes(at, line.strip_prefix(b".").unwrap_or(line)),
            Mode::Auth => self.credentials(line.trim_ascii()),
            _ => self.command(at, line.trim_ascii_end(), out),
        }
    }

    fn command(&mut self, at: Timestamp, line: &[u8], out: &mut Vec<Event>) {
        let is = |word: &[u8]| starts_with_no_case(line, word);
        let argument = line.iter().position(|sign| *sign == b' ').and_then(|blank| line.get(blank + 1..));
        let argument = argument.unwrap_or_default().trim_ascii();
        let mut asked = Asked::Other;
        if is(b"HELO") || is(b"EHLO") || is(b"LHLO") {
            self.give_up_open(out);
            if self.helo.is_some() {
                out.push(odd::event(at, "smtp", "duplicate_fields", None));
            }
            self.helo = Some(text(argument, MAX_ADDRESS));
            asked = Asked::Hello;
        } else if is(b"MAIL FROM:") {
            self.give_up_open(out);
            self.open(at, out).from = Some(address(line.get(10..).unwrap_or_default()));
        } else if is(b"RCPT TO:") {
            if self.mails.back().is_none_or(|mail| mail.complete || mail.from.is_none()) {
                let what = Some("rcpt to missing mail from");
                out.push(odd::event(at, "smtp", "smtp_mail_transaction_invalid", what));
            }
            let recipients = &mut self.open(at, out).recipients;
            if recipients.len() < MAX_RECIPIENTS {
                recipients.push(address(line.get(8..).unwrap_or_default()));
            }
        } else if is(b"DATA") {
            self.begin_mail(at, out);
            self.mode = Mode::Asking;
            asked = Asked::Data;
        } else if is(b"BDAT") {
            self.chunk(at, argument, out);
        } else if is(b"RSET") || is(b"QUIT") {
            self.give_up_open(out);
        } else if is(b"STARTTLS") {
            asked = Asked::StartTls;
        } else if is(b"AUTH") {
            self.authenticate(argument);
            asked = Asked::Auth;
        }
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push_back(asked);
        }
        self.end_chunk();
    }

    /// The mail that is being told; a new one where there is none.
    fn open(&mut self, at: Timestamp, out: &mut Vec<Event>) -> &mut Mail {
        if self.mails.back().is_none_or(|mail| mail.complete) {
            if self.mails.len() >= MAX_WAITING {
                self.tell_first(out);
            }
            self.number += 1;
            self.mails.push_back(Mail {
                started: at,
                number: self.number,
                depth: self.completed.saturating_add(1),
                from: None,
                recipients: Vec::new(),
                reader: None,
                complete: false,
            });
        }
        let last = self.mails.len().saturating_sub(1);
        self.mails.get_mut(last).expect("one was pushed where there was none")
    }

    fn begin_mail(&mut self, at: Timestamp, out: &mut Vec<Event>) {
        let sender = self.client;
        self.open(at, out).reader.get_or_insert_with(|| Reader::mail("smtp", sender, at));
    }

    fn chunk(&mut self, at: Timestamp, argument: &[u8], out: &mut Vec<Event>) {
        let mut parts = argument.split(|sign| *sign == b' ').filter(|part| !part.is_empty());
        let size = parts.next().and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        let last = parts.next().is_some_and(|word| word.eq_ignore_ascii_case(b"LAST"));
        if let Some((name, detail)) = odd_chunk(argument) {
            out.push(odd::event(at, "smtp", name, Some(&detail)));
        }
        if let Some(size) = size {
            self.begin_mail(at, out);
            self.mode = Mode::Chunk(size, last);
        }
    }

    fn end_chunk(&mut self) {
        if let Mode::Chunk(0, last) = self.mode {
            self.mode = Mode::Commands;
            if last {
                let number = self.complete();
                if let Some(asked) = self.waiting.back_mut() {
                    *asked = Asked::End(number);
                }
            }
        }
    }

    fn mail_bytes(&mut self, at: Timestamp, bytes: &[u8]) {
        if let Some(reader) = self.mails.back_mut().and_then(|mail| mail.reader.as_mut()) {
            reader.data(at, bytes);
        }
    }

    fn end_of_mail(&mut self) {
        self.mode = Mode::Commands;
        let number = self.complete();
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push_back(Asked::End(number));
        }
    }

    fn complete(&mut self) -> u32 {
        let Some(mail) = self.mails.back_mut() else { return 0 };
        mail.complete = true;
        self.completed = self.completed.saturating_add(1);
        mail.number
    }

    fn authenticate(&mut self, argument: &[u8]) {
        let sasl = self.sasl.insert(Sasl::new(argument, &self.options.secret_key));
        if sasl.is_open() {
            self.mode = Mode::Auth;
        }
    }

    fn credentials(&mut self, line: &[u8]) {
        let Some(sasl) = &mut self.sasl else { return };
        sasl.answer(line);
        if !sasl.is_open() {
            self.mode = Mode::Commands;
        }
    }

    fn server_data(&mut self, bytes: &[u8], out: &mut Vec<Event>) {
        let server = self.client.other();
        for piece in bytes.split_inclusive(|sign| *sign == b'\n') {
            let line = server.of_mut(&mut self.lines);
            let room = MAX_LINE.saturating_sub(line.len());
            line.extend_from_slice(piece.get(..room).unwrap_or(piece));
            if piece.ends_with(b"\n") {
                let line = std::mem::take(line);
                self.reply(line.trim_ascii_end(), out);
            }
        }
    }

    /// A line of a reply; a hyphen behind the code says that more follow (RFC 5321, 4.2.1).
    fn reply(&mut self, line: &[u8], out: &mut Vec<Event>) {
        let Some(code) = line.get(..3).filter(|code| code.iter().all(u8::is_ascii_digit)) else { return };
        if line.get(3) == Some(&b'-') {
            return;
        }
        self.last_reply = Some(text(line, MAX_LINE));
        let granted = code.first().is_some_and(|digit| matches!(digit, b'2' | b'3'));
        match self.waiting.pop_front().unwrap_or(Asked::Other) {
            Asked::Data if self.mode == Mode::Asking => {
                self.mode = if code == b"354" { Mode::Mail } else { Mode::Commands };
            }
            Asked::StartTls => self.tls |= granted,
            Asked::Auth if code == b"334" => self.waiting.push_front(Asked::Auth),
            Asked::Auth if self.mode == Mode::Auth => self.mode = Mode::Commands,
            Asked::End(number) => {
                while self.mails.front().is_some_and(|mail| mail.number <= number && mail.complete) {
                    self.tell_first(out);
                }
            }
            _ => {}
        }
    }

    /// A mail that was begun and not sent is told as it is.
    fn give_up_open(&mut self, out: &mut Vec<Event>) {
        if self.mails.back().is_some_and(|mail| !mail.complete) {
            while !self.mails.is_empty() {
                self.tell_first(out);
            }
        }
    }

    fn tell_first(&mut self, out: &mut Vec<Event>) {
        let Some(mut mail) = self.mails.pop_front() else { return };
        self.told = true;
        let mut event = self.describe(mail.started, mail.depth);
        event.set_some("dongson.smtp.mail_from", mail.from);
        if !mail.recipients.is_empty() {
            event.set("dongson.smtp.rcpt_to", mail.recipients);
        }
        let mut files = Vec::new();
        if let Some(reader) = &mut mail.reader {
            let cut = reader.is_inside() && !mail.complete;
            reader.finish();
            describe_mail(&mut event, reader, mail.complete);
            let last = reader.files.len().saturating_sub(1);
            for (at, file) in std::mem::take(&mut reader.files).into_iter().enumerate() {
                files.push(file.describe(if cut && at == last { State::Truncated } else { State::Closed }));
            }
        }
        share_with_files(&event, &mut files);
        out.push(event);
        if self.options.kinds.has(Kind::File) {
            out.append(&mut files);
        }
    }

    fn describe(&self, at: Timestamp, number: u32) -> Event {
        let mut event = Event::of("sensor.smtp", at);
        event.set("network.protocol", "smtp");
        event.set("dongson.smtp.trans_depth", number);
        event.set_some("dongson.smtp.helo", self.helo.as_deref());
        event.set_some("dongson.smtp.last_reply", self.last_reply.as_deref());
        event.set("dongson.smtp.tls", self.tls);
        if let Some(sasl) = &self.sasl {
            event.set("dongson.smtp.auth.mechanism", sasl.mechanism.as_str());
            event.set_some("user.name", sasl.user.as_deref());
            event.set_some("dongson.smtp.auth.password", sasl.password.as_deref());
        }
        event
    }
}

/// `<a@b> SIZE=1` is `a@b`.
fn address(path: &[u8]) -> String {
    let path = path.trim_ascii();
    let inner = path.strip_prefix(b"<").and_then(|rest| rest.split(|sign| *sign == b'>').next());
    let plain = path.split(|sign| *sign == b' ').next().unwrap_or(path);
    text(inner.unwrap_or(plain).trim_ascii(), MAX_ADDRESS)
}

impl Stream for Smtp {
    fn data(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        if *side.of(&self.dead) {
            return;
        }
        self.started.get_or_insert(at);
        if side == self.client {
            self.client_data(at, bytes, out);
        } else {
            self.server_data(bytes, out);
        }
    }

    fn gap(&mut self, side: Side, length: u64) {
        side.of_mut(&mut self.lines).clear();
        if side != self.client {
            return;
        }
        match self.mode {
            Mode::Mail => {
                if let Some(reader) = self.mails.back_mut().and_then(|mail| mail.reader.as_mut()) {
                    reader.gap(length);
                }
            }
            Mode::Chunk(left, last) if left >= length => {
                if let Some(reader) = self.mails.back_mut().and_then(|mail| mail.reader.as_mut()) {
                    reader.gap(length);
                }
                self.mode = Mode::Chunk(left - length, last);
            }
            _ => self.mode = Mode::Commands,
        }
    }

    fn finish(&mut self, at: Timestamp, out: &mut Vec<Event>) {
        let line = std::mem::take(self.client.of_mut(&mut self.lines));
        if self.mode == Mode::Mail && line != b"." {
            self.mail_bytes(at, &line);
        }
        while !self.mails.is_empty() {
            self.tell_first(out);
        }
        if !self.told && (self.helo.is_some() || self.sasl.is_some()) {
            out.push(self.describe(self.started.unwrap_or(at), 1));
        }
        self.told = true;
        self.dead = [true; 2];
    }

    fn wants_more(&self, side: Side) -> bool {
        !*side.of(&self.dead)
    }
}

/// What is odd about the argument of BDAT (RFC 3030, 2): a size, and the word LAST or nothing.
fn odd_chunk(argument: &[u8]) -> Option<(&'static str, String)> {
    let mut parts = argument.split(|sign| *sign == b' ').filter(|part| !part.is_empty());
    let invalid = |what: &str| Some(("smtp_invalid_bdat_command", what.to_owned()));
    let Some(size) = parts.next() else { return invalid("BDAT argument bad length") };
    let digits = size.iter().take_while(|sign| sign.is_ascii_digit()).count();
    if digits == 0 {
        return invalid("BDAT not followed by a valid chunk-size");
    }
    let huge = std::str::from_utf8(size).is_ok_and(|size| size.parse::<i64>().is_err());
    let last = parts.next().is_none_or(|word| word.eq_ignore_ascii_case(b"LAST"));
    match (digits == size.len(), last && parts.next().is_none()) {
        (true, _) if huge => Some(("smtp_huge_bdat_chunk", text(size, 32))),
        (true, true) => None,
        _ => invalid("BDAT chunk-size followed by junk"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::talk;
    use proptest::prelude::*;

    const C: Side = Side::Originator;
    const S: Side = Side::Responder;

    fn run(turns: &[(Side, Vec<u8>)], chunk: usize) -> Vec<Event> {
        let options = Options::default();
        talk::hear(&mut Smtp::new(&Start { client: C, options: &options }), turns, chunk)
    }

    fn turns(lines: &[(Side, &str)]) -> Vec<(Side, Vec<u8>)> {
        lines.iter().map(|(side, line)| (*side, line.as_bytes().to_vec())).collect()
    }

    #[test]
    fn odd_commands_are_told() {
        let talk = turns(&[
            (S, "220 a\r\n"),
            (C, "EHLO a\r\nEHLO b\r\nRCPT TO:<c@vn>\r\nMAIL FROM:<d@vn>\r\nRCPT TO:<e@vn>\r\n"),
            (C, "BDAT x\r\nBDAT 99999999999999999999\r\nBDAT 0 FIRST\r\nBDAT 0 LAST\r\n"),
        ]);
        let name = |event: &Event| {
            let detail = event.text("dongson.weird.detail").unwrap_or_default();
            format!("{} {detail}", event.text("dongson.weird.name").unwrap())
        };
        let events = run(&talk, usize::MAX);
        let told: Vec<String> =
            events.iter().filter(|event| event.dataset() == "sensor.weird").map(name).collect();
        let expected = [
            "duplicate_fields ",
            "smtp_mail_transaction_invalid rcpt to missing mail from",
            "smtp_invalid_bdat_command BDAT not followed by a valid chunk-size",
            "smtp_huge_bdat_chunk 99999999999999999999",
            "smtp_invalid_bdat_command BDAT chunk-size followed by junk",
        ];
        assert_eq!(told, expected);
        assert_eq!(run(&talk, 1), events);
    }

    #[test]
    fn a_mail_with_login() {
        let talk = turns(&[
            (S, "220 mail.vn ESMTP\r\n"),
            (C, "EHLO pc\r\n"),
            (S, "250-mail.vn\r\n250 AUTH LOGIN\r\n"),
            (C, "AUTH LOGIN\r\n"),
            (S, "334 VXNlcm5hbWU6\r\n"),
            (C, "YW4=\r\n"),
            (S, "334 UGFzc3dvcmQ6\r\n"),
            (C, "bWF0a2hhdQ==\r\n"),
            (S, "235 ok\r\n"),
            (C, "MAIL FROM:<an@xa.vn> SIZE=9\r\nRCPT TO:<binh@xa.vn>\r\nDATA\r\n"),
            (S, "250 ok\r\n250 ok\r\n354 go\r\n"),
            (
                C,
                "From: \"Nguyen, An\" <an@xa.vn>\r\nTo: a@vn, b@vn\r\nSubject: =?UTF-8?B?Q2jDoG8=?=\r\n\r\nhi\r\n..\r\n.\r\n",
            ),
            (S, "250 OK id=1\r\n"),
            (C, "QUIT\r\n"),
            (S, "221 bye\r\n"),
        ]);
        let events = run(&talk, usize::MAX);
        assert_eq!(events, run(&talk, 1));
        let [mail, file] = events.as_slice() else { panic!("{events:?}") };
        for (name, value) in [
            ("dongson.smtp.helo", "pc"),
            ("dongson.smtp.mail_from", "an@xa.vn"),
            ("dongson.smtp.last_reply", "250 OK id=1"),
            ("email.subject", "Chào"),
            ("user.name", "an"),
            ("dongson.smtp.auth.mechanism", "LOGIN"),
        ] {
            assert_eq!(mail.text(name), Some(value), "{name}");
        }
        assert!(!format!("{mail:?}").contains("matkhau"));
        assert_eq!(mail.get("email.to.address").map(|list| list.scalars().len()), Some(2));
        assert_eq!(mail.get("dongson.smtp.from").map(|list| list.scalars().len()), Some(1));
        assert_eq!(file.int("file.size"), Some(7));
    }

    #[test]
    fn chunks_and_two_mails() {
        let talk = turns(&[
            (C, "EHLO pc\r\nMAIL FROM:<a@vn>\r\nBDAT 6\r\nA: b\r\nBDAT 7 LAST\r\n\r\nhello"),
            (S, "220 x\r\n250 a\r\n250 b\r\n250 c\r\n250 first\r\n"),
            (C, "MAIL FROM:<b@vn>\r\nRSET\r\n"),
            (S, "250 d\r\n250 e\r\n"),
        ]);
        let events = run(&talk, usize::MAX);
        assert_eq!(events, run(&talk, 3));
        let datasets: Vec<&str> = events.iter().map(Event::dataset).collect();
        assert_eq!(datasets, ["sensor.smtp", "sensor.file", "sensor.smtp"]);
        assert_eq!(events[0].text("dongson.smtp.last_reply"), Some("250 first"));
        assert_eq!(events[1].int("file.size"), Some(5));
        assert_eq!(events[2].int("dongson.smtp.trans_depth"), Some(2));
    }

    #[test]
    fn a_session_without_a_mail_is_told() {
        let events = run(&turns(&[(C, "EHLO pc\r\nSTARTTLS\r\n"), (S, "220 x\r\n250 a\r\n220 go\r\n")]), 5);
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].get("dongson.smtp.tls"), Some(&dongson_event::Value::Bool(true)));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(talk in prop::collection::vec((any::<bool>(), prop::sample::select(vec![
            "EHLO a\r\n", "MAIL FROM:<a>\r\n", "RCPT TO:<b>\r\n", "DATA\r\n", ".\r\n", "BDAT 5\r\n", "BDAT 3 LAST\r\n",
            "354 x\r\n", "250 x\r\n", "334 x\r\n", "AUTH PLAIN\r\n", "RSET\r\n", "A: b\r\n", "\r\n", "x"])), 0..40),
            noise: Vec<u8>, chunk in 1..20_usize) {
            let side = |client| if client { C } else { S };
            let mut turns: Vec<_> = talk.into_iter().map(|(client, line)| (side(client), line.as_bytes().to_vec())).collect();
            turns.push((C, noise));
            prop_assert_eq!(run(&turns, usize::MAX), run(&turns, chunk));
        }
    }
}
