//! Requests for packets: what a sensor gives out of the packets that it keeps, for whom, and why.
//!
//! Packets hold what people said. So they leave a sensor only for a request that two people stand behind, that names the
//! incident it is for, and that ends; the sensor itself looks at all of that ([`PacketRequest::verify`]), within limits of its own.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::envelope::read_json;
use super::{Envelope, Purpose, Trust, TrustError};
use crate::Timestamp;

/// Longest life of a request.
pub const MAX_REQUEST_LIFE: Duration = Duration::from_hours(7 * 24);
/// Longest time that one request may cover.
pub const MAX_REQUEST_SPAN: Duration = Duration::from_hours(7 * 24);
/// Most bytes of one answer: 256 MiB.
pub const MAX_ANSWER_BYTES: u64 = 256 << 20;
/// Longest filter, reason and name, in bytes.
const MAX_TEXT: usize = 4_096;

/// Somebody of the centre.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The account's id.
    pub id: String,
    /// The name, for who reads the sensor's journal.
    pub name: String,
}

/// A request, payload of an envelope of [`Purpose::Request`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PacketRequest {
    /// Its id: lower-case letters, digits, `-`; at most 64.
    pub id: String,
    /// The sensor that is asked, by its id.
    pub sensor: String,
    /// Its agency.
    pub organization: String,
    /// The incident that it is for, by its number.
    pub incident: String,
    /// Why.
    pub reason: String,
    /// Who asks.
    pub asked_by: Person,
    /// Who else stands behind it.
    pub approved_by: Person,
    /// Packets from this time on.
    pub from: Timestamp,
    /// Packets up to this time.
    pub to: Timestamp,
    /// Of the flow with this Community ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub community_id: Option<String>,
    /// Those that this filter takes, as `packets find --filter` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Most bytes of the answer.
    pub max_bytes: u64,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// When it ends: a sensor that hears of it later answers nothing.
    pub expires_at: Timestamp,
}

impl PacketRequest {
    /// The request of an envelope that `trust` takes, when it is for this sensor, holds at `now` and is not contradicting itself.
    pub fn verify(
        trust: &Trust,
        envelope: &Envelope,
        (organization, sensor): (&str, &str),
        now: Timestamp,
    ) -> Result<Self, TrustError> {
        let request = Self::read(trust.verify(Purpose::Request, envelope, now)?.payload)?;
        if (request.organization.as_str(), request.sensor.as_str()) != (organization, sensor) {
            return Err(TrustError::NotForUs(format!("sensor:{}", request.sensor)));
        }
        if now >= request.expires_at {
            return Err(TrustError::Expired { what: "the request", at: request.expires_at });
        }
        request.check().map_err(|(name, reason)| malformed(format!("{name} {reason}")))?;
        Ok(request)
    }

    /// The request of a payload of which nothing is known yet.
    pub fn read(payload: &[u8]) -> Result<Self, TrustError> {
        read_json("the request", payload)
    }

    /// Refuses what no sensor answers: the name of the part, and what it must be.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let sign = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=64).contains(&self.id.len()) || !self.id.bytes().all(sign) {
            return Err(("id", "must be 1 to 64 lower-case letters, digits or -"));
        }
        if self.asked_by.id == self.approved_by.id {
            return Err(("approved_by", "must be somebody else than asked_by"));
        }
        let said = |text: &String| !text.trim().is_empty() && text.len() <= MAX_TEXT;
        for (name, text) in [
            ("incident", &self.incident),
            ("reason", &self.reason),
            ("asked_by", &self.asked_by.id),
            ("approved_by", &self.approved_by.id),
        ] {
            if !said(text) {
                return Err((name, "must be 1 to 4096 bytes"));
            }
        }
        if self.filter.as_ref().is_some_and(|text| !said(text)) {
            return Err(("filter", "must be 1 to 4096 bytes, or absent"));
        }
        if self.community_id.is_none() && self.filter.is_none() {
            return Err(("community_id", "or filter must say which packets"));
        }
        if self.from > self.to || self.to.since(self.from) > MAX_REQUEST_SPAN {
            return Err(("from", "must be before to, by at most 7 days"));
        }
        if self.expires_at.since(self.issued_at) > MAX_REQUEST_LIFE || self.expires_at <= self.issued_at {
            return Err(("expires_at", "must be after issued_at, by at most 7 days"));
        }
        if !(1_024..=MAX_ANSWER_BYTES).contains(&self.max_bytes) {
            return Err(("max_bytes", "must be 1024 to 268435456"));
        }
        Ok(())
    }
}

/// How a sensor ends a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PacketAnswer {
    /// The packets were sent.
    Packets(PacketAccount),
    /// They were not.
    Refused {
        /// Why, in words.
        reason: String,
    },
}

