//! What the system says about an interface: from sysfs, from ethtool's calls, and about the clock.

#![expect(unsafe_code, reason = "std has no calls for ethtool's settings and the state of the clock")]

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::Path;

use serde::Serialize;

/// Settings of an interface; `None` where the system does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// It is switched on.
    pub up: bool,
    /// It takes frames for other machines (it does while a capture runs).
    pub promiscuous: bool,
    /// There is a link.
    pub carrier: Option<bool>,
    /// Longest packet in bytes.
    pub mtu: Option<u32>,
    /// The driver joins received packets.
    pub gro: Option<bool>,
    /// The card joins received packets.
    pub lro: Option<bool>,
    /// The card cuts what is sent.
    pub tso: Option<bool>,
    /// The driver cuts what is sent.
    pub gso: Option<bool>,
    /// The card takes out VLAN tags (the ring gives them back).
    pub rx_vlan: Option<bool>,
    /// The clock of the machine is synchronised.
    pub clock_is_set: Option<bool>,
}

/// Commands of ethtool's call (`linux/ethtool.h`).
mod ethtool {
    pub(super) const GET_TSO: u32 = 0x1e;
    pub(super) const GET_GSO: u32 = 0x23;
    pub(super) const GET_FLAGS: u32 = 0x25;
    pub(super) const GET_GRO: u32 = 0x2b;
    pub(super) const FLAG_RX_VLAN: u32 = 1 << 8;
    pub(super) const FLAG_LRO: u32 = 1 << 15;
    /// The call itself (`SIOCETHTOOL`).
    pub(super) const CALL: libc::Ioctl = 0x8946;
}

impl Settings {
    /// Asks for them.
    pub fn of(interface: &str) -> Self {
        let folder = Path::new("/sys/class/net").join(interface);
        let text =
            |name: &str| std::fs::read_to_string(folder.join(name)).ok().map(|text| text.trim().to_owned());
        let flags = text("flags")
            .and_then(|text| u32::from_str_radix(text.trim_start_matches("0x"), 16).ok())
            .unwrap_or_default();
        let has = |flag: libc::c_int| flags & flag.cast_unsigned() != 0;
        let value = |command| ask(interface, command).ok();
        let switches = value(ethtool::GET_FLAGS);
        let switch = |flag: u32| switches.map(|switches| switches & flag != 0);
        Self {
            up: has(libc::IFF_UP),
            promiscuous: has(libc::IFF_PROMISC),
            carrier: text("carrier").map(|text| text == "1"),
            mtu: text("mtu").and_then(|text| text.parse().ok()),
            gro: value(ethtool::GET_GRO).map(|value| value != 0),
            lro: switch(ethtool::FLAG_LRO),
            tso: value(ethtool::GET_TSO).map(|value| value != 0),
            gso: value(ethtool::GET_GSO).map(|value| value != 0),
            rx_vlan: switch(ethtool::FLAG_RX_VLAN),
            clock_is_set: clock_is_set(),
        }
    }
}

/// Command and answer (`struct ethtool_value`).
#[repr(C)]
struct Question {
    command: u32,
    answer: u32,
}

/// One of the settings that are a number.
fn ask(interface: &str, command: u32) -> io::Result<u32> {
    // SAFETY: no pointers are passed.
    let raw = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `raw` was just opened and nobody else owns it.
    let handle = unsafe { OwnedFd::from_raw_fd(raw) };
    let mut question = Question { command, answer: 0 };
    // SAFETY: all zeros is a valid request: a name without letters and an address of nothing.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if interface.len() >= request.ifr_name.len() {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    for (slot, byte) in request.ifr_name.iter_mut().zip(interface.bytes()) {
        *slot = libc::c_char::from_ne_bytes([byte]);
    }
    request.ifr_ifru.ifru_data = (&raw mut question).cast();
    // SAFETY: the request and the question it points to live through the call and have the layout that it wants.
    let result = unsafe { libc::ioctl(handle.as_raw_fd(), ethtool::CALL, &raw mut request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(question.answer) }
}

/// Whether somebody keeps the clock right.
fn clock_is_set() -> Option<bool> {
    // SAFETY: all zeros asks for the state and changes nothing.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the structure lives through the call.
    let result = unsafe { libc::adjtimex(&raw mut state) };
    (result >= 0).then_some(result != libc::TIME_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_known() {
        let settings = Settings::of("lo");
        assert!(settings.mtu.is_some_and(|mtu| mtu >= 1_500), "{settings:?}");
    }

    #[test]
    fn what_is_not_there_is_not_told() {
        let settings = Settings::of("no-such-link-at-all");
        assert!(!settings.up && settings.mtu.is_none() && settings.gro.is_none());
    }
}
