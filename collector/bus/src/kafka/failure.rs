//! What Kafka's errors mean, and what to do about them.
//!
//! The client library tells an operation only that its time ran out; why (a wrong password, a certificate, nobody there)
//! it tells to its clients as a whole. [`Failures`] keeps the last of that, so that the operation's error can say it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::BusError;

/// What was told longer ago explains nothing any more.
const FRESH: Duration = Duration::from_secs(90);

/// The last that the clients of a bus were told.
#[derive(Debug, Default)]
pub(super) struct Failures {
    bootstrap: String,
    last: Mutex<Option<(Instant, Code, String)>>,
}

impl Failures {
    pub(super) fn of(bootstrap: &str) -> Arc<Self> {
        Arc::new(Self { bootstrap: bootstrap.to_owned(), last: Mutex::default() })
    }

    /// Notes what the library told.
    pub(super) fn note(&self, code: Code, reason: &str) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // That no broker is left follows from a refused login; the login is what can be mended.
        let follows = matches!(code, Code::AllBrokersDown | Code::BrokerTransportFailure);
        let known = last.as_ref().is_some_and(|(at, code, _)| at.elapsed() < FRESH && names_a_cause(*code));
        if !(follows && known) {
            *last = Some((Instant::now(), code, reason.to_owned()));
        }
    }

    /// Something worked: what was told before is over.
    pub(super) fn clear(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn fresh(&self) -> Option<(Code, String)> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(at, ..)| at.elapsed() < FRESH).map(|(_, code, reason)| (*code, reason.clone()))
    }

    /// The error of an operation.
    pub(super) fn explain(&self, error: &KafkaError) -> BusError {
        let Some(code) = error.rdkafka_error_code() else { return BusError::Kafka(error.to_string()) };
        self.explain_code(code, &error.to_string())
    }

    /// The error of an operation whose time ran out.
    pub(super) fn too_long(&self, what: &str) -> BusError {
        self.explain_code(Code::OperationTimedOut, what)
    }

    /// What `code` means.
    pub(super) fn explain_code(&self, code: Code, reason: &str) -> BusError {
        match code {
            Code::MessageTimedOut
            | Code::OperationTimedOut
            | Code::TimedOutQueue
            | Code::RequestTimedOut
            | Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::NetworkException
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::CoordinatorLoadInProgress
            | Code::WaitingForCoordinator
            | Code::PurgeQueue
            | Code::PurgeInflight
            | Code::BrokerNotAvailable => match self.fresh() {
                Some((told, why)) if names_a_cause(told) => Self::named(told, &why),
                Some((_, why)) => self.unreachable(&why),
                None => self.unreachable(reason),
            },
            other => Self::named(other, reason),
        }
    }

    fn unreachable(&self, reason: &str) -> BusError {
        BusError::Unreachable { bootstrap: self.bootstrap.clone(), reason: reason.to_owned() }
    }

    fn named(code: Code, reason: &str) -> BusError {
        let reason = reason.to_owned();
        match code {
            Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::IllegalSASLState
            | Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
            | Code::SecurityDisabled => BusError::Unauthorised { reason },
            Code::SSL => BusError::BrokerCertificate { reason },
            Code::KafkaStorageError | Code::LogDirNotFound => BusError::BrokerDisk { reason },
            Code::NotEnoughReplicas | Code::NotEnoughReplicasAfterAppend | Code::ISRInsufficient => {
                BusError::TooFewCopies { reason }
            }
            Code::InvalidReplicationFactor => BusError::TooFewBrokers { reason },
            _ => BusError::Kafka(reason),
        }
    }
}

/// Whether a person learns from it what to mend.
fn names_a_cause(code: Code) -> bool {
    matches!(
        code,
        Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::IllegalSASLState
            | Code::SSL
            | Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::KafkaStorageError
    )
}

/// Hears what the library tells a client.
#[derive(Debug, Clone)]
pub(super) struct Listener(pub(super) Arc<Failures>);

impl ClientContext for Listener {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        log(level, fac, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(code) = error.rdkafka_error_code() {
            self.0.note(code, reason);
        }
        tracing::debug!(%error, reason, "Kafka");
    }
}

/// The library's own lines: it repeats itself while a broker is away, and health and errors tell that already.
pub(super) fn log(level: RDKafkaLogLevel, fac: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(fac, message, "Kafka's client");
        }
        _ => tracing::debug!(fac, message, "Kafka's client"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_ran_out_says_why() {
        let failures = Failures::of("a:1");
        let timed_out = KafkaError::MessageProduction(Code::MessageTimedOut);
        assert!(matches!(failures.explain(&timed_out), BusError::Unreachable { .. }));
        failures.note(Code::Authentication, "SASL authentication error: wrong");
        failures.note(Code::AllBrokersDown, "1/1 brokers are down");
        let said = failures.explain(&timed_out).to_string();
        assert!(said.contains("SASL authentication error: wrong") && said.contains("password"), "{said}");
        failures.clear();
        failures.note(Code::BrokerTransportFailure, "a:1/bootstrap: Connect failed: Connection refused");
        let said = failures.explain(&timed_out).to_string();
        assert!(said.contains("Connection refused") && said.contains("\"a:1\""), "{said}");
    }

    #[test]
    fn what_is_said_names_what_to_do() {
        let failures = Failures::of("a:1");
        for (code, named) in [
            (Code::TopicAuthorizationFailed, "rights"),
            (Code::SSL, "certificate"),
            (Code::KafkaStorageError, "disk"),
            (Code::NotEnoughReplicas, "brokers"),
            (Code::InvalidReplicationFactor, "replication"),
        ] {
            let said = failures.explain(&KafkaError::Global(code)).to_string();
            assert!(said.contains(named), "{said}");
        }
    }
}
