//! POP3 (RFC 1939; CAPA: RFC 2449; AUTH: RFC 5034; STLS: RFC 2595; UTF8 and LANG: RFC 6856): one event for each command with its
//! answer, and the mails.
//!
//! In: both directions of a connection. Out: one `sensor.pop3` event per command when its answer is over (also for the greeting,
//! which answers no command); that of a fetched mail has its headers, and a `sensor.file` event follows for each part. Passwords
//! are sealed. Memory: one line of [`MAX_LINE`] bytes per side, [`MAX_WAITING`] commands without answer, [`MAX_LINES`] lines of an
//! answer, and what [`Reader`] keeps of a mail.

use std::collections::VecDeque;

use dongson_event::{Event, Timestamp};

use crate::odd;
use crate::protocol::dissect::{Start, Stream};
use crate::protocol::file::State;
use crate::protocol::lines::{Line, Lines};
use crate::protocol::mail::dotted::Dotted;
use crate::protocol::mail::message::{describe_mail, share_with_files};
use crate::protocol::mail::multipart::Reader;
use crate::protocol::mail::sasl::Sasl;
use crate::protocol::wire::text;
use crate::protocol::{Kind, Options, Side, secret};

/// Longest line kept (RFC 2449, 4 allows 512).
const MAX_LINE: usize = 2048;
/// Commands that wait for their answer.
const MAX_WAITING: usize = 128;
/// Lines of an answer that are told.
const MAX_LINES: usize = 64;
/// Longest of these lines.
const MAX_TEXT: usize = 512;

/// A command on its way, or the greeting.
#[derive(Debug, Default)]
struct Command {
    at: Timestamp,
    /// In capitals; empty for the greeting.
    name: String,
    /// As it is told: without passwords.
    argument: String,
    /// Sealed.
    password: Option<String>,
}

/// What follows the first line of an answer.
#[derive(Debug)]
enum Content {
    Lines(Lines, Vec<String>),
    Mail(Box<Reader>),
}

/// An answer of several lines that has not ended.
#[derive(Debug)]
struct Open {
    event: Event,
    dotted: Dotted,
    content: Content,
    /// All bytes of it.
    length: u64,
    missing: u64,
    /// It ends before the mail does (TOP).
    beginning: bool,
}

/// A connection that speaks POP3.
#[derive(Debug)]
pub(in crate::protocol) struct Pop3 {
    client: Side,
    options: Options,
    lines: [Lines; 2],
    waiting: VecDeque<Command>,
    open: Option<Box<Open>>,
    user: Option<String>,
    /// A client that is signing in.
    sasl: Option<Sasl>,
    answered: bool,
}

impl Pop3 {
    pub(in crate::protocol) fn new(start: &Start<'_>) -> Self {
        Self {
            client: start.client,
            options: *start.options,
            lines: Default::default(),
            waiting: VecDeque::new(),
            open: None,
            user: None,
            sasl: None,
            answered: false,
        }
    }

    fn client_line(&mut self, at: Timestamp, line: &Line, out: &mut Vec<Event>) {
        let said = line.content().trim_ascii();
        if let Some(sasl) = self.sasl.as_mut().filter(|sasl| sasl.is_open()) {
            sasl.answer(said);
            return;
        }
        let end = said.iter().position(|sign| *sign == b' ').unwrap_or(said.len());
        let (name, argument) = said.split_at_checked(end).unwrap_or((said, &[]));
        if name.is_empty() {
            return;
        }
        let argument = argument.trim_ascii();
        let name = text(name, 32).to_uppercase();
        let mut command = Command { at, ..Command::default() };
        match name.as_str() {
            "PASS" => command.password = Some(secret::seal(&self.options.secret_key, argument)),
            // The answer to the challenge in the greeting (RFC 1939, 7).
            "APOP" => {
                let mut parts = argument.splitn(2, |sign| *sign == b' ');
                self.user = parts.next().map(|user| text(user, MAX_TEXT));
                command.password =
                    parts.next().map(|digest| secret::seal(&self.options.secret_key, digest.trim_ascii()));
                command.argument = self.user.clone().unwrap_or_default();
            }
            "AUTH" if !argument.is_empty() => {
                let sasl = self.sasl.insert(Sasl::new(argument, &self.options.secret_key));
                command.argument.clone_from(&sasl.mechanism);
            }
            _ => command.argument = text(argument, MAX_TEXT),
        }
        if name == "USER" {
            self.user = Some(command.argument.clone());
        }
        command.name = name;
        if self.waiting.len() >= MAX_WAITING {
            self.tell_unanswered(out);
        }
        self.waiting.push_back(command);
    }

