//! Syslog over UDP, TCP (RFC 6587) and TLS (RFC 5425).
//!
//! None of them has an acknowledgement: what is read is kept. A record whose end did not come before the connection
//! ended (fewer bytes than announced, or no line feed) is kept as far as it came, with `dongson.record.cut`. A stream is read no faster than the bus takes it;
//! datagrams that do not fit the queue are counted as dropped, those that the kernel dropped are counted apart.

use super::framing::{Frame, Framer};
use super::{Hall, accept, fresh_epoch};
use crate::intake::{self, Normal, Origin, part};
use crate::publish::{Item, now};
use crate::tally::Loss;
use bytes::Bytes;
use dongson_event::identity;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// Most records published at once.
const BATCH: usize = 500;
/// Largest UDP datagram.
const DATAGRAM: usize = 65_535;
/// How often the kernel's count of lost datagrams is read.
const COUNT_EVERY: Duration = Duration::from_secs(5);

/// Opens the UDP socket with a receive buffer of `wanted` bytes, or as much of it as the kernel gives; says so if that is
/// less. Who may administer the network gets it whatever the limit of the machine is.
pub(crate) fn bind_udp(address: SocketAddr, wanted: usize) -> std::io::Result<UdpSocket> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, Some(socket2::Protocol::UDP))?;
    if rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, wanted).is_err() {
        socket.set_recv_buffer_size(wanted)?;
    }
    // Linux counts its own book-keeping in, and answers twice what it was asked for (socket(7)).
    let given = socket.recv_buffer_size()? / 2;
    metrics::gauge!("collector_datagram_buffer_bytes")
        .set(f64::from(u32::try_from(given).unwrap_or(u32::MAX)));
    if given < wanted {
        tracing::warn!(
            wanted,
            given,
            "the kernel gave the UDP listener a smaller buffer than asked for: bursts are lost sooner. Raise the limit with \
             `sysctl -w net.core.rmem_max={wanted}` and start again, or ask for less in collector.limits.datagram_buffer_bytes"
        );
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

/// Reads datagrams until shutdown; what was read is published before it ends.
pub(crate) async fn udp(hall: Hall, socket: UdpSocket) {
    let (sender, receiver) = mpsc::channel(hall.limits.datagram_queue);
    let port = socket.local_addr().map_or(0, |address| address.port());
    let writer = tokio::spawn(publish_datagrams(hall.clone(), receiver));
    let watch = tokio::spawn(count_kernel_drops(hall.clone(), port));
    read_datagrams(&hall, &socket, &sender).await;
    drop(sender);
    if let Err(error) = writer.await {
        tracing::error!(%error, "datagrams that were read are lost");
    }
    if let Err(error) = watch.await {
        tracing::error!(%error, "the kernel's last count of lost datagrams is not known");
    }
}

async fn read_datagrams(hall: &Hall, socket: &UdpSocket, queue: &mpsc::Sender<(IpAddr, Bytes)>) {
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let read = tokio::select! {
            () = hall.shutdown.cancelled() => return,
            read = socket.recv_from(&mut buffer) => read,
        };
        match read {
            Ok((length, peer)) => {
                let datagram = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
                // A full queue loses the datagram: UDP has nobody to tell.
                if queue.try_send((peer.ip(), datagram)).is_err() {
                    hall.publisher.tally().lose(1, Loss::Queue);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "reading a datagram failed");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

async fn publish_datagrams(hall: Hall, mut queue: mpsc::Receiver<(IpAddr, Bytes)>) {
    let epoch = fresh_epoch();
    let mut sequence = 0;
    let mut batch = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        let mut peers: HashMap<IpAddr, Vec<Item>> = HashMap::new();
        let mut order = Vec::new();
        for (peer, raw) in batch.drain(..) {
            let items = peers.entry(peer).or_insert_with(|| {
                order.push(peer);
                Vec::new()
            });
            items.push(Item { raw, id: identity::of_sequence(&format!("udp:{peer}"), epoch, sequence, 0) });
            sequence += 1;
        }
        for peer in order {
            let Some(items) = peers.remove(&peer) else { continue };
            let lost = items.len() as u64;
            let origin = Arc::new(hall.directory.peer(peer, "udp", None));
            if !hall.insist(&origin, items).await {
                hall.publisher.tally().lose(lost, Loss::Stop);
            }
        }
    }
}

/// Counts the datagrams that found no room in the socket's buffer (`/proc/net/udp`, column `drops`), until shutdown.
async fn count_kernel_drops(hall: Hall, port: u16) {
    let mut seen = kernel_drops(port).unwrap_or(0);
    let mut ticks = tokio::time::interval(COUNT_EVERY);
    let mut open = true;
    while open {
        tokio::select! {
            () = hall.shutdown.cancelled() => open = false,
            _ = ticks.tick() => {}
        }
        if let Some(drops) = kernel_drops(port) {
            hall.publisher.tally().lose(drops.saturating_sub(seen), Loss::Kernel);
            seen = drops;
        }
    }
}

fn kernel_drops(port: u16) -> Option<u64> {
    let mine = format!(":{port:04X}");
    let mut found = None;
    for table in ["/proc/net/udp", "/proc/net/udp6"] {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        for line in text.lines().skip(1) {
            let mut words = line.split_whitespace();
            let local = words.nth(1).unwrap_or_default();
            if local.ends_with(&mine) {
                let drops: u64 = words.last().and_then(|word| word.parse().ok()).unwrap_or(0);
                found = Some(found.unwrap_or(0) + drops);
            }
        }
    }
    found
}

/// Accepts connections until shutdown; `tls` none = plain TCP.
pub(crate) async fn streams(hall: Hall, listener: TcpListener, tls: Option<TlsAcceptor>) {
    let one = |socket, peer: SocketAddr| {
        let (hall, tls) = (hall.clone(), tls.clone());
        async move {
            match tls {
                None => session(&hall, socket, peer.ip(), "tcp", None).await,
                Some(tls) => secure(&hall, tls, socket, peer.ip()).await,
            }
        }
    };
    accept::connections(&hall, listener, one).await;
}

async fn secure(hall: &Hall, tls: TlsAcceptor, socket: tokio::net::TcpStream, peer: IpAddr) {
    match tokio::time::timeout(hall.limits.request(), tls.accept(socket)).await {
        Ok(Ok(stream)) => {
            let certificate = stream
                .get_ref()
                .1
                .peer_certificates()
                .and_then(<[_]>::first)
                .map(|certificate| crate::authority::fingerprint(certificate));
            session(hall, stream, peer, "tls", certificate).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, %peer, "a TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
    }
}

/// One connection: read, cut, publish, read on.
async fn session(
    hall: &Hall,
    mut stream: impl AsyncRead + Unpin,
    peer: IpAddr,
    listener: &str,
    certificate: Option<String>,
) {
    let mut connection = Connection { epoch: fresh_epoch(), sequence: 0, long: None };
    let mut framer = Framer::new();
    let mut buffer = vec![0; 64 << 10];
    let mut open = true;
    while open {
        let read = tokio::select! {
            () = hall.shutdown.cancelled() => Ok(Ok(0)),
            read = tokio::time::timeout(hall.limits.idle(), stream.read(&mut buffer)) => read,
        };
        match read {
            Ok(Ok(length)) if length > 0 => framer.push(buffer.get(..length).unwrap_or_default()),
            _ => open = false,
        }
        // Looked up anew for each read: an administrator may have changed the source meanwhile.
        let origin = Arc::new(hall.directory.peer(peer, listener, certificate.as_deref()));
        let mut items = Vec::new();
        while let Some(frame) = framer.next_frame() {
            match frame {
                Frame::Whole(raw) => items.push(connection.item(&origin, raw)),
                long @ Frame::Part { .. } => {
                    publish(hall, &origin, std::mem::take(&mut items)).await;
                    let (normal, last) = connection.part(&origin, &long);
                    append(hall, &origin, vec![normal], u64::from(last)).await;
                }
            }
            if items.len() == BATCH {
                publish(hall, &origin, std::mem::take(&mut items)).await;
            }
        }
        publish(hall, &origin, items).await;
        if let Some(cut) = if open { None } else { framer.finish() } {
            let normals = connection.cut(&origin, cut);
            append(hall, &origin, normals, 1).await;
        }
    }
}

async fn publish(hall: &Hall, origin: &Arc<Origin>, items: Vec<Item>) {
    let records = items.len() as u64;
    if records > 0 && !hall.insist(origin, items).await {
        hall.publisher.tally().lose(records, Loss::Stop);
    }
}

/// Appends events that are made already and stand for `records` records.
async fn append(hall: &Hall, origin: &Arc<Origin>, normals: Vec<Normal>, records: u64) {
    let mut pause = Duration::from_millis(50);
    while let Err(error) = hall.publisher.append(origin, normals.clone(), records, None).await {
        hall.wait(&error, &mut pause).await;
        if hall.shutdown.is_cancelled() {
            hall.publisher.tally().lose(records, Loss::Stop);
            return;
        }
    }
}

/// Gives the records of one connection their identity.
struct Connection {
    epoch: u64,
    sequence: u64,
    /// Identity of the long record that is passing.
    long: Option<uuid::Uuid>,
}

impl Connection {
    fn next_id(&mut self, origin: &Origin) -> uuid::Uuid {
        self.sequence += 1;
        identity::of_sequence(&origin.principal.id, self.epoch, self.sequence, 0)
    }

    fn item(&mut self, origin: &Origin, raw: Bytes) -> Item {
        Item { raw, id: self.next_id(origin) }
    }

    /// The events of a record inside which the connection ended: read as far as it goes, and marked.
    fn cut(&mut self, origin: &Origin, frame: Frame) -> Vec<Normal> {
        metrics::counter!("collector_records_cut_total").increment(1);
        let mut normals = Vec::new();
        match frame {
            Frame::Whole(raw) => intake::record(origin, &raw, self.next_id(origin), now(), &mut normals),
            long @ Frame::Part { .. } => normals.push(self.part(origin, &long).0),
        }
        normals.iter_mut().for_each(Normal::mark_cut);
        normals
    }

    /// The event of a part, and whether it is the last one.
    fn part(&mut self, origin: &Origin, frame: &Frame) -> (Normal, bool) {
        let (bytes, number, totals) = match frame {
            Frame::Whole(bytes) => (bytes, 1, None),
            Frame::Part { bytes, number, totals } => (bytes, *number, totals.as_ref()),
        };
        let id = match self.long {
            Some(id) => id,
            None => self.next_id(origin),
        };
        self.long = if totals.is_some() { None } else { Some(id) };
        let reason = "the record is longer than 1 MiB";
        (part(origin, bytes, id, number, totals, reason, now()), totals.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel drops and what is read are together what was sent.
    #[tokio::test]
    async fn the_kernel_counts_what_finds_no_room() {
        const SENT: u64 = 3_000;
        let socket = bind_udp("127.0.0.1:0".parse().unwrap(), 64 << 10).unwrap();
        let address = socket.local_addr().unwrap();
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..SENT {
            sender.send_to(&[b'x'; 1_000], address).unwrap();
        }
        let dropped = kernel_drops(address.port()).expect("the socket stands in /proc/net/udp");
        let mut buffer = [0; 2_000];
        let mut read = 0;
        while read + dropped < SENT {
            socket.recv_from(&mut buffer).await.unwrap();
            read += 1;
        }
        assert!(dropped > 0 && read > 0, "{read} read, {dropped} dropped");
        assert!(
            socket.try_recv_from(&mut buffer).is_err(),
            "no more was kept than is not counted as dropped"
        );
    }
}
