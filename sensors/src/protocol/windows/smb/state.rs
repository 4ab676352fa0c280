//! What an SMB connection remembers: shares, open files and pipes, requests that wait for their answers.
//!
//! In: what `v1` and `v2` find in messages. Out: events of files and of DCE/RPC calls. Memory: [`MAX_TREES`] shares,
//! [`MAX_OPENS`] open files (a pipe among them holds a [`Dcerpc`]), [`MAX_PENDING`] requests.

use std::collections::VecDeque;

use dongson_event::{Event, Timestamp};

use super::names;
use crate::protocol::dissect::Stream;
use crate::protocol::file::{self, About, File};
use crate::protocol::windows::dcerpc::Dcerpc;
use crate::protocol::windows::gss::Gss;
use crate::protocol::{Kind, Options, Side, le};

/// Shares of one connection.
const MAX_TREES: usize = 64;
/// Files and pipes that are open at once; the oldest is given up when there are more.
const MAX_OPENS: usize = 128;
/// Requests that wait; the oldest goes out when there are more.
const MAX_PENDING: usize = 128;
/// Reads and writes of one open file that are told one by one; the file's own event has them all.
const MAX_TOLD: u32 = 16;

/// Persistent and volatile part of a file's identity (MS-SMB2, 2.2.14.1); in SMB 1 the number in the first two bytes.
pub(super) type FileId = [u8; 16];

/// Which way contents go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Read,
    Write,
}

/// A share that was connected to.
#[derive(Debug)]
struct Tree {
    id: u32,
    path: String,
    kind: Option<&'static str>,
}

/// An open file or pipe.
#[derive(Debug)]
pub(super) struct Open {
    id: FileId,
    /// Name, size and times, as events tell them.
    pub(super) about: Event,
    pipe: Option<Box<Dcerpc>>,
    read: Transfer,
    written: Transfer,
    told: u32,
}

/// One direction of a file's contents.
#[derive(Debug, Default)]
struct Transfer {
    file: Option<Box<File>>,
    /// Where the next bytes are expected.
    next: u64,
}

/// Contents that go on behind the part of a message that is held.
#[derive(Debug)]
struct Tail {
    id: FileId,
    way: Way,
    offset: u64,
    left: usize,
}

/// A request without an answer.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) key: u64,
    pub(super) command: u16,
    pub(super) at: Timestamp,
    pub(super) event: Event,
    pub(super) tree: u32,
    /// The file that it is about.
    pub(super) open: Option<FileId>,
    /// Where it reads or writes.
    pub(super) offset: u64,
    /// A subcommand or kind of information, where the answer does not tell it.
    pub(super) detail: u32,
}

/// A block of contents in a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block<'a> {
    pub(super) id: FileId,
    pub(super) way: Way,
    pub(super) offset: u64,
    pub(super) bytes: &'a [u8],
    /// Its length, of which `bytes` may be the beginning.
    pub(super) length: usize,
}

/// One connection.
#[derive(Debug)]
pub(super) struct State {
    pub(super) options: Options,
    pub(super) dialect: Option<String>,
    pub(super) gss: Gss,
    trees: Vec<Tree>,
    opens: VecDeque<Open>,
    pending: VecDeque<Pending>,
    tails: [Option<Tail>; 2],
}

