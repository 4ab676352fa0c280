//! Indicators: addresses, domains, URLs, hashes and fingerprints that are known to be bad; pure.
//!
//! [`load`] reads CSV, MISP JSON and STIX 2.1 bundles into a [`Builder`]; [`Set`] is what came of it, compact and never
//! wrong: what it finds is compared byte for byte, so there is no false positive. [`AllowList`] is asked before.
//! [`Set::matches`] looks at the fields of an event that [`fields::FIELDS`] names.
//!
//! What always holds: time comes from the event; an indicator that cannot be read is counted and told, never guessed.

mod allow;
pub mod fields;
mod indicator;
pub mod load;
mod normal;
mod set;
mod signal;
mod table;

pub use allow::AllowList;
pub use fields::Found;
pub use indicator::{Detail, Indicator, Kind, Tlp, Unreadable};
pub use load::{LoadReport, Refused};
pub use normal::{domain, url};
pub use set::{Builder, Hit, Set};
pub use signal::{RULE, level, signals};
