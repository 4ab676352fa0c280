//! A record as a message of Kafka, and back.
//!
//! Key, value and headers are the message's own, so that any tool can read them. The last header, [`OURS`], is put there
//! by us and taken off again: version u8 = 1, timestamp i64 (nanoseconds, little endian), and, for a record that came
//! with a token, its [`Mark`]: 16 bytes that stand for the token, and the record's number in its batch, u32. A message
//! without that header (another program wrote it) keeps all of its own, and the broker's time.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::{Buf, BufMut, Bytes};
use dongson_event::Timestamp;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};

use crate::Record;

/// Name of the header that we add.
const OURS: &str = "dongson";
const VERSION: u8 = 1;

/// What a token is known by: the first half of its SHA-256, with the topic.
pub(super) type TokenId = [u8; 16];

/// Which record of which batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) token: TokenId,
    /// From 0.
    pub(super) index: u32,
}

/// The headers of `record`, ours last.
pub(super) fn headers(record: &Record, mark: Option<Mark>) -> OwnedHeaders {
    let mut headers = OwnedHeaders::new_with_capacity(record.headers.len() + 1);
    for (key, value) in &record.headers {
        headers = headers.insert(Header { key, value: Some(&value[..]) });
    }
    headers.insert(Header { key: OURS, value: Some(&envelope(record.timestamp, mark)) })
}

fn envelope(timestamp: Timestamp, mark: Option<Mark>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(29);
    bytes.put_u8(VERSION);
    bytes.put_i64_le(timestamp.nanos());
    if let Some(mark) = mark {
        bytes.put_slice(&mark.token);
        bytes.put_u32_le(mark.index);
    }
    bytes
}

/// Reads what [`envelope`] wrote; `None` for anything else.
fn read_envelope(mut bytes: &[u8]) -> Option<(Timestamp, Option<Mark>)> {
    if bytes.try_get_u8().ok()? != VERSION {
        return None;
    }
    let timestamp = Timestamp::from_nanos(bytes.try_get_i64_le().ok()?);
    if bytes.is_empty() {
        return Some((timestamp, None));
    }
    let mut token = TokenId::default();
    bytes.try_copy_to_slice(&mut token).ok()?;
    let index = bytes.try_get_u32_le().ok()?;
    bytes.is_empty().then_some((timestamp, Some(Mark { token, index })))
}

type OwnHeaders = Vec<(String, Bytes)>;

/// The headers of a message, and what ours says, taken off.
fn split(mut headers: OwnHeaders) -> (OwnHeaders, Option<(Timestamp, Option<Mark>)>) {
    let ours = headers.last().filter(|(name, _)| name == OURS).and_then(|(_, value)| read_envelope(value));
    if ours.is_some() {
        headers.pop();
    }
    (headers, ours)
}

fn copied<M: Message>(message: &M) -> OwnHeaders {
    let Some(headers) = message.headers() else { return Vec::new() };
    let copy = || {
        headers
            .iter()
            .map(|one| (one.key.to_owned(), Bytes::copy_from_slice(one.value.unwrap_or_default())))
            .collect()
    };
    // The client library panics over a name that is no UTF-8, which only another program can have written.
    catch_unwind(AssertUnwindSafe(copy)).unwrap_or_else(|_| {
        metrics::counter!("bus_kafka_refused_headers_total").increment(1);
        Vec::new()
    })
}

/// The record of a message.
pub(super) fn record<M: Message>(message: &M) -> Record {
    let (headers, ours) = split(copied(message));
    let timestamp = ours.map_or_else(
        || Timestamp::from_millis(message.timestamp().to_millis().unwrap_or_default()),
        |(timestamp, _)| timestamp,
    );
    let bytes = |part: Option<&[u8]>| Bytes::copy_from_slice(part.unwrap_or_default());
    Record { key: bytes(message.key()), value: bytes(message.payload()), headers, timestamp }
}

/// Which record of which batch a message is.
pub(super) fn mark<M: Message>(message: &M) -> Option<Mark> {
    split(copied(message)).1.and_then(|(_, mark)| mark)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_envelope_comes_back(nanos: i64, token: Option<(TokenId, u32)>) {
            let mark = token.map(|(token, index)| Mark { token, index });
            let timestamp = Timestamp::from_nanos(nanos);
            prop_assert_eq!(read_envelope(&envelope(timestamp, mark)), Some((timestamp, mark)));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            if let Some((timestamp, mark)) = read_envelope(&bytes) {
                prop_assert_eq!(envelope(timestamp, mark), bytes);
            }
        }

        #[test]
        fn headers_of_others_are_kept(names in prop::collection::vec("[a-z]{0,8}", 0..5)) {
            let own: OwnHeaders = names.iter().map(|name| (name.clone(), Bytes::from_static(b"x"))).collect();
            prop_assert_eq!(split(own.clone()), (own.clone(), None));
            let mut sent = own.clone();
            sent.push((OURS.to_owned(), envelope(Timestamp::default(), None).into()));
            prop_assert_eq!(split(sent), (own, Some((Timestamp::default(), None))));
        }
    }
}