    fn tell_unanswered(&mut self, out: &mut Vec<Event>) {
        if let Some(command) = self.waiting.pop_front() {
            let event = self.describe(&command);
            out.push(event);
        }
    }

    fn describe(&mut self, command: &Command) -> Event {
        let mut event = Event::of("sensor.pop3", command.at);
        event.set("network.protocol", "pop3");
        if !command.name.is_empty() {
            event.set("dongson.pop3.command", command.name.as_str());
        }
        if !command.argument.is_empty() {
            event.set("dongson.pop3.argument", command.argument.as_str());
        }
        let mut password = command.password.clone();
        if command.name == "AUTH"
            && let Some(sasl) = self.sasl.take()
        {
            event.set("dongson.pop3.auth.mechanism", sasl.mechanism);
            self.user = sasl.user.or(self.user.take());
            password = sasl.password;
        }
        event.set_some("user.name", self.user.as_deref());
        event.set_some("dongson.pop3.auth.password", password);
        event
    }

    /// The first line of an answer.
    fn server_line(&mut self, at: Timestamp, line: &Line, out: &mut Vec<Event>) {
        let said = line.content();
        let end = said.iter().position(|sign| matches!(sign, b' ' | b'\r')).unwrap_or(said.len());
        let (status, rest) = said.split_at_checked(end).unwrap_or((said, &[]));
        let granted = match status {
            // A challenge: the client's answer is not a command.
            b"+" if self.sasl.is_some() => return,
            _ if status.eq_ignore_ascii_case(b"+OK") => true,
            _ if status.eq_ignore_ascii_case(b"-ERR") => false,
            b"" => return,
            _ => {
                let word = text(status, 64);
                out.push(odd::event(at, "pop3", "pop3_server_command_unknown", Some(&word)));
                return;
            }
        };
        let asked = self.waiting.pop_front();
        let is_greeting = asked.is_none() && !self.answered;
        self.answered = true;
        let command = asked.unwrap_or_else(|| Command { at, ..Command::default() });
        let message = text(rest.trim_ascii(), MAX_LINE);
        let content = if granted { self.content(&command, is_greeting, &message, at) } else { None };
        let mut event = self.describe(&command);
        event.set("event.outcome", if granted { "success" } else { "failure" });
        event.set("event.duration", at.nanos().saturating_sub(command.at.nanos()));
        event.set("dongson.pop3.status", if granted { "OK" } else { "ERR" });
        if !message.is_empty() {
            event.set("dongson.pop3.response", message);
        }
        match content {
            Some(content) => {
                let beginning = command.name == "TOP";
                let dotted = Dotted::default();
                self.open = Some(Box::new(Open { event, dotted, content, length: 0, missing: 0, beginning }));
            }
            None => out.push(event),
        }
    }

    /// What follows the first line of a good answer; where the command was not seen, a length in octets tells a mail.
    fn content(&self, command: &Command, greets: bool, message: &str, at: Timestamp) -> Option<Content> {
        let mail = || Some(Content::Mail(Box::new(Reader::mail("pop3", self.client.other(), at))));
        match command.name.as_str() {
            "RETR" | "TOP" => mail(),
            "CAPA" => Some(Content::Lines(Lines::default(), Vec::new())),
            "LIST" | "UIDL" | "LANG" | "AUTH" if command.argument.is_empty() => {
                Some(Content::Lines(Lines::default(), Vec::new()))
            }
            "" if !greets && message.ends_with(" octets") => mail(),
            _ => None,
        }
    }

    /// Bytes of an answer of several lines; true once it is over.
    fn take(open: &mut Open, at: Timestamp, bytes: &mut &[u8]) -> bool {
        let (content, length) = (&mut open.content, &mut open.length);
        open.dotted.data(bytes, |mut part| {
            *length += part.len() as u64;
            match content {
                Content::Mail(reader) => reader.data(at, part),
                Content::Lines(lines, kept) => {
                    while !part.is_empty() {
                        let Some(line) = lines.next(MAX_TEXT, &mut part) else { break };
                        if kept.len() < MAX_LINES {
                            kept.push(text(line.content(), MAX_TEXT));
                        }
                    }
                }
            }
        })
    }

