//! Reads request bodies in bounded memory and time, and takes off their compression.

use super::Hall;
use super::identity::Refused;
use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use std::io::Read;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a request waits for room before it is told to slow down.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of an unwanted body that are read and thrown away.
const DRAIN_BYTES: usize = 64 << 20;
/// Time for that.
const DRAIN_TIME: Duration = Duration::from_secs(15);

/// The bytes of bodies that may be in memory at once, in KiB.
#[derive(Debug, Clone)]
pub(crate) struct Room(Arc<Semaphore>);

impl Room {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new((bytes >> 10).min(Semaphore::MAX_PERMITS))))
    }

    async fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refused> {
        let kib = u32::try_from((bytes >> 10) + 1).unwrap_or(u32::MAX);
        let permit = tokio::time::timeout(PATIENCE, Arc::clone(&self.0).acquire_many_owned(kib)).await;
        permit.ok().and_then(Result::ok).ok_or(Refused::Slow)
    }
}

/// A body, and the room that it takes as long as this lives.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

/// A request body that is read to its end, and thrown away, when its handler does not want it: a client that is still
/// sending gets to read the answer (401, 413) instead of a broken connection.
#[derive(Debug)]
pub(crate) struct Drained(Option<Incoming>);

impl Drained {
    pub(crate) fn new(body: Incoming) -> Self {
        Self(Some(body))
    }
}

impl hyper::body::Body for Drained {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.0 {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(SizeHint::default, Incoming::size_hint)
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        let Some(mut body) = self.0.take().filter(|body| !body.is_end_stream()) else { return };
        tokio::spawn(tokio::time::timeout(DRAIN_TIME, async move {
            let mut left = DRAIN_BYTES;
            while let Some(Ok(frame)) = body.frame().await {
                let length = frame.data_ref().map_or(0, Bytes::len);
                left = match left.checked_sub(length) {
                    Some(left) => left,
                    None => return,
                };
            }
        }));
    }
}

/// Reads a body and takes off `content-encoding` (`gzip`, `zstd`; `encoding` overrides the header).
pub(crate) async fn read(
    hall: &Hall,
    room: &Room,
    headers: &HeaderMap,
    body: Body,
    encoding: Option<Encoding>,
) -> Result<Held, Refused> {
    let limit = hall.limits.body_bytes;
    let stated = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<usize>().ok());
    if stated.is_some_and(|length| length > limit) {
        return Err(Refused::TooLarge(limit));
    }
    let permit = room.take(stated.unwrap_or(limit)).await?;
    let read = tokio::time::timeout(hall.limits.request(), Limited::new(body, limit).collect()).await;
    let bytes = match read {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(Refused::TooLarge(limit));
        }
        Ok(Err(error)) => return Err(Refused::Bad(format!("the body broke off: {error}"))),
        Err(_) => return Err(Refused::Bad("the body took too long".to_owned())),
    };
    let encoding = encoding.map_or_else(|| content_encoding(headers), Ok)?;
    if encoding == Encoding::Plain {
        return Ok(Held { bytes, _room: permit });
    }
    let limit = hall.limits.inflated_bytes;
    let inflated = tokio::task::spawn_blocking(move || inflate(encoding, &bytes, limit)).await;
    let bytes = inflated.map_err(|error| Refused::unavailable(&error))??;
    Ok(Held { bytes, _room: permit })
}

/// A compression that we take off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// None.
    Plain,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Encoding {
    fn named(name: &str) -> Option<Self> {
        match name.trim() {
            "" | "identity" => Some(Self::Plain),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

fn content_encoding(headers: &HeaderMap) -> Result<Encoding, Refused> {
    let Some(value) = headers.get(header::CONTENT_ENCODING) else { return Ok(Encoding::Plain) };
    let found = value.to_str().ok().and_then(Encoding::named);
    found.ok_or_else(|| Refused::Bad(format!("content-encoding {value:?} is not gzip or zstd")))
}

/// Takes off a compression; stops at `limit` however much is packed inside.
pub(crate) fn inflate(encoding: Encoding, bytes: &[u8], limit: usize) -> Result<Bytes, Refused> {
    let mut out = Vec::new();
    let most = limit as u64 + 1;
    let read = match encoding {
        Encoding::Plain => (&mut &*bytes).take(most).read_to_end(&mut out),
        Encoding::Gzip => flate2::read::MultiGzDecoder::new(bytes).take(most).read_to_end(&mut out),
        Encoding::Zstd => zstd::stream::read::Decoder::new(bytes)
            .and_then(|decoder| decoder.take(most).read_to_end(&mut out)),
    };
    read.map_err(|error| Refused::Bad(format!("the body does not decompress: {error}")))?;
    if out.len() > limit {
        return Err(Refused::TooLarge(limit));
    }
    Ok(out.into())
}

/// What UTF-8 texts of Windows begin with; no part of JSON (RFC 8259, 8.1, lets a reader ignore it).
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The lines of an NDJSON body without the empty ones and without a byte order mark before them, as slices of it.
pub(crate) fn lines(body: &Bytes) -> impl Iterator<Item = Bytes> + '_ {
    let text = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    text.split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .map(|line| body.slice_ref(line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_bomb_is_stopped() {
        let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        bomb.write_all(&vec![b'a'; 1 << 20]).unwrap();
        let bomb = bomb.finish().unwrap();
        assert!(matches!(inflate(Encoding::Gzip, &bomb, 1 << 16), Err(Refused::TooLarge(_))));
        assert_eq!(inflate(Encoding::Gzip, &bomb, 1 << 20).unwrap().len(), 1 << 20);
        let packed = zstd::encode_all(&b"abc"[..], 1).unwrap();
        assert_eq!(inflate(Encoding::Zstd, &packed, 3).unwrap(), "abc");
        assert!(matches!(inflate(Encoding::Zstd, b"nonsense", 3), Err(Refused::Bad(_))));
    }

    #[test]
    fn lines_without_the_empty_ones() {
        let body = Bytes::from_static(b"{}\r\n\n {\"a\":1}\n");
        assert_eq!(lines(&body).collect::<Vec<_>>(), ["{}", "{\"a\":1}"]);
        let marked = Bytes::from_static(b"\xef\xbb\xbf{}\r\n");
        assert_eq!(lines(&marked).collect::<Vec<_>>(), ["{}"]);
    }
}
