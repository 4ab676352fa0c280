//! Telnet: what both ends agree on, who signs in, and what is typed at a shell (RFC 854; options: RFC 855, 1091, 1073, 1572).
//!
//! In: both directions of a connection. Out: a `sensor.telnet` event for each sign-in (`event.action` is `login`), for each line
//! typed behind the prompt of a shell (`command`), and at the end one for the whole session (`session`). What is typed behind the
//! prompt for a password is sealed; what is typed where no prompt was seen is not told, since it could be one. Memory: one line of
//! [`MAX_LINE`] bytes per side, [`MAX_OPTIONS`] options and [`MAX_VARIABLES`] variables.

use dongson_event::{Event, Timestamp};

use crate::protocol::dissect::{Start, Stream};
use crate::protocol::wire::{contains_no_case, text};
use crate::protocol::{Side, secret};

const MAX_LINE: usize = 1024;
const MAX_BANNER: usize = 512;
/// Options told of one session.
const MAX_OPTIONS: usize = 64;
/// Bytes of a subnegotiation that are kept.
const MAX_SUB: usize = 256;
/// Variables of the environment that are told.
const MAX_VARIABLES: usize = 16;
/// Lines typed at a shell that are told one by one; all are counted.
const MAX_COMMANDS: u64 = 1000;

/// Interpret as command, and what may follow it (RFC 854).
const IAC: u8 = 255;
const SB: u8 = 250;
const SE: u8 = 240;
const NEGOTIATIONS: std::ops::RangeInclusive<u8> = 251..=254;

const TERMINAL_TYPE: u8 = 24;
const WINDOW_SIZE: u8 = 31;
const TERMINAL_SPEED: u8 = 32;
const ENVIRONMENT: u8 = 39;

/// Where the reading of one side is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    #[default]
    Text,
    /// Behind IAC, and whether inside a subnegotiation.
    Command(bool),
    Option(u8),
    Sub,
    /// Behind the escape sign of a terminal's sequence, and inside one.
    Escape,
    Sequence,
}

/// One side's reading.
#[derive(Debug, Default)]
struct Half {
    place: Place,
    line: Vec<u8>,
    sub: Vec<u8>,
    /// The last byte was a carriage return.
    returned: bool,
}

/// What one byte completes.
enum Told {
    Nothing,
    Negotiation(u8, u8),
    Sub(Vec<u8>),
    Line(Vec<u8>),
}

/// What the server waits for, as the end of its text tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Prompt {
    User,
    Password,
    Shell,
    #[default]
    Unknown,
}

/// A sign-in whose outcome is not known yet.
#[derive(Debug)]
struct Login {
    at: Timestamp,
    user: Option<String>,
    password: String,
}

/// A connection that speaks Telnet.
#[derive(Debug)]
pub(in crate::protocol) struct Telnet {
    client: Side,
    secret_key: [u8; 32],
    halves: [Half; 2],
    started: Option<Timestamp>,
    /// The prompt at which the client's present line began.
    prompt: Option<Prompt>,
    user: Option<String>,
    login: Option<Login>,
    banner: String,
    /// The client has ended a line: what the server says now is no banner.
    typed: bool,
    options: Vec<String>,
    terminal: Option<String>,
    speed: Option<String>,
    window: Option<(u16, u16)>,
    variables: Vec<String>,
    logins: u64,
    commands: u64,
}

