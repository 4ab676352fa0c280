//! What answers of SMB 2 and 3 say (MS-SMB2, 2.2).
//!
//! In: an answer and the request that waited for it, if it was seen. Out: its event, finished. Memory: that of [`State`].

use dongson_event::Event;

use super::names;
use super::state::{self, Block, FileId, Pending, State, Way};
use super::v2::{self, Chain, HEADER, Header, Moment, PREVIOUS};
use crate::protocol::le;

/// The request is not done yet; the answer comes later under the same number (MS-SMB2, 3.3.4.2).
const STATUS_PENDING: u32 = 0x0000_0103;
const MORE_PROCESSING: u32 = 0xc000_0016;
/// More data than fits; what there is counts.
const BUFFER_OVERFLOW: u32 = 0x8000_0005;

pub(super) fn answer(
    state: &mut State,
    moment: Moment,
    header: Header,
    bytes: &[u8],
    chain: &mut Chain,
    out: &mut Vec<Event>,
) {
    if header.status == STATUS_PENDING && header.asynchronous {
        return;
    }
    let seen = state.answered(header.message, header.command);
    let answered = seen.is_some();
    let mut pending = seen.unwrap_or_else(|| Pending {
        key: header.message,
        command: header.command,
        at: moment.at,
        event: v2::described(state, moment.at, header),
        tree: header.tree,
        open: None,
        offset: 0,
        detail: 0,
    });
    if pending.open == Some(PREVIOUS) {
        pending.open = chain.opened;
    }
    if answered {
        let duration = i64::try_from(moment.at.since(pending.at).as_nanos()).unwrap_or(i64::MAX);
        pending.event.set("event.duration", duration);
    }
    state::describe_status(&mut pending.event, header.status);
    if header.command == v2::SESSION_SETUP {
        session_setup(state, moment, &mut pending.event, header, bytes, out);
    } else if header.status == 0 || header.status == BUFFER_OVERFLOW {
        success(state, moment, header, &mut pending, bytes, chain, out);
    }
    let tells = match (header.command, pending.open) {
        (v2::READ | v2::WRITE, Some(id)) => state.tells(id),
        _ => true,
    };
    if header.command == v2::CLOSE
        && let Some(id) = pending.open
    {
        out.push(pending.event);
        return state.close(id, moment.at, out);
    }
    if tells {
        out.push(pending.event);
    }
}

fn success(
    state: &mut State,
    moment: Moment,
    header: Header,
    pending: &mut Pending,
    bytes: &[u8],
    chain: &mut Chain,
    out: &mut Vec<Event>,
) {
    match header.command {
        v2::NEGOTIATE => negotiate(state, &mut pending.event, bytes),
        v2::TREE_CONNECT => tree_connect(state, header.tree, &mut pending.event, bytes),
        v2::TREE_DISCONNECT => state.disconnect(pending.tree),
        v2::CREATE => chain.opened = create(state, moment, pending, bytes, out),
        v2::CLOSE => close(&mut pending.event, bytes),
        v2::READ => {
            let offset = le::u8(bytes, HEADER + 2).map_or(0, usize::from);
            contents(state, moment, pending, bytes, (offset, HEADER + 4), out);
        }
        v2::IOCTL if pending.detail == v2::TRANSCEIVE => {
            let offset = le::u32(bytes, HEADER + 32).and_then(|offset| usize::try_from(offset).ok());
            contents(state, moment, pending, bytes, (offset.unwrap_or(usize::MAX), HEADER + 36), out);
        }
        v2::SET_INFO => renamed(state, pending),
        _ => {}
    }
}

/// MS-SMB2, 2.2.4.
fn negotiate(state: &mut State, event: &mut Event, bytes: &[u8]) {
    let Some(dialect) = le::u16(bytes, HEADER + 4).map(names::dialect) else { return };
    event.set("dongson.smb.dialect", dialect.as_str());
    state.dialect = Some(dialect);
    event.set_some("dongson.smb.server_guid", bytes.get(HEADER + 8..).and_then(names::guid));
}

