//! Control systems: what is read from and written to machines.

pub(super) mod dnp3;