impl State {
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            dialect: None,
            gss: Gss::default(),
            trees: Vec::new(),
            opens: VecDeque::new(),
            pending: VecDeque::new(),
            tails: [None, None],
        }
    }

    /// Names the share on an event.
    pub(super) fn describe_tree(&self, event: &mut Event, id: u32) {
        let Some(tree) = self.trees.iter().find(|tree| tree.id == id) else { return };
        event.set("dongson.smb.share", tree.path.as_str());
        event.set_some("dongson.smb.share_type", tree.kind);
    }

    pub(super) fn connect(&mut self, id: u32, path: String, kind: Option<&'static str>) {
        self.trees.retain(|tree| tree.id != id);
        if self.trees.len() >= MAX_TREES {
            self.trees.remove(0);
        }
        self.trees.push(Tree { id, path, kind });
    }

    pub(super) fn disconnect(&mut self, id: u32) {
        self.trees.retain(|tree| tree.id != id);
    }

    /// Whether a share is that of pipes; `None` when its connection was not seen.
    fn holds_pipes(&self, id: u32) -> Option<bool> {
        let tree = self.trees.iter().find(|tree| tree.id == id)?;
        Some(tree.kind == Some("PIPE") || tree.path.to_ascii_uppercase().ends_with("IPC$"))
    }

    /// Whether what is opened there is a pipe, as far as its share tells.
    pub(super) fn is_pipe(&self, tree: u32) -> bool {
        self.holds_pipes(tree).unwrap_or(false)
    }

    pub(super) fn open(&mut self, id: FileId, tree: u32, about: Event, at: Timestamp, out: &mut Vec<Event>) {
        self.close(id, at, out);
        if self.opens.len() >= MAX_OPENS
            && let Some(open) = self.opens.pop_front()
        {
            open.end(false, at, out);
        }
        let name = about.text("file.path").map(str::to_owned);
        let pipe = self.is_pipe(tree).then(|| Box::new(Dcerpc::on_pipe(name)));
        let (read, written) = Default::default();
        self.opens.push_back(Open { id, about, pipe, read, written, told: 0 });
    }

    pub(super) fn find(&mut self, id: FileId) -> Option<&mut Open> {
        self.opens.iter_mut().find(|open| open.id == id)
    }

    /// What is known of the open file goes on an event that does not say it itself.
    pub(super) fn describe_open(&self, event: &mut Event, id: FileId) {
        if let Some(open) = self.opens.iter().find(|open| open.id == id) {
            for (name, value) in open.about.named() {
                event.set_absent(name.clone(), value.clone());
            }
        }
    }

    /// Whether one more read or write of a file is told; those of pipes always are.
    pub(super) fn tells(&mut self, id: FileId) -> bool {
        let Some(open) = self.find(id) else { return true };
        open.told = open.told.saturating_add(1);
        open.pipe.is_some() || open.told <= MAX_TOLD
    }

    pub(super) fn close(&mut self, id: FileId, at: Timestamp, out: &mut Vec<Event>) {
        if let Some(place) = self.opens.iter().position(|open| open.id == id)
            && let Some(open) = self.opens.remove(place)
        {
            open.end(true, at, out);
        }
    }

    /// Contents of a file or pipe; `side` sent them.
    pub(super) fn transfer(
        &mut self,
        side: Side,
        at: Timestamp,
        tree: u32,
        block: Block<'_>,
        out: &mut Vec<Event>,
    ) {
        if self.find(block.id).is_none() {
            self.open(block.id, tree, Event::new(), at, out);
        }
        let told = self.options.kinds.has(Kind::File);
        // The share's connection was not seen: DCE/RPC tells itself (C706, 12.6.3.1).
        let guess = self.holds_pipes(tree).is_none() && matches!(block.bytes, [5, 0 | 1, 0..=19, ..]);
        let left = block.length.saturating_sub(block.bytes.len());
        let Some(open) = self.find(block.id) else { return };
        if guess && open.pipe.is_none() && open.read.file.is_none() && open.written.file.is_none() {
            let name = open.about.text("file.path").map(str::to_owned);
            open.pipe = Some(Box::new(Dcerpc::on_pipe(name)));
        }
        open.take(side, at, block, told, out);
        let offset = block.offset.saturating_add(block.bytes.len() as u64);
        *side.of_mut(&mut self.tails) =
            (left > 0).then_some(Tail { id: block.id, way: block.way, offset, left });
    }

    /// Says on an event what DCE/RPC message a client has written.
    pub(super) fn describe_rpc(&self, event: &mut Event, block: &Block<'_>) {
        let open = self.opens.iter().find(|open| open.id == block.id);
        if let Some(pipe) = open.and_then(|open| open.pipe.as_ref()) {
            pipe.describe_message(event, block.bytes);
        }
    }

    /// A message begins: what went on behind the last one is over.
    pub(super) fn end_tail(&mut self, side: Side) {
        *side.of_mut(&mut self.tails) = None;
    }

    /// Bytes behind the part of a message that was held.
    pub(super) fn tail(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let told = self.options.kinds.has(Kind::File);
        let Some(tail) = side.of_mut(&mut self.tails) else { return };
        let bytes = bytes.get(..tail.left).unwrap_or(bytes);
        let (id, way, offset) = (tail.id, tail.way, tail.offset);
        tail.left -= bytes.len();
        tail.offset = tail.offset.saturating_add(bytes.len() as u64);
        if let Some(open) = self.find(id) {
            open.take(side, at, Block { id, way, offset, bytes, length: bytes.len() }, told, out);
        }
    }

    /// Such bytes are missing.
    pub(super) fn tail_gap(&mut self, side: Side, length: u64) {
        if let Some(tail) = side.of_mut(&mut self.tails) {
            tail.offset = tail.offset.saturating_add(length);
            tail.left = tail.left.saturating_sub(usize::try_from(length).unwrap_or(usize::MAX));
        }
    }

    pub(super) fn wait(&mut self, pending: Pending, out: &mut Vec<Event>) {
        if self.pending.len() >= MAX_PENDING
            && let Some(oldest) = self.pending.pop_front()
        {
            out.push(oldest.event);
        }
        self.pending.push_back(pending);
    }

    pub(super) fn answered(&mut self, key: u64, command: u16) -> Option<Pending> {
        let fits = |pending: &Pending| pending.key == key && pending.command == command;
        let place = self.pending.iter().position(fits)?;
        self.pending.remove(place)
    }

    pub(super) fn finish(&mut self, at: Timestamp, out: &mut Vec<Event>) {
        out.extend(self.pending.drain(..).map(|pending| pending.event));
        for open in std::mem::take(&mut self.opens) {
            open.end(false, at, out);
        }
        self.gss.outcome(None, out);
    }
}

