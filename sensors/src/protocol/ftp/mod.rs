//! FTP (RFC 959; IPv6 and NAT: RFC 2428; sizes: RFC 3659, 4): one event for each command with its replies, and the files.
//!
//! In: both directions of the command connection. Out: one `sensor.ftp` event per command when its last reply has come (also
//! for the greeting, which answers no command), and what data connections to expect, which `transfer` reads. Passwords are
//! sealed. Memory: one line of [`MAX_LINE`] bytes per side, [`MAX_WAITING`] commands of one line each and [`MAX_REPLIES`]
//! lines of replies to the first of them.

mod channel;
mod transfer;

use std::collections::VecDeque;

use dongson_event::{Event, Timestamp};

use self::channel::Place;
pub(in crate::protocol) use self::transfer::Data;
pub(crate) use self::transfer::Transfer;
use crate::protocol::dissect::{self, Expected, Start, Stream};
use crate::protocol::wire::text;
use crate::protocol::{Side, secret};

/// Longest line kept; Suricata cuts at the same length.
const MAX_LINE: usize = 4096;
/// Commands that wait for their replies.
const MAX_WAITING: usize = 64;
/// Lines of replies to one command that are told.
const MAX_REPLIES: usize = 32;
/// Longest line of a reply that is told where there are several.
const MAX_REPLY: usize = 1024;
/// Longest name of a folder kept.
const MAX_FOLDER: usize = 1024;

/// One side's lines.
#[derive(Debug, Default)]
struct Lines {
    held: Vec<u8>,
    cut: bool,
}

impl Lines {
    /// The next whole line of `bytes` without its end, and whether it was cut.
    fn next(&mut self, bytes: &mut &[u8]) -> Option<(Vec<u8>, bool)> {
        let end = bytes.iter().position(|sign| *sign == b'\n');
        let (piece, rest) =
            bytes.split_at_checked(end.map_or(bytes.len(), |end| end + 1)).unwrap_or((bytes, &[]));
        *bytes = rest;
        let room = MAX_LINE.saturating_sub(self.held.len());
        self.held.extend_from_slice(piece.get(..room).unwrap_or(piece));
        self.cut |= piece.len() > room;
        end?;
        let mut line = std::mem::take(&mut self.held);
        if !self.cut {
            line.truncate(line.trim_ascii_end().len());
        }
        Some((line, std::mem::take(&mut self.cut)))
    }
}

/// A command on its way, or the greeting.
#[derive(Debug, Default)]
struct Command {
    at: Timestamp,
    name: Option<String>,
    argument: String,
    cut: bool,
    place: Option<(bool, Place)>,
    transfer: Option<Transfer>,
}

/// The replies to the first command.
#[derive(Debug, Default)]
struct Replies {
    lines: Vec<String>,
    codes: Vec<String>,
    last: Option<(u16, String)>,
    cut: bool,
    /// The code of a reply of several lines that has not ended.
    open: Option<[u8; 3]>,
}

/// A command connection.
#[derive(Debug)]
pub(in crate::protocol) struct Ftp {
    client: Side,
    secret_key: [u8; 32],
    sides: [Lines; 2],
    waiting: VecDeque<Command>,
    replies: Replies,
    user: Option<String>,
    password: Option<String>,
    folder: String,
    /// The length of the file that was asked for last.
    size: Option<u64>,
    /// The data connection that the next transfer will use.
    next: Option<Transfer>,
    expected: Option<Expected>,
}

impl Ftp {
    pub(in crate::protocol) fn new(start: &Start<'_>) -> Self {
        Self {
            client: start.client,
            secret_key: start.options.secret_key,
            sides: Default::default(),
            waiting: VecDeque::new(),
            replies: Replies::default(),
            user: None,
            password: None,
            folder: ".".to_owned(),
            size: None,
            next: None,
            expected: None,
        }
    }

