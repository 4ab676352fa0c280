//! Syslog over UDP (RFC 5426) and TCP (RFC 6587): neither has an acknowledgement, so what was read is kept, and what the
//! sensor had no room for is counted. A stream is read no faster than the spool takes it.

use std::io::{self, Read as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use dongson_event::relay::MAX_RECORD_BYTES;

use super::frame::{Framed, Framer, Framing};
use super::queue::Record;
use super::{Desk, LOOK_EVERY, socket};
use crate::capture::portable::now;

/// Largest datagram.
const DATAGRAM: usize = 65_535;
/// Most connections of all inputs together.
const MOST_CONNECTIONS: u64 = 64;
/// Datagrams that are read between two looks at what the socket dropped.
const COUNT_EVERY: u32 = 256;

/// Reads datagrams until the end.
pub(super) fn datagrams(desk: &Desk, socket: &UdpSocket) {
    if let Err(error) = socket.set_read_timeout(Some(LOOK_EVERY)) {
        return desk.tally.set_problem(Some(format!("the socket takes no time limit: {error}")));
    }
    let (mut buffer, mut drops, mut since) = (vec![0; DATAGRAM], Drops::default(), 0);
    while !desk.stops() {
        match socket.recv_from(&mut buffer) {
            Ok((length, peer)) => {
                since += 1;
                datagram(desk, buffer.get(..length).unwrap_or_default(), peer);
            }
            Err(error) if is_wait(&error) => since = COUNT_EVERY,
            Err(error) => {
                desk.tally.set_problem(Some(format!("reading datagrams: {error}")));
                thread::sleep(LOOK_EVERY);
                continue;
            }
        }
        if since >= COUNT_EVERY {
            since = 0;
            drops.count(desk, socket);
        }
        desk.tally.set_problem(None);
    }
    drops.count(desk, socket);
}

/// What the kernel said last.
#[derive(Default)]
struct Drops(u32);

impl Drops {
    fn count(&mut self, desk: &Desk, socket: &UdpSocket) {
        let Some(dropped) = socket::dropped(socket) else { return };
        let new = dropped.wrapping_sub(std::mem::replace(&mut self.0, dropped));
        // What is not wanted is not lost.
        if desk.is_on() {
            desk.tally.dropped.fetch_add(u64::from(new), Ordering::Relaxed);
        }
    }
}

fn datagram(desk: &Desk, bytes: &[u8], peer: SocketAddr) {
    if !desk.is_on() || bytes.is_empty() {
        return;
    }
    if !may_send(desk, peer.ip()) {
        desk.tally.refused.fetch_add(1, Ordering::Relaxed);
        return;
    }
    let record = record(desk, bytes.to_vec(), peer.ip(), 0);
    let length = record.raw.len() as u64;
    if desk.queue.offer(record) {
        desk.count(length, 0);
    } else {
        desk.tally.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

impl Desk {
    /// Counts a record that was taken.
    pub(super) fn count(&self, bytes: u64, missing: u64) {
        self.tally.records.fetch_add(1, Ordering::Relaxed);
        self.tally.bytes.fetch_add(bytes, Ordering::Relaxed);
        if missing > 0 {
            self.tally.cut.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn record(desk: &Desk, raw: Vec<u8>, peer: IpAddr, missing_bytes: u64) -> Record {
    debug_assert!(raw.len() <= MAX_RECORD_BYTES, "longer ones were cut");
    Record {
        input: Arc::clone(&desk.input),
        raw,
        received: now(),
        peer: Some(peer.to_canonical()),
        path: None,
        missing_bytes,
        place: None,
    }
}

fn may_send(desk: &Desk, peer: IpAddr) -> bool {
    let from = &desk.input.from;
    from.is_empty() || from.iter().any(|one| one.to_canonical() == peer.to_canonical())
}

fn is_wait(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

/// Accepts connections until the end, each in a thread of its own; `count` holds those of all inputs.
pub(super) fn connections(desk: &Arc<Desk>, listener: &TcpListener, count: &Arc<AtomicU64>) {
    if let Err(error) = listener.set_nonblocking(true) {
        return desk.tally.set_problem(Some(format!("the socket cannot be asked without waiting: {error}")));
    }
    let mut threads = Vec::new();
    while !desk.stops() {
        threads.retain(|thread: &thread::JoinHandle<()>| !thread.is_finished());
        match listener.accept() {
            Ok((stream, peer)) => {
                let taken = desk.is_on() && may_send(desk, peer.ip());
                if !taken || count.fetch_add(1, Ordering::Relaxed) >= MOST_CONNECTIONS {
                    if taken {
                        count.fetch_sub(1, Ordering::Relaxed);
                    }
                    desk.tally.refused.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                let (desk, place) = (Arc::clone(desk), Place(Arc::clone(count)));
                threads.push(thread::spawn(move || {
                    let _place = place;
                    session(&desk, stream, peer.ip());
                }));
            }
            Err(error) if is_wait(&error) => thread::sleep(LOOK_EVERY / 4),
            Err(error) => {
                desk.tally.set_problem(Some(format!("accepting connections: {error}")));
                thread::sleep(LOOK_EVERY);
                continue;
            }
        }
        desk.tally.set_problem(None);
    }
    for thread in threads {
        drop(thread.join());
    }
}

/// A connection that counts; it counts no more when this is dropped, also by a panic.
struct Place(Arc<AtomicU64>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One connection: read, cut, put.
fn session(desk: &Desk, mut stream: TcpStream, peer: IpAddr) {
    if stream.set_nonblocking(false).and_then(|()| stream.set_read_timeout(Some(LOOK_EVERY))).is_err() {
        return;
    }
    let (mut framer, mut buffer) = (Framer::new(Framing::Syslog, 0), vec![0; 64 << 10]);
    let mut open = true;
    while open && !desk.stops() && desk.is_on() {
        let read = match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if is_wait(&error) => continue,
            Err(_) => break,
        };
        framer.push(buffer.get(..read).unwrap_or_default(), &mut |framed| open &= put(desk, framed, peer));
    }
    if let Some(framed) = framer.finish() {
        put(desk, framed, peer);
    }
}

fn put(desk: &Desk, framed: Framed, peer: IpAddr) -> bool {
    let Framed { raw, missing, .. } = framed;
    let bytes = raw.len() as u64;
    let taken = desk.queue.put(record(desk, raw, peer, missing));
    if taken {
        desk.count(bytes, missing);
    } else {
        desk.tally.dropped.fetch_add(1, Ordering::Relaxed);
    }
    taken
}
