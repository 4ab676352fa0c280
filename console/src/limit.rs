//! How often one address may try to sign in, and how many streams one account may have open.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

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
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
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

/// Streams that one account may have open: pages in several windows and on several machines.
const MAX_STREAMS: usize = 12;

/// Counts open streams by account. Memory: the accounts that have one.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamLimit(Arc<Mutex<HashMap<String, usize>>>);

/// A place of an account's streams, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    limit: StreamLimit,
    account: String,
}

impl StreamLimit {
    /// Takes a place, if the account has one left.
    pub(crate) fn take(&self, account: &str) -> Option<Place> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(account.to_owned()).or_default();
        if *count >= MAX_STREAMS {
            return None;
        }
        *count += 1;
        Some(Place { limit: self.clone(), account: account.to_owned() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.limit.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_streams_come_back() {
        let limit = StreamLimit::default();
        let taken: Vec<Place> = (0..MAX_STREAMS).map(|_| limit.take("an").unwrap()).collect();
        assert!(limit.take("an").is_none());
        assert!(limit.take("binh").is_some());
        drop(taken);
        assert!(limit.0.lock().unwrap().is_empty());
        assert!(limit.take("an").is_some());
    }

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