    fn command(&mut self, at: Timestamp, line: &[u8], cut: bool, out: &mut Vec<Event>) {
        let line = without_telnet(line);
        let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
        let (name, argument) = line.split_at_checked(end).unwrap_or((line, &[]));
        if name.is_empty() {
            return;
        }
        let name = text(name, 64).to_uppercase();
        let argument = argument.strip_prefix(b" ").unwrap_or(argument);
        let mut command = Command { at, cut, argument: text(argument, MAX_LINE), ..Command::default() };
        match name.as_str() {
            "USER" => {
                self.user = Some(text(argument, 256));
                self.password = None;
            }
            "PASS" | "ACCT" => {
                command.argument = secret::seal(&self.secret_key, argument);
                if name == "PASS" {
                    self.password = Some(command.argument.clone());
                }
            }
            "PORT" => command.place = channel::numbers(&command.argument).map(|place| (false, place)),
            "EPRT" => command.place = channel::extended(&command.argument).map(|place| (false, place)),
            "RETR" | "STOR" | "STOU" | "APPE" | "LIST" | "NLST" | "MLSD" => {
                command.transfer = self.next.take();
                self.tell_transfer(&command, &name);
            }
            _ => {}
        }
        if let Some((_, place)) = command.place {
            command.transfer = Some(self.expect(self.client, place));
        }
        command.name = Some(name);
        if self.waiting.len() >= MAX_WAITING {
            self.tell_first(out);
        }
        self.waiting.push_back(command);
    }

    /// Tells the data connection what it carries.
    fn tell_transfer(&self, command: &Command, name: &str) {
        let Some(transfer) = &command.transfer else { return };
        let mut told = transfer.told();
        told.command = Some(name.to_owned());
        told.user.clone_from(&self.user);
        if takes_path(name) && !command.argument.is_empty() {
            told.name = Some(command.argument.clone());
        }
        if name == "RETR" {
            told.total = self.size;
        }
    }

    fn expect(&mut self, listener: Side, place: Place) -> Transfer {
        let transfer = Transfer::default();
        transfer.told().user.clone_from(&self.user);
        self.next = Some(transfer.clone());
        self.expected =
            Some(Expected { listener, port: place.port, transfer: dissect::Transfer::Ftp(transfer.clone()) });
        transfer
    }

    /// A line of a reply; a hyphen behind the code opens several, the code and a blank end them (RFC 959, 4.2).
    fn reply(&mut self, at: Timestamp, line: &[u8], cut: bool, out: &mut Vec<Event>) {
        let code = line.first_chunk::<3>().filter(|code| code.iter().all(u8::is_ascii_digit)).copied();
        let more = line.get(3) == Some(&b'-');
        let ends = code.is_some_and(|code| {
            !more
                && line.get(3).is_none_or(|sign| *sign == b' ')
                && self.replies.open.is_none_or(|open| open == code)
        });
        if code.is_none() && self.replies.open.is_none() {
            return;
        }
        if self.waiting.is_empty() {
            self.waiting.push_back(Command { at, ..Command::default() });
        }
        let replies = &mut self.replies;
        replies.cut |= cut;
        let said = if code.is_some() { line.get(4..).unwrap_or_default() } else { line };
        if replies.lines.len() < MAX_REPLIES {
            replies.lines.push(text(said, MAX_REPLY));
            replies.codes.extend(code.map(|code| text(&code, 3)));
        }
        if let Some(code) = code.filter(|_| more) {
            replies.open.get_or_insert(code);
        }
        let Some(code) = code.filter(|_| ends) else { return };
        replies.open = None;
        let number = code.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
        replies.last = Some((number, text(said, MAX_LINE)));
        self.learn(number, said);
        // A reply from 100 to 199 says that another one follows.
        if !(100..200).contains(&number) {
            self.tell_first(out);
        }
    }

    /// What a whole reply to the first command changes.
    fn learn(&mut self, code: u16, said: &[u8]) {
        let said = text(said, MAX_LINE);
        let Some(command) = self.waiting.front() else { return };
        let (name, argument) = (command.name.as_deref().unwrap_or_default(), command.argument.as_str());
        let place = match code {
            227 => channel::passive(&said),
            229 => channel::extended_passive(&said),
            _ => None,
        };
        match (name, code) {
            ("CWD" | "XCWD", 200..=299) => self.enter(channel::join(&self.folder, argument)),
            ("CDUP" | "XCUP", 200..=299) => self.enter(channel::join(&self.folder, "..")),
            ("PWD" | "XPWD", 257) => {
                if let Some(folder) = said.split('"').nth(1) {
                    self.enter(folder.to_owned());
                }
            }
            ("SIZE", 213) => self.size = said.trim().parse().ok(),
            ("RETR", 125 | 150) => {
                let announced = announced(&said).or(self.size.take());
                if let Some(transfer) = &command.transfer {
                    transfer.told().total = announced;
                }
                self.size = announced;
            }
            (_, 426 | 451 | 552) => {
                if let Some(transfer) = &command.transfer {
                    transfer.told().aborted = true;
                }
            }
            ("REIN", 220) => (self.user, self.password) = (None, None),
            _ => {}
        }
        if let Some(place) = place {
            let transfer = self.expect(self.client.other(), place);
            if let Some(command) = self.waiting.front_mut() {
                command.place = Some((true, place));
                command.transfer = Some(transfer);
            }
        }
    }

