//! What a sensor's batch says about itself, checked; and the account of its batches.
//!
//! A batch carries its class, the Merkle tree hash of its lines and a signature by the key of the certificate that the
//! connection shows ([`dongson_event::batch`]). What does not fit is refused for good and written into the audit. A batch
//! that the bus has is noted in the registry before the sensor is answered, many batches in one transaction; so what a
//! sensor takes off its disk is accounted for.

use super::https::App;
use super::identity::{ClientCertificate, Refused, by_certificate};
use super::sensor::small;
use crate::publish::now;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::{Extension, Json};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use dongson_event::batch::{Class, Hash, Place, root};
use dongson_registry::{Change, Error, Received, Registry, Sensor, Signed, SpoolSummary, Stated};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

/// Longest statement about a spool, in bytes.
const MAX_STATEMENT: usize = 2 << 20;
/// Refused batches of one sensor are written into the audit once in so many milliseconds; all are counted and logged.
const AUDIT_EVERY_MS: i64 = 60_000;
/// Most batches in one transaction.
const TOGETHER: usize = 500;

/// The public key of the client's certificate as its bits stand there, put into a request by the TLS listener.
#[derive(Debug, Clone)]
pub struct ClientKey(pub Option<Arc<[u8]>>);

impl ClientKey {
    /// The key of a certificate in DER.
    pub(crate) fn of(certificate: &[u8]) -> Self {
        let parsed = x509_parser::parse_x509_certificate(certificate).ok();
        Self(parsed.map(|(_, certificate)| Arc::from(&*certificate.public_key().subject_public_key.data)))
    }
}

/// What a batch is said to be, in its headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seal {
    pub(crate) class: Class,
    /// `None` from sensors of a former version.
    pub(crate) signed: Option<Signed>,
}

impl Seal {
    /// Reads `dongson-class`, `dongson-root`, `dongson-signature`. A sensor of a former version sends none of them; its
    /// batches count as conversations.
    pub(crate) fn read(headers: &HeaderMap, certificate: &str) -> Result<Self, String> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let class = match text("dongson-class") {
            None => Class::Conn,
            Some(name) => {
                Class::parse(name).ok_or_else(|| format!("header dongson-class: {name:?} is no class"))?
            }
        };
        let signed = match (text("dongson-root"), text("dongson-signature")) {
            (None, None) => None,
            (Some(root), Some(signature)) => {
                let mut hash: Hash = [0; 32];
                hex::decode_to_slice(root, &mut hash)
                    .map_err(|_| "header dongson-root is not 64 hexadecimal digits".to_owned())?;
                let signature = URL_SAFE_NO_PAD
                    .decode(signature)
                    .map_err(|_| "header dongson-signature is not base64url".to_owned())?;
                Some(Signed { root: hash, signature, certificate: certificate.to_owned() })
            }
            _ => return Err("of the headers dongson-root and dongson-signature one is missing".to_owned()),
        };
        Ok(Self { class, signed })
    }

    /// Checks the root against the lines and the signature against the key.
    pub(crate) async fn check(
        &self,
        place: Place<'_>,
        key: &ClientKey,
        lines: Vec<Bytes>,
    ) -> Result<(), String> {
        let Some(signed) = &self.signed else { return Ok(()) };
        let found = tokio::task::spawn_blocking(move || root(lines.iter().map(|line| &**line)));
        let found = found.await.map_err(|error| format!("the root could not be made: {error}"))?;
        if found != signed.root {
            return Err(format!(
                "the lines of the batch do not make its root: they make {}, dongson-root says {}",
                hex::encode(found),
                hex::encode(signed.root)
            ));
        }
        let key = key.0.as_deref().unwrap_or_default();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key)
            .verify(place.statement(&found).as_bytes(), &signed.signature)
            .map_err(|_| "the signature of the batch is not by the key of the certificate (P-256)".to_owned())
    }
}

type Answer = oneshot::Sender<Result<bool, ()>>;

/// Notes batches in the registry, those that come at the same time together.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    /// Bounded by the requests that are served at once.
    waiting: Mutex<Vec<(Received, Answer)>>,
    turn: tokio::sync::Mutex<()>,
    /// When a refused batch of a sensor was last written into the audit, in milliseconds.
    audited: Mutex<HashMap<String, i64>>,
}

impl Accounts {
    /// Notes a batch that the bus has; true when it had been noted before.
    pub(crate) async fn note(&self, registry: &Registry, batch: Received) -> Result<bool, Refused> {
        let (sender, mut answer) = oneshot::channel();
        if let Ok(mut waiting) = self.waiting.lock() {
            waiting.push((batch, sender));
        }
        // Whoever has the turn notes all that wait; who comes after finds its answer.
        let turn = self.turn.lock().await;
        if let Ok(done) = answer.try_recv() {
            return done.map_err(|()| Refused::Unavailable(None));
        }
        while self.note_some(registry).await {
            if let Ok(done) = answer.try_recv() {
                drop(turn);
                return done.map_err(|()| Refused::Unavailable(None));
            }
        }
        Err(Refused::Unavailable(None))
    }

