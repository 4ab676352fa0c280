//! What answers of SMB 1 say (MS-CIFS, 2.2.4; MS-SMB, 2.2.4).
//!
//! In: an answer and the request that waited for it, if it was seen. Out: its event, finished. Memory: that of [`State`].

use dongson_event::Event;

use super::names;
use super::names1;
use super::state::{self, Block, Pending, State, Way};
use super::v1::{self, Command, Status};
use super::v2::{self, Moment};
use crate::protocol::le;

pub(super) fn answer(state: &mut State, moment: Moment, command: &Command<'_>, out: &mut Vec<Event>) {
    let seen = state.answered(command.header.key, u16::from(command.number));
    let answered = seen.is_some();
    let mut pending = seen.unwrap_or_else(|| Pending {
        key: command.header.key,
        command: u16::from(command.number),
        at: moment.at,
        event: v1::described(state, moment.at, command),
        tree: u32::from(command.header.tree),
        open: None,
        offset: 0,
        detail: 0,
    });
    if answered {
        let duration = i64::try_from(moment.at.since(pending.at).as_nanos()).unwrap_or(i64::MAX);
        pending.event.set("event.duration", duration);
    }
    describe_status(&mut pending.event, command.header.status);
    if command.number == v1::SESSION_SETUP {
        session_setup(state, moment, &mut pending.event, command, out);
    } else if command.header.status.is_success() {
        success(state, moment, &mut pending, command, out);
    }
    let tells = match (command.number, pending.open) {
        (v1::READ | v1::WRITE, Some(id)) => state.tells(id),
        _ => true,
    };
    if tells {
        out.push(pending.event);
    }
    if let (v1::CLOSE, Some(id)) = (command.number, pending.open) {
        state.close(id, moment.at, out);
    }
}

fn describe_status(event: &mut Event, status: Status) {
    match status {
        Status::Nt(status) => state::describe_status(event, status),
        Status::Dos(0, _) => state::describe_status(event, 0),
        Status::Dos(class, code) => {
            event.set("dongson.smb.status_code", format!("0x{code:04x}"));
            event.set_some("dongson.smb.status", names1::error(class, code));
            event.set("event.outcome", "failure");
        }
    }
}

fn success(
    state: &mut State,
    moment: Moment,
    pending: &mut Pending,
    command: &Command<'_>,
    out: &mut Vec<Event>,
) {
    match command.number {
        v1::NEGOTIATE => negotiate(state, &mut pending.event, command),
        v1::TREE_CONNECT => tree_connect(state, &mut pending.event, command),
        v1::TREE_DISCONNECT => state.disconnect(pending.tree),
        v1::CREATE | v1::OPEN => opened(state, moment, pending, command, out),
        v1::READ => {
            let length = command.size(10).zip(command.size(14)).map(|(low, high)| high << 16 | low);
            contents(state, moment, pending, command, (command.size(12), length), out);
            if let Some(id) = pending.open {
                v2::describe_transfer(state, &mut pending.event, id, Way::Read);
            }
        }
        v1::TRANS => contents(state, moment, pending, command, (command.size(14), command.size(12)), out),
        _ => {}
    }
}

/// MS-CIFS, 2.2.4.52.2; MS-SMB, 2.2.4.5.2: the number of a dialect, and with extended security the server's GUID.
fn negotiate(state: &mut State, event: &mut Event, command: &Command<'_>) {
    let offered =
        event.get("dongson.smb.client_dialects").map(dongson_event::Value::scalars).unwrap_or_default();
    let chosen = command.size(0).and_then(|place| offered.get(place)).map(|name| name.to_text().into_owned());
    event.set_some("dongson.smb.dialect", chosen.as_deref());
    state.dialect = chosen;
    if le::u32(command.words, 19).is_some_and(|capabilities| capabilities & 0x8000_0000 != 0) {
        let guid = command.whole.get(command.bytes_at..).and_then(names::guid);
        event.set_some("dongson.smb.server_guid", guid);
    }
}

/// MS-CIFS, 2.2.4.53.2 (3 words); MS-SMB, 2.2.4.6.2 (4 words, a token).
fn session_setup(
    state: &mut State,
    moment: Moment,
    event: &mut Event,
    command: &Command<'_>,
    out: &mut Vec<Event>,
) {
    let length = if command.words.len() == 8 { command.size(6).unwrap_or(0) } else { 0 };
    if let Some(token) = le::part(command.whole, command.bytes_at, length).filter(|token| !token.is_empty()) {
        state.gss.token(moment.at, token, out);
    }
    if !command.words.is_empty() {
        let [system, manager] = command.texts(command.bytes_at + length);
        event.set_some("dongson.smb.server.native_os", system);
        event.set_some("dongson.smb.server.native_lm", manager);
    }
    if !matches!(command.header.status, Status::Nt(0xc000_0016)) {
        state.gss.outcome(Some(command.header.status.is_success()), out);
    }
}

/// MS-CIFS, 2.2.4.55.2: the service is in one-byte signs.
fn tree_connect(state: &mut State, event: &mut Event, command: &Command<'_>) {
    let service = command.ascii(command.bytes_at).map(|(service, _)| service).unwrap_or_default();
    let kind = match service.as_str() {
        "A:" => Some("DISK"),
        "IPC" => Some("PIPE"),
        "LPT1:" => Some("PRINT"),
        _ => None,
    };
    let tree = command.header.tree;
    event.set_some("dongson.smb.share_type", kind);
    event.set("dongson.smb.tree_id", i64::from(tree));
    let path = event.text("dongson.smb.share").unwrap_or_default().to_owned();
    state.connect(u32::from(tree), path, kind);
}

/// MS-CIFS, 2.2.4.64.2, and 2.2.4.41.2 for the older way to open.
fn opened(
    state: &mut State,
    moment: Moment,
    pending: &mut Pending,
    command: &Command<'_>,
    out: &mut Vec<Event>,
) {
    let event = &mut pending.event;
    let number_at = if command.number == v1::CREATE { 5 } else { 4 };
    let Some(id) = v1::file_id(command.words, number_at) else { return };
    if command.number == v1::CREATE {
        state::describe_times(event, command.words, 11);
        event.set_some("file.size", le::u64(command.words, 55));
    } else {
        event.set_some("file.size", le::u32(command.words, 12).map(i64::from));
    }
    event.set_some(
        "dongson.smb.fuid",
        le::u16(command.words, number_at).map(|number| format!("{number:04x}")),
    );
    let about = state::about_file(event);
    state.open(id, pending.tree, about, moment.at, out);
}

/// What was read: its place in the message and its length.
fn contents(
    state: &mut State,
    moment: Moment,
    pending: &mut Pending,
    command: &Command<'_>,
    (at, length): (Option<usize>, Option<usize>),
    out: &mut Vec<Event>,
) {
    let (Some(at), Some(length), Some(id)) = (at, length, pending.open) else { return };
    let held = command.whole.get(at..).unwrap_or_default();
    let held = held.get(..length).unwrap_or(held);
    let block = Block { id, way: Way::Read, offset: pending.offset, bytes: held, length };
    state.transfer(moment.side, moment.at, pending.tree, block, out);
    pending.event.set("dongson.smb.data_bytes", length);
}
