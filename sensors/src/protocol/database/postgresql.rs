//! `PostgreSQL`: the sign-in step by step, and each statement with its outcome (`PostgreSQL` documentation,
//! "Frontend/Backend Protocol", version 3).
//!
//! In: both directions. Out: one `sensor.postgresql` event per request of the client, when its answer is whole, or at the
//! end. Rows are counted and not read. Passwords and proofs are not read, passwords in statements are sealed. Memory: the
//! first [`KEEP`] bytes of one message per side and [`MAX_PENDING`] requests without an answer; the oldest goes out
//! without one when there are more.

use std::collections::VecDeque;

use dongson_event::{Event, Timestamp};

use crate::protocol::Side;
use crate::protocol::database::sql;
use crate::protocol::dissect::{Start, Stream};
use crate::protocol::frames::{Frames, Length, Shape};
use crate::protocol::wire::{Cursor, text};

/// Bytes of a message that are kept.
const KEEP: usize = 8 * 1024;
/// Requests that wait for their answers.
const MAX_PENDING: usize = 32;
const SHAPE: Shape = Shape { length, magic: None, keep: KEEP };

/// Messages begin with their kind, those before the sign-in with their length, whose first byte is 0.
fn length(bytes: &[u8]) -> Length {
    let Some(first) = bytes.first() else { return Length::Unknown };
    let before = usize::from(*first != 0);
    let Some(stated) = bytes.get(before..before + 4).and_then(|stated| stated.first_chunk()) else {
        return Length::Unknown;
    };
    let stated = u32::from_be_bytes(*stated);
    let fits = (*first == 0 || first.is_ascii_alphanumeric()) && (4..=1 << 30).contains(&stated);
    match usize::try_from(stated) {
        Ok(stated) if fits => Length::Is(stated + before),
        _ => Length::Broken,
    }
}

/// A request that waits for its answer.
#[derive(Debug)]
struct Pending {
    at: Timestamp,
    event: Event,
    /// A statement, whose answer ends with the server's readiness; else the next answer is its own.
    statement: bool,
    rows: u64,
    row_bytes: u64,
    answered: bool,
}

/// A connection that speaks `PostgreSQL`.
#[derive(Debug)]
pub(in crate::protocol) struct Postgresql {
    client: Side,
    secret_key: [u8; 32],
    sides: [Frames; 2],
    /// The next byte of the server answers a wish for encryption.
    asked: bool,
    /// The server has named the ways of SASL; the next proof begins with the one that was chosen.
    sasl: bool,
    user: Option<String>,
    database: Option<String>,
    application: Option<String>,
    pending: VecDeque<Pending>,
}

impl Postgresql {
    pub(in crate::protocol) fn new(start: &Start<'_>) -> Self {
        Self {
            client: start.client,
            secret_key: start.options.secret_key,
            sides: Default::default(),
            asked: false,
            sasl: false,
            user: None,
            database: None,
            application: None,
            pending: VecDeque::new(),
        }
    }

    fn event(&self, at: Timestamp, request: &'static str) -> Event {
        let mut event = Event::of("sensor.postgresql", at);
        event.set("network.protocol", "postgresql");
        event.set("dongson.postgresql.request", request);
        event.set_some("user.name", self.user.as_deref());
        event.set_some("dongson.postgresql.database", self.database.as_deref());
        event.set_some("dongson.postgresql.application", self.application.as_deref());
        event
    }

    fn wait(&mut self, at: Timestamp, event: Event, statement: bool, out: &mut Vec<Event>) {
        if self.pending.len() >= MAX_PENDING {
            self.end_first(at, out);
        }
        let pending = Pending { at, event, statement, rows: 0, row_bytes: 0, answered: false };
        self.pending.push_back(pending);
    }

