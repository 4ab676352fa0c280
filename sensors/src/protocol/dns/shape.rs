//! What the shape of a name tells: its lengths and how random its longest label looks (tunnels, generated domains).

use dongson_event::Event;

/// Second-level labels below which countries register names; a short stand-in for the public suffix list, which has
/// thousands of lines: what is missing here makes a registered domain one label too short, never wrong in its end.
const CATEGORIES: [&str; 22] = [
    "ac", "asso", "biz", "co", "com", "edu", "go", "gob", "gouv", "gov", "gv", "health", "id", "info", "int",
    "mil", "name", "ne", "net", "or", "org", "pro",
];

/// Adds registered domain, lengths and entropy of `name` (lower case, no final dot).
pub(super) fn describe(event: &mut Event, name: &str) {
    event.set("dongson.dns.question_length", name.len());
    if name.is_empty() {
        return;
    }
    let registered = registered_domain(name);
    event.set("dongson.dns.subdomain_length", name.len().saturating_sub(registered.len() + 1));
    event.set("dns.question.registered_domain", registered);
    let longest = name.split('.').max_by_key(|label| label.len()).unwrap_or_default();
    event.set("dongson.dns.entropy", (entropy(longest) * 1000.0).round() / 1000.0);
}

/// The name below the public suffix, as far as [`CATEGORIES`] knows it; the whole name where there is nothing above.
fn registered_domain(name: &str) -> &str {
    let mut labels = name.rsplit('.');
    let (top, second) = (labels.next().unwrap_or_default(), labels.next().unwrap_or_default());
    let kept = if top.len() == 2 && CATEGORIES.contains(&second) { 3 } else { 2 };
    let start = name.rmatch_indices('.').nth(kept - 1).map_or(0, |(dot, _)| dot + 1);
    name.get(start..).unwrap_or(name)
}

/// Shannon entropy of the bytes, in bits per byte.
fn entropy(label: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in label.bytes() {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let total = f64::from(u32::try_from(label.len()).unwrap_or(u32::MAX));
    let shares = counts.into_iter().filter(|&count| count > 0).map(|count| f64::from(count) / total);
    shares.map(|share| -share * share.log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_and_lengths() {
        let check = |name, expected| assert_eq!(registered_domain(name), expected);
        check("a.b.thanhhoa.gov.vn", "thanhhoa.gov.vn");
        check("www.example.com", "example.com");
        check("example.com", "example.com");
        check("gov.vn", "gov.vn");
        check("localhost", "localhost");
        let mut event = Event::new();
        describe(&mut event, "aabb.example.vn");
        assert_eq!(event.int("dongson.dns.subdomain_length"), Some(4));
        assert_eq!(event.int("dongson.dns.question_length"), Some(15));
    }

    #[test]
    fn entropy_in_bits() {
        assert!((entropy("aabb") - 1.0).abs() < 1e-9);
        assert!(entropy("aaaa").abs() < 1e-9);
    }
}
