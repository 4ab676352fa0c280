//! Bencoding, in which `BitTorrent` writes its messages (BEP 3).
//!
//! In: bytes. Out: one value that borrows from them; nothing where they are no whole value. Depth and number of values are bounded.

/// Values in values.
const MAX_DEPTH: u8 = 8;
/// Values of one message, those inside others among them.
const MAX_ITEMS: u16 = 512;

/// A value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    Int(i64),
    Bytes(&'a [u8]),
    List(Vec<Item<'a>>),
    Dict(Vec<(&'a [u8], Item<'a>)>),
}

impl<'a> Item<'a> {
    /// The value that is all of `bytes`.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (mut rest, mut room) = (bytes, MAX_ITEMS);
        let item = item(&mut rest, 0, &mut room)?;
        rest.is_empty().then_some(item)
    }

    /// What a dictionary has under `name`.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Dict(pairs) = self else { return None };
        pairs.iter().find(|(key, _)| *key == name.as_bytes()).map(|(_, value)| value)
    }

    pub(super) fn bytes(&self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(super) fn int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn list(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }
}

fn item<'a>(rest: &mut &'a [u8], depth: u8, room: &mut u16) -> Option<Item<'a>> {
    *room = room.checked_sub(1)?;
    let (first, tail) = rest.split_first()?;
    match first {
        b'i' => {
            *rest = tail;
            number(rest, b'e').map(Item::Int)
        }
        b'0'..=b'9' => string(rest).map(Item::Bytes),
        b'l' if depth < MAX_DEPTH => {
            *rest = tail;
            let mut items = Vec::new();
            while !end(rest)? {
                items.push(item(rest, depth + 1, room)?);
            }
            Some(Item::List(items))
        }
        b'd' if depth < MAX_DEPTH => {
            *rest = tail;
            let mut pairs = Vec::new();
            while !end(rest)? {
                let key = string(rest)?;
                pairs.push((key, item(rest, depth + 1, room)?));
            }
            Some(Item::Dict(pairs))
        }
        _ => None,
    }
}

/// Whether the list or dictionary is over here.
fn end(rest: &mut &[u8]) -> Option<bool> {
    let (first, tail) = rest.split_first()?;
    if *first == b'e' {
        *rest = tail;
    }
    Some(*first == b'e')
}

fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(number(rest, b':')?).ok()?;
    let (bytes, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(bytes)
}

fn number(rest: &mut &[u8], end: u8) -> Option<i64> {
    let at = rest.iter().take(21).position(|sign| *sign == end)?;
    let (digits, tail) = rest.split_at_checked(at)?;
    *rest = tail.get(1..)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values() {
        let item = Item::parse(b"d1:ad2:id3:abce1:lli-7e0:ee").unwrap();
        assert_eq!(item.get("a").and_then(|a| a.get("id")).and_then(Item::bytes), Some(&b"abc"[..]));
        assert_eq!(item.get("l").unwrap().list(), [Item::Int(-7), Item::Bytes(b"")]);
        for broken in [&b"d"[..], b"i7", b"5:abc", b"i7ex", b"d1:a", b"-1:", b"di1ei2ee"] {
            assert_eq!(Item::parse(broken), None, "{broken:?}");
        }
        assert_eq!(Item::parse(&b"l".repeat(100)), None);
        assert_eq!(Item::parse(&[&b"l"[..], &b"i1e".repeat(600), b"e"].concat()), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>) {
            drop(Item::parse(&bytes));
        }
    }
}
