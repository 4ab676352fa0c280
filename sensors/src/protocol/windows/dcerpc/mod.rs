//! DCE/RPC over connections (C706, 12.6; MS-RPCE, 2.2.2): which operation of which interface was called.
//!
//! In: the bytes of a TCP connection. Out: one `sensor.dce_rpc` event per call, when it is answered, when too many wait, or
//! at the end; what its authentication carries goes to [`crate::protocol::windows::gss`]. Arguments are not kept. Memory: [`MAX_PDU`] bytes of
//! each side, [`MAX_CALLS`] calls and [`MAX_CONTEXTS`] interfaces.

mod datagram;
mod interfaces;

use dongson_event::{Event, Timestamp};

pub(in crate::protocol) use datagram::{Connectionless, is_message};

use crate::protocol::Side;
use crate::protocol::dissect::Stream;
use crate::protocol::frames::{self, Frames, Length, Shape};
use crate::protocol::le;
use crate::protocol::windows::gss::Gss;

/// Bytes of a message that are kept.
const MAX_PDU: usize = 16 * 1024;
/// Calls that wait for their answers.
const MAX_CALLS: usize = 16;
/// Interfaces that one connection may name.
const MAX_CONTEXTS: usize = 64;

const SHAPE: Shape = Shape {
    length: frames::rpc,
    magic: Some(|eight| matches!(eight, [5, 0 | 1, 0..=19, _, 0x10 | 0, 0, 0, 0])),
    keep: MAX_PDU,
};

/// An interface that a bind names.
#[derive(Debug)]
struct Context {
    id: u16,
    uuid: String,
}

/// A call without an answer.
#[derive(Debug)]
struct Call {
    id: u32,
    at: Timestamp,
    context: u16,
    opnum: u16,
    request: Sum,
    response: Sum,
}

/// What one side of a call has sent.
#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    bytes: u64,
    fragments: u64,
}

impl Sum {
    fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.fragments += 1;
    }
}

/// One association.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Dcerpc {
    frames: [Frames; 2],
    contexts: Vec<Context>,
    calls: Vec<Call>,
    /// Under which name the server answers.
    pipe: Option<String>,
    gss: Gss,
}

/// The fixed fields of a message (C706, 12.6.3.1).
#[derive(Debug, Clone, Copy)]
struct Header {
    kind: u8,
    flags: u8,
    little: bool,
    length: u16,
    authentication: u16,
    call: u32,
}

impl Header {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let little = le::u8(bytes, 4)? & 0x10 != 0;
        Some(Self {
            kind: le::u8(bytes, 2)?,
            flags: le::u8(bytes, 3)?,
            little,
            length: le::in_order16(bytes.get(8..)?, little)?,
            authentication: le::in_order16(bytes.get(10..)?, little)?,
            call: le::in_order32(bytes.get(12..)?, little)?,
        })
    }

    /// Bytes of arguments or results behind `fixed` bytes of header, without padding and authentication.
    fn stub(self, bytes: &[u8], fixed: u16) -> u64 {
        let trailer = match self.authentication {
            0 => 0,
            length => {
                let place = self.length.saturating_sub(length).saturating_sub(8);
                let padding = le::u8(bytes, usize::from(place) + 2).unwrap_or(0);
                length.saturating_add(8).saturating_add(u16::from(padding))
            }
        };
        u64::from(self.length.saturating_sub(fixed).saturating_sub(trailer))
    }
}

/// Kinds of messages as Suricata prints them (C706, 12.6.1; MS-RPCE, 2.2.2.5).
const KINDS: &[&str] = &[
    "REQUEST",
    "PING",
    "RESPONSE",
    "FAULT",
    "WORKING",
    "NOCALL",
    "REJECT",
    "ACK",
    "CL_CANCEL",
    "FACK",
    "CANCEL_ACK",
    "BIND",
    "BINDACK",
    "BINDNAK",
    "ALTER_CONTEXT",
    "ALTER_CONTEXT_RESP",
    "AUTH3",
    "SHUTDOWN",
    "CO_CANCEL",
    "ORPHANED",
];

impl Dcerpc {
    /// An association through a pipe that was opened under this name.
    pub(in crate::protocol) fn on_pipe(name: Option<String>) -> Self {
        Self { pipe: name, ..Self::default() }
    }

    /// Says on an event of the carrier which message begins here, if it has been read already.
    pub(in crate::protocol) fn describe_message(&self, event: &mut Event, bytes: &[u8]) {
        let Some(header) = Header::parse(bytes).filter(|_| matches!(frames::rpc(bytes), Length::Is(_)))
        else {
            return;
        };
        event.set_some("dongson.dce_rpc.message", KINDS.get(usize::from(header.kind)).copied());
        event.set("dongson.dce_rpc.call_id", i64::from(header.call));
        let number = |place: usize| bytes.get(place..).and_then(|two| le::in_order16(two, header.little));
        let place = match header.kind {
            0 => 20,
            11 | 14 => 28,
            _ => return,
        };
        let context = number(place).and_then(|id| self.contexts.iter().find(|context| context.id == id));
        let uuid = context.map(|context| context.uuid.as_str());
        event.set_some("dongson.dce_rpc.interface", uuid);
        let interface = uuid.and_then(interfaces::find);
        event.set_some("dongson.dce_rpc.endpoint", interface.map(|interface| interface.name));
        if let Some(opnum) = number(22).filter(|_| header.kind == 0) {
            event.set("dongson.dce_rpc.opnum", i64::from(opnum));
            let operation = interface.and_then(|interface| interface.operation(opnum));
            event.set_some("dongson.dce_rpc.operation", operation);
        }
    }

