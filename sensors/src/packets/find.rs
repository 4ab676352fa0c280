//! Finding packets: by time, by flow, by a filter.
//!
//! In: the folder of a ring, which another process may be writing. Out: a pcapng of what was found, in the order in which it was
//! written (frames of several capturing threads may be a second apart), and what is missing from it. The index says where to
//! look; every frame is then looked at itself. Memory: one index and what is read at once.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;

use dongson_event::Timestamp;
use serde::Serialize;

use super::flows::{Part, Parts, key_of};
use super::index::Index;
use super::{PacketError, block, disk, ring, segment};
use crate::capture::filter::Filter;
use crate::capture::{Frame, LinkType};
use crate::flow::key::{Endpoint, Tuple, protocol};
use crate::read::Gate;

/// A flow that is looked for, both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    community_id: String,
}

impl Flow {
    /// By its Community ID (version 1, seed 0).
    pub fn of_community_id(text: &str) -> Result<Self, PacketError> {
        let known = key_of(text).map(|_| Self { community_id: text.to_owned() });
        known.ok_or_else(|| PacketError::CommunityId(text.to_owned()))
    }

    /// By `transport source port destination port`, in words.
    pub fn of_tuple(text: &str) -> Result<Self, PacketError> {
        let tuple = tuple(text).ok_or_else(|| PacketError::Tuple(text.to_owned()))?;
        Ok(Self { community_id: tuple.community_id() })
    }

    /// Its Community ID.
    pub fn community_id(&self) -> &str {
        &self.community_id
    }
}

fn tuple(text: &str) -> Option<Tuple> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [transport, source, source_port, destination, destination_port] = words.as_slice() else {
        return None;
    };
    let protocol = match transport.to_ascii_lowercase().as_str() {
        "tcp" => protocol::TCP,
        "udp" => protocol::UDP,
        "sctp" => protocol::SCTP,
        _ => return None,
    };
    let end = |address: &str, port: &str| {
        Some(Endpoint { address: address.parse::<IpAddr>().ok()?, port: port.parse().ok()? })
    };
    let (source, destination) = (end(source, source_port)?, end(destination, destination_port)?);
    Some(Tuple { source, destination, protocol, one_way: false })
}

/// What is looked for.
#[derive(Debug, Clone)]
pub struct Query {
    /// From when, and up to when, both included.
    pub from: Timestamp,
    /// See `from`.
    pub to: Timestamp,
    /// Of which flow.
    pub flow: Option<Flow>,
    /// Which frames. It looks at the outside of tunnels.
    pub filter: Option<Filter>,
    /// Most bytes of the answer.
    pub max_bytes: u64,
}

impl Default for Query {
    /// Everything.
    fn default() -> Self {
        let (from, to) = (Timestamp::from_nanos(0), Timestamp::from_nanos(i64::MAX));
        Self { from, to, flow: None, filter: None, max_bytes: u64::MAX }
    }
}

/// What was found, and what was not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Frames in the answer.
    pub frames: u64,
    /// Bytes of the answer.
    pub bytes: u64,
    /// Frames of the wanted flow that the flow cut-off left out, in the files that were looked at; of all flows when no flow was
    /// named.
    pub cut_frames: u64,
    /// Their bytes.
    pub cut_bytes: u64,
    /// Frames of any flow that were lost (full queue, refusing disk) while the files that were looked at were written.
    pub lost_frames: u64,
    /// True when there is more than the answer may hold.
    pub truncated: bool,
    /// Files that went, by age or for room, while they were looked at.
    pub gone_files: u64,
    /// Frames of a link type that the filter cannot look into; they are left out.
    pub unfiltered: u64,
    /// The first time in the oldest file: since when there are packets.
    pub oldest: Option<Timestamp>,
}

/// One file of a ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Its name.
    pub name: String,
    /// Bytes with its index.
    pub bytes: u64,
    /// Frames.
    pub frames: u64,
    /// First and last time in it.
    pub times: Option<(Timestamp, Timestamp)>,
}

/// The files of the ring in `folder`, oldest first.
pub fn spans(folder: &Path) -> Result<Vec<Span>, PacketError> {
    let mut spans = Vec::new();
    for (_, path) in files(folder)? {
        let Ok((index, _)) = segment::whole_index(&path) else { continue };
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        spans.push(Span { name, bytes: segment::size(&path), frames: index.frames, times: index.span() });
    }
    Ok(spans)
}

fn files(folder: &Path) -> Result<Vec<(u64, std::path::PathBuf)>, PacketError> {
    if !folder.join("lock").exists() {
        return Err(PacketError::NoFolder(folder.to_owned()));
    }
    ring::files(folder)
}

/// Writes what is found in `folder` to `out`, as pcapng.
pub fn find(folder: &Path, query: &Query, out: &mut dyn Write) -> Result<Found, PacketError> {
    let mut search = Search {
        query,
        wanted: query.flow.iter().map(|flow| flow.community_id.clone()).collect(),
        parts: Parts::new(),
        gate: Gate::new(query.filter.as_ref()),
        links: Vec::new(),
        block: Vec::new(),
        out,
        found: Found::default(),
        failed: None,
    };
    block::section(&mut search.block);
    search.put()?;
    for (_, path) in files(folder)? {
        match search.file(&path) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) if error.kind() == io::ErrorKind::NotFound => search.found.gone_files += 1,
            Err(error) => return Err(disk(&path, error)),
        }
        if let Some(error) = search.failed.take() {
            return Err(error);
        }
    }
    search.found.unfiltered = search.gate.unfiltered();
    search.out.flush().map_err(PacketError::Output)?;
    Ok(search.found)
}

