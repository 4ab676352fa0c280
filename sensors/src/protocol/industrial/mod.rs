//! Control systems and devices: what is read from and written to machines.

pub(super) mod asked;
pub(super) mod bacnet;
pub(super) mod dnp3;
pub(super) mod enip;
pub(super) mod iec104;
pub(super) mod modbus;
pub(super) mod mqtt;
pub(super) mod s7comm;
