//! A packet socket that sends many frames with one call.

#![expect(unsafe_code, reason = "std has no packet sockets, and no call that sends many datagrams")]

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

/// A socket that is bound to an interface, past its queue.
pub(super) struct Sender {
    handle: OwnedFd,
}

impl Sender {
    /// Opens it; `PACKET_QDISC_BYPASS` hands frames straight to the driver (packet(7)).
    pub(super) fn open(interface: &str) -> io::Result<Self> {
        // SAFETY: no pointers are passed.
        let raw = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        check(raw)?;
        // SAFETY: `raw` is a descriptor that was just opened and that nobody else owns.
        let handle = unsafe { OwnedFd::from_raw_fd(raw) };
        let name = std::ffi::CString::new(interface)?;
        // SAFETY: the name ends with a zero byte and lives through the call.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        if index == 0 {
            return Err(io::Error::last_os_error());
        }
        let yes: libc::c_int = 1;
        // SAFETY: pointer and length belong to `yes`, which lives through the call.
        check(unsafe {
            libc::setsockopt(
                handle.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_QDISC_BYPASS,
                (&raw const yes).cast(),
                length_of(&yes),
            )
        })?;
        // SAFETY: all zeros are a valid address, a structure of numbers.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::c_ushort::try_from(libc::AF_PACKET).unwrap_or_default();
        address.sll_ifindex = index.cast_signed();
        // SAFETY: the address has the type and length that the family wants.
        check(unsafe { libc::bind(handle.as_raw_fd(), (&raw const address).cast(), length_of(&address)) })?;
        Ok(Self { handle })
    }

    /// Sends the first of `frames`, in order; how many the kernel took. It takes none while its memory is full.
    pub(super) fn send(&self, frames: &[Vec<u8>]) -> io::Result<usize> {
        let mut pieces: Vec<libc::iovec> = frames
            .iter()
            .map(|frame| libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() })
            .collect();
        let mut messages: Vec<libc::mmsghdr> = pieces
            .iter_mut()
            .map(|piece| {
                // SAFETY: all zeros are a valid message without anything.
                let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
                message.msg_hdr.msg_iov = piece;
                message.msg_hdr.msg_iovlen = 1;
                message
            })
            .collect();
        let count = libc::c_uint::try_from(messages.len()).unwrap_or(libc::c_uint::MAX);
        // SAFETY: messages, pieces and frames live through the call, which reads the frames only.
        let sent = unsafe { libc::sendmmsg(self.handle.as_raw_fd(), messages.as_mut_ptr(), count, 0) };
        match check(sent) {
            Ok(()) => Ok(usize::try_from(sent).unwrap_or(0)),
            Err(error)
                if matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::EAGAIN | libc::EINTR)) =>
            {
                Ok(0)
            }
            Err(error) => Err(error),
        }
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn length_of<T>(value: &T) -> libc::socklen_t {
    libc::socklen_t::try_from(size_of_val(value)).unwrap_or_default()
}
