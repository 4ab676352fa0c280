//! Remote procedure calls of Sun (RFC 5531), and what NFS does with them (RFC 1094, RFC 1813, RFC 8881).
//!
//! In: both directions over TCP, or datagrams. Out: one event per call, when it is answered or at the end: `sensor.nfs` for
//! NFS, `sensor.rpc` for other programs. Contents of files are not read. Memory: [`MAX_RECORD`] bytes of each side,
//! [`MAX_CALLS`] calls, [`MAX_HANDLES`] names of files.

mod operations;

use std::collections::VecDeque;

use dongson_event::{Event, Timestamp};

use crate::protocol::Side;
use crate::protocol::dissect::{Datagrams, Stream};
use crate::protocol::frames::{Frames, Length, Shape};
use crate::protocol::wire::{Cursor, text};

/// Bytes of a record that are kept; contents stand behind what is read.
const MAX_RECORD: usize = 8 * 1024;
/// Calls that wait for their answers; the oldest goes out when there are more.
const MAX_CALLS: usize = 64;
/// File handles whose names are known.
const MAX_HANDLES: usize = 128;
/// Longest name (RFC 1813, 2.4, leaves it to servers).
const MAX_NAME: usize = 1024;
const NFS: u32 = 100_003;

const SHAPE: Shape = Shape { length, magic: None, keep: MAX_RECORD };

/// A fragment of a record: one bit that it is the last, 31 of its length (RFC 5531, 11).
fn length(bytes: &[u8]) -> Length {
    let Some(head) = bytes.first_chunk::<4>() else { return Length::Unknown };
    let length = usize::try_from(u32::from_be_bytes(*head) & 0x7fff_ffff).unwrap_or(usize::MAX);
    Length::Is(length.saturating_add(4))
}

/// Whether a datagram is a call of a program that is numbered by RFC 5531, 8.3.1.
pub(in crate::protocol) fn is_call(bytes: &[u8]) -> bool {
    matches!(bytes.get(4..16), Some([0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0x86..=0x8a, _])) && bytes.len() >= 40
}

/// Calls between two hosts.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Rpc {
    frames: [Frames; 2],
    /// The next fragment goes on with a record.
    continued: [bool; 2],
    calls: VecDeque<Call>,
    /// Handles and the names under which they were found.
    handles: VecDeque<(Vec<u8>, String)>,
    service: Option<&'static str>,
}

/// A call without an answer.
#[derive(Debug)]
struct Call {
    xid: u32,
    at: Timestamp,
    program: u32,
    version: u32,
    procedure: u32,
    event: Event,
}

/// Bytes behind their length, padded to a multiple of four (RFC 4506, 4.10).
fn opaque<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let length = usize::try_from(cursor.u32()?).ok()?;
    let bytes = cursor.take(length)?;
    cursor.take(length.wrapping_neg() % 4)?;
    Some(bytes)
}

fn string(cursor: &mut Cursor<'_>) -> Option<String> {
    opaque(cursor).map(|bytes| text(bytes, MAX_NAME))
}

impl Rpc {
    fn record(&mut self, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let mut cursor = Cursor::new(bytes);
        match (cursor.u32(), cursor.u32()) {
            (Some(xid), Some(0)) => self.call(at, xid, &mut cursor, out),
            (Some(xid), Some(1)) => self.answer(at, xid, &mut cursor, out),
            _ => {}
        }
    }

    /// RFC 5531, 9: `call_body`.
    fn call(&mut self, at: Timestamp, xid: u32, cursor: &mut Cursor<'_>, out: &mut Vec<Event>) {
        let head = [cursor.u32(), cursor.u32(), cursor.u32(), cursor.u32()];
        let [Some(2), Some(program), Some(version), Some(procedure)] = head else { return };
        self.service = Some(service(program));
        let mut event = Event::of(if program == NFS { "sensor.nfs" } else { "sensor.rpc" }, at);
        event.set("network.protocol", service(program));
        event.set("dongson.rpc.xid", i64::from(xid));
        event.set("dongson.rpc.program", i64::from(program));
        event.set("dongson.rpc.program_version", i64::from(version));
        event.set("dongson.rpc.procedure", i64::from(procedure));
        let arguments = credentials(&mut event, cursor);
        if program == NFS && arguments.is_some() {
            let handle = operations::describe_call(&mut event, version, procedure, cursor);
            let known = handle.and_then(|handle| self.handles.iter().find(|(held, _)| held == handle));
            if let Some((_, name)) = known {
                event.set_absent("file.path", name.as_str());
            }
        }
        if self.calls.len() >= MAX_CALLS {
            out.extend(self.calls.pop_front().map(|call| call.event));
        }
        self.calls.push_back(Call { xid, at, program, version, procedure, event });
    }