/// MS-SMB2, 2.2.6.
fn session_setup(
    state: &mut State,
    moment: Moment,
    event: &mut Event,
    header: Header,
    bytes: &[u8],
    out: &mut Vec<Event>,
) {
    if let Some(token) = v2::buffer(bytes, HEADER + 4, HEADER + 6).filter(|token| !token.is_empty()) {
        state.gss.token(moment.at, token, out);
    }
    if header.status == MORE_PROCESSING {
        return;
    }
    state.gss.outcome(Some(header.status == 0), out);
    if header.status == 0 && le::u16(bytes, HEADER + 2).is_some_and(|flags| flags & 4 != 0) {
        event.set("dongson.smb.encrypted", true);
    }
}

/// MS-SMB2, 2.2.10.
fn tree_connect(state: &mut State, tree: u32, event: &mut Event, bytes: &[u8]) {
    let kind = match le::u8(bytes, HEADER + 2) {
        Some(1) => Some("DISK"),
        Some(2) => Some("PIPE"),
        Some(3) => Some("PRINT"),
        _ => None,
    };
    event.set_some("dongson.smb.share_type", kind);
    event.set("dongson.smb.tree_id", i64::from(tree));
    if le::u32(bytes, HEADER + 4).is_some_and(|flags| flags & 0x8000 != 0) {
        event.set("dongson.smb.encrypted", true);
    }
    let path = event.text("dongson.smb.share").unwrap_or_default().to_owned();
    state.connect(tree, path, kind);
}

/// MS-SMB2, 2.2.14.
fn create(
    state: &mut State,
    moment: Moment,
    pending: &mut Pending,
    bytes: &[u8],
    out: &mut Vec<Event>,
) -> Option<FileId> {
    let event = &mut pending.event;
    let id = v2::file_id(bytes, HEADER + 64)?;
    state::describe_times(event, bytes, HEADER + 8);
    event.set_some("file.size", le::u64(bytes, HEADER + 48));
    event.set_some("dongson.smb.fuid", names::guid(&id));
    let about = state::about_file(event);
    state.open(id, pending.tree, about, moment.at, out);
    Some(id)
}

/// MS-SMB2, 2.2.16: what it says of the file counts where the client asked for it.
fn close(event: &mut Event, bytes: &[u8]) {
    if le::u16(bytes, HEADER + 2).is_some_and(|flags| flags & 1 != 0) {
        state::describe_times(event, bytes, HEADER + 8);
        event.set_some("file.size", le::u64(bytes, HEADER + 48));
    }
}

/// What was read, its offset in the message, and where the message says its length.
fn contents(
    state: &mut State,
    moment: Moment,
    pending: &mut Pending,
    bytes: &[u8],
    (offset, length_at): (usize, usize),
    out: &mut Vec<Event>,
) {
    let length = le::u32(bytes, length_at).and_then(|length| usize::try_from(length).ok());
    let (Some(length), Some(id)) = (length, pending.open) else { return };
    let held = bytes.get(offset..).unwrap_or_default();
    let held = held.get(..length).unwrap_or(held);
    let block = Block { id, way: Way::Read, offset: pending.offset, bytes: held, length };
    state.transfer(moment.side, moment.at, pending.tree, block, out);
    pending.event.set("dongson.smb.data_bytes", length);
    if pending.command == v2::READ {
        v2::describe_transfer(state, &mut pending.event, id, Way::Read);
    }
}

/// The open file has its new name.
fn renamed(state: &mut State, pending: &Pending) {
    let path =
        pending.event.text("file.path").filter(|_| pending.event.get("dongson.smb.previous_path").is_some());
    if let (Some(path), Some(open)) = (path, pending.open.and_then(|id| state.find(id))) {
        state::describe_path(&mut open.about, path);
    }
}
