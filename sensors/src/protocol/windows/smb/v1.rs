//! SMB 1 (MS-CIFS, 2.2; MS-SMB): headers, chains of commands, and what goes on with files and pipes.
//!
//! In: one session message. Out: one `sensor.smb` event per command, when it is answered. Passwords are passed over.
//! Memory: that of [`State`].

use dongson_event::{Event, Timestamp};

use super::answer1;
use super::names;
use super::names1;
use super::state::{self, Block, FileId, Pending, State, Way};
use super::v2::{self, Moment};
use crate::protocol::le;

pub(super) const CLOSE: u8 = 0x04;
const RENAME: u8 = 0x07;
pub(super) const TRANS: u8 = 0x25;
pub(super) const OPEN: u8 = 0x2d;
pub(super) const READ: u8 = 0x2e;
pub(super) const WRITE: u8 = 0x2f;
const TRANS2: u8 = 0x32;
pub(super) const TREE_DISCONNECT: u8 = 0x71;
pub(super) const NEGOTIATE: u8 = 0x72;
pub(super) const SESSION_SETUP: u8 = 0x73;
const LOGOFF: u8 = 0x74;
pub(super) const TREE_CONNECT: u8 = 0x75;
pub(super) const CREATE: u8 = 0xa2;
const CANCEL: u8 = 0xa4;
const LOCKING: u8 = 0x24;
/// Length of the header (MS-CIFS, 2.2.3.1).
const HEADER: usize = 32;
/// Commands in one message.
const MAX_CHAIN: usize = 8;
/// A call through a pipe (MS-CIFS, 2.2.5.6).
pub(super) const TRANSACT_PIPE: u16 = 0x26;

/// The header of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) response: bool,
    pub(super) wide: bool,
    pub(super) status: Status,
    pub(super) tree: u16,
    user: u16,
    /// Process and number, which an answer repeats.
    pub(super) key: u64,
}

/// How a command ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum Status {
    Nt(u32),
    Dos(u8, u16),
}

impl Status {
    pub(super) fn is_success(self) -> bool {
        // STATUS_BUFFER_OVERFLOW is a part of an answer.
        matches!(self, Self::Nt(0 | 0x8000_0005) | Self::Dos(0, 0) | Self::Dos(1, 234))
    }
}

/// One command of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Command<'a> {
    pub(super) number: u8,
    pub(super) header: Header,
    /// The message from its header on.
    pub(super) whole: &'a [u8],
    /// The parameters.
    pub(super) words: &'a [u8],
    /// Where the bytes behind them begin.
    pub(super) bytes_at: usize,
}

impl Header {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let flags = le::u16(bytes, 10)?;
        let status = match flags & 0x4000 {
            0 => Status::Dos(le::u8(bytes, 5)?, le::u16(bytes, 7)?),
            _ => Status::Nt(le::u32(bytes, 5)?),
        };
        Some(Self {
            response: le::u8(bytes, 9)? & 0x80 != 0,
            wide: flags & 0x8000 != 0,
            status,
            tree: le::u16(bytes, 24)?,
            user: le::u16(bytes, 28)?,
            key: u64::from(le::u16(bytes, 26)?) << 16 | u64::from(le::u16(bytes, 30)?),
        })
    }
}

impl<'a> Command<'a> {
    fn parse(whole: &'a [u8], header: Header, number: u8, at: usize) -> Option<Self> {
        let length = usize::from(le::u8(whole, at)?) * 2;
        let words = le::part(whole, at + 1, length)?;
        Some(Self { number, header, whole, words, bytes_at: at + 3 + length })
    }

    /// The command that follows in the same message (MS-CIFS, 2.2.3.4).
    fn next(&self) -> Option<Self> {
        let chained = matches!(
            self.number,
            LOCKING | OPEN | READ | WRITE | SESSION_SETUP | LOGOFF | TREE_CONNECT | CREATE
        );
        let number = le::u8(self.words, 0).filter(|number| chained && *number != 0xff)?;
        let at = usize::from(le::u16(self.words, 2)?);
        (at > self.bytes_at.saturating_sub(3)).then(|| Self::parse(self.whole, self.header, number, at))?
    }

