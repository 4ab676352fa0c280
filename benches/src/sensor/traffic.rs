//! Captures from a fixed seed: ordinary traffic, many flows that stay open, and a flood of SYNs.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::random::Random;

/// Where all captures begin: seconds since 1970.
const BEGIN: u64 = 1_700_000_000;
/// Payload bytes of a full segment.
const SEGMENT: usize = 1_400;

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const SYN_ACK: u8 = 0x12;
const PUSH: u8 = 0x18;
const FIN: u8 = 0x11;

/// A capture in the classic format with microseconds.
pub(crate) struct Capture {
    out: BufWriter<File>,
    /// Microseconds since [`BEGIN`].
    now: u64,
    /// Microseconds from frame to frame.
    step: u64,
    pub(crate) frames: u64,
}

/// Both ends of a TCP connection as it goes on.
struct Connection {
    ends: [([u8; 4], u16); 2],
    next: [u32; 2],
}

impl Capture {
    /// A capture at `path` of about `frames` frames within `seconds`.
    pub(crate) fn create(path: &Path, frames: u64, seconds: u64) -> io::Result<Self> {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
        for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
            out.write_all(&word.to_le_bytes())?;
        }
        Ok(Self { out, now: 0, step: seconds * 1_000_000 / frames.max(1), frames: 0 })
    }

    fn frame(&mut self, ends: [([u8; 4], u16); 2], protocol: u8, transport: &[u8]) -> io::Result<()> {
        let [(source, _), (destination, _)] = ends;
        let ip_length = u16::try_from(20 + transport.len()).unwrap_or(u16::MAX).to_be_bytes();
        let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0];
        frame.extend(ip_length);
        frame.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
        frame.extend(source);
        frame.extend(destination);
        frame.extend(transport);
        // The shortest frame has 64 bytes with its check sequence, which captures leave out.
        frame.resize(frame.len().max(60), 0);
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let (seconds, micros) = (BEGIN + self.now / 1_000_000, self.now % 1_000_000);
        for word in [u32::try_from(seconds).unwrap_or(0), u32::try_from(micros).unwrap_or(0), length, length]
        {
            self.out.write_all(&word.to_le_bytes())?;
        }
        self.out.write_all(&frame)?;
        self.now += self.step;
        self.frames += 1;
        Ok(())
    }

    fn udp(&mut self, ends: [([u8; 4], u16); 2], payload: &[u8]) -> io::Result<()> {
        let [(_, source), (_, destination)] = ends;
        let length = u16::try_from(8 + payload.len()).unwrap_or(u16::MAX);
        let mut datagram = Vec::with_capacity(8 + payload.len());
        for half in [source, destination, length, 0] {
            datagram.extend(half.to_be_bytes());
        }
        datagram.extend(payload);
        self.frame(ends, 17, &datagram)
    }

    /// A segment from the end number `from`.
    fn tcp(&mut self, connection: &mut Connection, from: usize, flags: u8, payload: &[u8]) -> io::Result<()> {
        let [one, other] = connection.ends;
        let [first, second] = connection.next;
        let (ends, sequence, acknowledged) =
            if from == 0 { ([one, other], first, second) } else { ([other, one], second, first) };
        let [(_, source), (_, destination)] = ends;
        let mut segment = Vec::with_capacity(20 + payload.len());
        segment.extend(source.to_be_bytes());
        segment.extend(destination.to_be_bytes());
        segment.extend(sequence.to_be_bytes());
        segment.extend(if flags & ACK == 0 { [0; 4] } else { acknowledged.to_be_bytes() });
        segment.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        segment.extend(payload);
        let space = u32::try_from(payload.len()).unwrap_or(0) + u32::from(flags & (SYN | 1) != 0);
        if let Some(next) = connection.next.get_mut(from) {
            *next = next.wrapping_add(space);
        }
        self.frame(ends, 6, &segment)
    }

    fn open(&mut self, random: &mut Random, ends: [([u8; 4], u16); 2]) -> io::Result<Connection> {
        let mut number = || u32::try_from(random.below(1 << 32)).unwrap_or(0);
        let mut connection = Connection { ends, next: [number(), number()] };
        self.tcp(&mut connection, 0, SYN, &[])?;
        self.tcp(&mut connection, 1, SYN_ACK, &[])?;
        self.tcp(&mut connection, 0, ACK, &[])?;
        Ok(connection)
    }

    fn close(&mut self, mut connection: Connection) -> io::Result<()> {
        self.tcp(&mut connection, 0, FIN, &[])?;
        self.tcp(&mut connection, 1, FIN, &[])?;
        self.tcp(&mut connection, 0, ACK, &[])
    }

    /// Ends the file.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        self.out.flush()?;
        Ok(self.frames)
    }
}

/// Ends of the flow `number`: a client of its own in 10/8, one of 250 servers.
fn ends(number: u64, port: u16) -> [([u8; 4], u16); 2] {
    let [.., a, b, c] = number.to_be_bytes();
    let server = u8::try_from(number % 250).unwrap_or(0);
    let from = 1_024 + u16::try_from(number % 60_000).unwrap_or(0);
    [([10, a, b, c], from), ([198, 51, 100, server], port)]
}

