//! `MySQL`: the login, and each command with its outcome (`MySQL` client/server protocol, "Connection Phase", "Text Protocol").
//!
//! In: both directions. Out: one `sensor.mysql` event per command, when the first packet of its answer is whole, or at the
//! end. Results are not read. Password proofs are not read, passwords in statements are sealed. Memory: the first
//! [`MAX_KEPT`] bytes of one packet per side.

use dongson_event::{Event, Timestamp};

use crate::protocol::Side;
use crate::protocol::database::sql;
use crate::protocol::dissect::{Start, Stream};
use crate::protocol::wire::{Cursor, text};

/// Bytes of a packet that are kept.
const MAX_KEPT: usize = 8 * 1024;
const COMPRESS: u32 = 1 << 5;
const CONNECT_WITH_DB: u32 = 1 << 3;
const PROTOCOL_41: u32 = 1 << 9;
const TLS: u32 = 1 << 11;
const SECURE_CONNECTION: u32 = 1 << 15;
const AUTH_LENENC: u32 = 1 << 21;
const QUERY_ATTRIBUTES: u32 = 1 << 27;

/// Cuts one side into packets.
#[derive(Debug, Default)]
struct Packets {
    header: Vec<u8>,
    left: usize,
    kept: Vec<u8>,
    ended: bool,
}

impl Packets {
    /// The next whole packet of `bytes` (sequence number, first bytes), if there is one.
    fn next(&mut self, bytes: &mut &[u8]) -> Option<(u8, Vec<u8>)> {
        while self.header.len() < 4 {
            let (&byte, rest) = bytes.split_first()?;
            *bytes = rest;
            self.header.push(byte);
            if self.header.len() == 4 {
                let length =
                    self.header.first_chunk::<3>().map(|&[a, b, c]| u32::from_le_bytes([a, b, c, 0]));
                self.left = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
            }
        }
        let (head, rest) = bytes.split_at_checked(self.left).unwrap_or((*bytes, &[]));
        *bytes = rest;
        self.left -= head.len();
        let room = MAX_KEPT.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(head.get(..room).unwrap_or(head));
        if self.left > 0 {
            return None;
        }
        let number = self.header.get(3).copied().unwrap_or(0);
        self.header.clear();
        Some((number, std::mem::take(&mut self.kept)))
    }
}

/// Where the conversation is.
#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// The server's greeting, then the client's login.
    Greeting,
    Login,
    Commands,
}

/// A connection that speaks `MySQL`.
#[derive(Debug)]
pub(in crate::protocol) struct Mysql {
    client: Side,
    secret_key: [u8; 32],
    sides: [Packets; 2],
    phase: Phase,
    offered: u32,
    chosen: u32,
    version: Option<String>,
    pending: Option<(Timestamp, Event)>,
}

impl Mysql {
    pub(in crate::protocol) fn new(start: &Start<'_>) -> Self {
        Self {
            client: start.client,
            secret_key: start.options.secret_key,
            sides: Default::default(),
            phase: Phase::Greeting,
            offered: 0,
            chosen: 0,
            version: None,
            pending: None,
        }
    }

    fn give_up(&mut self) {
        for side in &mut self.sides {
            *side = Packets { ended: true, ..Packets::default() };
        }
    }

    fn event(&self, at: Timestamp, command: &'static str) -> Event {
        let mut event = Event::of("sensor.mysql", at);
        event.set("network.protocol", "mysql");
        event.set("dongson.mysql.command", command);
        event.set_some("dongson.mysql.server_version", self.version.as_deref());
        event
    }

    fn client_says(&mut self, at: Timestamp, number: u8, packet: &[u8], out: &mut Vec<Event>) {
        match self.phase {
            Phase::Greeting => {
                if let Some(event) = self.login(at, packet) {
                    self.pending = Some((at, event));
                    self.phase = Phase::Login;
                }
            }
            Phase::Commands if number == 0 => {
                self.flush(out);
                if let Some(event) = self.command(at, packet) {
                    // Nothing answers a good-bye.
                    if packet.first() == Some(&1) {
                        out.push(event);
                    } else {
                        self.pending = Some((at, event));
                    }
                }
            }
            // What goes on about the password, or belongs to the command before.
            Phase::Login | Phase::Commands => {}
        }
    }