impl Half {
    fn byte(&mut self, byte: u8) -> Told {
        match (self.place, byte) {
            (Place::Text, IAC) => self.place = Place::Command(false),
            (Place::Text, _) => return self.sign(byte),
            (Place::Command(false), SB) => {
                self.sub.clear();
                self.place = Place::Sub;
            }
            (Place::Command(false), code) if NEGOTIATIONS.contains(&code) => self.place = Place::Option(code),
            // A doubled one stands for itself.
            (Place::Command(inside), IAC) => {
                self.keep(IAC, inside);
                self.place = if inside { Place::Sub } else { Place::Text };
            }
            (Place::Command(true), SE) => {
                self.place = Place::Text;
                return Told::Sub(std::mem::take(&mut self.sub));
            }
            (Place::Command(inside), _) => self.place = if inside { Place::Sub } else { Place::Text },
            (Place::Option(code), option) => {
                self.place = Place::Text;
                return Told::Negotiation(code, option);
            }
            (Place::Sub, IAC) => self.place = Place::Command(true),
            (Place::Sub, _) => self.keep(byte, true),
            (Place::Escape, b'[') => self.place = Place::Sequence,
            (Place::Escape, _) | (Place::Sequence, 0x40..=0x7e) => self.place = Place::Text,
            (Place::Sequence, IAC) => self.place = Place::Command(false),
            (Place::Sequence, _) => {}
        }
        Told::Nothing
    }

    fn keep(&mut self, byte: u8, inside: bool) {
        let (held, limit) = if inside { (&mut self.sub, MAX_SUB) } else { (&mut self.line, MAX_LINE) };
        if held.len() < limit {
            held.push(byte);
        }
    }

    /// A sign of the network's virtual terminal: lines end with CR LF, CR NUL or a lone one of them.
    fn sign(&mut self, sign: u8) -> Told {
        let returned = std::mem::replace(&mut self.returned, sign == b'\r');
        match sign {
            b'\n' | 0 if returned => {}
            b'\r' | b'\n' => return Told::Line(std::mem::take(&mut self.line)),
            0x1b => self.place = Place::Escape,
            8 | 0x7f => drop(self.line.pop()),
            // Ctrl-C and Ctrl-U give the line up.
            3 | 0x15 => self.line.clear(),
            b'\t' | b' '..=0xff => self.keep(sign, false),
            _ => {}
        }
        Told::Nothing
    }
}

/// What the end of the server's text waits for.
fn prompt(line: &[u8]) -> Prompt {
    let said = line.trim_ascii_end();
    let end = said.get(said.len().saturating_sub(80)..).unwrap_or(said);
    let has = |word: &str| contains_no_case(end, word.as_bytes());
    if ["password", "passwd", "passcode", "mật khẩu", "mat khau"].iter().any(|word| has(word)) {
        return Prompt::Password;
    }
    match said.last() {
        Some(b':')
            if ["login", "user", "account", "name", "tài khoản", "tai khoan"]
                .iter()
                .any(|word| has(word)) =>
        {
            Prompt::User
        }
        Some(b'$' | b'#' | b'>' | b'%') => Prompt::Shell,
        _ => Prompt::Unknown,
    }
}

/// Whether a line says that a sign-in has failed.
fn refuses(line: &[u8]) -> bool {
    const WORDS: [&[u8]; 9] = [
        b"incorrect",
        b"fail",
        b"invalid",
        b"denied",
        b"bad password",
        b"wrong",
        b"reject",
        b"not correct",
        b"error",
    ];
    WORDS.iter().any(|word| contains_no_case(line, word))
}

/// Whether a line says that a sign-in has succeeded.
fn welcomes(line: &[u8]) -> bool {
    [&b"last login"[..], b"welcome"].iter().any(|word| contains_no_case(line, word))
}

/// Names of the registry of Telnet options, where they are met.
fn option_name(option: u8) -> String {
    let name = match option {
        0 => "binary",
        1 => "echo",
        3 => "suppress-go-ahead",
        5 => "status",
        6 => "timing-mark",
        TERMINAL_TYPE => "terminal-type",
        25 => "end-of-record",
        WINDOW_SIZE => "window-size",
        TERMINAL_SPEED => "terminal-speed",
        33 => "remote-flow-control",
        34 => "linemode",
        35 => "x-display-location",
        36 => "environ",
        37 => "authentication",
        38 => "encrypt",
        ENVIRONMENT => "new-environ",
        40 => "tn3270e",
        42 => "charset",
        44 => "com-port-control",
        46 => "start-tls",
        _ => return option.to_string(),
    };
    name.to_owned()
}

