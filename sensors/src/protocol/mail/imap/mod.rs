//! IMAP (RFC 9051 and RFC 3501; IDLE: RFC 2177; COMPRESS: RFC 4978; APPEND of several: RFC 3502): one event for each command with
//! its answer, and one for each mail that is fetched or put there.
//!
//! In: both directions of a connection. Out: one `sensor.imap` event per tagged command when its answer has come (also for the
//! greeting, which answers none), one more for each whole mail (`event.action` is `message`) with its headers, and a `sensor.file`
//! event for each of its parts. Passwords are sealed. Headers and parts of mails that are fetched alone are not read, except
//! decoded parts (BINARY). Nothing is read behind COMPRESS. Memory: what [`Speech`] keeps of each side, [`MAX_WAITING`] commands
//! with [`MAX_UNTAGGED`] lines of answers each.

mod speech;

use std::collections::VecDeque;

use dongson_event::{Event, Timestamp};

use self::speech::{MAX_KEPT, Message, Said, Sink, Speech, Step};
use crate::protocol::dissect::{Start, Stream};
use crate::protocol::file::{About, File, State};
use crate::protocol::mail::message::{describe_mail, share_with_files};
use crate::protocol::mail::multipart::Reader;
use crate::protocol::mail::sasl::Sasl;
use crate::protocol::wire::text;
use crate::protocol::{Kind, Options, Side, secret};

/// Commands that wait for their answer.
const MAX_WAITING: usize = 64;
/// Untagged answers to one command that are told.
const MAX_UNTAGGED: usize = 16;
/// Longest of them, and longest argument.
const MAX_TEXT: usize = 512;

/// A command on its way.
#[derive(Debug, Default)]
struct Command {
    at: Timestamp,
    tag: String,
    /// In capitals, with UID before it where it is said.
    name: String,
    /// As it is told: without passwords.
    argument: String,
    user: Option<String>,
    mechanism: Option<String>,
    /// Sealed.
    password: Option<String>,
    untagged: Vec<String>,
    /// Messages that the server told something of.
    messages: u64,
}

/// A connection that speaks IMAP.
#[derive(Debug)]
pub(in crate::protocol) struct Imap {
    client: Side,
    options: Options,
    sides: [Speech; 2],
    waiting: VecDeque<Command>,
    user: Option<String>,
    /// The folder that is open.
    mailbox: Option<String>,
    /// A client that is signing in.
    sasl: Option<Sasl>,
    greeted: bool,
    compressed: bool,
}

impl Imap {
    pub(in crate::protocol) fn new(start: &Start<'_>) -> Self {
        Self {
            client: start.client,
            options: *start.options,
            sides: Default::default(),
            waiting: VecDeque::new(),
            user: None,
            mailbox: None,
            sasl: None,
            greeted: false,
            compressed: false,
        }
    }

    /// Where a literal of this length goes.
    fn sink(&self, side: Side, at: Timestamp, length: u64) -> Sink {
        let said = side.of(&self.sides).text();
        let mail = |item: String, beginning| {
            let reader = Reader::mail("imap", side, at);
            Sink::Mail(Box::new(Message { started: at, reader, item, length, beginning, complete: false }))
        };
        let small = || if length <= MAX_KEPT { Sink::Kept } else { Sink::Skipped };
        if side == self.client {
            let words = arguments(said);
            let appends = words.get(1).is_some_and(|word| word.eq_ignore_ascii_case(b"APPEND"));
            return if appends && words.len() > 2 { mail("APPEND".to_owned(), false) } else { small() };
        }
        let item = item(said);
        match item.as_str() {
            "BODY[]" | "RFC822" => mail(item, false),
            "BODY[]<0>" => mail(item, true),
            _ if item.starts_with("BINARY[") && item.ends_with(']') => {
                let about = About { protocol: "imap", total: Some(length), ..About::default() };
                Sink::Part(Box::new(File::new(about, side, at)))
            }
            _ => small(),
        }
    }

