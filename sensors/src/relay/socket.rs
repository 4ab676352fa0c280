//! What std does not know of a UDP socket: how much it holds, and how many datagrams found no room in it.

#![expect(unsafe_code, reason = "std has no calls for these socket options")]

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;

/// Bytes of datagrams that the kernel is asked to hold; it gives what `net.core.rmem_max` allows.
const ROOM: libc::c_int = 8 << 20;
/// Place of the drops in the answer to `SO_MEMINFO` (`SK_MEMINFO_DROPS`, `linux/sock_diag.h`).
#[cfg(target_os = "linux")]
const DROPS: usize = 8;

/// Opens a UDP socket with as much room as the system gives.
pub(super) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let (socket, room) = (UdpSocket::bind(address)?, ROOM);
    let length = libc::socklen_t::try_from(size_of_val(&room)).map_err(io::Error::other)?;
    // SAFETY: the pointer is to a live int, and the length is its own.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUF,
            (&raw const room).cast(),
            length,
        )
    };
    if set == 0 { Ok(socket) } else { Err(io::Error::last_os_error()) }
}

/// How many datagrams found no room in the socket since it was opened, modulo 2^32; `None` where nobody counts them.
#[cfg(target_os = "linux")]
pub(super) fn dropped(socket: &UdpSocket) -> Option<u32> {
    let mut told = [0_u32; DROPS + 1];
    let mut length = libc::socklen_t::try_from(size_of_val(&told)).ok()?;
    // SAFETY: the call writes at most `length` bytes into the live array.
    let got = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            told.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    let whole = usize::try_from(length).is_ok_and(|length| length >= size_of_val(&told));
    (got == 0 && whole).then(|| told.last().copied()).flatten()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn dropped(_: &UdpSocket) -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn datagrams_without_room_are_counted() {
        let socket = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_eq!(dropped(&socket), Some(0));
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (mut sent, datagram) = (0_u32, vec![0; 60_000]);
        while dropped(&socket) == Some(0) {
            sent += u32::from(sender.send_to(&datagram, socket.local_addr().unwrap()).is_ok());
            assert!(sent < 10_000, "no drop in {sent} datagrams that nobody reads");
        }
        let lost = dropped(&socket).unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut buffer = vec![0; 65_535];
        let mut read = 0;
        while socket.recv_from(&mut buffer).is_ok() {
            read += 1;
        }
        assert_eq!(read + lost, sent);
    }
}