    fn message(&mut self, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let Some(header) = Header::parse(bytes) else { return };
        match header.kind {
            0 => self.request(at, header, bytes, out),
            2 | 3 => self.answer(at, header, bytes, out),
            11 | 14 => self.bind(header, bytes),
            12 | 15 => self.accepted(header, bytes),
            _ => {}
        }
        // Tokens stand in binds, their answers and the third leg; later ones are signatures.
        if matches!(header.kind, 11 | 12 | 14..=16) && header.authentication > 0 {
            let place = usize::from(header.length.saturating_sub(header.authentication));
            if let Some(token) = le::part(bytes, place, usize::from(header.authentication)) {
                self.gss.token(at, token, out);
            }
        }
        if matches!(header.kind, 2 | 3) {
            self.gss.outcome(Some(header.kind == 2), out);
        }
    }

    fn bind(&mut self, header: Header, bytes: &[u8]) {
        let mut place = 28;
        for _ in 0..le::u8(bytes, 24).unwrap_or(0) {
            let Some(context) = bytes.get(place..) else { break };
            let id = le::in_order16(context, header.little);
            let uuid = context.get(4..).and_then(|uuid| le::uuid(uuid, header.little));
            let (Some(id), Some(uuid), Some(transfers)) = (id, uuid, le::u8(context, 2)) else { break };
            self.contexts.retain(|held| held.id != id);
            if self.contexts.len() < MAX_CONTEXTS {
                self.contexts.push(Context { id, uuid });
            }
            place += 24 + 20 * usize::from(transfers);
        }
    }

    /// The secondary address: the pipe or the port.
    fn accepted(&mut self, header: Header, bytes: &[u8]) {
        let length = bytes.get(24..).and_then(|length| le::in_order16(length, header.little));
        let address = length.and_then(|length| le::part(bytes, 26, usize::from(length)));
        let address = address.map(le::ascii).filter(|address| !address.is_empty());
        if address.is_some() {
            self.pipe = address;
        }
    }

    fn request(&mut self, at: Timestamp, header: Header, bytes: &[u8], out: &mut Vec<Event>) {
        let number = |place: usize| bytes.get(place..).and_then(|two| le::in_order16(two, header.little));
        let (Some(context), Some(opnum)) = (number(20), number(22)) else { return };
        let stub = header.stub(bytes, if header.flags & 0x80 == 0 { 24 } else { 40 });
        let place = self.calls.iter().position(|call| call.id == header.call);
        if header.flags & 1 == 0
            && let Some(call) = place.and_then(|place| self.calls.get_mut(place))
        {
            call.request.add(stub);
            return;
        }
        // A first fragment: an older call of its number, or the oldest of too many, has no answer.
        let stale = place.or((self.calls.len() >= MAX_CALLS).then_some(0));
        if let Some(stale) = stale {
            let call = self.calls.remove(stale);
            out.push(self.describe(&call));
        }
        let request = Sum { bytes: stub, fragments: 1 };
        self.calls.push(Call { id: header.call, at, context, opnum, request, response: Sum::default() });
    }

    fn answer(&mut self, at: Timestamp, header: Header, bytes: &[u8], out: &mut Vec<Event>) {
        let Some(place) = self.calls.iter().position(|call| call.id == header.call) else { return };
        if let Some(call) = self.calls.get_mut(place) {
            call.response.add(header.stub(bytes, 24));
        }
        if header.flags & 2 == 0 && header.kind == 2 {
            return;
        }
        let call = self.calls.remove(place);
        let mut event = self.describe(&call);
        event.set("event.duration", i64::try_from(at.since(call.at).as_nanos()).unwrap_or(i64::MAX));
        if header.kind == 3 {
            let status = bytes.get(24..).and_then(|status| le::in_order32(status, header.little));
            event.set_some("dongson.dce_rpc.fault", status.map(|status| format!("0x{status:08x}")));
        }
        event.set("event.outcome", if header.kind == 2 { "success" } else { "failure" });
        out.push(event);
    }

    fn describe(&self, call: &Call) -> Event {
        let context = self.contexts.iter().find(|context| context.id == call.context);
        let mut event = described(call.at, context.map(|context| context.uuid.as_str()), call.opnum);
        event.set("dongson.dce_rpc.context_id", i64::from(call.context));
        event.set("dongson.dce_rpc.call_id", i64::from(call.id));
        event.set_some("dongson.dce_rpc.named_pipe", self.pipe.as_deref());
        event.set_some("user.name", self.gss.ntlm.user());
        event.set("dongson.dce_rpc.version", "5.0");
        describe_sums(&mut event, call.request, call.response);
        event
    }
}