    fn enter(&mut self, folder: String) {
        if folder.len() <= MAX_FOLDER {
            self.folder = folder;
        }
    }

    fn tell_first(&mut self, out: &mut Vec<Event>) {
        let Some(command) = self.waiting.pop_front() else { return };
        let replies = std::mem::take(&mut self.replies);
        let mut event = Event::of("sensor.ftp", command.at);
        event.set("network.protocol", "ftp");
        event.set_some("user.name", self.user.as_deref());
        event.set_some("dongson.ftp.password", self.password.as_deref());
        event.set("dongson.ftp.cwd", self.folder.as_str());
        self.describe_command(&mut event, &command);
        if let Some((code, message)) = replies.last {
            event.set("event.outcome", if code < 400 { "success" } else { "failure" });
            event.set("dongson.ftp.reply_code", code);
            event.set("dongson.ftp.reply_message", message);
        }
        if !replies.lines.is_empty() {
            event.set("dongson.ftp.replies", replies.lines);
            event.set("dongson.ftp.reply_truncated", replies.cut);
        }
        if !replies.codes.is_empty() {
            event.set("dongson.ftp.reply_codes", replies.codes);
        }
        out.push(event);
    }

    fn describe_command(&mut self, event: &mut Event, command: &Command) {
        let Some(name) = command.name.as_deref() else { return };
        event.set("dongson.ftp.command", name);
        event.set("dongson.ftp.command_truncated", command.cut);
        if !command.argument.is_empty() {
            event.set("dongson.ftp.argument", command.argument.as_str());
            if takes_path(name) {
                event.set("file.path", channel::join(&self.folder, &command.argument));
            }
        }
        if let Some((passive, place)) = command.place {
            event.set("dongson.ftp.data_channel.passive", passive);
            event.set("dongson.ftp.data_channel.port", place.port);
            event.set_some("dongson.ftp.data_channel.ip", place.host.map(|host| host.to_string()));
        } else if let Some(transfer) = &command.transfer {
            event.set_some("file.mime_type", transfer.told().mime_type);
        }
        if name == "RETR" {
            event.set_some("file.size", self.size.take());
        } else if name == "SIZE" {
            event.set_some("file.size", self.size);
        }
    }
}

/// Commands whose argument is a file or folder.
fn takes_path(name: &str) -> bool {
    matches!(
        name,
        "RETR" | "STOR" | "STOU" | "APPE" | "DELE" | "SIZE" | "MDTM" | "RNFR" | "RNTO" | "MKD" | "RMD"
    )
}

/// `Opening BINARY mode data connection for a.txt (77 bytes).`
fn announced(said: &str) -> Option<u64> {
    let (before, _) = said.rsplit_once(" bytes")?;
    before.rsplit_once('(')?.1.trim().parse().ok()
}

/// A command behind the signals of Telnet that may stand before it (RFC 959, 4.1.3, ABOR).
fn without_telnet(mut line: &[u8]) -> &[u8] {
    while let [0xff, 0xf2..=0xf4, rest @ ..] | [0xf2, rest @ ..] = line {
        line = rest;
    }
    line
}

impl Stream for Ftp {
    fn data(&mut self, side: Side, at: Timestamp, mut bytes: &[u8], out: &mut Vec<Event>) {
        while let Some((line, cut)) = side.of_mut(&mut self.sides).next(&mut bytes) {
            if side == self.client {
                self.command(at, &line, cut, out);
            } else {
                self.reply(at, &line, cut, out);
            }
        }
    }

    fn gap(&mut self, side: Side, _length: u64) {
        *side.of_mut(&mut self.sides) = Lines::default();
        if side != self.client {
            self.replies.open = None;
        }
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        while !self.waiting.is_empty() {
            self.tell_first(out);
        }
    }

    fn wants_more(&self, _side: Side) -> bool {
        true
    }

    fn expected(&mut self) -> Option<Expected> {
        self.expected.take()
    }
}

#[cfg(test)]
mod tests;