    /// Handshake response, 4.1 or the older one; `None` for the short one that asks for TLS.
    fn login(&mut self, at: Timestamp, packet: &[u8]) -> Option<Event> {
        let mut cursor = Cursor::new(packet);
        let low = u32::from(cursor.u16()?.swap_bytes());
        let mut event = self.event(at, "login");
        if low & PROTOCOL_41 == 0 {
            self.chosen = low;
            cursor.take(3)?;
            event.set("user.name", text(until_nul(cursor.rest()).0, 128));
            return Some(event);
        }
        self.chosen = low | (u32::from(cursor.u16()?.swap_bytes()) << 16);
        cursor.take(28)?;
        if cursor.is_empty() && self.chosen & TLS != 0 {
            return None;
        }
        let (user, rest) = until_nul(cursor.rest());
        event.set("user.name", text(user, 128));
        let mut cursor = Cursor::new(rest);
        let proof = if self.chosen & AUTH_LENENC != 0 {
            lenenc(&mut cursor).and_then(|length| cursor.take(usize::try_from(length).ok()?))
        } else if self.chosen & SECURE_CONNECTION != 0 {
            cursor.vec8()
        } else {
            let (proof, rest) = until_nul(cursor.rest());
            cursor = Cursor::new(rest);
            Some(proof)
        };
        if proof.is_some() && self.chosen & CONNECT_WITH_DB != 0 {
            let name = until_nul(cursor.rest()).0;
            if !name.is_empty() {
                event.set("dongson.mysql.database", text(name, 128));
            }
        }
        Some(event)
    }

    fn command(&self, at: Timestamp, packet: &[u8]) -> Option<Event> {
        let (&code, rest) = packet.split_first()?;
        let mut event = self.event(at, command_name(code));
        match code {
            3 => {
                let query = if self.offered & self.chosen & QUERY_ATTRIBUTES != 0 {
                    behind_attributes(rest).unwrap_or(rest)
                } else {
                    rest
                };
                event.set("dongson.mysql.argument", sql::statement(&self.secret_key, query));
            }
            22 => drop(event.set("dongson.mysql.argument", sql::statement(&self.secret_key, rest))),
            2 | 5 | 6 => drop(event.set("dongson.mysql.argument", text(rest, 256))),
            4 => drop(event.set("dongson.mysql.argument", text(until_nul(rest).0, 256))),
            17 => drop(event.set("user.name", text(until_nul(rest).0, 128))),
            _ => {}
        }
        Some(event)
    }

    fn server_says(&mut self, at: Timestamp, packet: &[u8], out: &mut Vec<Event>) {
        if self.phase == Phase::Greeting {
            return self.greeting(packet);
        }
        let first = packet.first().copied().unwrap_or(0);
        // Another method, or more about this one.
        if self.phase == Phase::Login && matches!(first, 1 | 0xfe) {
            return;
        }
        let Some((asked, mut event)) = self.pending.take() else { return };
        event.set("event.duration", at.nanos().saturating_sub(asked.nanos()));
        if first == 0xff {
            event.set("event.outcome", "failure");
            let code = packet
                .get(1..3)
                .and_then(|code| code.first_chunk::<2>())
                .map(|code| u16::from_le_bytes(*code));
            event.set_some("dongson.mysql.error_code", code);
            let words = packet.get(3..).unwrap_or_default();
            let words = if words.first() == Some(&b'#') { words.get(6..).unwrap_or_default() } else { words };
            event.set("error.message", text(words, 512));
        } else {
            event.set("event.outcome", "success");
            if first == 0 {
                let mut cursor = Cursor::new(packet.get(1..).unwrap_or_default());
                event.set_some("dongson.mysql.affected_rows", lenenc(&mut cursor));
            }
        }
        out.push(event);
        if self.phase == Phase::Login {
            self.phase = Phase::Commands;
            if self.offered & self.chosen & COMPRESS != 0 {
                self.give_up();
            }
        }
    }

