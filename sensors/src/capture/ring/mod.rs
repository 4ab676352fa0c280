//! Live capture through a `TPACKET_V3` ring: the kernel writes frames into memory that we read in place.
//!
//! Out: frames with the kernel's timestamps and the VLAN tag that it took out. What always holds: a block is given back
//! to the kernel only after all its frames were handed out; what did not fit is counted by the kernel
//! ([`Ring::statistics`]). Calls into the system are in `mod system`, the only unsafe code of the sensor; the walk over a
//! block reads a plain slice and takes any bytes.
//!
//! Several interfaces share one ring, so that frames stay in the order of time; the kernel leaves out those of all other
//! interfaces. Several rings with the same fanout group and interfaces share the frames: each flow, with both directions,
//! goes to one of them. A filter runs in the kernel.
//!
//! Source: the kernel's documentation, `networking/packet_mmap`.

#![expect(clippy::cast_possible_truncation, reason = "sizes of C structures are small constants")]

mod system;

use std::io;
use std::mem::offset_of;
use std::time::Duration;

use dongson_event::Timestamp;

use super::filter::{Filter, FilterError, Program};
use super::{Frame, LinkType};
use system::Socket;

/// How large the ring is.
#[derive(Debug, Clone, Copy)]
pub struct RingOptions {
    /// Length of a block in bytes; a multiple of the page size.
    pub block_bytes: u32,
    /// How many blocks.
    pub blocks: u32,
    /// Longest time that the kernel keeps a block that is not full, in milliseconds.
    pub retire_ms: u32,
    /// Sees frames for other machines too.
    pub promiscuous: bool,
    /// Leaves out what this machine sends.
    pub ignore_outgoing: bool,
    /// The group of rings that share the frames.
    pub fanout: Option<u16>,
}

impl Default for RingOptions {
    fn default() -> Self {
        Self {
            block_bytes: 1 << 20,
            blocks: 64,
            retire_ms: 50,
            promiscuous: true,
            ignore_outgoing: false,
            fanout: None,
        }
    }
}

/// Why a ring cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The process may not capture.
    #[error("capturing on {interface:?} is not permitted: give the program CAP_NET_RAW, or run it as root")]
    NotPermitted {
        /// The interface.
        interface: String,
    },
    /// The interface does not exist, or its name is not one.
    #[error("no interface is called {interface:?}")]
    NoInterface {
        /// The name that was asked for.
        interface: String,
    },
    /// The filter does not fit the interfaces.
    #[error("filtering {interface:?}: {source}")]
    Filter {
        /// The interface.
        interface: String,
        /// Why.
        source: FilterError,
    },
    /// One filter runs for all interfaces, so they must have frames of one kind.
    #[error("a filter needs interfaces of one kind: {0:?} differ")]
    MixedLinks(Vec<String>),
    /// The system refused something else.
    #[error("{step} on {interface:?}: {source}")]
    System {
        /// What was tried.
        step: &'static str,
        /// The interface.
        interface: String,
        /// What the system says.
        source: io::Error,
    },
}

/// What the kernel counted since the ring was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RingStatistics {
    /// Frames that reached the socket, the dropped ones among them.
    pub packets: u64,
    /// Frames that did not fit into the ring.
    pub dropped: u64,
    /// How often the ring was full.
    pub freezes: u64,
}

/// An open ring.
pub struct Ring {
    socket: Socket,
    interface: String,
    interfaces: Vec<String>,
    indexes: Vec<libc::c_int>,
    /// The block that is read next.
    next: u32,
    statistics: RingStatistics,
}

