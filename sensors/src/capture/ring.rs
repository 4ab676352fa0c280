//! Live capture through a `TPACKET_V3` ring: the kernel writes frames into memory that we read in place.
//!
//! Out: frames with the kernel's timestamps and the VLAN tag that it took out. What always holds: a block is given back
//! to the kernel only after all its frames were handed out; what did not fit is counted by the kernel
//! ([`Ring::statistics`]). Calls into the system are in `mod system`, the only unsafe code of the sensor; the walk over a
//! block reads a plain slice and takes any bytes.
//!
//! Source: the kernel's documentation, `networking/packet_mmap`.

#![expect(clippy::cast_possible_truncation, reason = "sizes of C structures are small constants")]

use std::io;
use std::mem::offset_of;
use std::time::Duration;

use dongson_event::Timestamp;

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
}

impl Default for RingOptions {
    fn default() -> Self {
        Self { block_bytes: 1 << 20, blocks: 64, retire_ms: 50, promiscuous: true }
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
    /// The block that is read next.
    next: u32,
    statistics: RingStatistics,
}

impl Ring {
    /// Opens a ring on `interface`.
    pub fn open(interface: &str, options: RingOptions) -> Result<Self, RingError> {
        let socket =
            Socket::open(interface, options).map_err(|(step, source)| match source.raw_os_error() {
                Some(libc::EPERM | libc::EACCES) => {
                    RingError::NotPermitted { interface: interface.to_owned() }
                }
                Some(libc::ENODEV | libc::ENXIO) => {
                    RingError::NoInterface { interface: interface.to_owned() }
                }
                _ => RingError::System { step, interface: interface.to_owned(), source },
            })?;
        Ok(Self { socket, interface: interface.to_owned(), next: 0, statistics: RingStatistics::default() })
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
fn walk(block: &[u8], sink: &mut dyn FnMut(&Frame<'_>)) -> usize {
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

/// The calls into the system.
mod system {
    #![expect(unsafe_code, reason = "a packet ring is memory shared with the kernel; std has no call for it")]

    use std::ffi::CString;
    use std::io;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    use std::ptr::{self, NonNull};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::time::Duration;

    use super::{RingOptions, offset};

    /// A bound socket and its mapped ring.
    pub(super) struct Socket {
        handle: OwnedFd,
        memory: NonNull<u8>,
        block_bytes: usize,
        blocks: u32,
    }

    // SAFETY: the mapping belongs to this value alone and is not tied to a thread.
    unsafe impl Send for Socket {}

    type Failed = (&'static str, io::Error);

    impl Socket {
        /// Socket, ring, mapping, binding; on failure says which step.
        pub(super) fn open(interface: &str, options: RingOptions) -> Result<Self, Failed> {
            let index = index_of(interface).map_err(|error| ("looking up the interface", error))?;
            // Protocol 0: nothing is received before the socket is bound to the interface.
            // SAFETY: no pointers are passed.
            let raw = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
            check(raw).map_err(|error| ("opening a packet socket", error))?;
            // SAFETY: `raw` is a descriptor that was just opened and that nobody else owns.
            let handle = unsafe { OwnedFd::from_raw_fd(raw) };
            let version = libc::tpacket_versions::TPACKET_V3 as libc::c_int;
            set(&handle, libc::PACKET_VERSION, &version).map_err(|error| ("asking for TPACKET_V3", error))?;
            let frame_bytes = 2_048;
            let request = libc::tpacket_req3 {
                tp_block_size: options.block_bytes,
                tp_block_nr: options.blocks,
                tp_frame_size: frame_bytes,
                tp_frame_nr: options.block_bytes / frame_bytes * options.blocks,
                tp_retire_blk_tov: options.retire_ms,
                tp_sizeof_priv: 0,
                tp_feature_req_word: 0,
            };
            set(&handle, libc::PACKET_RX_RING, &request).map_err(|error| ("making the ring", error))?;
            let length = options.block_bytes as usize * options.blocks as usize;
            let memory = map(&handle, length).map_err(|error| ("mapping the ring", error))?;
            let socket =
                Self { handle, memory, block_bytes: options.block_bytes as usize, blocks: options.blocks };
            socket.bind(index).map_err(|error| ("binding to the interface", error))?;
            if options.promiscuous {
                socket.promiscuous(index).map_err(|error| ("switching to promiscuous mode", error))?;
            }
            Ok(socket)
        }

        pub(super) fn blocks(&self) -> u32 {
            self.blocks
        }

        /// True when the kernel has handed the block over.
        pub(super) fn is_ready(&self, block: u32) -> bool {
            self.status(block).load(Ordering::Acquire) & libc::TP_STATUS_USER != 0
        }

        /// The bytes of a block that the kernel has handed over.
        pub(super) fn block(&self, block: u32) -> Option<&[u8]> {
            self.is_ready(block).then(|| {
                // SAFETY: the block lies inside the mapping, and the kernel does not write to it until it is given
                // back, which needs `&mut self`'s caller to be done with this slice.
                unsafe { std::slice::from_raw_parts(self.start(block).as_ptr(), self.block_bytes) }
            })
        }

        /// Lets the kernel write into the block again.
        pub(super) fn give_back(&self, block: u32) {
            self.status(block).store(libc::TP_STATUS_KERNEL, Ordering::Release);
        }

        /// Waits until a block is ready, or the time is over, or a signal came.
        pub(super) fn wait(&self, timeout: Duration) -> io::Result<()> {
            let mut entry = libc::pollfd {
                fd: self.handle.as_raw_fd(),
                events: libc::POLLIN | libc::POLLERR,
                revents: 0,
            };
            let milliseconds = libc::c_int::try_from(timeout.as_millis()).unwrap_or(libc::c_int::MAX);
            // SAFETY: `entry` lives through the call, and its count is 1.
            match check(unsafe { libc::poll(&raw mut entry, 1, milliseconds) }) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
                _ => Ok(()),
            }
        }

        /// The kernel's counters since the last call.
        pub(super) fn statistics(&self) -> io::Result<libc::tpacket_stats_v3> {
            let mut counters = libc::tpacket_stats_v3 { tp_packets: 0, tp_drops: 0, tp_freeze_q_cnt: 0 };
            let mut length = size_of_val(&counters) as libc::socklen_t;
            // SAFETY: the pointers are to values of the lengths given, which live through the call.
            check(unsafe {
                libc::getsockopt(
                    self.handle.as_raw_fd(),
                    libc::SOL_PACKET,
                    libc::PACKET_STATISTICS,
                    (&raw mut counters).cast(),
                    &raw mut length,
                )
            })?;
            Ok(counters)
        }

        fn start(&self, block: u32) -> NonNull<u8> {
            let at = (block % self.blocks) as usize * self.block_bytes;
            // SAFETY: `at` is less than the length of the mapping.
            unsafe { self.memory.add(at) }
        }

        fn status(&self, block: u32) -> &AtomicU32 {
            // SAFETY: blocks start at multiples of the page size, so the word is aligned; it lies in the mapping, and
            // the kernel and we only access it atomically.
            unsafe { AtomicU32::from_ptr(self.start(block).as_ptr().add(offset::STATUS).cast()) }
        }

        fn bind(&self, index: libc::c_int) -> io::Result<()> {
            let address = libc::sockaddr_ll {
                sll_family: libc::AF_PACKET as u16,
                sll_protocol: (libc::ETH_P_ALL as u16).to_be(),
                sll_ifindex: index,
                sll_hatype: 0,
                sll_pkttype: 0,
                sll_halen: 0,
                sll_addr: [0; 8],
            };
            let length = size_of_val(&address) as libc::socklen_t;
            // SAFETY: the address has the type and length that the family wants.
            check(unsafe { libc::bind(self.handle.as_raw_fd(), (&raw const address).cast(), length) })
        }

        fn promiscuous(&self, index: libc::c_int) -> io::Result<()> {
            let request = libc::packet_mreq {
                mr_ifindex: index,
                mr_type: libc::PACKET_MR_PROMISC as libc::c_ushort,
                mr_alen: 0,
                mr_address: [0; 8],
            };
            set(&self.handle, libc::PACKET_ADD_MEMBERSHIP, &request)
        }
    }

    impl Drop for Socket {
        fn drop(&mut self) {
            // SAFETY: the mapping has this address and length, and no slice of it outlives `self`.
            unsafe {
                libc::munmap(self.memory.as_ptr().cast(), self.block_bytes * self.blocks as usize);
            }
        }
    }

    static STOP: OnceLock<&'static AtomicBool> = OnceLock::new();

    extern "C" fn on_signal(_: libc::c_int) {
        // Reading the cell and storing a flag are all that a signal handler may do here: neither waits nor allocates.
        if let Some(flag) = STOP.get() {
            flag.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn stop_on_signals(flag: &'static AtomicBool) {
        if STOP.set(flag).is_err() {
            return;
        }
        for signal in [libc::SIGINT, libc::SIGTERM] {
            let handler = on_signal as extern "C" fn(libc::c_int);
            // SAFETY: the handler only stores to a flag that lives as long as the process.
            unsafe {
                libc::signal(signal, handler as libc::sighandler_t);
            }
        }
    }

    fn check(result: libc::c_int) -> io::Result<()> {
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    fn index_of(interface: &str) -> io::Result<libc::c_int> {
        let name = CString::new(interface).map_err(|_| io::Error::from_raw_os_error(libc::ENODEV))?;
        // SAFETY: the name ends with a zero byte and lives through the call.
        match unsafe { libc::if_nametoindex(name.as_ptr()) } {
            0 => Err(io::Error::last_os_error()),
            index => Ok(index.cast_signed()),
        }
    }

    fn set<T>(handle: &OwnedFd, option: libc::c_int, value: &T) -> io::Result<()> {
        // SAFETY: pointer and length belong to `value`, which lives through the call.
        check(unsafe {
            libc::setsockopt(
                handle.as_raw_fd(),
                libc::SOL_PACKET,
                option,
                ptr::from_ref(value).cast(),
                size_of::<T>() as libc::socklen_t,
            )
        })
    }

    fn map(handle: &OwnedFd, length: usize) -> io::Result<NonNull<u8>> {
        // SAFETY: a new mapping, chosen by the system; nothing of ours is at risk.
        let memory = unsafe {
            libc::mmap(
                ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                handle.as_raw_fd(),
                0,
            )
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(memory.cast()).ok_or_else(|| io::Error::other("the ring was mapped at address 0"))
    }
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
