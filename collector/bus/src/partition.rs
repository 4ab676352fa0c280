//! Which partition a key belongs to. The answer never changes: it is part of the format on disk.

/// Keys are hashed into this many virtual partitions, which are dealt out to the real ones.
pub const VIRTUAL_PARTITIONS: u32 = 256;

/// The virtual partition of `key`, 0 to 255 (FNV-1a, 64 bits, folded).
pub fn virtual_partition(key: &[u8]) -> u32 {
    let hash = key.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    let folded = hash ^ (hash >> 32);
    let folded = folded ^ (folded >> 16);
    u32::from((folded ^ (folded >> 8)).to_le_bytes()[0])
}

/// The partition of `key` in a topic of `partitions`.
pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    virtual_partition(key) % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_part_of_the_format() {
        let seen: Vec<u32> =
            ["", "a", "so-yte", "xa-hamrong/nut-1"].map(|key| virtual_partition(key.as_bytes())).into();
        assert_eq!(seen, [225, 187, 82, 173]);
    }

    #[test]
    fn keys_spread() {
        let mut counts = [0_u32; 4];
        for number in 0..4_000 {
            counts[partition_of(format!("co-quan-{number}").as_bytes(), 4) as usize] += 1;
        }
        assert!(counts.iter().all(|&count| (800..1_200).contains(&count)), "{counts:?}");
    }
}
