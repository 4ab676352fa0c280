//! The Merkle tree of RFC 9162, 2.1: hashes, roots of what grows, proofs and their verification.
//!
//! A proof is made of [`Span`]s of leaves. A span is hashed from [`Parts`]: perfect subtrees (level, index), which whoever
//! keeps the tree reads from where it is kept; level 0 are the leaves' hashes.

use sha2::{Digest as _, Sha256};

use crate::batch::Hash;

/// The hash of a leaf (RFC 9162, 2.1.1).
pub fn leaf_hash(bytes: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(bytes).finalize().into()
}

/// The hash of a node (RFC 9162, 2.1.1).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The right edge of a growing tree: enough for its root, in a hash for each bit of its size.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// Roots of perfect subtrees, the largest first.
    subtrees: Vec<Hash>,
}

impl Frontier {
    /// The tree of no leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tree of `size` leaves whose perfect subtrees have these roots, the largest first; `None` when they are too few
    /// or too many, or bytes are missing.
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Option<Self> {
        let (subtrees, rest) = bytes.as_chunks::<32>();
        let fits = rest.is_empty() && u32::try_from(subtrees.len()).ok() == Some(size.count_ones());
        fits.then(|| Self { size, subtrees: subtrees.to_vec() })
    }

    /// What [`Frontier::from_bytes`] reads beside the size.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.subtrees.concat()
    }

    /// How many leaves it has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf by its hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            let Some(left) = self.subtrees.pop() else { break };
            hash = node_hash(&left, &hash);
        }
        self.subtrees.push(hash);
        self.size += 1;
    }

    /// The tree's root; of none it is the hash of nothing.
    pub fn root(&self) -> Hash {
        let folded = self.subtrees.iter().rev().copied().reduce(|right, left| node_hash(&left, &right));
        folded.unwrap_or_else(|| Sha256::digest([]).into())
    }
}

impl FromIterator<Hash> for Frontier {
    fn from_iter<I: IntoIterator<Item = Hash>>(leaves: I) -> Self {
        let mut tree = Self::new();
        leaves.into_iter().for_each(|leaf| tree.push(leaf));
        tree
    }
}

/// Leaves from `first` up to before `end`, as they come up in proofs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first leaf.
    pub first: u64,
    /// The leaf after the last.
    pub end: u64,
}

impl Span {
    /// The perfect subtrees that make it, from left to right.
    pub fn parts(self) -> Parts {
        Parts(self)
    }

    /// The hash of the span from those of its parts, in their order; `None` of none.
    pub fn fold(hashes: impl DoubleEndedIterator<Item = Hash>) -> Option<Hash> {
        hashes.rev().reduce(|right, left| node_hash(&left, &right))
    }

    /// Where a tree over it parts: the largest power of two below its length.
    fn half(self) -> u64 {
        let length = self.end - self.first;
        1 << (u64::BITS - 1 - (length - 1).leading_zeros())
    }
}

/// Perfect subtrees (level, index): the leaves from `index << level` on, `1 << level` of them.
#[derive(Debug, Clone)]
pub struct Parts(Span);

impl Iterator for Parts {
    type Item = (u32, u64);

    fn next(&mut self) -> Option<Self::Item> {
        let Span { first, end } = self.0;
        let length = end.checked_sub(first).filter(|length| *length > 0)?;
        let level = (u64::BITS - 1 - length.leading_zeros()).min(first.trailing_zeros());
        self.0.first += 1 << level;
        Some((level, first >> level))
    }
}

/// The spans whose hashes prove that leaf `index` is in the tree of `size` leaves (RFC 9162, 2.1.3.1), from the leaf
/// upwards; `None` when the tree has no such leaf.
pub fn inclusion(index: u64, size: u64) -> Option<Vec<Span>> {
    let (mut spans, mut span) = (Vec::new(), Span { first: 0, end: size });
    if index >= size {
        return None;
    }
    while span.end - span.first > 1 {
        let middle = span.first + span.half();
        let (left, right) = (Span { end: middle, ..span }, Span { first: middle, ..span });
        let (into, beside) = if index < middle { (left, right) } else { (right, left) };
        spans.push(beside);
        span = into;
    }
    spans.reverse();
    Some(spans)
}

