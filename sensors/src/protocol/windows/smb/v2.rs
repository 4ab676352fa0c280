//! SMB 2 and 3 (MS-SMB2): headers, compounds, and what requests ask.
//!
//! In: one session message. Out: one `sensor.smb` event per command, when it is answered. Memory: that of [`State`].

use dongson_event::{Event, Timestamp};

use super::names;
use super::reply;
use super::state::{self, Block, FileId, Pending, State, Way};
use crate::protocol::{Side, le};

pub(super) const NEGOTIATE: u16 = 0;
pub(super) const SESSION_SETUP: u16 = 1;
pub(super) const TREE_CONNECT: u16 = 3;
pub(super) const TREE_DISCONNECT: u16 = 4;
pub(super) const CREATE: u16 = 5;
pub(super) const CLOSE: u16 = 6;
pub(super) const READ: u16 = 8;
pub(super) const WRITE: u16 = 9;
pub(super) const IOCTL: u16 = 11;
const FLUSH: u16 = 7;
const LOCK: u16 = 10;
const CANCEL: u16 = 12;
const FIND: u16 = 14;
const NOTIFY: u16 = 15;
const GET_INFO: u16 = 16;
pub(super) const SET_INFO: u16 = 17;
const OPLOCK_BREAK: u16 = 18;
/// A request through a pipe with its answer (MS-SMB2, 2.2.31).
pub(super) const TRANSCEIVE: u32 = 0x0011_c017;
/// Length of the header (MS-SMB2, 2.2.1).
pub(super) const HEADER: usize = 64;
/// The file that the last request of a compound opened (MS-SMB2, 3.3.5.2.7.2).
pub(super) const PREVIOUS: FileId = [0xff; 16];
/// Commands in one message.
const MAX_COMPOUND: usize = 64;

/// The header of a command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) response: bool,
    pub(super) asynchronous: bool,
    related: bool,
    pub(super) command: u16,
    pub(super) status: u32,
    next: u32,
    pub(super) message: u64,
    pub(super) tree: u32,
    session: u64,
}

/// What goes from one command of a compound to the next.
#[derive(Debug, Default)]
pub(super) struct Chain {
    tree: u32,
    session: u64,
    /// What the file that is opened in it is called.
    about: Event,
    pub(super) opened: Option<FileId>,
}

/// Where and when a message was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) side: Side,
    pub(super) at: Timestamp,
}

impl Header {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let flags = le::u32(bytes, 16)?;
        Some(Self {
            response: flags & 1 != 0,
            asynchronous: flags & 2 != 0,
            related: flags & 4 != 0,
            command: le::u16(bytes, 12)?,
            status: le::u32(bytes, 8)?,
            next: le::u32(bytes, 20)?,
            message: le::u64(bytes, 24)?,
            tree: if flags & 2 == 0 { le::u32(bytes, 36)? } else { 0 },
            session: le::u64(bytes, 40)?,
        })
    }
}

/// All commands of one message.
pub(super) fn message(state: &mut State, moment: Moment, bytes: &[u8], out: &mut Vec<Event>) {
    let (mut rest, mut chain) = (bytes, Chain::default());
    for _ in 0..MAX_COMPOUND {
        let Some(mut header) = Header::parse(rest) else { return };
        if header.related {
            (header.tree, header.session) = (chain.tree, chain.session);
        }
        (chain.tree, chain.session) = (header.tree, header.session);
        let next = usize::try_from(header.next).unwrap_or(usize::MAX);
        let command = if next == 0 { rest } else { rest.get(..next).unwrap_or(rest) };
        if header.response {
            reply::answer(state, moment, header, command, &mut chain, out);
        } else {
            request(state, moment, header, command, &mut chain, out);
        }
        if next < HEADER {
            return;
        }
        rest = rest.get(next..).unwrap_or_default();
    }
}

/// What every event of a command says.
pub(super) fn described(state: &State, at: Timestamp, header: Header) -> Event {
    let mut event = Event::of("sensor.smb", at);
    event.set("network.protocol", "smb");
    event.set("dongson.smb.version", "SMB2");
    event.set("dongson.smb.command", names::command2(header.command));
    event.set("dongson.smb.command_code", i64::from(header.command));
    event.set_some("dongson.smb.dialect", state.dialect.as_deref());
    event.set("dongson.smb.message_id", header.message);
    event.set("dongson.smb.session_id", header.session.to_string());
    event.set("dongson.smb.tree_id", i64::from(header.tree));
    state.describe_tree(&mut event, header.tree);
    event
}