    /// The text at a place in the message, and what lies behind it; two-byte signs begin at even places.
    pub(super) fn text(&self, at: usize) -> Option<(String, usize)> {
        if !self.header.wide {
            return self.ascii(at);
        }
        let at = at + at % 2;
        let rest = self.whole.get(at..)?;
        let signs = rest.as_chunks::<2>().0;
        let length = signs.iter().position(|sign| *sign == [0, 0]).unwrap_or(signs.len()) * 2;
        Some((le::utf16(rest.get(..length)?), at + length + 2))
    }

    pub(super) fn ascii(&self, at: usize) -> Option<(String, usize)> {
        let rest = self.whole.get(at..)?;
        let length = rest.iter().position(|sign| *sign == 0).unwrap_or(rest.len());
        Some((le::ascii(rest.get(..length)?), at + length + 1))
    }

    /// Texts that follow one another.
    pub(super) fn texts<const N: usize>(&self, mut at: usize) -> [Option<String>; N] {
        std::array::from_fn(|_| {
            let (text, next) = self.text(at)?;
            at = next;
            Some(text).filter(|text| !text.is_empty())
        })
    }

    /// A number of the parameters as a length or a place.
    pub(super) fn size(&self, at: usize) -> Option<usize> {
        le::u16(self.words, at).map(usize::from)
    }
}

/// The number of an open file as others are kept.
pub(super) fn file_id(words: &[u8], at: usize) -> Option<FileId> {
    let [low, high] = le::u16(words, at)?.to_le_bytes();
    let mut id = [0; 16];
    (id[0], id[1]) = (low, high);
    Some(id)
}

/// All commands of one message.
pub(super) fn message(state: &mut State, moment: Moment, bytes: &[u8], out: &mut Vec<Event>) {
    let Some(header) = Header::parse(bytes) else { return };
    let mut command = le::u8(bytes, 4).and_then(|number| Command::parse(bytes, header, number, HEADER));
    for _ in 0..MAX_CHAIN {
        let Some(this) = command else { return };
        if header.response {
            answer1::answer(state, moment, &this, out);
        } else {
            request(state, moment, &this, out);
        }
        command = this.next();
    }
}

/// What every event of a command says.
pub(super) fn described(state: &State, at: Timestamp, command: &Command<'_>) -> Event {
    let mut event = Event::of("sensor.smb", at);
    event.set("network.protocol", "smb");
    event.set("dongson.smb.version", "SMB1");
    event.set("dongson.smb.command", names1::command(command.number));
    event.set("dongson.smb.command_code", i64::from(command.number));
    event.set_some("dongson.smb.dialect", state.dialect.as_deref());
    event.set("dongson.smb.message_id", command.header.key & 0xffff);
    event.set("dongson.smb.session_id", command.header.user.to_string());
    event.set("dongson.smb.tree_id", i64::from(command.header.tree));
    state.describe_tree(&mut event, u32::from(command.header.tree));
    event
}

