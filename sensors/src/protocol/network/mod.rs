//! What keeps a network running: addresses, times, names of devices, logs.

pub(super) mod dhcp;
pub(super) mod netflow;
pub(super) mod nfs;
pub(super) mod ntp;
pub(super) mod radius;
pub(super) mod snmp;
pub(super) mod syslog;
pub(super) mod tftp;