    fn client_says(&mut self, at: Timestamp, message: &[u8], out: &mut Vec<Event>) {
        let Some((&kind, rest)) = message.split_first() else { return };
        if kind == 0 {
            return self.before(at, message, out);
        }
        let body = rest.get(4..).unwrap_or_default();
        match kind {
            b'Q' => {
                let mut event = self.event(at, "query");
                event.set("dongson.postgresql.argument", sql::statement(&self.secret_key, until_nul(body).0));
                self.wait(at, event, true, out);
            }
            b'P' => {
                // The name of the prepared statement stands before it.
                let mut event = self.event(at, "parse");
                let query = until_nul(until_nul(body).1).0;
                event.set("dongson.postgresql.argument", sql::statement(&self.secret_key, query));
                self.wait(at, event, true, out);
            }
            b'E' if !self.pending.back().is_some_and(|last| last.statement && !last.answered) => {
                let mut event = self.event(at, "execute");
                let portal = until_nul(body).0;
                event
                    .set_some("dongson.postgresql.argument", (!portal.is_empty()).then(|| text(portal, 256)));
                self.wait(at, event, true, out);
            }
            b'F' => {
                let event = self.event(at, "function_call");
                self.wait(at, event, true, out);
            }
            b'p' => {
                let chosen = std::mem::take(&mut self.sasl);
                let mut event = self.event(at, if chosen { "sasl_initial" } else { "password" });
                if chosen {
                    event.set("dongson.postgresql.argument", text(until_nul(body).0, 64));
                }
                self.wait(at, event, false, out);
            }
            b'X' => out.push(self.event(at, "terminate")),
            _ => {}
        }
    }

    /// What comes before the sign-in: a wish for encryption, a cancellation, or who it is.
    fn before(&mut self, at: Timestamp, message: &[u8], out: &mut Vec<Event>) {
        let mut cursor = Cursor::new(message.get(4..).unwrap_or_default());
        let request = match cursor.u32() {
            Some(0x04d2_162f) => "ssl_request",
            Some(0x04d2_1630) => "gssenc_request",
            Some(0x04d2_162e) => return out.push(self.event(at, "cancel_request")),
            Some(version) if version >> 16 == 3 => {
                self.parameters(cursor.rest());
                let mut event = self.event(at, "startup");
                event.set("dongson.postgresql.version", format!("3.{}", version & 0xffff));
                return self.wait(at, event, false, out);
            }
            _ => return self.client.of_mut(&mut self.sides).close(),
        };
        self.asked = true;
        let event = self.event(at, request);
        self.wait(at, event, false, out);
    }

    /// Names and values in turn; without a database it is the one called like the user.
    fn parameters(&mut self, mut rest: &[u8]) {
        while !rest.is_empty() {
            let (name, behind) = until_nul(rest);
            let (value, behind) = until_nul(behind);
            rest = behind;
            let value = (!value.is_empty()).then(|| text(value, 128));
            match name {
                b"user" => self.user = value,
                b"database" => self.database = value,
                b"application_name" => self.application = value,
                _ => {}
            }
        }
        if self.database.is_none() {
            self.database.clone_from(&self.user);
        }
    }

    /// The one byte that answers a wish for encryption.
    fn granted(&mut self, at: Timestamp, byte: u8, out: &mut Vec<Event>) {
        self.asked = false;
        let granted = matches!(byte, b'S' | b'G');
        if let Some(first) = self.pending.front_mut() {
            first.event.set("event.outcome", if granted { "success" } else { "failure" });
            first.event.set("dongson.postgresql.response", if granted { "accepted" } else { "refused" });
        }
        self.end_first(at, out);
    }

    fn server_says(&mut self, at: Timestamp, message: &[u8], out: &mut Vec<Event>) {
        let Some((&kind, rest)) = message.split_first() else { return };
        let stated = rest.first_chunk().map_or(0, |stated| u32::from_be_bytes(*stated));
        let body = rest.get(4..).unwrap_or_default();
        match kind {
            b'R' => self.authentication(at, body, out),
            b'E' => self.error(at, body, out),
            b'D' => {
                let Some(first) = self.pending.front_mut() else { return };
                let columns = body.first_chunk().map_or(0, |count| u16::from_be_bytes(*count));
                first.rows += 1;
                first.row_bytes += u64::from(stated.saturating_sub(6)).saturating_sub(4 * u64::from(columns));
            }
            b'C' => {
                let Some(first) = self.pending.front_mut().filter(|first| first.statement) else { return };
                first.event.set("event.outcome", "success");
                first.event.set("dongson.postgresql.response", text(until_nul(body).0, 128));
                self.answered(at, out);
            }
            // An empty statement; a portal that was not asked for all its rows.
            b'I' | b's' => {
                let Some(first) = self.pending.front_mut().filter(|first| first.statement) else { return };
                first.event.set("event.outcome", "success");
                self.answered(at, out);
            }
            // Ready again: what was asked is answered, with or without a word.
            b'Z' => {
                while self.pending.front().is_some_and(|first| first.statement) {
                    self.end_first(at, out);
                }
            }
            _ => {}
        }
    }

