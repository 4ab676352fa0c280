//! Syslog over TCP: nobody acknowledges, so nothing is sent again; a connection that broke is made anew.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::client::now_ms;
use super::history::{History, Way};
use super::mark::{BLOCK, Mark};
use super::pace::Pace;

/// Longest wait for a socket.
const SOCKET: Duration = Duration::from_secs(10);

/// Sends as `lane` to `target` until `pace` ends, then waits until the collector has read the connection to its end.
pub(crate) fn run(
    lane: &str,
    target: SocketAddr,
    history: &History,
    mut pace: Pace,
    patience: Duration,
) -> Result<()> {
    let (mut stream, mut next) = (None, 0);
    while pace.wait() {
        let Some(open) = stream.as_mut() else {
            stream = connect(target);
            pace.spend(BLOCK);
            continue;
        };
        let upto = next + BLOCK;
        history.begin(Way::Syslog, lane, 0, upto);
        if write(open, lane, next..upto).is_err() {
            stream = None;
        }
        pace.spend(BLOCK);
        next = upto;
    }
    let until = Instant::now() + patience;
    if let Some(mut open) = stream.filter(|open| open.shutdown(Shutdown::Write).is_ok()) {
        // Its end is the collector's end of the connection, or a break, after which nothing more is read either.
        let mut rest = [0; 64];
        while let Err(error) = open.read(&mut rest) {
            if !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) {
                break;
            }
            ensure!(
                Instant::now() < until,
                "{lane}: the collector did not read to the end within {patience:?}"
            );
        }
    }
    Ok(())
}

fn connect(target: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&target, SOCKET).ok()?;
    stream.set_write_timeout(Some(SOCKET)).and_then(|()| stream.set_read_timeout(Some(SOCKET))).ok()?;
    Some(stream)
}

/// RFC 5424 with octet counting (RFC 6587), several in one write.
fn write(stream: &mut TcpStream, lane: &str, numbers: std::ops::Range<u64>) -> std::io::Result<()> {
    let mut text = String::new();
    for number in numbers {
        let mark = Mark { lane, run: 0, number, made_ms: now_ms() };
        let at = jiff::Timestamp::from_millisecond(mark.made_ms).unwrap_or_default();
        let record = format!("<134>1 {at:.3} {} faults {number} - - {}", mark.host(), mark.message());
        text.push_str(&record.len().to_string());
        text.push(' ');
        text.push_str(&record);
    }
    stream.write_all(text.as_bytes())
}