    /// Notes the batches that wait, at most [`TOGETHER`]; false when there are none.
    async fn note_some(&self, registry: &Registry) -> bool {
        let some: Vec<_> = match self.waiting.lock() {
            Ok(mut waiting) => {
                let count = waiting.len().min(TOGETHER);
                waiting.drain(..count).collect()
            }
            Err(_) => return false,
        };
        if some.is_empty() {
            return false;
        }
        let (batches, answers): (Vec<_>, Vec<_>) = some.into_iter().unzip();
        match registry.note_batches(&batches).await {
            Ok(known) => answers.into_iter().zip(known).for_each(|(answer, known)| tell(answer, Ok(known))),
            Err(error) => {
                tracing::warn!(%error, batches = batches.len(), "batches could not be noted together");
                for (batch, answer) in batches.into_iter().zip(answers) {
                    // One that cannot be noted does not hold up the others.
                    let noted = registry.note_batches(std::slice::from_ref(&batch)).await;
                    tell(
                        answer,
                        noted.map(|known| known.first() == Some(&true)).map_err(|error| {
                            tracing::warn!(%error, sensor = batch.sensor, "a batch could not be noted");
                        }),
                    );
                }
            }
        }
        true
    }

    /// Refuses a batch for good: counted, logged, and at most once a minute for each sensor written into the audit.
    pub(crate) async fn refuse(
        &self,
        registry: &Registry,
        sensor: &Sensor,
        place: (u64, u64),
        reason: String,
    ) -> Refused {
        metrics::counter!("collector_batches_refused_total").increment(1);
        tracing::error!(sensor = sensor.id, epoch = place.0, sequence = place.1, %reason, "a batch is refused");
        let at = now().millis();
        if self.may_audit(&sensor.id, at) {
            let change = Change::service("collector", at);
            if let Err(error) = registry.refuse_batch(&change, sensor, place, &reason).await {
                tracing::error!(%error, "the refusal of a batch is not in the audit");
            }
        }
        Refused::Bad(reason)
    }

    fn may_audit(&self, sensor: &str, at: i64) -> bool {
        let Ok(mut audited) = self.audited.lock() else { return true };
        audited.retain(|_, last| at - *last < AUDIT_EVERY_MS);
        let first = !audited.contains_key(sensor);
        if first {
            audited.insert(sensor.to_owned(), at);
        }
        first
    }
}

fn tell(answer: Answer, said: Result<bool, ()>) {
    if answer.send(said).is_err() {
        tracing::debug!("whoever sent a batch has gone; it is noted all the same");
    }
}

/// `POST /v1/account`: what a sensor says about its spool.
pub(crate) async fn account(
    State(app): State<App>,
    Extension(certificate): Extension<ClientCertificate>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<SpoolSummary>, Refused> {
    let sensor = by_certificate(&app.hall, &certificate).await?;
    let stated: Stated = small(&app, &headers, body, MAX_STATEMENT).await?;
    let at = now();
    app.hall.publisher.tally().heard(&sensor.id, at, None);
    let kept = app.hall.directory.registry().state_account(&sensor.id, &stated, at.millis()).await;
    kept.map(Json).map_err(|error| match error {
        Error::Invalid { .. } | Error::Range(_) | Error::Refused { .. } => Refused::Bad(error.to_string()),
        other => Refused::unavailable(&other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn headers_that_make_no_sense_are_named() {
        let hex = "ab".repeat(32);
        for (pairs, word) in [
            (vec![("dongson-class", "urgent")], "dongson-class"),
            (vec![("dongson-root", hex.as_str())], "one is missing"),
            (vec![("dongson-root", "ab"), ("dongson-signature", "AA")], "64 hexadecimal"),
            (vec![("dongson-root", hex.as_str()), ("dongson-signature", "!")], "base64url"),
        ] {
            let error = Seal::read(&headers(&pairs), "c").unwrap_err();
            assert!(error.contains(word), "{error}");
        }
        let former = Seal::read(&HeaderMap::new(), "c").unwrap();
        assert_eq!(former, Seal { class: Class::Conn, signed: None });
    }

    #[tokio::test]
    async fn a_seal_fits_its_place_and_its_lines_only() {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
        let lines = [Bytes::from_static(b"{}"), Bytes::from_static(b"{\"a\":1}")];
        let hash = root(lines.iter().map(|line| &**line));
        let place = Place { sensor: "s", epoch: 1, sequence: 2, class: Class::Alert, events: 2 };
        let signature = pair.sign(&random, place.statement(&hash).as_bytes()).unwrap();
        let seal = Seal::read(
            &headers(&[
                ("dongson-class", "alert"),
                ("dongson-root", &hex::encode(hash)),
                ("dongson-signature", &URL_SAFE_NO_PAD.encode(signature)),
            ]),
            "c",
        )
        .unwrap();
        let key = ClientKey(Some(Arc::from(pair.public_key().as_ref())));
        assert_eq!(seal.check(place, &key, lines.to_vec()).await, Ok(()));
        let fewer = seal.check(place, &key, lines[..1].to_vec()).await.unwrap_err();
        assert!(fewer.contains("do not make its root"), "{fewer}");
        for other in
            [Place { sequence: 3, ..place }, Place { sensor: "t", ..place }, Place { events: 3, ..place }]
        {
            let error = seal.check(other, &key, lines.to_vec()).await.unwrap_err();
            assert!(error.contains("signature"), "{error}");
        }
        assert!(seal.check(place, &ClientKey(None), lines.to_vec()).await.is_err());
    }
}