fn request(state: &mut State, moment: Moment, command: &Command<'_>, out: &mut Vec<Event>) {
    let mut pending = Pending {
        key: command.header.key,
        command: u16::from(command.number),
        at: moment.at,
        event: described(state, moment.at, command),
        tree: u32::from(command.header.tree),
        open: None,
        offset: 0,
        detail: 0,
    };
    pending.open = match command.number {
        CLOSE => file_id(command.words, 0),
        READ | WRITE | LOCKING => file_id(command.words, 4),
        TRANS if le::u16(command.words, 28) == Some(TRANSACT_PIPE) => file_id(command.words, 30),
        _ => None,
    };
    if let Some(id) = pending.open {
        state.describe_open(&mut pending.event, id);
    }
    match command.number {
        NEGOTIATE => negotiate(&mut pending.event, command),
        SESSION_SETUP => session_setup(state, moment, &mut pending.event, command, out),
        TREE_CONNECT => {
            let password = command.size(6).unwrap_or(0);
            let path = command.text(command.bytes_at + password).map(|(path, _)| path);
            pending.event.set_some("dongson.smb.share", path);
        }
        CREATE => create(state, &mut pending, command),
        READ => read(state, &mut pending, command),
        WRITE => write(state, moment, &mut pending, command, out),
        TRANS => transact(state, moment, &mut pending, command, out),
        TRANS2 => transact2(state, &mut pending, command),
        0 | 1 | 6..=8 | 0x10 => names_in_bytes(&mut pending.event, command),
        OPEN => {
            let path = command.text(command.bytes_at).map(|(path, _)| path).unwrap_or_default();
            state::describe_path(&mut pending.event, &path);
            pending.event.set("dongson.smb.action", "SMB::FILE_OPEN");
        }
        _ => {}
    }
    if command.number == CANCEL {
        out.push(pending.event);
    } else {
        state.wait(pending, out);
    }
}

/// MS-CIFS, 2.2.4.52.1: names behind a byte of 2 each.
fn negotiate(event: &mut Event, command: &Command<'_>) {
    let bytes = command.whole.get(command.bytes_at..).unwrap_or_default();
    let names = bytes.split(|sign| *sign == 0).filter_map(|name| name.strip_prefix(&[2]));
    event.set("dongson.smb.client_dialects", names.take(32).map(le::ascii).collect::<Vec<_>>());
}

/// MS-CIFS, 2.2.4.53.1 (13 words, passwords) and MS-SMB, 2.2.4.6.1 (12 words, a token).
fn session_setup(
    state: &mut State,
    moment: Moment,
    event: &mut Event,
    command: &Command<'_>,
    out: &mut Vec<Event>,
) {
    let (at, first) = (command.bytes_at, command.size(14).unwrap_or(0));
    let [system, manager] = if command.words.len() == 24 {
        if let Some(token) = le::part(command.whole, at, first) {
            state.gss.token(moment.at, token, out);
            state.gss.ntlm.describe_user(event);
        }
        command.texts(at + first)
    } else {
        let passwords = first + command.size(16).unwrap_or(0);
        let [user, domain, system, manager] = command.texts(at + passwords);
        event.set_some("user.name", user);
        event.set_some("user.domain", domain);
        [system, manager]
    };
    event.set_some("dongson.smb.client.native_os", system);
    event.set_some("dongson.smb.client.native_lm", manager);
}

/// MS-CIFS, 2.2.4.64.1.
fn create(state: &State, pending: &mut Pending, command: &Command<'_>) {
    let event = &mut pending.event;
    let path = command.text(command.bytes_at).map(|(path, _)| path).unwrap_or_default();
    state::describe_path(event, path.trim_start_matches('\\'));
    event.set_some("dongson.smb.disposition", le::u32(command.words, 35).and_then(names::disposition));
    let access = le::u32(command.words, 15).map(|access| format!("0x{access:08x}"));
    event.set_some("dongson.smb.access_mask", access);
    let deletes = le::u32(command.words, 39).is_some_and(|options| options & 0x1000 != 0);
    event.set("dongson.smb.access", if deletes { "delete on close" } else { "normal" });
    let pipe = state.is_pipe(pending.tree);
    event.set("dongson.smb.action", if pipe { "SMB::PIPE_OPEN" } else { "SMB::FILE_OPEN" });
}

/// MS-SMB, 2.2.4.2.1: the high half of the offset stands in the longer form.
fn offset(command: &Command<'_>, high_at: usize) -> u64 {
    let low = u64::from(le::u32(command.words, 6).unwrap_or(0));
    u64::from(le::u32(command.words, high_at).unwrap_or(0)) << 32 | low
}

