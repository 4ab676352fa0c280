//! IRC (RFC 2812; tags of messages: `IRCv3`; files: DCC): who talks as whom, where, and what.
//!
//! In: both directions of a connection. Out: one `sensor.irc` event per command of the client but PING and PONG, per message,
//! notice, invitation, kick and topic that the server passes on, and per numeric reply that greets ([`WELCOME`]), tells a
//! topic or refuses (400 to 599, 900 to 908); other replies are lists of what exists. A JOIN gives one event per channel. Passwords, keys of
//! channels and what is said to services that keep passwords are sealed. The connection of a DCC file, which goes past the
//! server, is not read. Memory: one line of [`MAX_LINE`] bytes per side.

use dongson_event::{Event, Timestamp};

use crate::odd;
use crate::protocol::dissect::{Start, Stream};
use crate::protocol::lines::{Line, Lines};
use crate::protocol::wire::text;
use crate::protocol::{Side, secret};

/// Longest line kept: 512 bytes (RFC 2812, 2.3) and 8,191 of tags.
const MAX_LINE: usize = 8192 + 512;
/// Longest line without tags that is allowed.
const LONGEST: usize = 512;
const MAX_TEXT: usize = 512;
/// Parameters of a message (RFC 2812, 2.3).
const MAX_PARAMETERS: usize = 15;
/// Channels of one JOIN that are told.
const MAX_CHANNELS: usize = 32;
/// `RPL_WELCOME`, which names the client.
const WELCOME: u16 = 1;
/// `RPL_TOPIC`.
const TOPIC: u16 = 332;
/// `RPL_NAMREPLY`: channel kind, channel, names.
const NAMES: u16 = 353;
/// `RPL_YOUREOPER`.
const OPERATOR: u16 = 381;

/// A message (RFC 2812, 2.3.1).
#[derive(Debug, PartialEq, Eq)]
struct Message<'a> {
    prefix: Option<&'a [u8]>,
    command: &'a [u8],
    parameters: Vec<&'a [u8]>,
}

/// A connection that speaks IRC.
#[derive(Debug)]
pub(in crate::protocol) struct Irc {
    client: Side,
    secret_key: [u8; 32],
    lines: [Lines; 2],
    nick: Option<String>,
    user: Option<String>,
}

/// Whether a line can be the first of a client or a server.
pub(in crate::protocol) fn begins(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    let Some(message) = parse(line) else { return false };
    let count = message.parameters.len();
    let numeric = number(message.command).is_some();
    match (message.prefix, message.command) {
        (None, b"NICK" | b"nick") => count == 1 || count == 2,
        (None, b"CAP") => message.parameters.first() == Some(&&b"LS"[..]),
        (None, b"USER" | b"user") => count == 4,
        (None, b"NOTICE") => message.parameters.first() == Some(&&b"AUTH"[..]) && count == 2,
        (Some(_), b"NOTICE" | b"PRIVMSG") => count == 2,
        (Some(_), b"JOIN" | b"MODE" | b"NICK" | b"QUIT" | b"PART" | b"TOPIC") => count >= 1,
        (Some(_), _) => numeric && count >= 2,
        _ => false,
    }
}

fn parse(line: &[u8]) -> Option<Message<'_>> {
    let mut rest = line;
    if rest.starts_with(b"@") {
        rest = word(rest).1;
    }
    let mut prefix = None;
    if let Some(named) = rest.strip_prefix(b":") {
        let (name, behind) = word(named);
        (prefix, rest) = (Some(name), behind);
    }
    let (command, mut rest) = word(rest);
    if command.is_empty() || !command.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    let mut parameters = Vec::new();
    while !rest.is_empty() && parameters.len() < MAX_PARAMETERS {
        if let Some(trailing) = rest.strip_prefix(b":") {
            parameters.push(trailing);
            break;
        }
        let (parameter, behind) = word(rest);
        parameters.push(parameter);
        rest = behind;
    }
    Some(Message { prefix, command, parameters })
}

/// Up to the next blank, and what stands behind the blanks.
fn word(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|sign| *sign == b' ').unwrap_or(bytes.len());
    let (word, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
    let blanks = rest.iter().take_while(|sign| **sign == b' ').count();
    (word, rest.get(blanks..).unwrap_or_default())
}

