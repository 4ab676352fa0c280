//! The HTTP API and the page of the analysts.
//!
//! [`Server::bind`] opens the HTTPS listener (with a certificate of its own at the first start), [`Server::run`] serves
//! until the shutdown token. Everything under `/api/v1` is described by [`openapi`]; `/` serves the embedded page,
//! `/healthz` and `/metrics` are for machines.
//!
//! What always holds: every handler that touches what belongs to an agency takes the caller's scope from the session
//! (an extractor of `auth`, never a parameter), and hands it to the registry and to [`Facts`], which both demand it;
//! what lies outside answers 404 as if it were not there. Every answer that is not a success is a [`Problem`].

mod api;
mod auth;
mod config;
mod error;
mod evidence;
mod extract;
mod facts;
mod field_words;
mod hunt;
mod limit;
mod page;
mod respond;
mod rule;
mod secret_fields;
mod server;
mod state;
mod store;
mod tls;
mod words;

pub use api::openapi;
pub use config::{CertificateFiles, Config};
pub use error::Problem;
pub use evidence::{EvidenceFailure, Proof, evidence};
pub use facts::{
    Around, Condition, EventBucket, EventPage, EventQuery, Facts, FactsError, FieldCondition, Frequent,
    MatchedField, SignalFact,
};
pub use rule::{LogSource, RuleInfo};
pub use server::{ServeError, Server, routes};
pub use state::{Console, HealthCheck, Parts, SendTest};
pub use store::StoreFacts;
pub use tls::TlsError;