/// What a two-byte offset from the header and a length of so many bytes point to.
pub(super) fn buffer(bytes: &[u8], offset_at: usize, length_at: usize) -> Option<&[u8]> {
    let (offset, length) = (le::u16(bytes, offset_at)?, le::u16(bytes, length_at)?);
    le::part(bytes, usize::from(offset), usize::from(length))
}

pub(super) fn file_id(bytes: &[u8], at: usize) -> Option<FileId> {
    bytes.get(at..)?.first_chunk().copied()
}

fn request(
    state: &mut State,
    moment: Moment,
    header: Header,
    bytes: &[u8],
    chain: &mut Chain,
    out: &mut Vec<Event>,
) {
    let mut pending = Pending {
        key: header.message,
        command: header.command,
        at: moment.at,
        event: described(state, moment.at, header),
        tree: header.tree,
        open: None,
        offset: 0,
        detail: 0,
    };
    if let Some(at) = file_place(header.command) {
        pending.open = file_id(bytes, at);
        match pending.open {
            Some(PREVIOUS) => pending.event.fill(chain.about.clone()),
            Some(id) => state.describe_open(&mut pending.event, id),
            None => {}
        }
    }
    match header.command {
        NEGOTIATE => negotiate(&mut pending.event, bytes),
        SESSION_SETUP => session_setup(state, moment, &mut pending.event, bytes, out),
        TREE_CONNECT => {
            let path = buffer(bytes, 68, 70).map(le::utf16);
            pending.event.set_some("dongson.smb.share", path);
        }
        CREATE => create(state, &mut pending, bytes, chain),
        FIND => {
            let pattern = buffer(bytes, 88, 90).map(le::utf16).filter(|pattern| !pattern.is_empty());
            pending.event.set_some("dongson.smb.search_pattern", pattern);
        }
        SET_INFO => set_info(&mut pending.event, bytes),
        READ | WRITE => read_or_write(state, moment, &mut pending, bytes, out),
        IOCTL => ioctl(state, moment, &mut pending, bytes, out),
        _ => {}
    }
    if header.command == CANCEL {
        out.push(pending.event);
    } else {
        state.wait(pending, out);
    }
}

/// Where a request names the file that it is about.
fn file_place(command: u16) -> Option<usize> {
    match command {
        CLOSE | FLUSH | LOCK | FIND | IOCTL | NOTIFY | OPLOCK_BREAK => Some(HEADER + 8),
        READ | WRITE | SET_INFO => Some(HEADER + 16),
        GET_INFO => Some(HEADER + 24),
        _ => None,
    }
}

fn negotiate(event: &mut Event, bytes: &[u8]) {
    let count = usize::from(le::u16(bytes, HEADER + 2).unwrap_or(0));
    let dialects = bytes.get(HEADER + 36..).unwrap_or_default().as_chunks::<2>().0;
    let dialects = dialects.iter().take(count.min(16)).map(|pair| names::dialect(u16::from_le_bytes(*pair)));
    event.set("dongson.smb.client_dialects", dialects.collect::<Vec<_>>());
    event.set_some("dongson.smb.client_guid", bytes.get(HEADER + 12..).and_then(names::guid));
}

fn session_setup(state: &mut State, moment: Moment, event: &mut Event, bytes: &[u8], out: &mut Vec<Event>) {
    if let Some(token) = buffer(bytes, HEADER + 12, HEADER + 14) {
        state.gss.token(moment.at, token, out);
        state.gss.ntlm.describe_user(event);
    }
}

/// MS-SMB2, 2.2.13.
fn create(state: &State, pending: &mut Pending, bytes: &[u8], chain: &mut Chain) {
    let event = &mut pending.event;
    let path = buffer(bytes, HEADER + 44, HEADER + 46).map(le::utf16).unwrap_or_default();
    state::describe_path(event, &path);
    let disposition = le::u32(bytes, HEADER + 36);
    event.set_some("dongson.smb.disposition", disposition.and_then(names::disposition));
    let access = le::u32(bytes, HEADER + 24);
    event.set_some("dongson.smb.access_mask", access.map(|access| format!("0x{access:08x}")));
    let deletes = le::u32(bytes, HEADER + 40).is_some_and(|options| options & 0x1000 != 0);
    event.set("dongson.smb.access", if deletes { "delete on close" } else { "normal" });
    let pipe = state.is_pipe(pending.tree);
    event.set("dongson.smb.action", if pipe { "SMB::PIPE_OPEN" } else { "SMB::FILE_OPEN" });
    chain.about = ["file.path", "file.name"]
        .into_iter()
        .filter_map(|name| Some((name.into(), event.get(name)?.clone())))
        .collect();
}

