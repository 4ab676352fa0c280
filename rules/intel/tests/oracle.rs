//! The set against a plain one that is obviously right.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dongson_event::Timestamp;
use dongson_intel::{AllowList, Builder, Detail, Indicator, Kind};
use proptest::prelude::*;

fn net() -> impl Strategy<Value = (IpAddr, u8)> {
    prop_oneof![
        (0..4_u32, 8..=32_u8)
            .prop_map(|(low, length)| (IpAddr::V4(Ipv4Addr::from(0xcb00_7100 + low)), length)),
        (any::<u32>(), 8..=32_u8).prop_map(|(ip, length)| (IpAddr::V4(Ipv4Addr::from(ip)), length)),
        (0..4_u128, 19..=128_u8)
            .prop_map(|(low, length)| (IpAddr::V6(Ipv6Addr::from((0x2001_0db8 << 96) + low)), length)),
    ]
}

/// The first `length` bits are equal.
fn holds((net, length): (IpAddr, u8), ip: IpAddr) -> bool {
    let same = |net: u128, ip: u128, bits: u32| (net ^ ip) >> (128 - bits) == 0;
    match (net, ip) {
        (IpAddr::V4(net), IpAddr::V4(ip)) => {
            let wide = |ip: Ipv4Addr| u128::from(u32::from(ip)) << 96;
            same(wide(net), wide(ip), u32::from(length))
        }
        (IpAddr::V6(net), IpAddr::V6(ip)) => same(net.into(), ip.into(), u32::from(length)),
        _ => false,
    }
}

proptest! {
    #[test]
    fn addresses(nets in prop::collection::vec(net(), 0..60), asked in prop::collection::vec(net(), 1..60)) {
        let mut builder = Builder::default();
        for (ip, length) in &nets {
            builder.add(&Indicator::new(Kind::Net, &format!("{ip}/{length}")).unwrap(), &Detail::default());
        }
        let (set, allow) = (builder.finish(), AllowList::default());
        for (ip, _) in asked.into_iter().chain(nets.clone()) {
            let expected = nets.iter().filter(|net| holds(**net, ip)).map(|(_, length)| *length).max();
            let hit = set.ip(ip, Timestamp::default(), &allow);
            let whole = if ip.is_ipv4() { 32 } else { 128 };
            let found = hit.map(|hit| hit.indicator.split_once('/').map_or(whole, |(_, length)| length.parse().unwrap()));
            prop_assert_eq!(found, expected, "{}", ip);
        }
    }

    #[test]
    fn domains(
        names in prop::collection::vec("[ab]{1,2}(\\.[ab]{1,2}){1,3}", 0..60),
        allowed in prop::collection::vec("[ab]{1,2}(\\.[ab]{1,2}){1,3}", 0..10),
        asked in prop::collection::vec("[abAB]{1,2}(\\.[abAB]{1,2}){0,4}\\.?", 1..60),
    ) {
        let mut builder = Builder::default();
        for name in &names {
            builder.add(&Indicator::new(Kind::Domain, name).unwrap(), &Detail::default());
        }
        let (set, mut allow) = (builder.finish(), AllowList::default());
        for name in &allowed {
            allow.add(name).unwrap();
        }
        let (names, allowed): (HashSet<_>, HashSet<_>) = (names.into_iter().collect(), allowed.into_iter().collect());
        for name in asked {
            let lower = name.trim_end_matches('.').to_lowercase();
            let labels: Vec<&str> = lower.split('.').collect();
            let mut expected = None;
            for from in 0..labels.len() {
                let suffix = labels[from..].join(".");
                if allowed.contains(&suffix) {
                    break;
                }
                if names.contains(&suffix) {
                    expected = Some(suffix);
                    break;
                }
            }
            let found = set.domain(&name, Timestamp::default(), &allow).map(|hit| hit.indicator);
            prop_assert_eq!(found, expected, "{}", name);
        }
    }

    #[test]
    fn hashes(values in prop::collection::vec("[ab0]{2}0{30}", 0..40), asked in prop::collection::vec("[abAB0]{2}0{30}", 1..40)) {
        let mut builder = Builder::default();
        for value in &values {
            builder.add(&Indicator::new(Kind::Md5, value).unwrap(), &Detail::default());
        }
        let (set, allow) = (builder.finish(), AllowList::default());
        for value in asked {
            let found = set.exact(Kind::Md5, &value, Timestamp::default(), &allow).is_some();
            prop_assert_eq!(found, values.contains(&value.to_lowercase()));
        }
    }
}

/// A million indicators of mixed kinds: how much memory they take, and how fast they are found.
#[test]
fn a_million_fit() {
    let before = resident();
    let mut builder = Builder::default();
    let detail = Detail { source: "feed".to_owned(), confidence: 70, ..Detail::default() };
    for number in 0..1_000_000_u32 {
        let mixed = number.wrapping_mul(2_654_435_761);
        let value = match number % 5 {
            0 => Ipv4Addr::from(mixed).to_string(),
            1 => format!("host-{mixed:x}.bad-{:x}.example", number % 5_000),
            2 => format!("http://bad-{:x}.example/path/{mixed:x}/index.php?id={number}", number % 5_000),
            3 => format!("{mixed:08x}{number:056x}"),
            _ => format!("{mixed:08x}{number:024x}"),
        };
        builder.add(&Indicator::guess(&value).unwrap(), &detail);
    }
    let (set, allow) = (builder.finish(), AllowList::default());
    let after = resident();
    let count = set.len();
    assert!(count > 990_000, "{count}");
    let begun = std::time::Instant::now();
    let mut found = 0;
    for number in 0..200_000_u32 {
        let name =
            format!("x.host-{:x}.bad-{:x}.example", number.wrapping_mul(2_654_435_761), number % 5_000);
        found += usize::from(set.domain(&name, Timestamp::default(), &allow).is_some());
        found +=
            usize::from(set.ip(Ipv4Addr::from(number * 7).into(), Timestamp::default(), &allow).is_some());
    }
    println!(
        "{count} indicators in {} MB of resident memory; {found} of 400000 look-ups hit, {} ns each",
        after.saturating_sub(before) >> 20,
        begun.elapsed().as_nanos() / 400_000
    );
    if before > 0 {
        assert!(after - before < 150 << 20, "{} MB", (after - before) >> 20);
    }
}

/// Resident bytes of this process; 0 where the system does not tell.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    status.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4_096
}