    /// RFC 5531, 9: `reply_body`.
    fn answer(&mut self, at: Timestamp, xid: u32, cursor: &mut Cursor<'_>, out: &mut Vec<Event>) {
        let Some(place) = self.calls.iter().position(|call| call.xid == xid) else { return };
        let Some(mut call) = self.calls.remove(place) else { return };
        let duration = i64::try_from(at.since(call.at).as_nanos()).unwrap_or(i64::MAX);
        call.event.set("event.duration", duration);
        let accepted = cursor.u32() == Some(0);
        call.event.set("dongson.rpc.status", if accepted { "ACCEPTED" } else { "DENIED" });
        let state = if accepted {
            cursor.u32().and_then(|_| opaque(cursor)).and_then(|_| cursor.u32())
        } else {
            None
        };
        call.event.set_some("dongson.rpc.accept_state", state.map(accept_state));
        let mut fine = state == Some(0);
        if fine && call.program == NFS && call.procedure != 0 {
            let status = cursor.u32();
            call.event.set_some("dongson.nfs.status", status.map(operations::status));
            fine = status == Some(0);
            if fine && let Some(handle) = operations::found(call.version, call.procedure, cursor) {
                self.remember(handle, &call.event);
            }
        }
        call.event.set("event.outcome", if fine { "success" } else { "failure" });
        out.push(call.event);
    }

    fn remember(&mut self, handle: &[u8], event: &Event) {
        let Some(name) = event.text("file.path") else { return };
        self.handles.retain(|(held, _)| held != handle);
        if self.handles.len() >= MAX_HANDLES {
            self.handles.pop_front();
        }
        self.handles.push_back((handle.to_vec(), name.to_owned()));
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        out.extend(self.calls.drain(..).map(|call| call.event));
    }
}

/// Who calls (RFC 5531, 8.2 and appendix A); `None` when the call is cut before its arguments.
fn credentials(event: &mut Event, cursor: &mut Cursor<'_>) -> Option<()> {
    let flavour = cursor.u32()?;
    let body = opaque(cursor)?;
    let name = match flavour {
        0 => "NULL".to_owned(),
        1 => "UNIX".to_owned(),
        6 => "GSS".to_owned(),
        other => other.to_string(),
    };
    event.set("dongson.rpc.auth_type", name);
    if flavour == 1 {
        let mut body = Cursor::new(body);
        body.u32()?;
        event.set_some("dongson.rpc.machine_name", string(&mut body).filter(|name| !name.is_empty()));
        event.set_some("dongson.rpc.uid", body.u32().map(i64::from));
        event.set_some("dongson.rpc.gid", body.u32().map(i64::from));
    }
    cursor.u32()?;
    opaque(cursor).map(|_| ())
}

fn accept_state(number: u32) -> String {
    let known = ["SUCCESS", "PROG_UNAVAIL", "PROG_MISMATCH", "PROC_UNAVAIL", "GARBAGE_ARGS", "SYSTEM_ERR"];
    let name = usize::try_from(number).ok().and_then(|place| known.get(place));
    name.map_or_else(|| number.to_string(), |name| (*name).to_owned())
}

fn service(program: u32) -> &'static str {
    match program {
        100_000 => "portmapper",
        NFS => "nfs",
        100_005 => "mount",
        _ => "rpc",
    }
}

impl Stream for Rpc {
    fn data(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let mut frames = std::mem::take(side.of_mut(&mut self.frames));
        frames.feed(&SHAPE, bytes, |fragment| {
            let last = fragment.first().is_some_and(|first| first & 0x80 != 0);
            let going = std::mem::replace(side.of_mut(&mut self.continued), !last);
            if !going {
                self.record(at, fragment.get(4..).unwrap_or_default(), out);
            }
        });
        *side.of_mut(&mut self.frames) = frames;
    }

    fn gap(&mut self, side: Side, length: u64) {
        side.of_mut(&mut self.frames).gap(&SHAPE, length);
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        self.end(out);
    }

    fn wants_more(&self, side: Side) -> bool {
        !side.of(&self.frames).is_broken()
    }

    fn service(&self) -> Option<&'static str> {
        self.service
    }
}

impl Datagrams for Rpc {
    fn datagram(&mut self, _side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        self.record(at, bytes, out);
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        self.end(out);
    }

    fn service(&self) -> Option<&'static str> {
        self.service
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::talk;
    use proptest::prelude::*;