    /// A simple query can hold several statements, each with an answer: it ends when the server is ready.
    fn answered(&mut self, at: Timestamp, out: &mut Vec<Event>) {
        let Some(first) = self.pending.front_mut() else { return };
        first.answered = true;
        if first.event.text("dongson.postgresql.request") != Some("query") {
            self.end_first(at, out);
        }
    }

    /// The steps of a sign-in; of SCRAM's last word the outcome follows at once.
    fn authentication(&mut self, at: Timestamp, body: &[u8], out: &mut Vec<Event>) {
        let Some(code) = Cursor::new(body).u32() else { return };
        let name = match code {
            0 => "ok",
            2 => "kerberos_v5",
            3 => "cleartext_password",
            5 => "md5_password",
            7 => "gss",
            8 => "gss_continue",
            9 => "sspi",
            10 => "sasl",
            11 => "sasl_continue",
            12 => "sasl_final",
            _ => "unknown",
        };
        self.sasl = code == 10;
        let Some(first) = self.pending.front_mut().filter(|first| !first.statement) else { return };
        first.event.set("dongson.postgresql.response", format!("authentication_{name}"));
        if code == 0 {
            first.event.set("event.outcome", "success");
        }
        if code != 12 {
            self.end_first(at, out);
        }
    }

    /// Fields of one letter and a text each ("Error and Notice Message Fields").
    fn error(&mut self, at: Timestamp, mut body: &[u8], out: &mut Vec<Event>) {
        let Some(first) = self.pending.front_mut() else { return };
        first.event.set("event.outcome", "failure");
        while let Some((&field, rest)) = body.split_first().filter(|(field, _)| **field != 0) {
            let (value, behind) = until_nul(rest);
            body = behind;
            match field {
                b'C' => drop(first.event.set("dongson.postgresql.error_code", text(value, 8))),
                b'M' => drop(first.event.set("error.message", text(value, 512))),
                _ => {}
            }
        }
        first.answered = true;
        if !first.statement {
            self.end_first(at, out);
        }
    }

    fn end_first(&mut self, at: Timestamp, out: &mut Vec<Event>) {
        let Some(Pending { at: asked, mut event, statement, rows, row_bytes, .. }) = self.pending.pop_front()
        else {
            return;
        };
        event.set("event.duration", at.nanos().saturating_sub(asked.nanos()));
        if statement && rows > 0 {
            event.set("dongson.postgresql.rows", rows);
            event.set("dongson.postgresql.row_bytes", row_bytes);
        }
        out.push(event);
    }
}

impl Stream for Postgresql {
    fn data(&mut self, side: Side, at: Timestamp, mut bytes: &[u8], out: &mut Vec<Event>) {
        let client = side == self.client;
        if !client && self.asked {
            let Some((&byte, rest)) = bytes.split_first() else { return };
            self.granted(at, byte, out);
            bytes = rest;
        }
        let mut frames = std::mem::take(side.of_mut(&mut self.sides));
        frames.feed(&SHAPE, bytes, |message| {
            // What follows in this piece is heard no more than what follows in the next.
            if side.of(&self.sides).is_broken() {
                return;
            }
            if client {
                self.client_says(at, message, out);
            } else {
                self.server_says(at, message, out);
            }
        });
        // Whoever speaks otherwise is heard no further.
        if side.of(&self.sides).is_broken() {
            frames.close();
        }
        *side.of_mut(&mut self.sides) = frames;
    }

    fn gap(&mut self, side: Side, length: u64) {
        side.of_mut(&mut self.sides).gap(&SHAPE, length);
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        out.extend(self.pending.drain(..).map(|left| left.event));
    }

    fn wants_more(&self, side: Side) -> bool {
        !side.of(&self.sides).is_broken()
    }
}

