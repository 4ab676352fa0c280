//! How often an address may present a wrong secret: what it presents beyond that is not looked at for a while.
//!
//! Enrolment tokens hold 256 random bits, so guessing is hopeless; the limit keeps a broken script from making the
//! registry work, and makes the attempt visible (`collector_guesses_refused_total`). IPv6 networks count by /64.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Mutex;

/// Wrong secrets of one address within [`SPAN_MS`].
const MOST: u32 = 10;
/// A minute.
const SPAN_MS: i64 = 60_000;
/// Most addresses that are remembered; beyond, the longest known is forgotten.
const ADDRESSES: usize = 10_000;

/// Wrong secrets by address: when the first of a span came, and how many.
#[derive(Debug, Default)]
pub(crate) struct Guesses(Mutex<HashMap<IpAddr, (i64, u32)>>);

impl Guesses {
    /// Whether what this address presents may be looked at.
    pub(crate) fn may_try(&self, peer: IpAddr, now: i64) -> bool {
        let Ok(known) = self.0.lock() else { return true };
        known.get(&network(peer)).is_none_or(|(from, wrong)| now - from >= SPAN_MS || *wrong < MOST)
    }

    /// Notes a wrong secret.
    pub(crate) fn wrong(&self, peer: IpAddr, now: i64) {
        let Ok(mut known) = self.0.lock() else { return };
        let peer = network(peer);
        if known.len() >= ADDRESSES && !known.contains_key(&peer) {
            known.retain(|_, (from, _)| now - *from < SPAN_MS);
            let oldest = known.iter().min_by_key(|(_, (from, _))| *from).map(|(peer, _)| *peer);
            if let Some(oldest) = oldest.filter(|_| known.len() >= ADDRESSES) {
                known.remove(&oldest);
            }
        }
        let entry = known.entry(peer).or_insert((now, 0));
        if now - entry.0 >= SPAN_MS {
            *entry = (now, 0);
        }
        entry.1 += 1;
    }
}

/// The address, or the network that one subscriber holds.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(peer) => peer.into(),
        IpAddr::V6(peer) => Ipv6Addr::from(u128::from(peer) & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_waits_after_ten_and_others_do_not() {
        let guesses = Guesses::default();
        let [one, same, other] =
            ["2001:db8::1", "2001:db8::2", "::ffff:10.0.0.1"].map(|text| text.parse().unwrap());
        for _ in 0..MOST {
            assert!(guesses.may_try(same, 5));
            guesses.wrong(one, 5);
        }
        assert!(!guesses.may_try(same, SPAN_MS));
        assert!(guesses.may_try(other, SPAN_MS));
        assert!(guesses.may_try(same, SPAN_MS + 5));
        guesses.wrong(same, SPAN_MS + 5);
        assert!(guesses.may_try(one, SPAN_MS + 5));
    }

    #[test]
    fn memory_is_bounded() {
        let guesses = Guesses::default();
        for address in 0..u32::try_from(ADDRESSES).unwrap() + 50 {
            guesses.wrong(std::net::Ipv4Addr::from(address).into(), i64::from(address) / 1_000);
        }
        assert_eq!(guesses.0.lock().unwrap().len(), ADDRESSES);
    }
}