    fn command(&mut self, at: Timestamp, said: Said, out: &mut Vec<Event>) {
        if let Some(sasl) = self.sasl.as_mut().filter(|sasl| sasl.is_open()) {
            sasl.answer(said.text.trim_ascii());
            return;
        }
        let words = arguments(&said.text);
        let [tag, name, rest @ ..] = words.as_slice() else { return };
        let mut name = text(name, 32).to_uppercase();
        let mut rest = rest;
        if name == "UID"
            && let [verb, behind @ ..] = rest
        {
            name = format!("UID {}", text(verb, 32).to_uppercase());
            rest = behind;
        }
        let mut command = Command { at, tag: text(tag, 64), ..Command::default() };
        match (name.as_str(), rest) {
            ("LOGIN", [user, password, ..]) => {
                command.user = Some(text(user, MAX_TEXT));
                command.argument = text(user, MAX_TEXT);
                command.password = Some(secret::seal(&self.options.secret_key, password));
            }
            // Half a sign-in could be a password.
            ("LOGIN", _) => {}
            ("AUTHENTICATE", [mechanism, initial @ ..]) => {
                let initial = initial.first().map(Vec::as_slice).unwrap_or_default();
                let argument = [mechanism, &b" "[..], initial].concat();
                let sasl = self.sasl.insert(Sasl::new(&argument, &self.options.secret_key));
                command.argument.clone_from(&sasl.mechanism);
            }
            _ => command.argument = text(&rest.join(&b' '), MAX_TEXT),
        }
        if matches!(name.as_str(), "SELECT" | "EXAMINE") {
            self.mailbox = rest.first().map(|name| text(name, MAX_TEXT));
        }
        let appended = rest.first().map(|name| text(name, MAX_TEXT));
        for message in said.messages {
            let mut event = Self::message(&message, &name);
            event.set("dongson.imap.tag", command.tag.as_str());
            event.set_some("dongson.imap.mailbox", appended.as_deref());
            event.set_some("user.name", self.user.as_deref());
            command.messages += 1;
            self.tell_message(event, message, out);
        }
        command.name = name;
        if self.waiting.len() >= MAX_WAITING
            && let Some(oldest) = self.waiting.pop_front()
        {
            out.push(self.describe(oldest));
        }
        self.waiting.push_back(command);
    }

    fn response(&mut self, at: Timestamp, said: Said, out: &mut Vec<Event>) {
        let mut parts = said.text.splitn(3, |sign| *sign == b' ');
        let (tag, word, rest) = (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        );
        let status = text(word, 16).to_uppercase();
        let is_status = matches!(status.as_str(), "OK" | "NO" | "BAD" | "PREAUTH" | "BYE");
        match tag {
            b"*" if is_status && !self.greeted && self.waiting.is_empty() => {
                self.greeted = true;
                let mut event = self.describe(Command { at, ..Command::default() });
                answer(&mut event, &status, rest);
                out.push(event);
            }
            b"*" => self.untagged(&said.text, rest, said.messages, said.parts, out),
            b"+" | b"" => {}
            _ if is_status => {
                let tag = text(tag, 64);
                let asked = self.waiting.iter().position(|command| command.tag == tag);
                let command = asked.and_then(|place| self.waiting.remove(place));
                let command = command.unwrap_or_else(|| Command { at, tag, ..Command::default() });
                self.compressed = command.name == "COMPRESS" && status == "OK";
                let began = command.at;
                let mut event = self.describe(command);
                event.set("event.duration", at.nanos().saturating_sub(began.nanos()));
                answer(&mut event, &status, rest);
                out.push(event);
            }
            _ => {}
        }
    }

    /// Data that the server tells: what is said of a message, or anything else.
    fn untagged(
        &mut self,
        whole: &[u8],
        rest: &[u8],
        messages: Vec<Message>,
        parts: Vec<File>,
        out: &mut Vec<Event>,
    ) {
        self.greeted = true;
        let is_fetch =
            rest.len() >= 5 && rest.get(..5).is_some_and(|word| word.eq_ignore_ascii_case(b"FETCH"));
        let number = whole.split(|sign| *sign == b' ').nth(1).and_then(number);
        let fetches = |command: &&mut Command| command.name.ends_with("FETCH");
        let asked = if is_fetch { self.waiting.iter_mut().find(fetches) } else { self.waiting.front_mut() };
        let (mut name, mut tag) = ("FETCH".to_owned(), None);
        if let Some(command) = asked {
            (name, tag) = (command.name.clone(), Some(command.tag.clone()));
            if is_fetch {
                command.messages += 1;
            } else if command.untagged.len() < MAX_UNTAGGED {
                command.untagged.push(text(whole.get(2..).unwrap_or_default(), MAX_TEXT));
            }
        }
        let about = |event: &mut Event| {
            event.set_some("dongson.imap.tag", tag.as_deref());
            event.set_some("dongson.imap.mailbox", self.mailbox.as_deref());
            event.set_some("dongson.imap.message_number", number);
            event.set_some("dongson.imap.uid", after_word(whole, b"UID ").and_then(self::number));
            event.set_some("user.name", self.user.as_deref());
        };
        for message in messages {
            let mut event = Self::message(&message, &name);
            about(&mut event);
            self.tell_message(event, message, out);
        }
        for file in parts.into_iter().filter(|_| self.options.kinds.has(Kind::File)) {
            let mut event = file.describe(State::Closed);
            about(&mut event);
            out.push(event);
        }
    }

    fn message(message: &Message, command: &str) -> Event {
        let mut event = Event::of("sensor.imap", message.started);
        event.set("network.protocol", "imap");
        event.set("event.action", "message");
        event.set("dongson.imap.command", command);
        event.set("dongson.imap.item", message.item.as_str());
        event.set("dongson.imap.message_bytes", message.length);
        event
    }

    fn tell_message(&self, mut event: Event, mut message: Message, out: &mut Vec<Event>) {
        let cut = message.reader.is_inside() && !message.complete;
        message.reader.finish();
        describe_mail(&mut event, &message.reader, message.complete && !message.beginning);
        let mut files = Vec::new();
        // The beginning of a mail has the beginnings of its files: their hashes would be of no file.
        if !message.beginning && self.options.kinds.has(Kind::File) {
            let last = message.reader.files.len().saturating_sub(1);
            for (at, file) in std::mem::take(&mut message.reader.files).into_iter().enumerate() {
                files.push(file.describe(if cut && at == last { State::Truncated } else { State::Closed }));
            }
        }
        share_with_files(&event, &mut files);
        out.push(event);
        out.append(&mut files);
    }