fn until_nul(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    (bytes.get(..end).unwrap_or_default(), bytes.get(end + 1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Options;
    use crate::protocol::talk;
    use proptest::prelude::*;

    const C: Side = Side::Originator;
    const S: Side = Side::Responder;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[kind], &length[..], body].concat()
    }

    fn startup() -> Vec<u8> {
        let body = b"\0\x03\0\0user\0an\0application_name\0psql\0\0";
        [&u32::try_from(body.len() + 4).unwrap().to_be_bytes()[..], body].concat()
    }

    fn run(turns: &[(Side, Vec<u8>)], chunk: usize) -> Vec<Event> {
        let options = Options::default();
        talk::hear(&mut Postgresql::new(&Start { client: C, options: &options }), turns, chunk)
    }

    fn told<'e>(events: &'e [Event], name: &str) -> Vec<Option<&'e str>> {
        events.iter().map(|event| event.text(name)).collect()
    }

    #[test]
    fn a_sign_in_and_statements() {
        let ready = message(b'Z', b"I");
        let row = message(b'D', b"\0\x02\0\0\0\x03abc\xff\xff\xff\xff");
        let turns = [
            (C, b"\0\0\0\x08\x04\xd2\x16\x2f".to_vec()),
            (S, b"N".to_vec()),
            (C, startup()),
            (S, message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0")),
            (C, message(b'p', b"SCRAM-SHA-256\0\0\0\0\x01n")),
            (S, message(b'R', b"\0\0\0\x0br=1")),
            (C, message(b'p', b"c=biws")),
            (S, [message(b'R', b"\0\0\0\x0cv=1"), message(b'R', b"\0\0\0\0"), ready.clone()].concat()),
            (C, message(b'Q', b"select 1\0")),
            (S, [row.clone(), row, message(b'C', b"SELECT 2\0"), ready.clone()].concat()),
            (C, message(b'Q', b"select 1/0\0")),
            (S, [message(b'E', b"SERROR\0C22012\0Mdivision by zero\0\0"), ready.clone()].concat()),
            (
                C,
                [message(b'P', b"\0alter role an password 'khoa'\0\0\0"), message(b'E', b"\0\0\0\0\0")]
                    .concat(),
            ),
            (S, [message(b'1', b""), message(b'C', b"ALTER ROLE\0"), ready].concat()),
            (C, message(b'X', b"")),
        ];
        let events = run(&turns, usize::MAX);
        assert_eq!(events, run(&turns, 1));
        assert_eq!(
            told(&events, "dongson.postgresql.request").into_iter().flatten().collect::<Vec<_>>(),
            ["ssl_request", "startup", "sasl_initial", "password", "query", "query", "parse", "terminate"]
        );
        assert_eq!(
            told(&events, "event.outcome"),
            [
                Some("failure"),
                None,
                None,
                Some("success"),
                Some("success"),
                Some("failure"),
                Some("success"),
                None
            ]
        );
        let [_, _, chosen, proof, query, wrong, role, _] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(chosen.text("dongson.postgresql.argument"), Some("SCRAM-SHA-256"));
        assert_eq!(proof.text("dongson.postgresql.argument"), None);
        assert_eq!(query.text("user.name"), Some("an"));
        assert_eq!(query.text("dongson.postgresql.database"), Some("an"));
        assert_eq!(query.int("dongson.postgresql.rows"), Some(2));
        assert_eq!(query.int("dongson.postgresql.row_bytes"), Some(6));
        assert_eq!(query.text("dongson.postgresql.response"), Some("SELECT 2"));
        assert_eq!(wrong.text("dongson.postgresql.error_code"), Some("22012"));
        assert_eq!(wrong.text("error.message"), Some("division by zero"));
        assert!(!role.text("dongson.postgresql.argument").unwrap().contains("khoa"), "{role:?}");
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(talk: Vec<(bool, u8, Vec<u8>)>, begin: bool, chunk in 1..20_usize) {
            let mut turns = if begin { vec![(C, startup())] } else { Vec::new() };
            for (client, kind, bytes) in talk {
                turns.push((if client { C } else { S }, if kind == 0 { bytes } else { message(kind, &bytes) }));
            }
            prop_assert_eq!(run(&turns, usize::MAX), run(&turns, chunk));
        }
    }
}
