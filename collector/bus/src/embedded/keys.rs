//! Keys and small values on disk. Parts are separated by a zero byte, which no name contains.

use crate::{BusError, Result};

/// Prefix of the topics in `meta`: value = number of partitions.
pub(super) const TOPICS: &[u8] = b"t\0";
/// Prefix of who reads what in `groups`.
pub(super) const REGISTRATIONS: &[u8] = b"r\0";
/// Prefix of the commits in `groups`: value = offset u64 and metadata.
pub(super) const COMMITS: &[u8] = b"c\0";
/// Prefix of the positions by token in `tokens`.
pub(super) const TOKENS: &[u8] = b"p\0";
/// Prefix of the tokens by age in `tokens`.
pub(super) const TOKEN_AGES: &[u8] = b"a\0";

fn join(prefix: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    [prefix, &parts.join(&0_u8)].concat()
}

/// Key of a topic.
pub(super) fn topic(name: &str) -> Vec<u8> {
    join(TOPICS, &[name.as_bytes()])
}

/// Key of the first kept offset of a partition.
pub(super) fn start(topic: &str, partition: u32) -> Vec<u8> {
    join(b"s\0", &[topic.as_bytes(), &partition.to_be_bytes()])
}

/// Key of a registration.
pub(super) fn registration(group: &str, topic: &str) -> Vec<u8> {
    join(REGISTRATIONS, &[group.as_bytes(), topic.as_bytes()])
}

/// Key of a commit.
pub(super) fn commit(group: &str, topic: &str, partition: u32) -> Vec<u8> {
    join(COMMITS, &[group.as_bytes(), topic.as_bytes(), &partition.to_be_bytes()])
}

/// Key of the positions of a token.
pub(super) fn token(topic: &str, token: &str) -> Vec<u8> {
    join(TOKENS, &[topic.as_bytes(), token.as_bytes()])
}

/// Key that sorts tokens by age; what follows the time is the key of [`token`].
pub(super) fn token_age(at_ms: u64, token_key: &[u8]) -> Vec<u8> {
    [TOKEN_AGES, &at_ms.to_be_bytes(), token_key].concat()
}

/// End of the keys of tokens older than `at_ms`.
pub(super) fn token_age_end(at_ms: u64) -> Vec<u8> {
    [TOKEN_AGES, &at_ms.to_be_bytes()].concat()
}

/// The key of [`token`] inside the key of [`token_age`].
pub(super) fn aged_token(key: &[u8]) -> Option<&[u8]> {
    key.get(TOKEN_AGES.len() + 8..)
}

/// Name inside the key of a topic.
pub(super) fn topic_name(key: &[u8]) -> Result<String> {
    text(key.get(TOPICS.len()..))
}

/// Group and topic inside the key of a registration.
pub(super) fn registration_parts(key: &[u8]) -> Result<(String, String)> {
    let mut parts = key.get(REGISTRATIONS.len()..).unwrap_or_default().splitn(2, |&byte| byte == 0);
    Ok((text(parts.next())?, text(parts.next())?))
}

/// Group, topic and partition inside the key of a commit.
pub(super) fn commit_parts(key: &[u8]) -> Result<(String, String, u32)> {
    let mut parts = key.get(COMMITS.len()..).unwrap_or_default().splitn(3, |&byte| byte == 0);
    let (group, topic) = (text(parts.next())?, text(parts.next())?);
    let partition = parts.next().and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
    Ok((group, topic, partition.ok_or_else(|| damaged("the partition of a commit"))?))
}

/// Offset and metadata as stored.
pub(super) fn commit_value(offset: u64, metadata: &str) -> Vec<u8> {
    [&offset.to_le_bytes(), metadata.as_bytes()].concat()
}

/// Offset and metadata as read.
pub(super) fn read_commit(value: &[u8]) -> Result<(u64, String)> {
    let (offset, metadata) = value.split_at_checked(8).ok_or_else(|| damaged("a commit"))?;
    Ok((read_u64(offset)?, text(Some(metadata))?))
}

/// Runs of consecutive positions of a token: partition, first offset, count.
pub(super) type Runs = Vec<(u32, u64, u32)>;

/// Runs as stored.
pub(super) fn runs_value(runs: &Runs) -> Vec<u8> {
    let mut value = Vec::with_capacity(runs.len() * 16);
    for (partition, offset, count) in runs {
        value.extend_from_slice(&partition.to_le_bytes());
        value.extend_from_slice(&offset.to_le_bytes());
        value.extend_from_slice(&count.to_le_bytes());
    }
    value
}

/// Runs as read.
pub(super) fn read_runs(value: &[u8]) -> Result<Runs> {
    let (chunks, rest) = value.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(damaged("the positions of a token"));
    }
    chunks
        .iter()
        .map(|chunk| {
            let (partition, rest) = chunk.split_at(4);
            let (offset, count) = rest.split_at(8);
            Ok((read_u32(partition)?, read_u64(offset)?, read_u32(count)?))
        })
        .collect()
}

/// The offset that is the key of a frame.
pub(super) fn read_offset(key: &[u8]) -> Result<u64> {
    key.try_into().map(u64::from_be_bytes).map_err(|_| damaged("the key of a frame"))
}

/// A number as stored, little endian.
pub(super) fn read_u64(value: &[u8]) -> Result<u64> {
    value.try_into().map(u64::from_le_bytes).map_err(|_| damaged("a number of 64 bits"))
}

/// A number as stored, little endian.
pub(super) fn read_u32(value: &[u8]) -> Result<u32> {
    value.try_into().map(u32::from_le_bytes).map_err(|_| damaged("a number of 32 bits"))
}

fn text(bytes: Option<&[u8]>) -> Result<String> {
    let bytes = bytes.ok_or_else(|| damaged("a name"))?;
    String::from_utf8(bytes.to_vec()).map_err(|_| damaged("a name in UTF-8"))
}

fn damaged(what: &str) -> BusError {
    BusError::Damaged(format!("{what} does not read back"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn commits_round_trip(group in "[a-z.]{1,9}", topic in "[a-z.]{1,9}", partition: u32, offset: u64, note: String) {
            prop_assert_eq!(commit_parts(&commit(&group, &topic, partition)).unwrap(), (group, topic, partition));
            prop_assert_eq!(read_commit(&commit_value(offset, &note)).unwrap(), (offset, note));
        }

        #[test]
        fn runs_round_trip(runs: Vec<(u32, u64, u32)>) {
            prop_assert_eq!(read_runs(&runs_value(&runs)).unwrap(), runs);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            drop((commit_parts(&bytes), registration_parts(&bytes), topic_name(&bytes), read_commit(&bytes), read_runs(&bytes)));
        }
    }
}