    fn close(&mut self, complete: bool, out: &mut Vec<Event>) {
        let Some(open) = self.open.take() else { return };
        let Open { mut event, content, length, missing, beginning, .. } = *open;
        event.set("dongson.pop3.response_bytes", length);
        match content {
            Content::Lines(_, lines) if lines.is_empty() => out.push(event),
            Content::Lines(_, lines) => {
                event.set("dongson.pop3.lines", lines);
                out.push(event);
            }
            Content::Mail(mut reader) => {
                let cut = reader.is_inside() && !complete;
                reader.finish();
                describe_mail(&mut event, &reader, complete && missing == 0 && !beginning);
                let last = reader.files.len().saturating_sub(1);
                let mut files = Vec::new();
                // The beginning of a mail has the beginnings of its files: their hashes would be of no file.
                if !beginning && self.options.kinds.has(Kind::File) {
                    for (at, file) in std::mem::take(&mut reader.files).into_iter().enumerate() {
                        let state = if cut && at == last { State::Truncated } else { State::Closed };
                        files.push(file.describe(state));
                    }
                }
                share_with_files(&event, &mut files);
                out.push(event);
                out.append(&mut files);
            }
        }
    }
}

impl Stream for Pop3 {
    fn data(&mut self, side: Side, at: Timestamp, mut bytes: &[u8], out: &mut Vec<Event>) {
        while !bytes.is_empty() {
            if side != self.client
                && let Some(open) = &mut self.open
            {
                if Self::take(open, at, &mut bytes) {
                    self.close(true, out);
                }
                continue;
            }
            let Some(line) = side.of_mut(&mut self.lines).next(MAX_LINE, &mut bytes) else { return };
            if side == self.client {
                self.client_line(at, &line, out);
            } else {
                self.server_line(at, &line, out);
            }
        }
    }

    fn gap(&mut self, side: Side, length: u64) {
        side.of_mut(&mut self.lines).clear();
        if side == self.client {
            return;
        }
        if let Some(open) = &mut self.open {
            open.dotted.gap();
            open.missing += length;
            match &mut open.content {
                Content::Mail(reader) => reader.gap(length),
                Content::Lines(lines, _) => lines.clear(),
            }
        }
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        self.close(false, out);
        while !self.waiting.is_empty() {
            self.tell_unanswered(out);
        }
    }

    fn wants_more(&self, _side: Side) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::talk;
    use proptest::prelude::*;

    const C: Side = Side::Originator;
    const S: Side = Side::Responder;

    fn run(turns: &[(Side, &[u8])], chunk: usize) -> Vec<Event> {
        let options = Options::default();
        talk::hear(&mut Pop3::new(&Start { client: C, options: &options }), turns, chunk)
    }

    fn check(turns: &[(Side, &[u8])]) -> Vec<Event> {
        let events = run(turns, usize::MAX);
        assert_eq!(events, run(turns, 1));
        assert_eq!(events, run(turns, 5));
        events
    }

    #[test]
    fn a_mail_is_fetched() {
        let events = check(&[
            (S, b"+OK ready <1.2@vn>\r\n"),
            (C, b"USER an\r\nPASS mat khau\r\nlist\r\n"),
            (S, b"+OK\r\n+OK logged in\r\n+OK 1 messages\r\n1 40\r\n.\r\n"),
            (C, b"RETR 1\r\nQUIT\r\n"),
            (S, b"+OK 40 octets\r\nFrom: B <b@vn>\r\nSubject: x\r\n\r\n..a\r\n.\r\n+OK bye\r\n"),
        ]);
        let datasets: Vec<_> = events.iter().map(Event::dataset).collect();
        assert_eq!(datasets, [&["sensor.pop3"; 5][..], &["sensor.file", "sensor.pop3"]].concat());
        let commands: Vec<_> = events.iter().map(|event| event.text("dongson.pop3.command")).collect();
        assert_eq!(
            commands,
            [None, Some("USER"), Some("PASS"), Some("LIST"), Some("RETR"), None, Some("QUIT")]
        );
        let [greeting, _, pass, list, mail, file, _] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(greeting.text("dongson.pop3.response"), Some("ready <1.2@vn>"));
        assert_eq!(
            (pass.text("user.name"), pass.text("dongson.pop3.argument"), pass.text("event.outcome")),
            (Some("an"), None, Some("success"))
        );
        assert_eq!(
            pass.text("dongson.pop3.auth.password"),
            Some(secret::seal(&[0; 32], b"mat khau").as_str())
        );
        assert!(!format!("{events:?}").contains("mat khau"));
        assert_eq!(list.get("dongson.pop3.lines").map(|lines| lines.scalars().len()), Some(1));
        assert_eq!(mail.text("email.subject"), Some("x"));
        assert_eq!(mail.int("dongson.pop3.response_bytes"), Some(34));
        assert_eq!((file.int("file.size"), file.text("email.subject")), (Some(4), Some("x")));
        assert_eq!(file.text("network.protocol"), Some("pop3"));
    }

