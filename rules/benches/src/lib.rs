//! What the benches measure: the real rules, and real events of which no two are the same.

pub mod corpus;
pub mod vary;
