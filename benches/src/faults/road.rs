//! A road between a client and the collector: it carries bytes both ways, and can lose an answer, break inside a
//! request, or be closed.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// More bytes in a row from the client than this are a request, not a handshake.
const REQUEST: u64 = 1_024;
/// How often a closed road looks whether it is open again.
const LOOK: Duration = Duration::from_millis(20);

/// What the next exchange meets, in [`Orders::next`].
const NOTHING: u64 = 0;
const LOSE_ANSWER: u64 = 1;
const BREAK_REQUEST: u64 = 2;

#[derive(Debug, Default)]
struct Orders {
    next: AtomicU64,
    closed: AtomicBool,
    ended: AtomicBool,
    connections: AtomicU64,
}

/// A road; it ends with the value.
#[derive(Debug)]
pub(crate) struct Road {
    address: SocketAddr,
    orders: Arc<Orders>,
}

impl Road {
    /// A road on a free port of the loopback to `target`.
    pub(crate) fn open(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("opening a road")?;
        let (address, orders) = (listener.local_addr()?, Arc::new(Orders::default()));
        let theirs = Arc::clone(&orders);
        thread::Builder::new().name("road".to_owned()).spawn(move || carry(&listener, target, &theirs))?;
        Ok(Self { address, orders })
    }

    /// Where the client goes.
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The next request's answer is lost; with `early` the connection breaks when the request is on its way.
    pub(crate) fn lose_answer(&self, early: bool) {
        let order = if early { BREAK_REQUEST } else { LOSE_ANSWER };
        self.orders.next.store(order, Ordering::Relaxed);
    }

    /// Closes the road (what runs on it breaks), or opens it again.
    pub(crate) fn close(&self, closed: bool) {
        self.orders.closed.store(closed, Ordering::Relaxed);
    }

    /// Connections that it has carried so far.
    pub(crate) fn connections(&self) -> u64 {
        self.orders.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Road {
    fn drop(&mut self) {
        self.orders.ended.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for a client.
        drop(TcpStream::connect(self.address));
    }
}

fn carry(listener: &TcpListener, target: SocketAddr, orders: &Arc<Orders>) {
    for client in listener.incoming() {
        if orders.ended.load(Ordering::Relaxed) {
            return;
        }
        let Ok(client) = client else { continue };
        if orders.closed.load(Ordering::Relaxed) {
            continue;
        }
        // A collector that is down refuses, and so does the road.
        let Ok(server) = TcpStream::connect(target) else { continue };
        orders.connections.fetch_add(1, Ordering::Relaxed);
        let (Ok(client_too), Ok(server_too)) = (client.try_clone(), server.try_clone()) else { continue };
        let (orders, theirs) = (Arc::clone(orders), Arc::clone(orders));
        let asked = Arc::new(AtomicU64::new(0));
        let asked_too = Arc::clone(&asked);
        thread::spawn(move || {
            copy(client, server, &orders, |bytes| {
                let whole = asked.fetch_add(bytes, Ordering::Relaxed) + bytes;
                whole >= REQUEST && take(&orders, BREAK_REQUEST)
            });
        });
        thread::spawn(move || {
            copy(server_too, client_too, &theirs, |_| {
                asked_too.swap(0, Ordering::Relaxed) >= REQUEST && take(&theirs, LOSE_ANSWER)
            });
        });
    }
}

/// True once for an order that was given.
fn take(orders: &Orders, order: u64) -> bool {
    orders.next.compare_exchange(order, NOTHING, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

/// Copies until one side ends, the road is closed, or `breaks` says so of what was read (answers are lost before
/// they are written, requests break after).
fn copy(mut from: TcpStream, mut to: TcpStream, orders: &Orders, breaks: impl Fn(u64) -> bool) {
    let mut buffer = vec![0; 64 << 10];
    let timed = from.set_read_timeout(Some(LOOK));
    while timed.is_ok() && !orders.closed.load(Ordering::Relaxed) && !orders.ended.load(Ordering::Relaxed) {
        let length = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if is_pause(&error) => continue,
            Err(_) => break,
        };
        let broken = breaks(length as u64);
        let read = buffer.get(..length).unwrap_or_default();
        // Half of what broke arrives.
        let part = if broken { read.get(..length / 2).unwrap_or_default() } else { read };
        if to.write_all(part).is_err() || broken {
            break;
        }
    }
    // A side that has ended already is as good.
    drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
}

fn is_pause(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers each 2,000 bytes with 100.
    fn server() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                thread::spawn(move || {
                    let mut request = [0; 2_000];
                    while stream.read_exact(&mut request).is_ok() && stream.write_all(&[1; 100]).is_ok() {}
                });
            }
        });
        address
    }

    fn ask(road: &Road) -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect(road.address)?;
        ask_again(&mut stream).map(|()| stream)
    }

    fn ask_again(stream: &mut TcpStream) -> std::io::Result<()> {
        stream.write_all(&[0; 2_000])?;
        stream.read_exact(&mut [0; 100])
    }

    #[test]
    fn one_answer_is_lost_and_the_next_is_not() {
        let road = Road::open(server()).unwrap();
        let mut stream = ask(&road).unwrap();
        for early in [false, true] {
            road.lose_answer(early);
            assert!(ask_again(&mut stream).is_err());
            stream = ask(&road).unwrap();
        }
        assert_eq!(road.connections(), 3);
    }

    #[test]
    fn a_closed_road_carries_nothing() {
        let road = Road::open(server()).unwrap();
        let mut stream = ask(&road).unwrap();
        road.close(true);
        // What runs on it breaks as soon as the road has looked.
        while ask_again(&mut stream).is_ok() {}
        assert!(ask(&road).is_err());
        road.close(false);
        ask(&road).unwrap();
    }
}