impl Ring {
    /// Opens a ring on `interfaces`, of which there must be at least one.
    pub fn open(
        interfaces: &[String],
        filter: Option<&Filter>,
        options: RingOptions,
    ) -> Result<Self, RingError> {
        let all = interfaces.join(", ");
        let failed = |interface: &str, step, source: io::Error| match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => RingError::NotPermitted { interface: interface.to_owned() },
            Some(libc::ENODEV | libc::ENXIO) => RingError::NoInterface { interface: interface.to_owned() },
            _ => RingError::System { step, interface: interface.to_owned(), source },
        };
        let mut indexes = Vec::new();
        for interface in interfaces {
            let index = system::index_of(interface)
                .map_err(|source| failed(interface, "looking up the interface", source))?;
            indexes.push(index);
        }
        let program = filter.map(|filter| compiled(filter, interfaces)).transpose()?;
        let socket = Socket::open(&indexes, program.as_ref(), options)
            .map_err(|(step, source)| failed(&all, step, source))?;
        let interfaces = interfaces.to_vec();
        let statistics = RingStatistics::default();
        Ok(Self { socket, interface: all, interfaces, indexes, next: 0, statistics })
    }

    /// Puts another filter in the place of the present one, or none; no frame is lost.
    pub fn change_filter(&mut self, filter: Option<&Filter>) -> Result<(), RingError> {
        let program = filter.map(|filter| compiled(filter, &self.interfaces)).transpose()?;
        let changed = self.socket.change_filter(&self.indexes, program.as_ref());
        changed.map_err(|source| RingError::System {
            step: "changing the filter",
            interface: self.interface.clone(),
            source,
        })
    }

    /// Gives the frames of the next full block to `sink`, waiting for one up to `timeout`; says how many they were.
    pub fn poll(&mut self, timeout: Duration, sink: &mut dyn FnMut(&Frame<'_>)) -> Result<usize, RingError> {
        let failed = |source| RingError::System {
            step: "waiting for frames",
            interface: self.interface.clone(),
            source,
        };
        if !self.socket.is_ready(self.next) {
            self.socket.wait(timeout).map_err(failed)?;
        }
        let Some(block) = self.socket.block(self.next) else { return Ok(0) };
        let count = walk(block, sink);
        self.socket.give_back(self.next);
        self.next = (self.next + 1) % self.socket.blocks();
        Ok(count)
    }

    /// What the kernel counted since the ring was opened.
    pub fn statistics(&mut self) -> Result<RingStatistics, RingError> {
        let new = self.socket.statistics().map_err(|source| RingError::System {
            step: "reading the counters",
            interface: self.interface.clone(),
            source,
        })?;
        self.statistics.packets += u64::from(new.tp_packets);
        self.statistics.dropped += u64::from(new.tp_drops);
        self.statistics.freezes += u64::from(new.tp_freeze_q_cnt);
        Ok(self.statistics)
    }
}

/// The filter for the kind of frames that all `interfaces` have.
fn compiled(filter: &Filter, interfaces: &[String]) -> Result<Program, RingError> {
    let mut links: Vec<LinkType> = interfaces.iter().map(|interface| link_of(hardware(interface))).collect();
    links.dedup();
    let (Some(interface), [link]) = (interfaces.first(), links.as_slice()) else {
        return Err(RingError::MixedLinks(interfaces.to_vec()));
    };
    filter.compile(*link).map_err(|source| RingError::Filter { interface: interface.clone(), source })
}

/// The kind of hardware as the kernel tells it; Ethernet where it does not.
fn hardware(interface: &str) -> u16 {
    let path = std::path::Path::new("/sys/class/net").join(interface).join("type");
    let told = std::fs::read_to_string(path).ok();
    told.and_then(|text| text.trim().parse().ok()).unwrap_or(libc::ARPHRD_ETHER)
}

/// Where the numbers lie in the kernel's structures.
mod offset {
    use super::offset_of;
    use libc::{
        sockaddr_ll, tpacket_bd_header_u, tpacket_block_desc, tpacket_hdr_v1, tpacket_hdr_variant1,
        tpacket3_hdr,
    };

    const HEADER: usize = offset_of!(tpacket_block_desc, hdr) + offset_of!(tpacket_bd_header_u, bh1);
    pub(super) const STATUS: usize = HEADER + offset_of!(tpacket_hdr_v1, block_status);
    pub(super) const COUNT: usize = HEADER + offset_of!(tpacket_hdr_v1, num_pkts);
    pub(super) const FIRST: usize = HEADER + offset_of!(tpacket_hdr_v1, offset_to_first_pkt);

    pub(super) const NEXT: usize = offset_of!(tpacket3_hdr, tp_next_offset);
    pub(super) const SECONDS: usize = offset_of!(tpacket3_hdr, tp_sec);
    pub(super) const NANOS: usize = offset_of!(tpacket3_hdr, tp_nsec);
    pub(super) const CAPTURED: usize = offset_of!(tpacket3_hdr, tp_snaplen);
    pub(super) const LENGTH: usize = offset_of!(tpacket3_hdr, tp_len);
    pub(super) const FLAGS: usize = offset_of!(tpacket3_hdr, tp_status);
    pub(super) const FRAME: usize = offset_of!(tpacket3_hdr, tp_mac);
    pub(super) const VLAN: usize =
        offset_of!(tpacket3_hdr, hv1) + offset_of!(tpacket_hdr_variant1, tp_vlan_tci);
    const ADDRESS: usize = size_of::<tpacket3_hdr>().next_multiple_of(libc::TPACKET_ALIGNMENT);
    pub(super) const HARDWARE: usize = ADDRESS + offset_of!(sockaddr_ll, sll_hatype);
    pub(super) const DIRECTION: usize = ADDRESS + offset_of!(sockaddr_ll, sll_pkttype);
}