    #[test]
    fn a_client_signs_in_with_challenges() {
        let events = check(&[
            (S, b"+OK hi\r\n"),
            (C, b"AUTH LOGIN\r\n"),
            (S, b"+ VXNlcm5hbWU6\r\n"),
            (C, b"YW4=\r\n"),
            (S, b"+ UGFzc3dvcmQ6\r\n"),
            (C, b"bWF0a2hhdQ==\r\n"),
            (S, b"-ERR [AUTH] no\r\n"),
            (C, b"APOP binh c4c9334bac560ecc979e58001b3e22fb\r\n"),
            (S, b"+OK\r\n"),
        ]);
        let [_, auth, apop] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(auth.text("dongson.pop3.auth.mechanism"), Some("LOGIN"));
        assert_eq!((auth.text("user.name"), auth.text("event.outcome")), (Some("an"), Some("failure")));
        assert_eq!(apop.text("user.name"), Some("binh"));
        assert!(!format!("{events:?}").contains("c4c9334b"));
        assert!(!format!("{events:?}").contains("bWF0"));
    }

    #[test]
    fn one_side_alone_and_gaps_are_read() {
        let events = check(&[(
            S,
            b"+OK hi\r\n+OK\r\n+OK 9 octets\r\nSubject: y\r\n\r\nz\r\n.\r\n-ERR no\r\nWHAT\r\n",
        )]);
        let names: Vec<_> = events.iter().map(Event::dataset).collect();
        assert_eq!(
            names,
            ["sensor.pop3", "sensor.pop3", "sensor.pop3", "sensor.file", "sensor.pop3", "sensor.weird"]
        );
        assert_eq!(events[2].text("email.subject"), Some("y"));
        let options = Options::default();
        let mut pop3 = Pop3::new(&Start { client: C, options: &options });
        let mut out = Vec::new();
        let now = Timestamp::default();
        pop3.data(C, now, b"RETR 1\r\n", &mut out);
        pop3.data(S, now, b"+OK\r\nSubject: y\r\n\r\nab", &mut out);
        pop3.gap(S, 100);
        pop3.data(S, now, b".\r\nc\r\n.\r\n", &mut out);
        let [mail, file] = out.as_slice() else { panic!("{out:?}") };
        assert_eq!(mail.get("dongson.smtp.complete"), Some(&dongson_event::Value::Bool(false)));
        assert_eq!(file.int("dongson.file.missing_bytes"), Some(100));
        assert_eq!(file.text("file.hash.md5"), None);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(talk in prop::collection::vec((any::<bool>(), prop::sample::select(vec![
            "+OK\r\n", "+OK 3 octets\r\n", "-ERR x\n", "+ x\r\n", "RETR 1\r\n", "TOP 1 0\r\n", "AUTH PLAIN\r\n", "AUTH\r\n",
            "CAPA\r\n", ".\r\n", ".", "A: b\r\n", "\r\n", "x"])), 0..40), noise: Vec<u8>, chunk in 1..20_usize) {
            let mut turns: Vec<(Side, &[u8])> =
                talk.iter().map(|(client, line)| (if *client { C } else { S }, line.as_bytes())).collect();
            turns.push((S, &noise));
            turns.push((C, &noise));
            prop_assert_eq!(run(&turns, usize::MAX), run(&turns, chunk));
        }
    }
}
