//! A result on its way to the client: pieces from a thread that runs the statement.

use std::io;

use axum::body::Body;
use bytes::Bytes;
use tokio::sync::mpsc;

/// Pieces that may wait for a slow client; then the statement waits.
const PIECES: usize = 4;

/// Where the thread puts its pieces.
pub(super) struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
    header: Header,
}

/// The header of `RowBinaryWithNamesAndTypes`, which the engine repeats in each piece.
enum Header {
    /// The format has none.
    None,
    /// The first piece has not come.
    Awaited,
    /// What to cut off.
    Seen(Vec<u8>),
}

/// A body and where to put its pieces.
pub(super) fn channel(format: &str) -> (Pieces, Body) {
    let (sender, receiver) = mpsc::channel(PIECES);
    let header = if format.eq_ignore_ascii_case("RowBinaryWithNamesAndTypes") {
        Header::Awaited
    } else {
        Header::None
    };
    let stream = futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    (Pieces { sender, header }, Body::from_stream(stream))
}

impl Pieces {
    /// Passes a piece on, waiting for the client; false when the client is gone.
    pub(super) fn push(&mut self, piece: Vec<u8>) -> bool {
        let mut piece = Bytes::from(piece);
        match &self.header {
            Header::None => {}
            Header::Awaited => {
                let length = header_length(&piece).unwrap_or(0);
                self.header = Header::Seen(piece.get(..length).unwrap_or_default().to_vec());
            }
            Header::Seen(header) => {
                if piece.starts_with(header) {
                    piece = piece.split_off(header.len());
                }
            }
        }
        piece.is_empty() || self.sender.blocking_send(Ok(piece)).is_ok()
    }

    /// Breaks the body off, so that the client sees that something is missing.
    pub(super) fn fail(self, error: impl std::error::Error + Send + Sync + 'static) {
        drop(self.sender.blocking_send(Err(io::Error::other(error))));
    }
}

/// Length of the header: the number of columns, then as many names and as many types, each a length and bytes.
fn header_length(piece: &[u8]) -> Option<usize> {
    let mut at = 0;
    let columns = varint(piece, &mut at)?;
    for _ in 0..columns.checked_mul(2)? {
        let length = varint(piece, &mut at)?;
        at = at.checked_add(usize::try_from(length).ok()?)?;
    }
    (at <= piece.len()).then_some(at)
}

fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_header_is_measured() {
        assert_eq!(header_length(b"\x02\x01a\x02bb\x05Int32\x06String\x01\x02"), Some(19));
        assert_eq!(header_length(b"\x02\x01a"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_measured_or_not(bytes: Vec<u8>) {
            prop_assert!(header_length(&bytes).is_none_or(|length| length <= bytes.len()));
        }
    }
}