/// Gives each frame of a block to `sink`; says how many they were. Stops where the block makes no sense.
pub fn walk(block: &[u8], sink: &mut dyn FnMut(&Frame<'_>)) -> usize {
    let Some(frames) = word(block, offset::COUNT) else { return 0 };
    let Some(mut at) = word(block, offset::FIRST).map(|first| first as usize) else { return 0 };
    let mut count = 0;
    for _ in 0..frames {
        let Some(packet) = block.get(at..) else { break };
        let Some(next) = word(packet, offset::NEXT) else { break };
        if let Some(frame) = frame(packet) {
            sink(&frame);
            count += 1;
        }
        if next == 0 {
            break;
        }
        at = at.saturating_add(next as usize);
    }
    count
}

/// The frame of a packet header; `None` for the copy that a loopback interface makes of what it sends.
fn frame(packet: &[u8]) -> Option<Frame<'_>> {
    let start = usize::from(half(packet, offset::FRAME)?);
    let captured = word(packet, offset::CAPTURED)? as usize;
    let bytes = packet.get(start..start.checked_add(captured)?)?;
    let flags = word(packet, offset::FLAGS)?;
    let hardware = half(packet, offset::HARDWARE)?;
    let outgoing = packet.get(offset::DIRECTION).copied()? == libc::PACKET_OUTGOING;
    if outgoing && hardware == libc::ARPHRD_LOOPBACK {
        return None;
    }
    let tagged = flags & libc::TP_STATUS_VLAN_VALID != 0;
    let vlan = word(packet, offset::VLAN).filter(|_| tagged).map(|tag| (tag & 0x0fff) as u16);
    let seconds = i64::from(word(packet, offset::SECONDS)?);
    let nanos = i64::from(word(packet, offset::NANOS)?);
    Some(Frame {
        at: Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos)),
        link: link_of(hardware),
        bytes,
        wire_length: word(packet, offset::LENGTH)?,
        vlan,
    })
}

/// The link type of a kind of hardware (`ARPHRD_*`).
fn link_of(hardware: u16) -> LinkType {
    match hardware {
        libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => LinkType::ETHERNET,
        libc::ARPHRD_PPP => LinkType(9),
        libc::ARPHRD_IEEE80211 => LinkType(105),
        libc::ARPHRD_IEEE80211_RADIOTAP => LinkType(127),
        // Tunnels and others without a header of their own.
        _ => LinkType::RAW,
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_ne_bytes(*word))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|word| u16::from_ne_bytes(*word))
}

/// Sets `flag` at SIGINT and SIGTERM.
pub(crate) fn stop_on_signals(flag: &'static std::sync::atomic::AtomicBool) {
    system::stop_on_signals(flag);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A block with one frame, as the kernel writes it.
    fn block(bytes: &[u8], tag: Option<u16>) -> Vec<u8> {
        let mut block = vec![0_u8; 512];
        let mut put = |at: usize, value: u32| block[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        let first = 48;
        put(offset::COUNT, 1);
        put(offset::FIRST, first);
        let first = first as usize;
        put(first + offset::SECONDS, 7);
        put(first + offset::NANOS, 5);
        put(first + offset::CAPTURED, u32::try_from(bytes.len()).unwrap());
        put(first + offset::LENGTH, 1_500);
        if let Some(tag) = tag {
            put(first + offset::FLAGS, libc::TP_STATUS_VLAN_VALID);
            put(first + offset::VLAN, u32::from(tag));
        }
        block[first + offset::FRAME..first + offset::FRAME + 2].copy_from_slice(&82_u16.to_ne_bytes());
        block[first + offset::HARDWARE..first + offset::HARDWARE + 2]
            .copy_from_slice(&libc::ARPHRD_ETHER.to_ne_bytes());
        block[first + 82..first + 82 + bytes.len()].copy_from_slice(bytes);
        block
    }

    #[test]
    fn frames_come_with_time_length_and_tag() {
        let mut seen = Vec::new();
        walk(&block(b"frame", Some(0x2007)), &mut |frame| {
            seen.push((frame.at.nanos(), frame.bytes.to_vec(), frame.wire_length, frame.vlan, frame.link));
        });
        assert_eq!(seen, [(7_000_000_005, b"frame".to_vec(), 1_500, Some(7), LinkType::ETHERNET)]);
    }

    proptest! {
        #[test]
        fn any_block_is_walked(bytes: Vec<u8>, count: u32, first in 0_u32..600) {
            let mut block = bytes;
            block.resize(600, 0);
            block[offset::COUNT..offset::COUNT + 4].copy_from_slice(&count.to_ne_bytes());
            block[offset::FIRST..offset::FIRST + 4].copy_from_slice(&first.to_ne_bytes());
            walk(&block, &mut |_| {});
        }
    }
}