/// A numeric reply.
fn number(command: &[u8]) -> Option<u16> {
    let digits = command.len() == 3 && command.iter().all(u8::is_ascii_digit);
    digits.then(|| command.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0')))
}

impl Irc {
    pub(in crate::protocol) fn new(start: &Start<'_>) -> Self {
        Self {
            client: start.client,
            secret_key: start.options.secret_key,
            lines: Default::default(),
            nick: None,
            user: None,
        }
    }

    fn seal(&self, bytes: &[u8]) -> String {
        secret::seal(&self.secret_key, bytes)
    }

    fn line(&mut self, side: Side, at: Timestamp, line: &Line, out: &mut Vec<Event>) {
        let content = line.content();
        let plain = if content.starts_with(b"@") { word(content).1 } else { content };
        if plain.len() > LONGEST || line.cut {
            out.push(odd::event(at, "irc", "irc_line_size_exceeded", None));
        }
        let Some(message) = parse(content) else {
            if !content.trim_ascii().is_empty() {
                out.push(odd::event(at, "irc", "irc_invalid_command", None));
            }
            return;
        };
        if side == self.client {
            self.client_message(at, &message, out);
        } else {
            self.server_message(at, &message, out);
        }
    }

    fn client_message(&mut self, at: Timestamp, message: &Message<'_>, out: &mut Vec<Event>) {
        let command = text(message.command, 32).to_uppercase();
        let parameter = |at: usize| message.parameters.get(at).copied().unwrap_or_default();
        match command.as_str() {
            "PING" | "PONG" => {}
            "JOIN" => {
                let (channels, keys) = (parameter(0), parameter(1));
                let mut keys = keys.split(|sign| *sign == b',');
                for channel in channels.split(|sign| *sign == b',').take(MAX_CHANNELS) {
                    let key = keys.next().filter(|key| !key.is_empty()).map(|key| self.seal(key));
                    let mut event = self.describe(at, &command);
                    event.set("dongson.irc.value", text(channel, MAX_TEXT));
                    event.set_some("dongson.irc.password", key);
                    out.push(event);
                }
            }
            "PASS" | "AUTHENTICATE" => {
                let mut event = self.describe(at, &command);
                event.set("dongson.irc.password", self.seal(parameter(0)));
                out.push(event);
            }
            "OPER" => {
                let mut event = self.describe(at, &command);
                event.set("dongson.irc.value", text(parameter(0), MAX_TEXT));
                event.set("dongson.irc.password", self.seal(parameter(1)));
                out.push(event);
            }
            _ => {
                let mut event = self.describe(at, &command);
                self.describe_parameters(&mut event, &message.parameters);
                out.push(event);
            }
        }
        match command.as_str() {
            "NICK" => self.nick = Some(text(parameter(0), MAX_TEXT)),
            "USER" => self.user = Some(text(parameter(0), MAX_TEXT)),
            _ => {}
        }
    }

    fn server_message(&mut self, at: Timestamp, message: &Message<'_>, out: &mut Vec<Event>) {
        let command = text(message.command, 32).to_uppercase();
        let reply = number(message.command);
        if reply == Some(NAMES) && message.parameters.len() < 4 {
            out.push(odd::event(at, "irc", "irc_invalid_names_line", None));
        }
        if reply == Some(WELCOME) {
            self.nick = message.parameters.first().map(|nick| text(nick, MAX_TEXT));
        }
        let refused = reply.is_some_and(|code| matches!(code, 400..=599 | 902 | 904..=906));
        let is_told = match reply {
            Some(code) => refused || matches!(code, WELCOME | TOPIC | OPERATOR | 900..=908),
            None => matches!(
                command.as_str(),
                "PRIVMSG" | "NOTICE" | "INVITE" | "KICK" | "KILL" | "TOPIC" | "ERROR" | "WALLOPS"
            ),
        };
        if !is_told {
            return;
        }
        let mut event = self.describe(at, &command);
        event.set("dongson.irc.from_server", true);
        event.set_some("dongson.irc.prefix", message.prefix.map(|prefix| text(prefix, MAX_TEXT)));
        if reply.is_some() {
            event.set("event.outcome", if refused { "failure" } else { "success" });
        }
        self.describe_parameters(&mut event, &message.parameters);
        out.push(event);
    }

    fn describe(&self, at: Timestamp, command: &str) -> Event {
        let mut event = Event::of("sensor.irc", at);
        event.set("network.protocol", "irc");
        event.set_some("dongson.irc.nick", self.nick.as_deref());
        event.set_some("user.name", self.user.as_deref());
        event.set("dongson.irc.command", command);
        event
    }

    /// To whom or what, and the rest; a file that is offered in a message.
    fn describe_parameters(&self, event: &mut Event, parameters: &[&[u8]]) {
        let [target, rest @ ..] = parameters else { return };
        event.set("dongson.irc.value", text(target, MAX_TEXT));
        let said = rest.join(&b' ');
        if let Some(offer) = said.strip_prefix(b"\x01DCC ") {
            describe_file(event, offer);
        }
        if keeps_passwords(target, &said) {
            event.set("dongson.irc.password", self.seal(&said));
        } else if !said.is_empty() {
            event.set("dongson.irc.addl", text(&said, MAX_TEXT));
        }
    }
}

/// Words for a service that signs in to an account: IDENTIFY, REGISTER and the like, also to its own command.
fn keeps_passwords(target: &[u8], said: &[u8]) -> bool {
    let first = word(said).0.to_ascii_uppercase();
    let asks = [&b"IDENTIFY"[..], b"REGISTER", b"ID", b"LOGIN", b"AUTH", b"GHOST", b"RECOVER", b"SET"];
    let service = target.to_ascii_uppercase();
    let is_service = service.ends_with(b"SERV") || service == b"Q" || service.starts_with(b"NICKSERV@");
    // NICKSERV as a command has its first word in the target's place.
    (is_service && asks.contains(&first.as_slice()))
        || matches!(service.as_slice(), b"IDENTIFY" | b"REGISTER") && !said.is_empty()
}

/// `SEND name address port size`: the address as one number (CTCP's DCC).
fn describe_file(event: &mut Event, offer: &[u8]) {
    let offer = offer.strip_suffix(b"\x01").unwrap_or(offer);
    let (kind, rest) = word(offer);
    event.set("dongson.irc.dcc.type", text(kind, 32).to_uppercase());
    let (name, rest) = match rest.strip_prefix(b"\"") {
        Some(quoted) => {
            let end = quoted.iter().position(|sign| *sign == b'"').unwrap_or(quoted.len());
            (quoted.get(..end).unwrap_or_default(), quoted.get(end + 1..).unwrap_or_default())
        }
        None => word(rest),
    };
    if !kind.eq_ignore_ascii_case(b"CHAT") {
        event.set("file.name", text(name, MAX_TEXT));
    }
    let numbers: Vec<Option<u64>> = rest
        .split(|sign| *sign == b' ')
        .filter(|part| !part.is_empty())
        .map(|part| std::str::from_utf8(part).ok()?.parse().ok())
        .collect();
    let number = |at: usize| numbers.get(at).copied().flatten();
    let address = number(0).and_then(|whole| u32::try_from(whole).ok());
    event.set_some("dongson.irc.dcc.ip", address.map(|whole| std::net::IpAddr::from(whole.to_be_bytes())));
    event.set_some("dongson.irc.dcc.port", number(1).and_then(|port| u16::try_from(port).ok()));
    event.set_some("file.size", number(2));
}

impl Stream for Irc {
    fn data(&mut self, side: Side, at: Timestamp, mut bytes: &[u8], out: &mut Vec<Event>) {
        while !bytes.is_empty() {
            let Some(line) = side.of_mut(&mut self.lines).next(MAX_LINE, &mut bytes) else { return };
            self.line(side, at, &line, out);
        }
    }

    fn gap(&mut self, side: Side, _length: u64) {
        side.of_mut(&mut self.lines).clear();
    }

    fn finish(&mut self, _at: Timestamp, _out: &mut Vec<Event>) {}

    fn wants_more(&self, _side: Side) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Options;
    use crate::protocol::talk;
    use proptest::prelude::*;

    const C: Side = Side::Originator;
    const S: Side = Side::Responder;

    fn run(turns: &[(Side, &[u8])], chunk: usize) -> Vec<Event> {
        let options = Options::default();
        talk::hear(&mut Irc::new(&Start { client: C, options: &options }), turns, chunk)
    }

    #[test]
    fn a_client_signs_on_and_talks() {
        let turns: &[(Side, &[u8])] = &[
            (C, b"PASS mat\r\nNICK an\r\nUSER an 0 * :Nguyen An\r\n"),
            (S, b":irc.vn 001 an :Welcome\r\n:irc.vn 372 an :- news\r\nPING :x\r\n"),
            (C, b"PONG :x\r\nJOIN #a,#b khoa\r\nPRIVMSG NickServ :IDENTIFY mat\r\n"),
            (S, b"@time=1 :boss!b@vn PRIVMSG #a :.download http://x\r\n:irc.vn 433 an binh :in use\r\n"),
            (C, b"PRIVMSG binh :\x01DCC SEND \"a b.exe\" 3232235777 5000 99\x01\r\n"),
        ];
        let events = run(turns, usize::MAX);
        assert_eq!(events, run(turns, 1));
        let told: Vec<_> = events.iter().map(|event| event.text("dongson.irc.command").unwrap()).collect();
        assert_eq!(
            told,
            ["PASS", "NICK", "USER", "001", "JOIN", "JOIN", "PRIVMSG", "PRIVMSG", "433", "PRIVMSG"]
        );
        let all = format!("{events:?}");
        assert!(!all.contains("\"mat\"") && !all.contains("khoa") && !all.contains("IDENTIFY"), "{all}");
        assert_eq!(events[1].text("dongson.irc.nick"), None);
        assert_eq!(events[2].text("dongson.irc.addl"), Some("0 * Nguyen An"));
        assert_eq!(events[4].text("dongson.irc.password"), Some(secret::seal(&[0; 32], b"khoa").as_str()));
        assert_eq!(events[5].text("dongson.irc.password"), None);
        assert_eq!(events[7].text("dongson.irc.prefix"), Some("boss!b@vn"));
        assert_eq!(events[8].text("event.outcome"), Some("failure"));
        let offer = &events[9];
        assert_eq!((offer.text("file.name"), offer.int("file.size")), (Some("a b.exe"), Some(99)));
        assert_eq!(offer.int("dongson.irc.dcc.port"), Some(5000));
        assert_eq!(
            offer.get("dongson.irc.dcc.ip").map(|ip| ip.to_text().into_owned()).as_deref(),
            Some("192.168.1.1")
        );
    }

    #[test]
    fn odd_lines_are_told() {
        let long = [&b"PRIVMSG #a :"[..], &[b'x'; 600], b"\r\n"].concat();
        let events = run(&[(C, &long), (S, b":a 353 an\r\n"), (S, b"!!\r\n")], usize::MAX);
        let names: Vec<_> = events.iter().filter_map(|event| event.text("dongson.weird.name")).collect();
        assert_eq!(names, ["irc_line_size_exceeded", "irc_invalid_names_line", "irc_invalid_command"]);
    }

    #[test]
    fn first_lines_are_told_from_others() {
        for line in [
            &b"NICK an\r\n"[..],
            b"USER a b c :d",
            b":irc.vn NOTICE * :*** hi",
            b"NOTICE AUTH :***",
            b":x 001 an :hi",
        ] {
            assert!(begins(line), "{line:?}");
        }
        for line in [&b"USER an\r\n"[..], b"220 x", b":hello world", b"NOTICE x", b":a 250 b"] {
            assert!(!begins(line), "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(talk in prop::collection::vec((any::<bool>(), prop::sample::select(vec![
            "NICK a\r\n", "JOIN #a,#b k\n", "PRIVMSG x :\x01DCC SEND ", "\"", "1 2 3\x01\r\n", ":a 353\r\n", "@x", " ", ":", "\r\n", "x"])), 0..40),
            noise: Vec<u8>, chunk in 1..20_usize) {
            let mut turns: Vec<(Side, &[u8])> =
                talk.iter().map(|(client, line)| (if *client { C } else { S }, line.as_bytes())).collect();
            turns.push((S, &noise));
            turns.push((C, &noise));
            prop_assert_eq!(run(&turns, usize::MAX), run(&turns, chunk));
        }
    }
}
