//! The same event, but not the same text: ids, numbers and arguments change with the seed.

use serde_json::Value;

/// Names whose values decide about rules and stay as they are.
const KEPT: &[&str] = &["product", "service", "category", "EventID", "EventType", "Channel", "Provider_Name"];
/// Names to whose texts an argument is added.
const LONGER: &[&str] = &["CommandLine", "ParentCommandLine", "ScriptBlockText", "Payload", "TargetFilename", "Details"];

/// The text of `event`, varied by `seed`.
pub(crate) fn event(event: &Value, seed: u64) -> String {
    let mut random = Random(seed ^ 0x5851_F42D_4C95_7F2D);
    let mut varied = event.clone();
    if let Some(fields) = varied.as_object_mut() {
        for (name, value) in fields.iter_mut().filter(|(name, _)| !KEPT.contains(&name.as_str())) {
            if let Value::String(text) = value {
                digits(text, &mut random);
                if LONGER.contains(&name.as_str()) {
                    text.push_str(&format!(" z{:x}", random.next() >> 32));
                }
            }
        }
    }
    varied.to_string()
}

/// Replaces digits in rows of at least three, and hexadecimal ones in GUIDs, by others.
fn digits(text: &mut String, random: &mut Random) {
    let old: Vec<char> = text.chars().collect();
    let mut new = String::with_capacity(text.len());
    let mut braces = false;
    for (at, &sign) in old.iter().enumerate() {
        braces = (braces || sign == '{') && sign != '}' && (sign.is_ascii_hexdigit() || matches!(sign, '{' | '-'));
        let near = |from: usize| old.iter().skip(from).take(3).filter(|sign| sign.is_ascii_digit()).count() == 3;
        let in_row = near(at) || at.checked_sub(1).is_some_and(near) || at.checked_sub(2).is_some_and(near);
        let changed = match sign {
            '0'..='9' if in_row || braces => char::from_digit(random.below(10), 10),
            'a'..='f' | 'A'..='F' if braces => char::from_digit(random.below(16), 16),
            other => Some(other),
        };
        new.push(changed.unwrap_or(sign));
    }
    *text = new;
}

/// A small generator; the same numbers for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u32) -> u32 {
        u32::try_from(self.next() % u64::from(limit)).unwrap_or(0)
    }
}
