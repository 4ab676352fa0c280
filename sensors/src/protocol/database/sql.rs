//! SQL as it may be stored: the passwords in statements about accounts are sealed.

use crate::protocol::secret;
use crate::protocol::wire::{contains_no_case, text};

/// Longest statement that is told.
const MAX_STATEMENT: usize = 4096;

/// The statement as text; where it sets a password, each quoted text in it is sealed.
pub(in crate::protocol) fn statement(key: &[u8; 32], bytes: &[u8]) -> String {
    let bytes = bytes.get(..MAX_STATEMENT).unwrap_or(bytes);
    let whole = text(bytes, MAX_STATEMENT);
    if !contains_no_case(bytes, b"identified") && !contains_no_case(bytes, b"password") {
        return whole;
    }
    let mut out = String::with_capacity(whole.len());
    let mut rest = whole.as_str();
    while let Some((before, behind)) = rest.split_once(['\'', '"']) {
        let quote = if rest.as_bytes().get(before.len()) == Some(&b'"') { '"' } else { '\'' };
        let (inside, after) = behind.split_once(quote).unwrap_or((behind, ""));
        out.push_str(before);
        out.push(quote);
        out.push_str(&secret::seal(key, inside.as_bytes()));
        out.push(quote);
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_sealed() {
        assert_eq!(statement(&[0; 32], b"select 'a'"), "select 'a'");
        let sealed = statement(&[0; 32], b"ALTER USER an IDENTIFIED BY 'khoa' x \"y");
        assert!(sealed.starts_with("ALTER USER an IDENTIFIED BY 'hmac-sha256:") && !sealed.contains("khoa"));
    }
}