/// MS-SMB2, 2.2.39; a new name is in class 10 (MS-FSCC, 2.4.43), a deletion in 13 and 64 (2.4.11).
fn set_info(event: &mut Event, bytes: &[u8]) {
    let (kind, class) = (le::u8(bytes, HEADER + 2), le::u8(bytes, HEADER + 3));
    let (Some(kind), Some(class)) = (kind, class) else { return };
    event.set("dongson.smb.information", format!("{kind}/{class}"));
    let offset = le::u16(bytes, HEADER + 8).map_or(0, usize::from);
    let Some(value) = bytes.get(offset..).filter(|_| kind == 1) else { return };
    match class {
        10 => {
            let length = le::u32(value, 16).and_then(|length| usize::try_from(length).ok());
            let Some(name) = length.and_then(|length| le::part(value, 20, length)) else { return };
            describe_rename(event, &le::utf16(name));
        }
        13 | 64 if le::u8(value, 0).is_some_and(|flags| flags & 1 != 0) => {
            event.set("dongson.smb.action", "SMB::FILE_DELETE");
        }
        _ => {}
    }
}

/// The file has another name from now on.
pub(super) fn describe_rename(event: &mut Event, name: &str) {
    let before = event.text("file.path").map(str::to_owned);
    event.set_some("dongson.smb.previous_path", before);
    state::describe_path(event, name);
    event.set("dongson.smb.action", "SMB::FILE_RENAME");
}

/// MS-SMB2, 2.2.19 and 2.2.21.
fn read_or_write(
    state: &mut State,
    moment: Moment,
    pending: &mut Pending,
    bytes: &[u8],
    out: &mut Vec<Event>,
) {
    let length = le::u32(bytes, HEADER + 4).and_then(|length| usize::try_from(length).ok());
    let (Some(length), Some(id)) = (length, pending.open) else { return };
    pending.offset = le::u64(bytes, HEADER + 8).unwrap_or(0);
    if pending.command == WRITE {
        let offset = le::u16(bytes, HEADER + 2).map_or(usize::MAX, usize::from);
        let held = bytes.get(offset..).unwrap_or_default();
        let held = held.get(..length).unwrap_or(held);
        let block = Block { id, way: Way::Write, offset: pending.offset, bytes: held, length };
        state.transfer(moment.side, moment.at, pending.tree, block, out);
        state.describe_rpc(&mut pending.event, &block);
        pending.event.set("dongson.smb.data_bytes", length);
    }
    describe_transfer(
        state,
        &mut pending.event,
        id,
        if pending.command == READ { Way::Read } else { Way::Write },
    );
}

/// Says whether a file or a pipe is read or written.
pub(super) fn describe_transfer(state: &mut State, event: &mut Event, id: FileId, way: Way) {
    let pipe = state.find(id).is_some_and(|open| open.is_pipe());
    let action = match (way, pipe) {
        (Way::Read, false) => "SMB::FILE_READ",
        (Way::Write, false) => "SMB::FILE_WRITE",
        (Way::Read, true) => "SMB::PIPE_READ",
        (Way::Write, true) => "SMB::PIPE_WRITE",
    };
    event.set("dongson.smb.action", action);
}

/// MS-SMB2, 2.2.31; a call through a pipe goes in it.
fn ioctl(state: &mut State, moment: Moment, pending: &mut Pending, bytes: &[u8], out: &mut Vec<Event>) {
    let Some(function) = le::u32(bytes, HEADER + 4) else { return };
    pending.event.set("dongson.smb.function", names::function(function));
    pending.detail = function;
    let number = |at: usize| le::u32(bytes, at).and_then(|number| usize::try_from(number).ok());
    let (Some(offset), Some(length), Some(id)) = (number(HEADER + 24), number(HEADER + 28), pending.open)
    else {
        return;
    };
    if function == TRANSCEIVE
        && let Some(held) = bytes.get(offset..)
    {
        let held = held.get(..length).unwrap_or(held);
        let block = Block { id, way: Way::Write, offset: 0, bytes: held, length };
        state.transfer(moment.side, moment.at, pending.tree, block, out);
        state.describe_rpc(&mut pending.event, &block);
    }
}