/// What every call has: its interface and its operation, named where they are known.
fn described(at: Timestamp, uuid: Option<&str>, opnum: u16) -> Event {
    let mut event = Event::of("sensor.dce_rpc", at);
    event.set("network.protocol", "dce_rpc");
    event.set("dongson.dce_rpc.opnum", i64::from(opnum));
    let Some(uuid) = uuid else { return event };
    event.set("dongson.dce_rpc.interface", uuid);
    if let Some(interface) = interfaces::find(uuid) {
        event.set("dongson.dce_rpc.endpoint", interface.name);
        event.set_some("dongson.dce_rpc.operation", interface.operation(opnum));
    }
    event
}

fn describe_sums(event: &mut Event, request: Sum, response: Sum) {
    event.set("dongson.dce_rpc.request_bytes", request.bytes);
    event.set("dongson.dce_rpc.request_fragments", request.fragments);
    if response.fragments > 0 {
        event.set("dongson.dce_rpc.response_bytes", response.bytes);
        event.set("dongson.dce_rpc.response_fragments", response.fragments);
    }
}

impl Stream for Dcerpc {
    fn data(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let mut frames = std::mem::take(side.of_mut(&mut self.frames));
        frames.feed(&SHAPE, bytes, |message| self.message(at, message, out));
        *side.of_mut(&mut self.frames) = frames;
    }

    fn gap(&mut self, side: Side, length: u64) {
        side.of_mut(&mut self.frames).gap(&SHAPE, length);
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        for call in std::mem::take(&mut self.calls) {
            out.push(self.describe(&call));
        }
        self.gss.outcome(None, out);
    }

    fn wants_more(&self, side: Side) -> bool {
        !side.of(&self.frames).is_broken()
    }

    fn service(&self) -> Option<&'static str> {
        let seen = self.gss.seen;
        match (seen.gssapi, seen.ntlm, seen.kerberos) {
            (true, true, _) => Some("dce_rpc,gssapi,ntlm"),
            (true, false, true) => Some("dce_rpc,gssapi,krb"),
            (true, false, false) => Some("dce_rpc,gssapi"),
            (false, true, _) => Some("dce_rpc,ntlm"),
            (false, false, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::talk;
    use proptest::prelude::*;

    fn pdu(kind: u8, flags: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(16 + body.len()).unwrap().to_le_bytes();
        [&[5, 0, kind, flags, 0x10, 0, 0, 0][..], &length, &[0, 0, 7, 0, 0, 0], body].concat()
    }

    const SVCCTL: [u8; 16] =
        [0x81, 0xbb, 0x7a, 0x36, 0x44, 0x98, 0xf1, 0x35, 0xad, 0x32, 0x98, 0xf0, 0x38, 0x00, 0x10, 0x03];

    fn talk() -> Vec<(Side, Vec<u8>)> {
        let bind = [&[0; 8][..], &[1, 0, 0, 0, 2, 0, 1, 0], &SVCCTL, &[2, 0, 0, 0], &[0; 20]].concat();
        let bound = [&[0; 8][..], &[12, 0], b"\\PIPE\\svcct\0", &[0; 20]].concat();
        vec![
            (Side::Originator, pdu(11, 3, &bind)),
            (Side::Responder, pdu(12, 3, &bound)),
            (Side::Originator, pdu(0, 1, &[0, 0, 0, 0, 2, 0, 12, 0, 9, 9])),
            (Side::Originator, pdu(0, 2, &[0, 0, 0, 0, 2, 0, 12, 0, 9])),
            (Side::Responder, pdu(2, 3, &[0, 0, 0, 0, 2, 0, 0, 0, 1, 2, 3, 4])),
        ]
    }

    fn run(turns: &[(Side, Vec<u8>)], chunk: usize) -> Vec<Event> {
        talk::hear(&mut Dcerpc::default(), turns, chunk)
    }

    #[test]
    fn a_service_is_created_from_afar() {
        let events = run(&talk(), usize::MAX);
        assert_eq!(events, run(&talk(), 1));
        let [event] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(event.text("dongson.dce_rpc.endpoint"), Some("svcctl"));
        assert_eq!(event.text("dongson.dce_rpc.operation"), Some("CreateServiceW"));
        assert_eq!(event.text("dongson.dce_rpc.named_pipe"), Some("\\PIPE\\svcct"));
        assert_eq!(event.int("dongson.dce_rpc.request_bytes"), Some(3));
        assert_eq!(event.int("dongson.dce_rpc.request_fragments"), Some(2));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(bodies: Vec<(bool, u8, u8, Vec<u8>)>, chunk in 1..30_usize) {
            let mut turns = talk();
            for (client, kind, flags, body) in bodies {
                let side = if client { Side::Originator } else { Side::Responder };
                turns.push((side, pdu(kind % 20, flags, &body)));
            }
            prop_assert_eq!(run(&turns, usize::MAX), run(&turns, chunk));
        }
    }
}
