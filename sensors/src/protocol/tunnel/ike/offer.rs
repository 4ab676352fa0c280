//! Proposals of a security association: ciphers, hashes, groups (RFC 2408, 3.4 to 3.6; RFC 7296, 3.3).

use dongson_event::Event;

use super::super::super::wire::Cursor;
use super::names;

/// Transforms of one message that are told.
const MAX_TRANSFORMS: usize = 64;

/// A list of substructures: last or more follows, zero, length, content.
fn parts<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    cursor.u16()?;
    let length = usize::from(cursor.u16()?);
    cursor.take(length.checked_sub(4)?)
}

/// An attribute: its number, and a value of two bytes or, without the first bit, one with its length in front.
fn attribute(cursor: &mut Cursor<'_>) -> Option<(u16, u64)> {
    let kind = cursor.u16()?;
    if kind & 0x8000 != 0 {
        return Some((kind & 0x7fff, cursor.u16()?.into()));
    }
    let value = cursor.vec16()?;
    let number =
        value.get(..8).unwrap_or(value).iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    Some((kind, number))
}

/// Domain of interpretation, situation, proposals with transforms of attributes.
pub(super) fn version1(event: &mut Event, body: &[u8]) -> Option<()> {
    let mut cursor = Cursor::new(body);
    event.set("dongson.ike.doi", cursor.u32()?);
    cursor.u32()?;
    let mut transforms = Vec::new();
    while let Some(proposal) = parts(&mut cursor) {
        // Number, protocol, length of an index, number of transforms.
        let [_, _, index, _, rest @ ..] = proposal else { break };
        let mut inner = Cursor::new(rest.get(usize::from(*index)..).unwrap_or_default());
        while let Some(transform) = parts(&mut inner) {
            // Number, kind, two zeros.
            let mut attributes = Cursor::new(transform.get(4..).unwrap_or_default());
            let (mut words, mut bits) = (Vec::new(), None);
            while let Some((kind, value)) = attribute(&mut attributes) {
                match kind {
                    14 => bits = Some(value),
                    12 => event.set_absent("dongson.ike.lifetime", value),
                    1..=4 => words.push((kind, names::attribute(kind, value))),
                    _ => {}
                }
            }
            words.sort_by_key(|(kind, _)| *kind);
            if let (Some(bits), Some((1, cipher))) = (bits, words.first_mut()) {
                *cipher = format!("{cipher}_{bits}");
            }
            if transforms.len() < MAX_TRANSFORMS {
                let words: Vec<String> = words.into_iter().map(|(_, word)| word).collect();
                transforms.push(words.join("/"));
            }
        }
    }
    if !transforms.is_empty() {
        event.set("dongson.ike.transforms", transforms);
    }
    Some(())
}

/// Proposals with transforms, each of a kind of its own.
pub(super) fn version2(event: &mut Event, body: &[u8]) {
    let (mut cursor, mut transforms, mut groups) = (Cursor::new(body), Vec::<String>::new(), Vec::new());
    while let Some(proposal) = parts(&mut cursor) {
        let [_, _, index, _, rest @ ..] = proposal else { break };
        let mut inner = Cursor::new(rest.get(usize::from(*index)..).unwrap_or_default());
        while let Some(transform) = parts(&mut inner) {
            // Kind, zero, number, attributes.
            let mut fields = Cursor::new(transform);
            let (Some(kind), Some(_), Some(number)) = (fields.u8(), fields.u8(), fields.u16()) else { break };
            let mut word = names::transform(kind, number);
            if let Some((14, bits)) = attribute(&mut fields) {
                word = format!("{word}_{bits}");
            }
            if kind == 4 && !groups.contains(&word) && groups.len() < MAX_TRANSFORMS {
                groups.push(word.clone());
            }
            if !transforms.contains(&word) && transforms.len() < MAX_TRANSFORMS {
                transforms.push(word);
            }
        }
    }
    for (name, list) in [("dongson.ike.transforms", transforms), ("dongson.ike.offered_groups", groups)] {
        if !list.is_empty() {
            event.set(name, list);
        }
    }
}
