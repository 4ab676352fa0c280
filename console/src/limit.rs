//! How often one address may try to sign in.

use std::{collections::HashMap, net::IpAddr, sync::Mutex};

use dongson_registry::Millis;

/// Tries within [`SPAN_MS`].
const MAX_TRIES: usize = 20;

/// The span that tries are counted over: five minutes.
const SPAN_MS: Millis = 5 * 60_000;

/// How many addresses are remembered. When there are more, the oldest count is forgotten first.
const MAX_ADDRESSES: usize = 10_000;

/// Counts sign-ins by address. Memory: at most 10,000 addresses.
#[derive(Debug, Default)]
pub(crate) struct SignInLimit {
    tries: Mutex<HashMap<IpAddr, (Millis, usize)>>,
}

impl SignInLimit {
    /// Counts a try; false if the address has had its share. IPv6 is counted by /64 network.
    pub(crate) fn allow(&self, address: IpAddr, now: Millis) -> bool {
        let mut tries = self.tries.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if tries.len() >= MAX_ADDRESSES {
            tries.retain(|_, (since, _)| now - *since < SPAN_MS);
            if let Some(oldest) =
                tries.iter().min_by_key(|(_, (since, _))| *since).map(|(address, _)| *address)
                && tries.len() >= MAX_ADDRESSES
            {
                tries.remove(&oldest);
            }
        }
        let (since, count) = tries.entry(network(address)).or_insert((now, 0));
        if now - *since >= SPAN_MS {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= MAX_TRIES
    }
}

/// The address itself, or the /64 network of an IPv6 address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_its_share_again_after_a_while() {
        let limit = SignInLimit::default();
        let address: IpAddr = "2001:db8::1".parse().unwrap();
        let neighbour: IpAddr = "2001:db8::2".parse().unwrap();
        for _ in 0..MAX_TRIES {
            assert!(limit.allow(address, 0));
        }
        assert!(!limit.allow(neighbour, 1));
        assert!(limit.allow("192.0.2.1".parse().unwrap(), 1));
        assert!(limit.allow(address, SPAN_MS));
    }

    #[test]
    fn memory_is_bounded() {
        let limit = SignInLimit::default();
        for number in 0..20_000_u32 {
            limit.allow(IpAddr::V4(number.into()), Millis::from(number / 1000));
        }
        assert!(limit.tries.lock().unwrap().len() <= MAX_ADDRESSES);
    }
}