/// Ordinary traffic of about `frames` frames in five minutes: of 20 flows 12 are questions with their answers, 6 are
/// transactions of HTTP with a page of ten segments, 2 carry 60 segments that nobody knows.
pub(crate) fn ordinary(path: &Path, frames: u64, seed: u64) -> io::Result<u64> {
    let mut capture = Capture::create(path, frames, 300)?;
    let mut random = Random::new(seed, 1);
    let body = [b'x'; SEGMENT];
    let mut number = seed << 20;
    while capture.frames < frames {
        number += 1;
        match random.below(20) {
            0..12 => {
                let [client, server] = ends(number, 53);
                let name = format!("may{}", random.below(100_000));
                let mut message = vec![1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
                message.push(u8::try_from(name.len()).unwrap_or(0));
                message.extend(name.as_bytes());
                message.extend(b"\x07example\x02vn\x00\x00\x01\x00\x01");
                capture.udp([client, server], &message)?;
                if let Some(counts) = message.get_mut(2..8) {
                    counts.copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1]);
                }
                message.extend(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xcb\x00\x71\x07");
                capture.udp([server, client], &message)?;
            }
            12..18 => {
                let mut connection = capture.open(&mut random, ends(number, 80))?;
                let request = format!(
                    "GET /trang/{number} HTTP/1.1\r\nHost: cong.example.vn\r\nUser-Agent: bench\r\n\r\n"
                );
                capture.tcp(&mut connection, 0, PUSH, request.as_bytes())?;
                capture.tcp(&mut connection, 1, PUSH, b"HTTP/1.1 200 OK\r\nContent-Length: 14000\r\n\r\n")?;
                for _ in 0..10 {
                    capture.tcp(&mut connection, 1, PUSH, &body)?;
                    capture.tcp(&mut connection, 0, ACK, &[])?;
                }
                capture.close(connection)?;
            }
            _ => {
                let mut connection = capture.open(&mut random, ends(number, 7_000))?;
                for _ in 0..60 {
                    capture.tcp(&mut connection, 0, PUSH, &body)?;
                }
                capture.close(connection)?;
            }
        }
    }
    capture.finish()
}

/// `flows` TCP connections that were opened, carried 16 bytes that nobody knows, and stay open.
pub(crate) fn open_flows(path: &Path, flows: u64, seed: u64) -> io::Result<u64> {
    let mut capture = Capture::create(path, flows * 4, 60)?;
    let mut random = Random::new(seed, 2);
    for number in 0..flows {
        let mut connection = capture.open(&mut random, ends(number, 7_000))?;
        let payload = random.next().to_be_bytes().repeat(2);
        capture.tcp(&mut connection, 0, PUSH, &payload)?;
    }
    capture.finish()
}

/// `flows` connections of HTTP that are open while `syns` SYNs from random tuples pass, and carry a request before and one
/// behind them.
pub(crate) fn flood(path: &Path, flows: u64, syns: u64, seed: u64) -> io::Result<u64> {
    let mut capture = Capture::create(path, flows * 10 + syns, 60)?;
    let mut random = Random::new(seed, 3);
    let mut open = Vec::new();
    for number in 0..flows {
        let mut connection = capture.open(&mut random, ends(number, 80))?;
        ask(&mut capture, &mut connection)?;
        open.push(connection);
    }
    for _ in 0..syns {
        let [.., a, b, c, d, high, low] = random.next().to_be_bytes();
        let source = ([a | 0x40, b, c, d], u16::from_be_bytes([high, low]));
        let server = ([198, 51, 100, u8::try_from(random.below(250)).unwrap_or(0)], 80);
        let mut attempt = Connection { ends: [source, server], next: [0, 0] };
        capture.tcp(&mut attempt, 0, SYN, &[])?;
    }
    for mut connection in open {
        ask(&mut capture, &mut connection)?;
        capture.close(connection)?;
    }
    capture.finish()
}

fn ask(capture: &mut Capture, connection: &mut Connection) -> io::Result<()> {
    capture.tcp(connection, 0, PUSH, b"GET / HTTP/1.1\r\nHost: cong.example.vn\r\n\r\n")?;
    capture.tcp(connection, 1, PUSH, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
}

#[cfg(test)]
mod tests {
    use super::*;
    use dongson_sensor::{Options, read_file};

    fn datasets(path: &Path, name: &str) -> usize {
        let mut count = 0;
        let summary = read_file(path, &Options::default(), &mut |event| {
            count += usize::from(event.dataset() == name);
        });
        assert!(summary.unwrap().warning.is_none());
        count
    }

    #[test]
    fn captures_hold_what_they_should() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("capture.pcap");
        assert!(ordinary(&path, 2_000, 1).unwrap() >= 2_000);
        let first = std::fs::read(&path).unwrap();
        assert!(datasets(&path, "sensor.http") > 5 && datasets(&path, "sensor.dns") > 20);
        ordinary(&path, 2_000, 1).unwrap();
        assert!(std::fs::read(&path).unwrap() == first, "the same seed gives the same bytes");
        assert_eq!(open_flows(&path, 50, 1).unwrap(), 200);
        assert_eq!(datasets(&path, "sensor.conn"), 50);
        flood(&path, 20, 1_000, 1).unwrap();
        assert_eq!(datasets(&path, "sensor.http"), 40);
    }
}
