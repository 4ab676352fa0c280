//! Redis: each command with its reply (the Redis serialization protocol, RESP2 and RESP3).
//!
//! In: both directions. Out: one `sensor.redis` event per command, when its reply is whole or at the end. Passwords (AUTH,
//! HELLO) are sealed. Memory: two readers (`resp`), and at most [`MAX_PENDING`] commands of some KiB without a reply; the
//! oldest goes out without one when there are more.

mod resp;

use std::collections::VecDeque;

use dongson_event::{Event, Timestamp};

use self::resp::{Message, Resp};
use crate::protocol::Side;
use crate::protocol::dissect::{Start, Stream};
use crate::protocol::secret;
use crate::protocol::wire::text;

/// Commands that wait for their replies.
const MAX_PENDING: usize = 64;
/// Longest key or value that is told.
const MAX_VALUE: usize = 1024;

/// What the server was told about replies (CLIENT REPLY).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replies {
    On,
    Off,
    /// None to the next command.
    Skip,
}

/// A connection that speaks Redis.
#[derive(Debug)]
pub(in crate::protocol) struct Redis {
    client: Side,
    secret_key: [u8; 32],
    readers: [Resp; 2],
    pending: VecDeque<(Timestamp, Event)>,
    replies: Replies,
}

impl Redis {
    pub(in crate::protocol) fn new(start: &Start<'_>) -> Self {
        Self {
            client: start.client,
            secret_key: start.options.secret_key,
            readers: Default::default(),
            pending: VecDeque::new(),
            replies: Replies::On,
        }
    }

    fn command(&mut self, at: Timestamp, message: &Message, out: &mut Vec<Event>) {
        let Some(name) = message.items.first() else { return };
        let name = text(name, 64).to_uppercase();
        let words: Vec<String> = message.items.iter().skip(1).map(|word| text(word, MAX_VALUE)).collect();
        let first = words.first().map(String::as_str).unwrap_or_default().to_uppercase();
        let event = self.describe(at, &name, &words);
        let before = self.replies;
        let told = (name == "CLIENT" && first == "REPLY")
            .then(|| words.get(1).map(|word| word.to_uppercase()))
            .flatten();
        self.replies = match told.as_deref() {
            Some("ON") => Replies::On,
            Some("OFF") => Replies::Off,
            Some("SKIP") if before != Replies::Off => Replies::Skip,
            _ if before == Replies::Skip => Replies::On,
            _ => before,
        };
        let switched_off = matches!(told.as_deref(), Some("OFF" | "SKIP"));
        let silent = switched_off || (before != Replies::On && told.as_deref() != Some("ON"));
        if silent {
            return out.push(event);
        }
        if self.pending.len() >= MAX_PENDING {
            out.extend(self.pending.pop_front().map(|(_, event)| event));
        }
        self.pending.push_back((at, event));
    }

    fn describe(&self, at: Timestamp, name: &str, words: &[String]) -> Event {
        let mut event = Event::of("sensor.redis", at);
        event.set("network.protocol", "redis");
        event.set("dongson.redis.command", name);
        let word = |at: usize| words.get(at).map(String::as_str);
        match name {
            "AUTH" => {
                let (user, password) = if words.len() > 1 { (word(0), word(1)) } else { (None, word(0)) };
                event.set_some("user.name", user);
                self.seal(&mut event, password);
            }
            "HELLO" => {
                if let Some(at) = words.iter().position(|word| word.eq_ignore_ascii_case("AUTH")) {
                    event.set_some("user.name", word(at + 1));
                    self.seal(&mut event, word(at + 2));
                }
            }
            "ACL" | "CONFIG" => event.set_some("dongson.redis.key", word(0)),
            "CLIENT" | "EVAL" | "SCRIPT" | "MODULE" | "FUNCTION" | "DEBUG" | "CLUSTER" | "PUBLISH" => {
                event.set_some("dongson.redis.key", word(0));
                event.set_some("dongson.redis.value", word(1));
            }
            _ => {
                event.set_some("dongson.redis.key", word(0));
                let value = match name {
                    "SETEX" | "PSETEX" | "HSET" | "HSETNX" | "LSET" | "SETRANGE" | "GETRANGE" => word(2),
                    _ => word(1),
                };
                event.set_some("dongson.redis.value", value);
            }
        }
        event
    }

    fn seal(&self, event: &mut Event, password: Option<&str>) {
        let sealed = password.map(|password| secret::seal(&self.secret_key, password.as_bytes()));
        event.set_some("dongson.redis.password", sealed);
    }

    fn reply(&mut self, at: Timestamp, message: &Message, out: &mut Vec<Event>) {
        // Pushes (RESP3) answer nobody.
        if message.kind == Some(b'>') {
            return;
        }
        let Some((asked, mut event)) = self.pending.pop_front() else { return };
        let failed = matches!(message.kind, Some(b'-' | b'!'));
        event.set("event.outcome", if failed { "failure" } else { "success" });
        event.set("event.duration", at.nanos().saturating_sub(asked.nanos()));
        event.set("dongson.redis.reply", message.text.as_str());
        out.push(event);
    }
}

impl Stream for Redis {
    fn data(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let mut messages = Vec::new();
        side.of_mut(&mut self.readers).feed(bytes, |message| messages.push(message));
        for message in &messages {
            if side == self.client {
                self.command(at, message, out);
            } else {
                self.reply(at, message, out);
            }
        }
    }

    fn gap(&mut self, side: Side, _length: u64) {
        side.of_mut(&mut self.readers).lose();
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        out.extend(self.pending.drain(..).map(|(_, event)| event));
    }

    fn wants_more(&self, side: Side) -> bool {
        !side.of(&self.readers).is_broken()
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

    fn run(turns: &[(Side, Vec<u8>)], chunk: usize) -> Vec<Event> {
        let options = Options::default();
        talk::hear(&mut Redis::new(&Start { client: C, options: &options }), turns, chunk)
    }

    #[test]
    fn commands_meet_their_replies() {
        let turns = [
            (C, b"*2\r\n$4\r\nauth\r\n$4\r\nkhoa\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n".to_vec()),
            (S, b"+OK\r\n-ERR no\r\n".to_vec()),
            (C, b"*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$3\r\nOFF\r\nPING\r\n".to_vec()),
        ];
        let events = run(&turns, usize::MAX);
        assert_eq!(events, run(&turns, 1));
        assert!(!format!("{events:?}").contains("khoa"));
        let outcomes: Vec<_> = events.iter().map(|event| event.text("event.outcome")).collect();
        assert_eq!(outcomes, [Some("success"), Some("failure"), None, None]);
        assert_eq!(events[1].text("dongson.redis.key"), Some("k"));
        assert_eq!(events[1].text("dongson.redis.reply"), Some("ERR no"));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(talk: Vec<(bool, Vec<u8>)>, begin: bool, chunk in 1..20_usize) {
            let mut turns: Vec<_> = talk.into_iter().map(|(client, bytes)| (if client { C } else { S }, bytes)).collect();
            if begin {
                turns.insert(0, (C, b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$9\r\n".to_vec()));
            }
            prop_assert_eq!(run(&turns, usize::MAX), run(&turns, chunk));
        }
    }
}