    fn describe(&mut self, command: Command) -> Event {
        let mut event = Event::of("sensor.imap", command.at);
        event.set("network.protocol", "imap");
        let (mut mechanism, mut password) = (command.mechanism, command.password);
        if command.name == "AUTHENTICATE"
            && let Some(sasl) = self.sasl.take()
        {
            self.user = sasl.user.or(self.user.take());
            (mechanism, password) = (Some(sasl.mechanism), sasl.password);
        }
        self.user = command.user.or(self.user.take());
        event.set_some("user.name", self.user.as_deref());
        event.set_some("dongson.imap.mailbox", self.mailbox.as_deref());
        for (name, value) in [
            ("dongson.imap.tag", command.tag),
            ("dongson.imap.command", command.name),
            ("dongson.imap.argument", command.argument),
        ] {
            event.set_some(name, Some(value).filter(|value| !value.is_empty()));
        }
        event.set_some("dongson.imap.auth.mechanism", mechanism);
        event.set_some("dongson.imap.auth.password", password);
        if !command.untagged.is_empty() {
            event.set("dongson.imap.untagged", command.untagged);
        }
        if command.messages > 0 {
            event.set("dongson.imap.messages", command.messages);
        }
        event
    }
}

/// How a command ended, or what greets.
fn answer(event: &mut Event, status: &str, words: &[u8]) {
    let granted = matches!(status, "OK" | "PREAUTH");
    event.set("event.outcome", if granted { "success" } else { "failure" });
    event.set("dongson.imap.status", status);
    if !words.is_empty() {
        event.set("dongson.imap.response", text(words.trim_ascii(), MAX_TEXT));
    }
}

/// The words of a command; quoted strings without their quotes.
fn arguments(line: &[u8]) -> Vec<Vec<u8>> {
    let (mut words, mut word, mut quoted, mut escaped) = (Vec::new(), None::<Vec<u8>>, false, false);
    for &sign in line {
        match sign {
            _ if escaped => {
                word.get_or_insert_default().push(sign);
                escaped = false;
            }
            b'\\' if quoted => escaped = true,
            b'"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            b' ' if !quoted => words.extend(word.take()),
            _ => word.get_or_insert_default().push(sign),
        }
    }
    words.extend(word);
    words
}

/// What stands in front of a literal, in capitals: `BODY[HEADER.FIELDS (TO)]`.
fn item(said: &[u8]) -> String {
    let said = said.trim_ascii_end();
    let open = said.iter().rposition(|sign| *sign == b'[').filter(|_| said.contains(&b']'));
    let before = said.get(..open.unwrap_or(said.len())).unwrap_or(said);
    let start = before.iter().rposition(|sign| matches!(sign, b' ' | b'(')).map_or(0, |at| at + 1);
    let item = text(said.get(start..).unwrap_or_default(), 256).to_uppercase();
    item.replace("BODY.PEEK[", "BODY[")
}

fn number(digits: &[u8]) -> Option<u64> {
    let end = digits.iter().position(|sign| !sign.is_ascii_digit()).unwrap_or(digits.len());
    std::str::from_utf8(digits.get(..end)?).ok()?.parse().ok()
}

/// What follows a word.
fn after_word<'a>(said: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    let at = said.windows(word.len()).position(|window| window.eq_ignore_ascii_case(word))?;
    said.get(at + word.len()..)
}

impl Stream for Imap {
    fn data(&mut self, side: Side, at: Timestamp, mut bytes: &[u8], out: &mut Vec<Event>) {
        while !bytes.is_empty() && !self.compressed {
            match side.of_mut(&mut self.sides).next(at, &mut bytes) {
                Step::Wait => {}
                Step::Literal(length) => {
                    let sink = self.sink(side, at, length);
                    side.of_mut(&mut self.sides).open_literal(length, sink);
                }
                Step::Whole(said) if side == self.client => self.command(at, said, out),
                Step::Whole(said) => self.response(at, said, out),
            }
        }
    }

    fn gap(&mut self, side: Side, length: u64) {
        side.of_mut(&mut self.sides).gap(length);
    }

    fn finish(&mut self, at: Timestamp, out: &mut Vec<Event>) {
        for side in [self.client, self.client.other()] {
            let said = side.of_mut(&mut self.sides).finish();
            if said.messages.is_empty() && said.parts.is_empty() {
                continue;
            }
            if side == self.client {
                self.command(at, said, out);
            } else {
                self.response(at, said, out);
            }
        }
        while let Some(command) = self.waiting.pop_front() {
            let event = self.describe(command);
            out.push(event);
        }
    }

    fn wants_more(&self, _side: Side) -> bool {
        !self.compressed
    }
}

#[cfg(test)]
mod tests;
