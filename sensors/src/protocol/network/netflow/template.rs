//! Templates: which fields the records of a set have (RFC 3954, 5.2; RFC 7011, 3.4).

use std::collections::BTreeMap;

use super::record::Record;
use super::{Counts, Header};
use crate::protocol::wire::Cursor;

/// Templates kept of one exporter; further ones are not learnt.
pub(super) const MAX_TEMPLATES: usize = 256;
/// Fields of one template.
const MAX_FIELDS: u16 = 128;
/// What is a length of any size in IPFIX (7).
const VARIABLE: u16 = 0xffff;

/// One field.
#[derive(Debug, Clone, Copy)]
struct Field {
    /// Number of the element; `None` for one of a company's own.
    element: Option<u16>,
    length: u16,
}

/// The templates of one exporter, by part of it and number.
#[derive(Debug, Default)]
pub(super) struct Templates {
    known: BTreeMap<(u32, u16), Vec<Field>>,
}

impl Templates {
    /// Reads a set: learns its templates, or gives each of its records to `tell`.
    pub(super) fn set(
        &mut self,
        header: Header,
        set: u16,
        content: &[u8],
        counts: &mut Counts,
        tell: &mut dyn FnMut(&Record, &mut Counts),
    ) {
        let ipfix = header.version == 10;
        match set {
            0 | 2 => {
                let mut cursor = Cursor::new(content);
                while let Some((number, fields)) = template(&mut cursor, ipfix) {
                    counts.templates.push(number);
                    let key = (header.source, number);
                    if self.known.len() < MAX_TEMPLATES || self.known.contains_key(&key) {
                        self.known.insert(key, fields);
                    }
                }
            }
            256.. => match self.known.get(&(header.source, set)) {
                Some(fields) => {
                    let mut cursor = Cursor::new(content);
                    while let Some(record) = record(&mut cursor, fields) {
                        tell(&record, counts);
                    }
                }
                None => counts.unknown_sets += 1,
            },
            // Options describe the exporter, not flows.
            _ => {}
        }
    }
}

/// The next template of a set; `None` at its end or at padding.
fn template(cursor: &mut Cursor<'_>, ipfix: bool) -> Option<(u16, Vec<Field>)> {
    let (number, count) = (cursor.u16()?, cursor.u16()?);
    if number < 256 || count > MAX_FIELDS {
        return None;
    }
    let mut fields = Vec::new();
    for _ in 0..count {
        let (element, length) = (cursor.u16()?, cursor.u16()?);
        let own = ipfix && element & 0x8000 != 0;
        if own {
            cursor.u32()?;
        }
        fields.push(Field { element: (!own).then_some(element), length });
    }
    Some((number, fields))
}

/// The next record of a set; `None` where none is whole.
fn record(cursor: &mut Cursor<'_>, fields: &[Field]) -> Option<Record> {
    let before = cursor.rest().len();
    let mut record = Record::default();
    for field in fields {
        let length = match field.length {
            VARIABLE => match cursor.u8()? {
                255 => usize::from(cursor.u16()?),
                short => usize::from(short),
            },
            length => usize::from(length),
        };
        let value = cursor.take(length)?;
        if let Some(element) = field.element {
            record.take(element, value);
        }
    }
    // A template of no bytes would go on for ever.
    (cursor.rest().len() < before).then_some(record)
}