/// What was sent, and what is missing from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacketAccount {
    /// SHA-256 of the answer (pcapng) in hexadecimal.
    pub sha256: String,
    /// Its bytes.
    pub bytes: u64,
    /// Its frames.
    pub frames: u64,
    /// Frames that the sensor's flow cut-off had left out: of the wanted flow, or of all flows where only a filter was given.
    pub cut_frames: u64,
    /// Their bytes.
    pub cut_bytes: u64,
    /// Frames of any flow that the sensor had lost in the time that was looked at.
    pub lost_frames: u64,
    /// True when there was more than the answer may hold.
    pub truncated: bool,
    /// Since when the sensor has packets.
    #[serde(default)]
    pub oldest: Option<Timestamp>,
}

fn malformed(reason: String) -> TrustError {
    TrustError::Malformed { what: "the request", reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::{Root, SigningKey};

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed([seed; 32]).unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn trust() -> Trust {
        let root = Root::new(1, at(100_000)).with(Purpose::Root, 1, &[key(1).public()]);
        let root = root.with(Purpose::Request, 1, &[key(2).public()]);
        let root = root.with(Purpose::Configuration, 1, &[key(3).public()]);
        Trust::begin(&Envelope::sign_json(Purpose::Root, &root, &key(1)).unwrap()).unwrap()
    }

    fn request() -> PacketRequest {
        let person = |id: &str| Person { id: id.to_owned(), name: id.to_uppercase() };
        PacketRequest {
            id: "r-1".to_owned(),
            sensor: "s".to_owned(),
            organization: "a".to_owned(),
            incident: "SC-2026-0001".to_owned(),
            reason: "what was sent out".to_owned(),
            asked_by: person("lan"),
            approved_by: person("minh"),
            from: at(10),
            to: at(20),
            community_id: Some("1:LQU9qZlK+B5F3KDmev6m5PMibrg=".to_owned()),
            filter: None,
            max_bytes: 1 << 20,
            issued_at: at(100),
            expires_at: at(200),
        }
    }

    #[test]
    fn only_what_two_people_asked_of_this_sensor_in_time_is_taken() {
        let verify = |request: &PacketRequest, now| {
            let envelope = Envelope::sign_json(Purpose::Request, request, &key(2)).unwrap();
            PacketRequest::verify(&trust(), &envelope, ("a", "s"), at(now))
        };
        assert_eq!(verify(&request(), 150).unwrap(), request());
        assert!(matches!(verify(&request(), 200), Err(TrustError::Expired { .. })));
        let other = PacketRequest { sensor: "t".to_owned(), ..request() };
        assert!(matches!(verify(&other, 150), Err(TrustError::NotForUs(_))));
        let agency = PacketRequest { organization: "b".to_owned(), ..request() };
        assert!(matches!(verify(&agency, 150), Err(TrustError::NotForUs(_))));
        let alone = PacketRequest { approved_by: request().asked_by, ..request() };
        let error = verify(&alone, 150).unwrap_err().to_string();
        assert!(error.contains("somebody else"), "{error}");
        for (bad, word) in [
            (PacketRequest { id: "../x".to_owned(), ..request() }, "id"),
            (PacketRequest { reason: " ".to_owned(), ..request() }, "reason"),
            (PacketRequest { community_id: None, ..request() }, "community_id"),
            (PacketRequest { from: at(21), ..request() }, "from"),
            (PacketRequest { to: at(8 * 86_400), ..request() }, "from"),
            (PacketRequest { expires_at: at(100 + 8 * 86_400), ..request() }, "expires_at"),
            (PacketRequest { max_bytes: MAX_ANSWER_BYTES + 1, ..request() }, "max_bytes"),
        ] {
            let error = verify(&bad, 150).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn what_was_signed_for_something_else_is_no_request() {
        for (purpose, seed) in [(Purpose::Configuration, 3), (Purpose::Request, 3)] {
            let envelope = Envelope::sign_json(purpose, &request(), &key(seed)).unwrap();
            assert!(PacketRequest::verify(&trust(), &envelope, ("a", "s"), at(150)).is_err());
        }
        let mut changed = Envelope::sign_json(Purpose::Request, &request(), &key(2)).unwrap();
        changed.payload = serde_json::to_vec(&PacketRequest { to: at(30), ..request() }).unwrap();
        let error = PacketRequest::verify(&trust(), &changed, ("a", "s"), at(150)).unwrap_err();
        assert!(matches!(error, TrustError::Tampered { .. }), "{error}");
        assert!(PacketRequest::read(br#"{"id":"x","more":1}"#).is_err());
    }
}