impl Telnet {
    pub(in crate::protocol) fn new(start: &Start<'_>) -> Self {
        Self {
            client: start.client,
            secret_key: start.options.secret_key,
            halves: Default::default(),
            started: None,
            prompt: None,
            user: None,
            login: None,
            banner: String::new(),
            typed: false,
            options: Vec::new(),
            terminal: None,
            speed: None,
            window: None,
            variables: Vec::new(),
            logins: 0,
            commands: 0,
        }
    }

    fn negotiation(&mut self, side: Side, code: u8, option: u8) {
        let verb = match code {
            251 => "will",
            252 => "wont",
            253 => "do",
            _ => "dont",
        };
        let who = if side == self.client { "client" } else { "server" };
        let told = format!("{who} {verb} {}", option_name(option));
        if self.options.len() < MAX_OPTIONS && !self.options.contains(&told) {
            self.options.push(told);
        }
    }

    /// What the client tells of itself.
    fn subnegotiation(&mut self, side: Side, bytes: &[u8]) {
        if side != self.client {
            return;
        }
        match bytes {
            [TERMINAL_TYPE, 0, name @ ..] => self.terminal = Some(text(name, MAX_SUB)),
            [TERMINAL_SPEED, 0, speed @ ..] => self.speed = Some(text(speed, MAX_SUB)),
            [WINDOW_SIZE, a, b, c, d] => {
                self.window = Some((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])));
            }
            // IS or INFO, then names behind 0 (well known) or 3 (others), and values behind 1 (RFC 1572, 3).
            [ENVIRONMENT | 36, 0 | 2, rest @ ..] => {
                for variable in rest.split(|byte| matches!(byte, 0 | 3)).filter(|one| !one.is_empty()) {
                    let mut parts = variable.splitn(2, |byte| *byte == 1);
                    let name = text(parts.next().unwrap_or_default(), MAX_SUB);
                    let value = parts.next().map(|value| text(value, MAX_SUB)).unwrap_or_default();
                    if name == "USER" && self.user.is_none() && !value.is_empty() {
                        self.user = Some(value.clone());
                    }
                    if self.variables.len() < MAX_VARIABLES {
                        self.variables.push(format!("{name}={value}"));
                    }
                }
            }
            _ => {}
        }
    }

    /// A line of the server's text.
    fn server_line(&mut self, line: &[u8], out: &mut Vec<Event>) {
        if self.banner.len() < MAX_BANNER && !self.typed {
            let line = text(line.trim_ascii(), MAX_BANNER);
            if !line.is_empty() {
                let end = line.floor_char_boundary((MAX_BANNER - self.banner.len()).min(line.len()));
                if !self.banner.is_empty() {
                    self.banner.push('\n');
                }
                self.banner.push_str(line.get(..end).unwrap_or_default());
            }
        }
        if self.login.is_some() && refuses(line) {
            self.tell_login("failure", out);
        } else if self.login.is_some() && welcomes(line) {
            self.tell_login("success", out);
        }
    }

    /// The prompt at which the client begins to type: the last line of the server that has not ended.
    fn begin_line(&mut self, out: &mut Vec<Event>) {
        let prompt = prompt(&self.client.other().of(&self.halves).line);
        self.prompt = Some(prompt);
        self.judge(prompt, out);
    }

    /// What a prompt says of the sign-in before it.
    fn judge(&mut self, prompt: Prompt, out: &mut Vec<Event>) {
        if self.login.is_some() {
            match prompt {
                Prompt::User | Prompt::Password => self.tell_login("failure", out),
                Prompt::Shell => self.tell_login("success", out),
                Prompt::Unknown => {}
            }
        }
    }

    fn client_line(&mut self, at: Timestamp, line: &[u8], out: &mut Vec<Event>) {
        if self.prompt.is_none() {
            self.begin_line(out);
        }
        self.typed = true;
        // What the server has said is answered; its echo of the line is none of the next prompt.
        self.client.other().of_mut(&mut self.halves).line.clear();
        match self.prompt.take().unwrap_or_default() {
            Prompt::User if !line.trim_ascii().is_empty() => {
                self.user = Some(text(line.trim_ascii(), MAX_LINE));
            }
            Prompt::Password => {
                let password = secret::seal(&self.secret_key, line);
                self.logins += 1;
                self.login = Some(Login { at, user: self.user.clone(), password });
            }
            Prompt::Shell if !line.trim_ascii().is_empty() => {
                self.commands += 1;
                if self.commands <= MAX_COMMANDS {
                    let mut event = self.describe(at, "command");
                    event.set("process.command_line", text(line.trim_ascii(), MAX_LINE));
                    out.push(event);
                }
            }
            _ => {}
        }
    }

    fn describe(&self, at: Timestamp, action: &'static str) -> Event {
        let mut event = Event::of("sensor.telnet", at);
        event.set("network.protocol", "telnet");
        event.set("event.action", action);
        event.set_some("user.name", self.user.as_deref());
        event
    }

    fn tell_login(&mut self, outcome: &'static str, out: &mut Vec<Event>) {
        let Some(login) = self.login.take() else { return };
        let mut event = self.describe(login.at, "login");
        event.set("event.category", vec!["authentication", "network"]);
        event.set("event.outcome", outcome);
        event.set_some("user.name", login.user);
        event.set("dongson.telnet.password", login.password);
        out.push(event);
    }
}