impl Open {
    pub(super) fn is_pipe(&self) -> bool {
        self.pipe.is_some()
    }

    fn take(&mut self, side: Side, at: Timestamp, block: Block<'_>, told: bool, out: &mut Vec<Event>) {
        if let Some(pipe) = &mut self.pipe {
            let role = if block.way == Way::Write { Side::Originator } else { Side::Responder };
            return pipe.data(role, at, block.bytes, out);
        }
        if !told || block.bytes.is_empty() {
            return;
        }
        let total = self.about.int("file.size").and_then(|size| u64::try_from(size).ok());
        let (transfer, total) = match block.way {
            Way::Read => (&mut self.read, total.filter(|size| *size > 0)),
            Way::Write => (&mut self.written, None),
        };
        let name = self.about.text("file.path").map(str::to_owned);
        let file = transfer.file.get_or_insert_with(|| {
            Box::new(File::new(About { protocol: "smb", name, total, depth: Some(0) }, side, at))
        });
        let missing = block.offset.saturating_sub(transfer.next);
        if missing > 0 {
            file.gap(missing);
            transfer.next = block.offset;
        }
        // What was sent before is not new.
        let known = usize::try_from(transfer.next.saturating_sub(block.offset)).unwrap_or(usize::MAX);
        let fresh = block.bytes.get(known..).unwrap_or_default();
        file.data(at, fresh);
        transfer.next = transfer.next.saturating_add(fresh.len() as u64);
    }

    /// The file is closed, or nothing more is seen of it.
    fn end(self, closed: bool, at: Timestamp, out: &mut Vec<Event>) {
        if let Some(mut pipe) = self.pipe {
            pipe.finish(at, out);
        }
        for transfer in [self.read, self.written] {
            let Some(file) = transfer.file else { continue };
            let whole = file.about.total.is_some_and(|total| total <= transfer.next);
            let state = if closed || whole { file::State::Closed } else { file::State::Truncated };
            out.push(file.describe(state));
        }
    }
}

/// Sets status, its name and the outcome.
pub(super) fn describe_status(event: &mut Event, status: u32) {
    event.set("dongson.smb.status_code", format!("0x{status:x}"));
    event.set_some("dongson.smb.status", names::status(status));
    // More processing is neither; a severity of 3 is an error (MS-ERREF, 2.3).
    if status != 0xc000_0016 {
        event.set("event.outcome", if status >> 30 == 3 { "failure" } else { "success" });
    }
}

/// 100 ns since 1601 (MS-DTYP, 2.3.3); `None` for nothing and for what lies out of range.
pub(super) fn filetime(bytes: &[u8], at: usize) -> Option<Timestamp> {
    let ticks = i64::try_from(le::u64(bytes, at)?).ok().filter(|ticks| *ticks != 0)?;
    ticks.checked_sub(116_444_736_000_000_000)?.checked_mul(100).map(Timestamp::from_nanos)
}

/// The four times of a file: created, accessed, written, changed.
pub(super) fn describe_times(event: &mut Event, bytes: &[u8], at: usize) {
    let names = ["file.created", "file.accessed", "file.mtime", "file.ctime"];
    for (place, name) in names.into_iter().enumerate() {
        event.set_some(name, filetime(bytes, at + place * 8));
    }
}

/// Names a file as it was asked for; the root of a share has none.
pub(super) fn describe_path(event: &mut Event, path: &str) {
    let path = if path.is_empty() { "<share_root>" } else { path };
    event.set("file.path", path);
    let name = path.rsplit(['\\', '/']).next().unwrap_or(path);
    if !name.is_empty() {
        event.set("file.name", name);
    }
}

/// What an event says of an opened file, for later events about it.
pub(super) fn about_file(event: &Event) -> Event {
    let kept = |name: &str| name.starts_with("file.") || name == "dongson.smb.fuid";
    let known = event.named().filter(|(name, _)| kept(name.as_str()));
    known.map(|(name, value)| (name.clone(), value.clone())).collect()
}