    fn greeting(&mut self, packet: &[u8]) {
        let Some((10, rest)) = packet.split_first().map(|(first, rest)| (*first, rest)) else {
            return self.give_up();
        };
        let (version, rest) = until_nul(rest);
        self.version = Some(text(version, 64));
        // Thread, salt and a filler; then the capabilities in two halves around three bytes.
        let mut cursor = Cursor::new(rest);
        let capabilities = |cursor: &mut Cursor<'_>| {
            cursor.take(13)?;
            let low = u32::from(cursor.u16()?.swap_bytes());
            let high =
                cursor.take(3).and_then(|_| cursor.u16()).map_or(0, |high| u32::from(high.swap_bytes()));
            Some(low | (high << 16))
        };
        self.offered = capabilities(&mut cursor).unwrap_or(0);
    }

    fn flush(&mut self, out: &mut Vec<Event>) {
        out.extend(self.pending.take().map(|(_, event)| event));
    }
}

impl Stream for Mysql {
    fn data(&mut self, side: Side, at: Timestamp, mut bytes: &[u8], out: &mut Vec<Event>) {
        while !side.of(&self.sides).ended {
            let Some((number, packet)) = side.of_mut(&mut self.sides).next(&mut bytes) else { return };
            if side == self.client {
                self.client_says(at, number, &packet, out);
            } else {
                self.server_says(at, &packet, out);
            }
        }
    }

    fn gap(&mut self, _side: Side, _length: u64) {
        self.give_up();
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        self.flush(out);
    }

    fn wants_more(&self, side: Side) -> bool {
        !side.of(&self.sides).ended
    }
}

fn until_nul(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    (bytes.get(..end).unwrap_or_default(), bytes.get(end + 1..).unwrap_or_default())
}

/// A length-encoded integer.
fn lenenc(cursor: &mut Cursor<'_>) -> Option<u64> {
    let wide = match cursor.u8()? {
        0xfc => 2,
        0xfd => 3,
        0xfe => 8,
        0xfb | 0xff => return None,
        small => return Some(u64::from(small)),
    };
    let bytes = cursor.take(wide)?;
    Some(bytes.iter().rev().fold(0, |value, byte| (value << 8) | u64::from(*byte)))
}

/// The statement behind its attributes (`COM_QUERY` with `CLIENT_QUERY_ATTRIBUTES`).
fn behind_attributes(bytes: &[u8]) -> Option<&[u8]> {
    let mut cursor = Cursor::new(bytes);
    let count = usize::try_from(lenenc(&mut cursor)?).ok().filter(|count| *count <= 1024)?;
    lenenc(&mut cursor)?;
    if count == 0 {
        return Some(cursor.rest());
    }
    let nulls = cursor.take(count.div_ceil(8))?;
    if cursor.u8()? != 1 {
        return None;
    }
    let mut kinds = Vec::with_capacity(count);
    for _ in 0..count {
        kinds.push(cursor.u8()?);
        cursor.u8()?;
        let name = lenenc(&mut cursor)?;
        cursor.take(usize::try_from(name).ok()?)?;
    }
    for (at, kind) in kinds.into_iter().enumerate() {
        if nulls.get(at / 8).is_some_and(|bits| (bits >> (at % 8)) & 1 == 1) {
            continue;
        }
        let length = match kind {
            1 => 1,
            2 | 13 => 2,
            3 | 4 | 9 => 4,
            5 | 8 => 8,
            6 => 0,
            7 | 10..=12 => usize::from(cursor.u8()?),
            _ => usize::try_from(lenenc(&mut cursor)?).ok()?,
        };
        cursor.take(length)?;
    }
    Some(cursor.rest())
}

