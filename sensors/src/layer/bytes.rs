//! Reading numbers out of packets without ever going past the end.

/// Numbers in network byte order, unless said otherwise; `None` past the end.
pub(crate) trait Bytes {
    /// The byte at `at`.
    fn byte(&self, at: usize) -> Option<u8>;
    /// The 16-bit number at `at`.
    fn be16(&self, at: usize) -> Option<u16>;
    /// The 32-bit number at `at`.
    fn be32(&self, at: usize) -> Option<u32>;
    /// The 32-bit number at `at` in the other byte order.
    fn le32(&self, at: usize) -> Option<u32>;
    /// What follows the first `count` bytes; `None` when there are fewer.
    fn after(&self, count: usize) -> Option<&[u8]>;
}

impl Bytes for [u8] {
    fn byte(&self, at: usize) -> Option<u8> {
        self.get(at).copied()
    }

    fn be16(&self, at: usize) -> Option<u16> {
        self.get(at..)?.first_chunk().map(|word| u16::from_be_bytes(*word))
    }

    fn be32(&self, at: usize) -> Option<u32> {
        self.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
    }

    fn le32(&self, at: usize) -> Option<u32> {
        self.be32(at).map(u32::swap_bytes)
    }

    fn after(&self, count: usize) -> Option<&[u8]> {
        self.get(count..)
    }
}
