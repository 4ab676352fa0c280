//! GSS-API tokens inside other protocols: SPNEGO (RFC 4178), Kerberos (RFC 4121) and NTLM.
//!
//! In: the tokens of both sides of one association. Out: the events of the mechanism that is found in them. Memory: that of
//! one NTLM attempt and one Kerberos exchange.

use dongson_event::{Event, Timestamp};

use crate::protocol::der::Der;
use crate::protocol::windows::kerberos::{self, Exchange};
use crate::protocol::windows::ntlm::{self, Ntlm};

/// How deep a token may lie in a token.
const MAX_DEPTH: u8 = 4;

/// One association.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Gss {
    pub(in crate::protocol) ntlm: Ntlm,
    kerberos: Exchange,
    /// What was seen, for the name of the connection.
    pub(in crate::protocol) seen: Seen,
}

/// Mechanisms that were met.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) struct Seen {
    pub(in crate::protocol) gssapi: bool,
    pub(in crate::protocol) ntlm: bool,
    pub(in crate::protocol) kerberos: bool,
}

impl Gss {
    /// A token of one side.
    pub(in crate::protocol) fn token(&mut self, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        self.seek(at, bytes, 0, out);
    }

    /// The carrier says whether the attempt succeeded.
    pub(in crate::protocol) fn outcome(&mut self, success: Option<bool>, out: &mut Vec<Event>) {
        self.ntlm.finish(success, out);
        self.kerberos.finish(success, out);
    }

    fn seek(&mut self, at: Timestamp, bytes: &[u8], depth: u8, out: &mut Vec<Event>) {
        if depth > MAX_DEPTH {
            return;
        }
        if bytes.starts_with(ntlm::SIGNATURE) {
            self.seen.ntlm = true;
            return self.ntlm.message(at, bytes, out);
        }
        if kerberos::is_message(bytes) {
            self.seen.kerberos = true;
            return self.kerberos.message(at, bytes, out);
        }
        match Der::new(bytes).next() {
            // InitialContextToken (RFC 2743, 3.1): the mechanism and its own bytes.
            Some((0x60, value)) => {
                let mut inside = Der::new(value);
                if inside.take(6).is_some() {
                    self.seen.gssapi = true;
                    let rest = inside.rest();
                    let inner =
                        if rest.first().is_some_and(|first| *first < 8) { rest.get(2..) } else { Some(rest) };
                    self.seek(at, inner.unwrap_or_default(), depth + 1, out);
                }
            }
            // NegTokenInit and NegTokenResp: the token of the mechanism is element 2 of both.
            Some((0xa0 | 0xa1, value)) => {
                self.seen.gssapi = true;
                let fields = Der::new(value).take(0x30).map(Der::new);
                if let Some(inner) = fields.and_then(|fields| fields.explicit(2, 4)) {
                    self.seek(at, inner, depth + 1, out);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wrap(tag: u8, value: &[u8]) -> Vec<u8> {
        [&[tag, 0x82][..], &u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat()
    }

    #[test]
    fn ntlm_is_found_inside_spnego() {
        let [challenge, answer] = ntlm::tests::exchange();
        let (mut gss, mut out) = (Gss::default(), Vec::new());
        for token in [challenge, answer] {
            let token = wrap(0xa1, &wrap(0x30, &wrap(0xa2, &wrap(4, &token))));
            gss.token(Timestamp::default(), &token, &mut out);
        }
        gss.outcome(Some(true), &mut out);
        assert_eq!(out[0].text("event.outcome"), Some("success"));
        assert!(gss.seen.gssapi && gss.seen.ntlm);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(tag in prop::sample::select(vec![0x60_u8, 0xa0, 0xa1, 0x6e]), bytes: Vec<u8>) {
            let (mut gss, mut out) = (Gss::default(), Vec::new());
            gss.token(Timestamp::default(), &wrap(tag, &bytes), &mut out);
            gss.token(Timestamp::default(), &bytes, &mut out);
            gss.outcome(None, &mut out);
        }
    }
}