fn command_name(code: u8) -> &'static str {
    const NAMES: [&str; 32] = [
        "sleep",
        "quit",
        "init_db",
        "query",
        "field_list",
        "create_db",
        "drop_db",
        "refresh",
        "shutdown",
        "statistics",
        "process_info",
        "connect",
        "process_kill",
        "debug",
        "ping",
        "time",
        "delayed_insert",
        "change_user",
        "binlog_dump",
        "table_dump",
        "connect_out",
        "register_slave",
        "stmt_prepare",
        "stmt_execute",
        "stmt_send_long_data",
        "stmt_close",
        "stmt_reset",
        "set_option",
        "stmt_fetch",
        "daemon",
        "binlog_dump_gtid",
        "reset_connection",
    ];
    NAMES.get(usize::from(code)).copied().unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Options;
    use crate::protocol::talk;
    use proptest::prelude::*;

    const C: Side = Side::Originator;
    const S: Side = Side::Responder;

    fn packet(number: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap().to_le_bytes();
        [&length[..3], &[number], body].concat()
    }

    fn run(turns: &[(Side, Vec<u8>)], chunk: usize) -> Vec<Event> {
        let options = Options::default();
        talk::hear(&mut Mysql::new(&Start { client: C, options: &options }), turns, chunk)
    }

    fn start(attributes: bool) -> Vec<(Side, Vec<u8>)> {
        let high = if attributes { 8 } else { 0 };
        let greeting = [&b"\x0a8.1\0"[..], &[0; 13], &[0xff, 0xff, 8, 2, 0, 0xff, 8]].concat();
        let flags = [8, 0x82, 0, high];
        let login = [&flags[..], &[0; 28], b"an\0", &[2, 7, 7], b"kho\0"].concat();
        vec![(S, packet(0, &greeting)), (C, packet(1, &login)), (S, packet(2, &[0, 0, 0, 2, 0, 0, 0]))]
    }

    #[test]
    fn a_login_and_commands() {
        let mut turns = start(false);
        turns.push((C, packet(0, b"\x03select 1")));
        turns.push((S, [packet(1, b"\xff\x15\x04#28000no"), packet(2, b"\x00\x09")].concat()));
        turns.push((C, packet(0, b"\x01")));
        let events = run(&turns, usize::MAX);
        assert_eq!(events, run(&turns, 1));
        let [login, query, quit] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(login.text("user.name"), Some("an"));
        assert_eq!(login.text("dongson.mysql.database"), Some("kho"));
        assert_eq!(login.text("event.outcome"), Some("success"));
        assert_eq!(query.text("dongson.mysql.argument"), Some("select 1"));
        assert_eq!(query.text("error.message"), Some("no"));
        assert_eq!(query.int("dongson.mysql.error_code"), Some(0x415));
        assert_eq!(quit.text("dongson.mysql.command"), Some("quit"));
    }

    #[test]
    fn attributes_stand_before_the_statement() {
        let mut turns = start(true);
        let attributes = [2, 1, 1, 1, 8, 0, 1, b'n', 254, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0];
        let attributes = [&attributes[..2], &[2], &attributes[3..4], &attributes[4..]].concat();
        turns.push((C, packet(0, &[&b"\x03"[..], &attributes, b"select 2"].concat())));
        let events = run(&turns, usize::MAX);
        assert_eq!(events[1].text("dongson.mysql.argument"), Some("select 2"), "{events:?}");
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(talk: Vec<(bool, u8, Vec<u8>)>, begin: bool, chunk in 1..20_usize) {
            let mut turns = if begin { start(true) } else { Vec::new() };
            for (client, number, bytes) in talk {
                turns.push((if client { C } else { S }, packet(number % 2, &bytes)));
            }
            prop_assert_eq!(run(&turns, usize::MAX), run(&turns, chunk));
        }
    }
}
