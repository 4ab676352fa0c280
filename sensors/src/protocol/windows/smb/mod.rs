//! SMB: shares, files and pipes of Windows (MS-SMB2; MS-CIFS and MS-SMB for the first version).
//!
//! In: both directions of a connection. Out: one `sensor.smb` event per command with its answer, a `sensor.file` event for
//! what was read from or written to a file, `sensor.dce_rpc` events for calls through pipes, and those of the sign-in
//! ([`crate::protocol::windows::gss`]). Of many reads or writes of one file the first ones are told. Encrypted messages are counted and
//! told once, at the end. Memory: what `nbss` holds of each side, and [`state::State`].

mod answer1;
mod names;
mod names1;
mod nbss;
mod reply;
mod state;
mod v1;
mod v2;

use dongson_event::{Event, Timestamp};

use crate::protocol::Side;
use crate::protocol::dissect::{Start, Stream};
use nbss::{Piece, Reader};
use state::State;
use v2::Moment;

/// A connection that speaks SMB.
#[derive(Debug)]
pub(in crate::protocol) struct Smb {
    readers: [Reader; 2],
    state: State,
    encrypted: Option<Encrypted>,
}

/// Messages that cannot be read.
#[derive(Debug)]
struct Encrypted {
    since: Timestamp,
    messages: u64,
}

impl Smb {
    pub(in crate::protocol) fn new(start: &Start<'_>) -> Self {
        Self { readers: Default::default(), state: State::new(*start.options), encrypted: None }
    }

    fn message(&mut self, moment: Moment, bytes: &[u8], out: &mut Vec<Event>) {
        self.state.end_tail(moment.side);
        match bytes.first_chunk() {
            Some(b"\xfeSMB") => v2::message(&mut self.state, moment, bytes, out),
            Some(b"\xffSMB") => v1::message(&mut self.state, moment, bytes, out),
            // MS-SMB2, 2.2.41.
            Some(b"\xfdSMB") => {
                let encrypted = self.encrypted.get_or_insert(Encrypted { since: moment.at, messages: 0 });
                encrypted.messages += 1;
            }
            _ => {}
        }
    }
}

impl Stream for Smb {
    fn data(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let mut reader = std::mem::take(side.of_mut(&mut self.readers));
        reader.feed(bytes, |piece| match piece {
            Piece::Message(bytes) => self.message(Moment { side, at }, bytes, out),
            Piece::More(bytes) => self.state.tail(side, at, bytes, out),
        });
        *side.of_mut(&mut self.readers) = reader;
    }

    fn gap(&mut self, side: Side, length: u64) {
        let missing = side.of_mut(&mut self.readers).gap(length);
        self.state.tail_gap(side, missing);
    }

    fn finish(&mut self, at: Timestamp, out: &mut Vec<Event>) {
        self.state.finish(at, out);
        if let Some(encrypted) = self.encrypted.take() {
            let mut event = Event::of("sensor.smb", encrypted.since);
            event.set("network.protocol", "smb");
            event.set("dongson.smb.version", "SMB2");
            event.set_some("dongson.smb.dialect", self.state.dialect.as_deref());
            event.set("dongson.smb.encrypted", true);
            event.set("dongson.smb.encrypted_messages", encrypted.messages);
            out.push(event);
        }
    }

    fn wants_more(&self, _side: Side) -> bool {
        true
    }

    fn service(&self) -> Option<&'static str> {
        let seen = self.state.gss.seen;
        match (seen.gssapi, seen.ntlm, seen.kerberos) {
            (true, true, _) => Some("gssapi,ntlm,smb"),
            (true, false, true) => Some("gssapi,krb,smb"),
            (true, false, false) => Some("gssapi,smb"),
            (false, true, _) => Some("ntlm,smb"),
            (false, false, _) => None,
        }
    }
}

#[cfg(test)]
mod tests;
