//! Databases: who signs in and what is asked.

pub(super) mod mysql;
pub(super) mod postgresql;
pub(super) mod redis;
pub(super) mod sql;
