//! The calls into the system that a ring needs: socket, memory, filter, fanout, counters, signals.
//!
//! The only unsafe code of the ring; each call says why it is sound. Sources: packet(7), socket(7), the kernel's
//! `networking/packet_mmap`.

#![expect(unsafe_code, reason = "a packet ring is memory shared with the kernel; std has no call for it")]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use super::{Program, RingOptions, offset};

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

/// The instruction that ends a filter with how much of the frame is taken (`BPF_RET`).
const RETURN: u16 = 0x06;

impl Socket {
    /// Socket, filter, ring, mapping, binding; on failure says which step.
    pub(super) fn open(
        indexes: &[libc::c_int],
        filter: Option<&Program>,
        options: RingOptions,
    ) -> Result<Self, Failed> {
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
        socket.begin(indexes, filter, options)?;
        Ok(socket)
    }

    /// From what is not to be received to receiving.
    fn begin(
        &self,
        indexes: &[libc::c_int],
        filter: Option<&Program>,
        options: RingOptions,
    ) -> Result<(), Failed> {
        let code = filter_for(indexes, filter);
        if !code.is_empty() {
            self.attach(&code).map_err(|error| ("setting the filter", error))?;
        }
        if options.ignore_outgoing {
            set(&self.handle, libc::PACKET_IGNORE_OUTGOING, &1_i32)
                .map_err(|error| ("leaving out what is sent", error))?;
        }
        // Index 0 is every interface; the filter then leaves out the others.
        let index = if let [only] = indexes { *only } else { 0 };
        self.bind(index).map_err(|error| ("binding to the interface", error))?;
        if options.promiscuous {
            for index in indexes {
                self.promiscuous(*index).map_err(|error| ("switching to promiscuous mode", error))?;
            }
        }
        if let Some(group) = options.fanout {
            let kind = libc::PACKET_FANOUT_HASH | libc::PACKET_FANOUT_FLAG_DEFRAG;
            let request = libc::c_uint::from(group) | (kind as libc::c_uint) << 16;
            set(&self.handle, libc::PACKET_FANOUT, &request).map_err(|error| ("joining the group", error))?;
        }
        Ok(())
    }

    /// Puts another filter in the place of the present one, in one step: every frame meets one of the two, none is lost
    /// (socket(7), `SO_ATTACH_FILTER`).
    pub(super) fn change_filter(&self, indexes: &[libc::c_int], filter: Option<&Program>) -> io::Result<()> {
        let code = filter_for(indexes, filter);
        if !code.is_empty() {
            return self.attach(&code);
        }
        let all = libc::sock_filter { code: RETURN, jt: 0, jf: 0, k: u32::MAX };
        self.attach(&[all])
    }

    /// Lets the kernel run `code` for each frame.
    fn attach(&self, code: &[libc::sock_filter]) -> io::Result<()> {
        let length = libc::c_ushort::try_from(code.len()).map_err(io::Error::other)?;
        let program = libc::sock_fprog { len: length, filter: code.as_ptr().cast_mut() };
        // SAFETY: the kernel copies the instructions during the call and does not write to them.
        check(unsafe {
            libc::setsockopt(
                self.handle.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ATTACH_FILTER,
                (&raw const program).cast(),
                size_of_val(&program) as libc::socklen_t,
            )
        })
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
        let mut entry =
            libc::pollfd { fd: self.handle.as_raw_fd(), events: libc::POLLIN | libc::POLLERR, revents: 0 };
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

/// Takes frames of `indexes` only, when there are several, and of those what `filter` takes.
fn filter_for(indexes: &[libc::c_int], filter: Option<&Program>) -> Vec<libc::sock_filter> {
    const LOAD_WORD: u16 = 0x20;
    const IF_EQUAL: u16 = 0x15;
    const JUMP: u16 = 0x05;
    /// Where the kernel keeps the number of the interface (`SKF_AD_OFF` + `SKF_AD_IFINDEX`).
    const INDEX: u32 = 0xffff_f000 + 8;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut code = Vec::new();
    if indexes.len() > 1 {
        code.push(step(LOAD_WORD, 0, 0, INDEX));
        for (place, index) in indexes.iter().enumerate() {
            // Over the instruction behind it, which leads over the rest of the list and the refusal.
            let rest = (indexes.len() - place - 1) * 2 + 1;
            code.push(step(IF_EQUAL, 0, 1, index.cast_unsigned()));
            code.push(step(JUMP, 0, 0, rest as u32));
        }
        code.push(step(RETURN, 0, 0, 0));
        if filter.is_none() {
            code.push(step(RETURN, 0, 0, u32::MAX));
        }
    }
    let own = filter.map(Program::code).unwrap_or_default().iter();
    code.extend(own.map(|one| step(one.operation, one.if_true, one.if_false, one.value)));
    code
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The number of an interface.
pub(super) fn index_of(interface: &str) -> io::Result<libc::c_int> {
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
