//! Reading rows that hold some of the columns, and values that are too long for a list.

use dongson_event::fields::Field;
use dongson_event::{Event, Name, Value};

use super::{ORIGINAL, REQUIRED, binary};
use crate::query::listing::READ_CHARS;
use crate::{Result, StoreError};

/// Most elements of a list value when values are shortened.
const MOST_ELEMENTS: usize = 100;

/// What a row holds: these columns, the raw record if it was asked for, then what stands outside the columns.
pub(crate) struct Selected<'f> {
    pub(crate) columns: &'f [&'static Field],
    pub(crate) original: bool,
    /// Longest text in characters; `usize::MAX` leaves everything as it is.
    pub(crate) most_chars: usize,
}

impl Selected<'_> {
    /// Takes the next row off `bytes` and names the fields that were shortened; `None` at the end.
    ///
    /// # Errors
    /// `Unreadable` when the bytes are not rows of these columns.
    pub(crate) fn take(&self, bytes: &mut &[u8]) -> Result<Option<(Event, Vec<String>)>> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let unreadable = || StoreError::Unreadable("a row of events ends too early".to_owned());
        let (mut event, mut truncated) = (Event::new(), Vec::new());
        let mut set = |name: Name, mut value: Value, cut: bool| {
            // What stands outside its column is read last and wins.
            truncated.retain(|one: &String| name != **one);
            if self.shorten(&mut value) || cut {
                truncated.push(name.to_string());
            }
            event.set(name, value);
        };
        for field in self.columns {
            let nullable = !REQUIRED.contains(&field.name);
            let cell = binary::take_cell(bytes, field.kind, nullable).ok_or_else(unreadable)?;
            if let Some(value) = cell.value(field.kind) {
                set(field.name.into(), value, false);
            }
        }
        if self.original
            && let Some(text) = binary::take_nullable_text(bytes).ok_or_else(unreadable)?
        {
            set(ORIGINAL.into(), Value::from(text), false);
        }
        for _ in 0..binary::take_count(bytes).ok_or_else(unreadable)? {
            let name = binary::take_text(bytes).ok_or_else(unreadable)?;
            let json = binary::take_text(bytes).ok_or_else(unreadable)?;
            let (value, cut) = self.value(&name, &json)?;
            set(name.into(), value, cut);
        }
        Ok(Some((event, truncated)))
    }

    /// The value of a JSON text that may have been cut while it was read, and whether it was.
    fn value(&self, name: &str, json: &str) -> Result<(Value, bool)> {
        match serde_json::from_str(json) {
            Ok(value) => Ok((value, false)),
            Err(_) if self.most_chars != usize::MAX && json.chars().count() >= READ_CHARS => {
                Ok((Value::from(beginning(json)), true))
            }
            Err(error) => Err(StoreError::Unreadable(format!("{name:?}: {error}"))),
        }
    }

    fn shorten(&self, value: &mut Value) -> bool {
        if self.most_chars == usize::MAX {
            return false;
        }
        match value {
            Value::Text(text) => match text.char_indices().nth(self.most_chars) {
                Some((at, _)) => {
                    text.truncate(at);
                    true
                }
                None => false,
            },
            Value::List(items) => {
                let (mut room, all) = (self.most_chars, items.len());
                let mut kept = 0;
                for item in items.iter().take(MOST_ELEMENTS) {
                    let chars = item.to_text().chars().count();
                    if chars > room && kept > 0 {
                        break;
                    }
                    room = room.saturating_sub(chars);
                    kept += 1;
                }
                items.truncate(kept);
                let mut cut = kept < all;
                for item in items {
                    cut |= self.shorten(item);
                }
                cut
            }
            _ => false,
        }
    }
}

/// The text of a JSON string whose end is missing; anything else as it is.
fn beginning(json: &str) -> String {
    let mut text = json.to_owned();
    // An escape that was cut in the middle is at most twelve signs long.
    for _ in 0..=12 {
        if let Ok(text) = serde_json::from_str::<String>(&format!("{text}\"")) {
            return text;
        }
        text.pop();
    }
    json.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_is_read_up_to_its_cut() {
        assert_eq!(beginning("\"abc"), "abc");
        assert_eq!(beginning("\"abc\\"), "abc");
        assert_eq!(beginning("\"abc\\u00"), "abc");
        assert_eq!(beginning("\"đường\\n"), "đường\n");
        assert_eq!(beginning("[1,2"), "[1,2");
    }

    #[test]
    fn long_values_are_shortened_and_short_ones_stay() {
        let selected = Selected { columns: &[], original: false, most_chars: 5 };
        let shortened = |mut value: Value| {
            let cut = selected.shorten(&mut value);
            (value, cut)
        };
        assert_eq!(shortened(Value::from("đường")), (Value::from("đường"), false));
        assert_eq!(shortened(Value::from("đường dẫn")), (Value::from("đường"), true));
        assert_eq!(shortened(Value::Int(1_234_567)), (Value::Int(1_234_567), false));
        let list = |texts: &[&str]| Value::List(texts.iter().map(|text| Value::from(*text)).collect());
        assert_eq!(shortened(list(&["abc", "de"])), (list(&["abc", "de"]), false));
        assert_eq!(shortened(list(&["abc", "def"])), (list(&["abc"]), true));
        assert_eq!(shortened(list(&["abcdefg", "h"])), (list(&["abcde"]), true));
    }
}
