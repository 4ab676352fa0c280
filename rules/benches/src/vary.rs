//! The same event, but not the same text: ids, numbers and arguments change with every pass.

use serde_json::Value;

/// Names whose values decide about rules and stay as they are.
const KEPT: &[&str] = &["product", "service", "category", "EventID", "EventType", "Channel", "Provider_Name"];
/// Names to whose texts an argument is added.
const LONGER: &[&str] =
    &["CommandLine", "ParentCommandLine", "ScriptBlockText", "Payload", "TargetFilename", "Details"];

/// JSON text of an event, and the places in it that change.
#[derive(Debug)]
pub struct Template {
    text: String,
    /// Place, and how many different signs may stand there: 10 or 16.
    places: Vec<(usize, u8)>,
}

impl Template {
    /// Finds what may change in `event`, an object.
    pub fn new(event: &Value) -> Self {
        let mut template = Self { text: String::from("{"), places: Vec::new() };
        for (name, value) in event.as_object().into_iter().flatten() {
            if template.text.len() > 1 {
                template.text.push(',');
            }
            template.text.push_str(&Value::from(name.as_str()).to_string());
            template.text.push(':');
            template.value(name, value);
        }
        template.text.push('}');
        template
    }

    fn value(&mut self, name: &str, value: &Value) {
        let Value::String(text) = value else {
            self.text.push_str(&value.to_string());
            return;
        };
        let longer = LONGER.contains(&name);
        let text = if longer { format!("{text} z00000000") } else { text.clone() };
        let start = self.text.len();
        self.text.push_str(&Value::from(text).to_string());
        if !KEPT.contains(&name) {
            self.mark(start);
        }
    }

    /// Digits in rows of at least three change, and hexadecimal ones in GUIDs.
    fn mark(&mut self, start: usize) {
        let bytes = self.text.as_bytes().get(start..).unwrap_or_default();
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        let (mut braces, mut escape) = (false, 0_usize);
        for (at, &byte) in bytes.iter().enumerate() {
            if byte == b'u' && at > 0 && bytes.get(at - 1) == Some(&b'\\') {
                escape = at + 5;
            }
            let inside = byte.is_ascii_hexdigit() || byte == b'-';
            braces = (byte == b'{') || (braces && inside);
            let near = |from: usize| digit(from) && digit(from + 1) && digit(from + 2);
            let row = near(at) || (at >= 1 && near(at - 1)) || (at >= 2 && near(at - 2));
            if at < escape {
                continue;
            }
            if byte.is_ascii_digit() && row {
                self.places.push((start + at, 10));
            } else if braces && byte.is_ascii_hexdigit() {
                self.places.push((start + at, 16));
            }
        }
    }

    /// The text with other signs in its places.
    pub fn varied(&self, seed: u64, out: &mut String) {
        let mut bytes = std::mem::take(out).into_bytes();
        bytes.clear();
        bytes.extend_from_slice(self.text.as_bytes());
        let mut state = seed;
        for (at, kinds) in &self.places {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let sign = b"0123456789abcdef".get(((state >> 32) % u64::from(*kinds)) as usize);
            if let (Some(place), Some(sign)) = (bytes.get_mut(*at), sign) {
                *place = *sign;
            }
        }
        *out = String::from_utf8(bytes).unwrap_or_default();
    }
}