impl Stream for Telnet {
    fn data(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        self.started.get_or_insert(at);
        for byte in bytes {
            let half = side.of_mut(&mut self.halves);
            let was_empty = half.line.is_empty();
            let told = half.byte(*byte);
            let has_begun = was_empty && !half.line.is_empty();
            match told {
                Told::Nothing if side == self.client && has_begun && self.prompt.is_none() => {
                    self.begin_line(out);
                }
                Told::Nothing => {}
                Told::Negotiation(code, option) => self.negotiation(side, code, option),
                Told::Sub(bytes) => self.subnegotiation(side, &bytes),
                Told::Line(line) if side == self.client => self.client_line(at, &line, out),
                Told::Line(line) => self.server_line(&line, out),
            }
        }
    }

    fn gap(&mut self, side: Side, _length: u64) {
        *side.of_mut(&mut self.halves) = Half::default();
        // What is typed now may have begun at a prompt that was not seen.
        self.prompt = Some(Prompt::Unknown);
    }

    fn finish(&mut self, at: Timestamp, out: &mut Vec<Event>) {
        let last = prompt(&self.client.other().of(&self.halves).line);
        self.judge(last, out);
        self.tell_login("unknown", out);
        let mut event = self.describe(self.started.unwrap_or(at), "session");
        event.set_some(
            "dongson.telnet.banner",
            Some(self.banner.as_str()).filter(|banner| !banner.is_empty()),
        );
        if !self.options.is_empty() {
            event.set("dongson.telnet.options", std::mem::take(&mut self.options));
        }
        event.set_some("dongson.telnet.terminal_type", self.terminal.as_deref());
        event.set_some("dongson.telnet.terminal_speed", self.speed.as_deref());
        if let Some((columns, rows)) = self.window {
            event.set("dongson.telnet.window.columns", columns);
            event.set("dongson.telnet.window.rows", rows);
        }
        if !self.variables.is_empty() {
            event.set("dongson.telnet.variables", std::mem::take(&mut self.variables));
        }
        event.set("dongson.telnet.logins", self.logins);
        event.set("dongson.telnet.commands", self.commands);
        out.push(event);
    }

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
        talk::hear(&mut Telnet::new(&Start { client: C, options: &options }), turns, chunk)
    }

    fn check(turns: &[(Side, &[u8])]) -> Vec<Event> {
        let events = run(turns, usize::MAX);
        assert_eq!(events, run(turns, 1));
        events
    }

    fn told(events: &[Event]) -> Vec<(&str, Option<&str>, Option<&str>)> {
        let one = |event| -> (&str, Option<&str>, Option<&str>) {
            let event: &Event = event;
            (event.text("event.action").unwrap(), event.text("user.name"), event.text("event.outcome"))
        };
        events.iter().map(one).collect()
    }

    #[test]
    fn a_session_with_two_sign_ins() {
        let events = check(&[
            (S, b"\xff\xfd\x18\xff\xfb\x01Camera 7\r\nlogin: "),
            (C, b"\xff\xfb\x18\xff\xfa\x18\0xterm\xff\xf0"),
            (C, b"roo"),
            (S, b"roo"),
            (C, b"x\x7ft\r\n"),
            (S, b"t\r\nPassword: "),
            (C, b"mat\r\0"),
            (S, b"\r\nLogin incorrect\r\nlogin: "),
            (C, b"root\r\n"),
            (S, b"Password: "),
            (C, b"khau\r\n"),
            (S, b"\r\n\x1b[1mBusyBox\x1b[0m v1\r\n# "),
            (C, b"/bin/busybox X\n"),
            (S, b"X: applet not found\r\n# "),
            (C, b"exit\n"),
        ]);
        assert_eq!(
            told(&events),
            [
                ("login", Some("root"), Some("failure")),
                ("login", Some("root"), Some("success")),
                ("command", Some("root"), None),
                ("command", Some("root"), None),
                ("session", Some("root"), None)
            ]
        );
        assert_eq!(events[2].text("process.command_line"), Some("/bin/busybox X"));
        assert_eq!(events[0].text("dongson.telnet.password"), Some(secret::seal(&[0; 32], b"mat").as_str()));
        let session = &events[4];
        assert_eq!(session.text("dongson.telnet.terminal_type"), Some("xterm"));
        assert_eq!(session.text("dongson.telnet.banner"), Some("Camera 7"));
        assert_eq!(session.int("dongson.telnet.commands"), Some(2));
        let options = session.get("dongson.telnet.options").map(|list| list.to_text().into_owned());
        assert_eq!(
            options.as_deref(),
            Some("server do terminal-type, server will echo, client will terminal-type")
        );
        let all = format!("{events:?}");
        assert!(!all.contains("khau") && !all.contains("\"mat\""));
    }

    #[test]
    fn what_may_be_a_password_is_not_told() {
        let events = check(&[(C, b"admin\r\nmat khau\r\n")]);
        assert_eq!(told(&events), [("session", None, None)]);
        assert!(!format!("{events:?}").contains("khau"));
        let su = check(&[
            (S, b"$ "),
            (C, b"su\r\n"),
            (S, b"su\r\nPassword: "),
            (C, b"bi mat\r\n"),
            (S, b"\r\n# "),
        ]);
        assert_eq!(told(&su)[1], ("login", None, Some("success")));
        assert!(!format!("{su:?}").contains("bi mat"));
    }

    #[test]
    fn the_client_tells_of_itself() {
        let events = check(&[(
            C,
            b"\xff\xfa\x1f\0\x50\xff\xff\x18\xff\xf0\xff\xfa\x27\0\0USER\x01an\x03TERM\x01vt\xff\xf0\xff\xfa\x20\x009600,9600\xff\xf0",
        )]);
        assert_eq!(events[0].text("user.name"), Some("an"));
        assert_eq!(events[0].text("dongson.telnet.terminal_speed"), Some("9600,9600"));
        assert_eq!(events[0].int("dongson.telnet.window.rows"), Some(0xff18));
        assert_eq!(events[0].get("dongson.telnet.variables").map(|list| list.scalars().len()), Some(2));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(talk in prop::collection::vec((any::<bool>(), prop::sample::select(vec![
            &b"login: "[..], b"Password: ", b"# ", b"\r\n", b"\r\0", b"\xff\xfb\x01", b"\xff\xfa\x18\0a", b"\xff\xf0", b"\x1b[", b"a", b"\x7f",
            b"incorrect\n"])), 0..40), noise: Vec<u8>, chunk in 1..20_usize) {
            let mut turns: Vec<(Side, &[u8])> =
                talk.iter().map(|(client, line)| (if *client { C } else { S }, *line)).collect();
            turns.push((S, &noise));
            turns.push((C, &noise));
            prop_assert_eq!(run(&turns, usize::MAX), run(&turns, chunk));
        }
    }
}
