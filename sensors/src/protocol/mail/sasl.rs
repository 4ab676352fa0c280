//! How a client signs in to a mail server: what SASL mechanisms say of it (RFC 4422; PLAIN: RFC 4616; CRAM-MD5: RFC 2195;
//! DIGEST-MD5: RFC 2831; SCRAM: RFC 5802; OAUTHBEARER: RFC 7628).
//!
//! In: the mechanism and the client's answers in base64. Out: the user, and the password, token or answer to a challenge, sealed.
//! Memory: two short texts.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::protocol::secret;
use crate::protocol::wire::text;

/// Base64 with or without its padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Longest name that is kept.
const MAX_NAME: usize = 512;

/// A client that signs in.
#[derive(Debug)]
pub(super) struct Sasl {
    /// In capitals.
    pub(super) mechanism: String,
    pub(super) user: Option<String>,
    /// Sealed.
    pub(super) password: Option<String>,
    secret_key: [u8; 32],
    answers: u8,
}

impl Sasl {
    /// A client that has chosen a mechanism, perhaps with its first answer behind a blank.
    pub(super) fn new(argument: &[u8], secret_key: &[u8; 32]) -> Self {
        let mut parts = argument.split(|sign| *sign == b' ').filter(|part| !part.is_empty());
        let mechanism = parts.next().map(|name| text(name, 64).to_ascii_uppercase()).unwrap_or_default();
        let mut sasl = Self { mechanism, user: None, password: None, secret_key: *secret_key, answers: 0 };
        if let Some(initial) = parts.next() {
            sasl.answer(initial);
        }
        sasl
    }

    /// Whether the client has more to say.
    pub(super) fn is_open(&self) -> bool {
        let answers = match self.mechanism.as_str() {
            "PLAIN" | "CRAM-MD5" | "XOAUTH2" | "EXTERNAL" | "ANONYMOUS" => 1,
            "LOGIN" | "OAUTHBEARER" | "DIGEST-MD5" | "NTLM" => 2,
            name if name.starts_with("SCRAM-") => 3,
            _ => 4,
        };
        self.answers < answers
    }

    /// The client's next answer; a lone asterisk gives up.
    pub(super) fn answer(&mut self, line: &[u8]) {
        let turn = self.answers;
        self.answers = if line == b"*" { u8::MAX } else { turn.saturating_add(1) };
        let decoded = BASE64.decode(line).unwrap_or_default();
        let said = decoded.as_slice();
        match (self.mechanism.as_str(), turn) {
            ("LOGIN" | "EXTERNAL", 0) => self.set_user(Some(said)),
            ("LOGIN", 1) => self.seal(Some(said)),
            ("PLAIN", 0) => {
                let mut parts = said.split(|byte| *byte == 0).skip(1);
                let (user, password) = (parts.next(), parts.next());
                self.set_user(user);
                self.seal(password);
            }
            ("CRAM-MD5", 0) => {
                if let Some(blank) = said.iter().rposition(|sign| *sign == b' ') {
                    self.set_user(said.get(..blank));
                    self.seal(said.get(blank + 1..));
                }
            }
            ("XOAUTH2" | "OAUTHBEARER", 0) => self.bearer(said),
            ("DIGEST-MD5", 0) => {
                let user = after(said, b"username=\"", b'"');
                self.set_user(user);
            }
            (name, 0) if name.starts_with("SCRAM-") => {
                let user = after(said, b",n=", b',');
                self.set_user(user);
            }
            _ => {}
        }
    }

    /// `user=` or `a=`, and the token behind `auth=Bearer`.
    fn bearer(&mut self, said: &[u8]) {
        let user = after(said, b"user=", 1).or_else(|| after(said, b"a=", b','));
        self.set_user(user);
        let token = after(said, b"Bearer ", 1);
        self.seal(token);
    }

    fn set_user(&mut self, user: Option<&[u8]>) {
        if let Some(user) = user.filter(|user| !user.is_empty()) {
            self.user = Some(text(user, MAX_NAME));
        }
    }

    fn seal(&mut self, password: Option<&[u8]>) {
        self.password = password.map(|password| secret::seal(&self.secret_key, password));
    }
}

/// What stands between `start` and `end`, or the end of `said`.
fn after<'a>(said: &'a [u8], start: &[u8], end: u8) -> Option<&'a [u8]> {
    let at = said.windows(start.len()).position(|window| window == start)?;
    said.get(at + start.len()..)?.split(|sign| *sign == end).next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn coded(plain: &[u8]) -> Vec<u8> {
        BASE64.encode(plain).into_bytes()
    }

    #[track_caller]
    fn check(mechanism: &str, answers: &[&[u8]], user: &str, password: Option<&[u8]>) {
        let mut sasl = Sasl::new(mechanism.as_bytes(), &[0; 32]);
        for answer in answers {
            assert!(sasl.is_open());
            sasl.answer(&coded(answer));
        }
        assert_eq!(sasl.user.as_deref(), Some(user));
        assert_eq!(sasl.password, password.map(|password| secret::seal(&[0; 32], password)));
    }

    #[test]
    fn mechanisms_tell_the_user() {
        check("plain", &[b"\0an\0mat khau"], "an", Some(b"mat khau"));
        check("LOGIN", &[b"an", b"mat khau"], "an", Some(b"mat khau"));
        check("CRAM-MD5", &[b"an@vn 0123"], "an@vn", Some(b"0123"));
        check("XOAUTH2", &[b"user=an@vn\x01auth=Bearer tok\x01\x01"], "an@vn", Some(b"tok"));
        check("OAUTHBEARER", &[b"n,a=an@vn,\x01host=x\x01auth=Bearer tok\x01\x01"], "an@vn", Some(b"tok"));
        check("SCRAM-SHA-256", &[b"n,,n=an,r=xyz"], "an", None);
        check("DIGEST-MD5", &[b"charset=utf-8,username=\"an\",realm=\"x\""], "an", None);
        let sasl = Sasl::new(b"PLAIN AGFuAHg=", &[0; 32]);
        assert_eq!((sasl.user.as_deref(), sasl.is_open()), (Some("an"), false));
        let mut given_up = Sasl::new(b"LOGIN", &[0; 32]);
        given_up.answer(b"*");
        assert!(!given_up.is_open() && given_up.user.is_none());
    }

    proptest! {
        #[test]
        fn any_answers_are_read(mechanism in prop::sample::select(vec!["PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2", "NTLM", "SCRAM-SHA-1", "DIGEST-MD5", ""]), answers: Vec<Vec<u8>>) {
            let mut sasl = Sasl::new(mechanism.as_bytes(), &[0; 32]);
            for answer in answers {
                sasl.answer(&coded(&answer));
                sasl.answer(&answer);
            }
        }
    }
}