    const C: Side = Side::Originator;
    const S: Side = Side::Responder;

    fn words(numbers: &[u32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    fn name(value: &str) -> Vec<u8> {
        let padding = vec![0; value.len().wrapping_neg() % 4];
        [words(&[u32::try_from(value.len()).unwrap()]), value.as_bytes().to_vec(), padding].concat()
    }

    /// A call with credentials of the system (RFC 5531, appendix A).
    fn call(xid: u32, version: u32, procedure: u32, arguments: &[u8]) -> Vec<u8> {
        let body = [words(&[7]), name("may-an"), words(&[1000, 100, 0])].concat();
        let head = words(&[xid, 0, 2, NFS, version, procedure, 1, u32::try_from(body.len()).unwrap()]);
        [head, body, words(&[0, 0]), arguments.to_vec()].concat()
    }

    fn answer(xid: u32, results: &[u8]) -> Vec<u8> {
        [words(&[xid, 1, 0, 0, 0, 0]), results.to_vec()].concat()
    }

    fn record(bytes: &[u8]) -> Vec<u8> {
        [&(u32::try_from(bytes.len()).unwrap() | 0x8000_0000).to_be_bytes()[..], bytes].concat()
    }

    fn run(turns: &[(Side, Vec<u8>)], chunk: usize) -> Vec<Event> {
        talk::hear(&mut Rpc::default(), turns, chunk)
    }

    fn talk() -> Vec<(Side, Vec<u8>)> {
        let (folder, file) = (name("DDDD"), name("FFFF"));
        vec![
            (C, record(&call(1, 3, 3, &[folder.clone(), name("a.txt")].concat()))),
            (S, record(&answer(1, &[words(&[0]), file.clone()].concat()))),
            (C, record(&call(2, 3, 6, &[file, words(&[0, 512, 4096])].concat()))),
            (S, record(&answer(2, &words(&[0, 0])))),
            (C, record(&call(3, 3, 12, &[folder, name("cu")].concat()))),
            (S, record(&answer(3, &words(&[13])))),
        ]
    }

    #[test]
    fn a_file_is_found_read_and_not_removed() {
        let events = run(&talk(), usize::MAX);
        assert_eq!(events, run(&talk(), 1));
        let procedures: Vec<_> =
            events.iter().map(|event| event.text("dongson.nfs.procedure").unwrap()).collect();
        assert_eq!(procedures, ["LOOKUP", "READ", "REMOVE"]);
        assert!(events[..2].iter().all(|event| event.text("file.path") == Some("a.txt")));
        assert_eq!(events[1].int("dongson.nfs.offset"), Some(512));
        assert_eq!(events[2].text("dongson.nfs.status"), Some("ERR_ACCESS"));
        assert_eq!(events[2].text("event.outcome"), Some("failure"));
        assert_eq!(events[0].text("dongson.rpc.machine_name"), Some("may-an"));
        assert_eq!(
            (events[0].int("dongson.rpc.uid"), events[0].int("dongson.rpc.gid")),
            (Some(1000), Some(100))
        );
    }

    #[test]
    fn the_fourth_version_has_operations() {
        let ops = [
            words(&[0, 0, 3, 22]),
            name("HHHH"),
            words(&[38, 1, 2, 3, 4, 0, 0, 2]),
            name("noi dung"),
            words(&[9, 1, 0]),
        ];
        let bytes = call(9, 4, 1, &ops.concat());
        assert!(is_call(&bytes));
        let (mut rpc, mut out) = (Rpc::default(), Vec::new());
        rpc.datagram(C, Timestamp::default(), &bytes, &mut out);
        rpc.datagram(S, Timestamp::default(), &answer(9, &words(&[0])), &mut out);
        assert_eq!(out[0].text("dongson.nfs.procedure"), Some("WRITE"));
        assert_eq!(out[0].get("dongson.nfs.operations").unwrap().scalars().len(), 3);
        assert_eq!(out[0].int("dongson.nfs.data_bytes"), Some(8));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            calls: Vec<(u8, u8, u8, Vec<u8>)>,
            noise: Vec<u8>,
            chunk in 1..40_usize,
        ) {
            let mut turns = talk();
            for (xid, version, procedure, rest) in calls {
                let xid = u32::from(xid % 8);
                turns.push((C, record(&call(xid, u32::from(version % 6), u32::from(procedure % 30), &rest))));
                turns.push((S, record(&answer(xid, &rest))));
            }
            turns.push((C, noise));
            prop_assert_eq!(run(&turns, usize::MAX), run(&turns, chunk));
        }
    }
}