struct Search<'q> {
    query: &'q Query,
    /// The flow, and the pairs of hosts whose fragments belong to it; empty for all flows.
    wanted: BTreeSet<String>,
    parts: Parts,
    gate: Gate,
    /// The interfaces of the answer.
    links: Vec<LinkType>,
    block: Vec<u8>,
    out: &'q mut dyn Write,
    found: Found,
    failed: Option<PacketError>,
}

impl Search<'_> {
    /// Looks through one file; false when the answer is full.
    fn file(&mut self, path: &Path) -> io::Result<bool> {
        let (index, _) = segment::whole_index(path)?;
        let (from, to) = (self.query.from, self.query.to);
        self.found.oldest = self.found.oldest.or(index.span().map(|(first, _)| first));
        if index.span().is_none_or(|(first, last)| last < from || first > to) {
            return Ok(true);
        }
        if self.query.flow.is_some() {
            self.add_fragments(path, &index)?;
        }
        self.note_cut(&index);
        self.found.lost_frames += index.lost;
        let granules = index.granules_for(from, to, self.keys().as_deref());
        for number in granules {
            let mut full = false;
            self.granule(path, &index, number, &mut |search, frame| {
                full = !search.take(frame);
                !full && search.failed.is_none()
            })?;
            if full {
                self.found.truncated = true;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Fragments beyond the first have no ports: where the first one of a packet belongs to the flow, its pair of hosts is
    /// wanted too.
    fn add_fragments(&mut self, path: &Path, index: &Index) -> io::Result<()> {
        let (from, to) = (self.query.from, self.query.to);
        for number in index.granules_for(from, to, self.keys().as_deref()) {
            let mut hosts = Vec::new();
            self.granule(path, index, number, &mut |search, frame| {
                let parts = search.parts.of(frame);
                let of_flow = parts.iter().any(|part| search.wanted.contains(&part.tuple.community_id()));
                let of_hosts = parts.iter().filter(|part| is_hosts(part) && of_flow);
                hosts.extend(of_hosts.map(|part| part.tuple.community_id()));
                true
            })?;
            self.wanted.extend(hosts);
        }
        Ok(())
    }

    fn granule(
        &mut self,
        path: &Path,
        index: &Index,
        number: usize,
        take: &mut dyn FnMut(&mut Self, &Frame<'_>) -> bool,
    ) -> io::Result<()> {
        let Some(granule) = index.granules.get(number) else { return Ok(()) };
        let mut links = index.links.clone();
        let range = (granule.offset, index.end_of(number));
        segment::walk(path, range, &mut links, &mut |_, frame| take(self, frame)).map(drop)
    }

    fn keys(&self) -> Option<Vec<u32>> {
        self.query.flow.as_ref().map(|_| self.wanted.iter().filter_map(|id| key_of(id)).collect())
    }

    fn note_cut(&mut self, index: &Index) {
        let keys = self.keys();
        for (key, cut) in &index.cuts {
            if keys.as_ref().is_none_or(|keys| keys.contains(key)) {
                self.found.cut_frames += cut.frames;
                self.found.cut_bytes += cut.bytes;
            }
        }
    }

    fn is_wanted(&mut self, frame: &Frame<'_>) -> bool {
        if frame.at < self.query.from || frame.at > self.query.to || !self.gate.takes(frame) {
            return false;
        }
        let of_wanted = |part: &Part| self.wanted.contains(&part.tuple.community_id());
        self.query.flow.is_none() || self.parts.of(frame).iter().any(of_wanted)
    }

    /// Puts a frame into the answer when it is wanted; false when it has no room there.
    fn take(&mut self, frame: &Frame<'_>) -> bool {
        if !self.is_wanted(frame) {
            return true;
        }
        let known = self.links.iter().position(|link| *link == frame.link);
        if known.is_none() {
            block::interface(&mut self.block, frame.link);
        }
        let number = known.unwrap_or(self.links.len());
        block::packet(&mut self.block, u32::try_from(number).unwrap_or(u32::MAX), frame);
        if self.found.bytes.saturating_add(self.block.len() as u64) > self.query.max_bytes {
            self.block.clear();
            return false;
        }
        if known.is_none() {
            self.links.push(frame.link);
        }
        self.found.frames += 1;
        self.failed = self.put().err();
        true
    }

    fn put(&mut self) -> Result<(), PacketError> {
        self.out.write_all(&self.block).map_err(PacketError::Output)?;
        self.found.bytes += self.block.len() as u64;
        self.block.clear();
        Ok(())
    }
}

/// True for what stands for all between two hosts.
fn is_hosts(part: &Part) -> bool {
    let ports = [protocol::TCP, protocol::UDP, protocol::SCTP, protocol::DCCP, protocol::UDP_LITE];
    ports.contains(&part.tuple.protocol) && part.tuple.source.port == 0 && part.tuple.destination.port == 0
}