/// The spans whose hashes prove that the tree of `size` leaves begins with that of `old` (RFC 9162, 2.1.4.1); none where
/// the two are the same or the old one is empty. `None` when the old one is larger.
pub fn consistency(old: u64, size: u64) -> Option<Vec<Span>> {
    let (mut spans, mut span, mut whole) = (Vec::new(), Span { first: 0, end: size }, true);
    if old > size {
        return None;
    }
    if old == 0 || old == size {
        return Some(spans);
    }
    while old != span.end {
        let middle = span.first + span.half();
        let (left, right) = (Span { end: middle, ..span }, Span { first: middle, ..span });
        if old <= middle {
            spans.push(right);
            span = left;
        } else {
            spans.push(left);
            span = right;
            whole = false;
        }
    }
    if !whole {
        spans.push(span);
    }
    spans.reverse();
    Some(spans)
}

/// The root that `proof` gives to the leaf with this hash at `index` of a tree of `size` leaves (RFC 9162, 2.1.3.2); `None`
/// when the proof has not the right length.
pub fn verify_inclusion(leaf: Hash, index: u64, size: u64, proof: &[Hash]) -> Option<Hash> {
    let (mut at, mut last) = (index, size.checked_sub(1)?);
    if index >= size {
        return None;
    }
    let mut root = leaf;
    for hash in proof {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            root = node_hash(hash, &root);
            let up = if at & 1 == 1 { 0 } else { at.trailing_zeros() };
            (at, last) = (at >> up, last >> up);
        } else {
            root = node_hash(&root, hash);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    (last == 0).then_some(root)
}

/// Whether `proof` shows that the tree of `size` leaves with `root` begins with that of `old` leaves with `old_root` (RFC
/// 9162, 2.1.4.2).
pub fn verify_consistency((old, old_root): (u64, &Hash), (size, root): (u64, &Hash), proof: &[Hash]) -> bool {
    if old == 0 {
        return proof.is_empty() && *old_root == Frontier::new().root();
    }
    if old >= size {
        return old == size && proof.is_empty() && old_root == root;
    }
    let (mut at, mut last) = (old - 1, size - 1);
    let odd = at.trailing_ones();
    (at, last) = (at >> odd, last >> odd);
    // Where the old tree is perfect, its root is the first hash.
    let (first, rest) = if old.is_power_of_two() {
        (*old_root, proof)
    } else {
        let Some((first, rest)) = proof.split_first() else { return false };
        (*first, rest)
    };
    let (mut old_found, mut found) = (first, first);
    for hash in rest {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old_found = node_hash(hash, &old_found);
            found = node_hash(hash, &found);
            let up = if at & 1 == 1 { 0 } else { at.trailing_zeros() };
            (at, last) = (at >> up, last >> up);
        } else {
            found = node_hash(&found, hash);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && old_found == *old_root && found == *root
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// MTH of RFC 9162, 2.1.1, word for word.
    fn mth(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [one] => *one,
            many => {
                let (left, right) = many.split_at(many.len().next_power_of_two() / 2);
                node_hash(&mth(left), &mth(right))
            }
        }
    }

    /// PATH of RFC 9162, 2.1.3.1, word for word.
    fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
        if leaves.len() == 1 {
            return Vec::new();
        }
        let half = leaves.len().next_power_of_two() / 2;
        let (left, right) = leaves.split_at(half);
        let (mut found, beside) = if index < half {
            (path(index, left), mth(right))
        } else {
            (path(index - half, right), mth(left))
        };
        found.push(beside);
        found
    }

    /// SUBPROOF of RFC 9162, 2.1.4.1, word for word.
    fn subproof(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
        if old == leaves.len() {
            return if whole { Vec::new() } else { vec![mth(leaves)] };
        }
        let half = leaves.len().next_power_of_two() / 2;
        let (left, right) = leaves.split_at(half);
        let (mut found, beside) = if old <= half {
            (subproof(old, left, whole), mth(right))
        } else {
            (subproof(old - half, right, false), mth(left))
        };
        found.push(beside);
        found
    }

    fn leaves(count: usize) -> Vec<Hash> {
        (0..count).map(|number| leaf_hash(&number.to_be_bytes())).collect()
    }

    /// The hashes of spans, read from perfect subtrees.
    fn read(leaves: &[Hash], spans: &[Span]) -> Vec<Hash> {
        let part = |(level, index): (u32, u64)| {
            let (first, count) = (usize::try_from(index << level).unwrap(), 1_usize << level);
            mth(&leaves[first..first + count])
        };
        let hash = |span: &Span| Span::fold(span.parts().map(part).collect::<Vec<_>>().into_iter()).unwrap();
        spans.iter().map(hash).collect()
    }

    #[test]
    fn every_proof_of_small_trees_is_that_of_the_definition() {
        for size in 1..70 {
            let (all, count) = (leaves(size), size as u64);
            let root = mth(&all);
            assert_eq!(all.iter().copied().collect::<Frontier>().root(), root);
            for index in 0..size {
                let proof = read(&all, &inclusion(index as u64, count).unwrap());
                assert_eq!(proof, path(index, &all), "{index} of {size}");
                assert_eq!(verify_inclusion(all[index], index as u64, count, &proof), Some(root));
            }
            for old in 1..=size {
                let proof = read(&all, &consistency(old as u64, count).unwrap());
                assert_eq!(proof, subproof(old, &all, true), "{old} of {size}");
                assert!(verify_consistency((old as u64, &mth(&all[..old])), (count, &root), &proof));
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_changed_in_a_proof_is_found(
            size in 2_usize..300, at: prop::sample::Index, bad: prop::sample::Index, bit in 0_usize..256,
        ) {
            let all = leaves(size);
            let (root, index) = (mth(&all), at.index(size));
            let mut proof = path(index, &all);
            let wrong = |hash: &mut Hash| hash[bit / 8] ^= 1 << (bit % 8);
            let number = bad.index(proof.len());
            wrong(&mut proof[number]);
            prop_assert_ne!(verify_inclusion(all[index], index as u64, size as u64, &proof), Some(root));
            wrong(&mut proof[number]);
            let other = (index + 1 + bit % (size - 1)) % size;
            prop_assert_ne!(verify_inclusion(all[index], other as u64, size as u64, &proof), Some(root));
            proof.pop();
            prop_assert_ne!(verify_inclusion(all[index], index as u64, size as u64, &proof), Some(root));

            let old = 1 + at.index(size - 1);
            let mut proof = subproof(old, &all, true);
            let (old_root, new) = (mth(&all[..old]), (size as u64, &root));
            let number = bad.index(proof.len());
            wrong(&mut proof[number]);
            prop_assert!(!verify_consistency((old as u64, &old_root), new, &proof));
            wrong(&mut proof[number]);
            prop_assert!(verify_consistency((old as u64, &old_root), new, &proof));
            let mut fork = all.clone();
            wrong(&mut fork[at.index(old)]);
            prop_assert!(!verify_consistency((old as u64, &mth(&fork[..old])), new, &proof));
        }

        #[test]
        fn any_numbers_are_judged(
            one: u64, other: u64, hashes in prop::collection::vec(any::<[u8; 32]>(), 0..70),
        ) {
            verify_inclusion([0; 32], one, other, &hashes);
            verify_consistency((one, &[0; 32]), (other, &[1; 32]), &hashes);
            let (old, size) = (one.min(other), one.max(other));
            prop_assert!(consistency(old, size).unwrap().len() <= 65);
            prop_assert!(inclusion(size, old).is_none());
        }

        #[test]
        fn a_frontier_is_kept_and_read(size in 0_usize..200) {
            let tree: Frontier = leaves(size).into_iter().collect();
            prop_assert_eq!(Frontier::from_bytes(size as u64, &tree.to_bytes()), Some(tree.clone()));
            prop_assert_eq!(Frontier::from_bytes(size as u64 * 2 + 1, &tree.to_bytes()), None);
            prop_assert_eq!(tree.root(), mth(&leaves(size)));
        }
    }

    /// Made from the definition: the root of the leaves "0" to "6", each the one digit.
    #[test]
    fn roots_are_kept() {
        let tree: Frontier = (b'0'..=b'6').map(|digit| leaf_hash(&[digit])).collect();
        let direct = mth(&(b'0'..=b'6').map(|digit| leaf_hash(&[digit])).collect::<Vec<_>>());
        assert_eq!(tree.root(), direct);
        assert_eq!(
            hex::encode(leaf_hash(b"")),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
    }
}