fn read(state: &mut State, pending: &mut Pending, command: &Command<'_>) {
    pending.offset = offset(command, 20);
    if let Some(id) = pending.open {
        v2::describe_transfer(state, &mut pending.event, id, Way::Read);
    }
}

/// MS-SMB, 2.2.4.3.1.
fn write(
    state: &mut State,
    moment: Moment,
    pending: &mut Pending,
    command: &Command<'_>,
    out: &mut Vec<Event>,
) {
    let length = command.size(18).zip(command.size(20)).map(|(high, low)| high << 16 | low);
    let (Some(length), Some(at), Some(id)) = (length, command.size(22), pending.open) else { return };
    let held = command.whole.get(at..).unwrap_or_default();
    let held = held.get(..length).unwrap_or(held);
    let block = Block { id, way: Way::Write, offset: offset(command, 24), bytes: held, length };
    state.transfer(moment.side, moment.at, pending.tree, block, out);
    state.describe_rpc(&mut pending.event, &block);
    pending.event.set("dongson.smb.data_bytes", length);
    v2::describe_transfer(state, &mut pending.event, id, Way::Write);
}

/// MS-CIFS, 2.2.4.33.1: what is written to a pipe and read from it at once.
fn transact(
    state: &mut State,
    moment: Moment,
    pending: &mut Pending,
    command: &Command<'_>,
    out: &mut Vec<Event>,
) {
    let (Some(length), Some(at), Some(id)) = (command.size(22), command.size(24), pending.open) else {
        return;
    };
    pending.event.set("dongson.smb.function", "TRANS_TRANSACT_NMPIPE");
    let Some(bytes) = le::part(command.whole, at, length) else { return };
    let block = Block { id, way: Way::Write, offset: 0, bytes, length };
    state.transfer(moment.side, moment.at, pending.tree, block, out);
    state.describe_rpc(&mut pending.event, &block);
}

/// MS-CIFS, 2.2.6: what is asked of which file.
fn transact2(state: &State, pending: &mut Pending, command: &Command<'_>) {
    let (Some(function), Some(at)) = (le::u16(command.words, 28), command.size(20)) else { return };
    let name = |skip: usize| command.text(at + skip).map(|(name, _)| name);
    let event = &mut pending.event;
    let called = match function {
        1 => "TRANS2_FIND_FIRST2",
        2 => "TRANS2_FIND_NEXT2",
        3 => "TRANS2_QUERY_FS_INFORMATION",
        5 => "TRANS2_QUERY_PATH_INFORMATION",
        6 => "TRANS2_SET_PATH_INFORMATION",
        7 => "TRANS2_QUERY_FILE_INFORMATION",
        8 => "TRANS2_SET_FILE_INFORMATION",
        0x10 => "TRANS2_GET_DFS_REFERRAL",
        _ => "",
    };
    let unknown = || format!("0x{function:04x}");
    event.set("dongson.smb.function", if called.is_empty() { unknown() } else { called.to_owned() });
    match function {
        1 => event.set_some("dongson.smb.search_pattern", name(12)),
        5 | 6 => state::describe_path(event, name(6).unwrap_or_default().trim_start_matches('\\')),
        7 | 8 => {
            if let Some(id) = file_id(command.whole, at) {
                state.describe_open(event, id);
            }
        }
        0x10 => event.set_some("file.path", name(2)),
        _ => {}
    }
}

/// Names behind a byte of 4 each: of a file or folder, and of a renaming the new one too (MS-CIFS, 2.2.4.8.1).
fn names_in_bytes(event: &mut Event, command: &Command<'_>) {
    let Some((name, next)) = command.text(command.bytes_at + 1) else { return };
    state::describe_path(event, name.trim_start_matches('\\'));
    match command.number {
        RENAME => {
            if let Some((name, _)) = command.text(next + 1) {
                v2::describe_rename(event, name.trim_start_matches('\\'));
            }
        }
        0x06 => {
            event.set("dongson.smb.action", "SMB::FILE_DELETE");
        }
        _ => {}
    }
}
