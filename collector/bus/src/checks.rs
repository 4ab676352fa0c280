//! What every implementation refuses.

use crate::{BusError, MAX_PRODUCE_BYTES, MAX_RECORD_BYTES, MAX_TOKEN_BYTES, Record, Result};

/// Longest name of a topic or group.
const NAME_BYTES: usize = 200;

/// Checks the name of a topic or group.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if (1..=NAME_BYTES).contains(&name.len()) && name.bytes().all(sign) {
        return Ok(());
    }
    Err(BusError::BadName(name.chars().take(NAME_BYTES).collect()))
}

/// Refuses what is too long; answers the bytes of all records.
pub(crate) fn check_sizes(token: Option<&str>, records: &[Record]) -> Result<usize> {
    let check = |what, bytes, limit| {
        if bytes > limit { Err(BusError::TooLarge { what, bytes, limit }) } else { Ok(()) }
    };
    check("token", token.map_or(0, str::len), MAX_TOKEN_BYTES)?;
    let mut total = 0;
    for record in records {
        check("record", record.size(), MAX_RECORD_BYTES)?;
        check("number of headers", record.headers.len(), usize::from(u16::MAX))?;
        let longest = record.headers.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        check("name of a header", longest, usize::from(u16::MAX))?;
        total += record.size() + 32;
    }
    check("batch", total, MAX_PRODUCE_BYTES)?;
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert!(check_name("dongson.events").is_ok());
        for bad in ["", "a b", "a\0b", "ừ", &"x".repeat(201)] {
            assert!(matches!(check_name(bad), Err(BusError::BadName(_))), "{bad:?}");
        }
    }
}
