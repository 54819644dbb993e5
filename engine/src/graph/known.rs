//! Which nodes there are already: hash-consing without keys of its own, and the hasher of the compiler's tables.
//!
//! A trial asks for some twenty nodes and nearly all of them exist, so a question allocates nothing: the table holds ids,
//! and what is asked for is compared with the nodes themselves.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::NodeId;

/// A table whose hashes are quick and the same in every run. Its order must not be seen.
pub(super) type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<Mixer>>;

/// A hasher of a multiplication a word. Keys come from the user's own strategy: nobody gains by making them collide.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, word: u8) {
        self.write_u64(u64::from(word));
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        // Small numbers as doubles differ in their high bits only, so the high half of the product is folded in; the sum
        // keeps a word of zero from making zero of what came before it.
        const ODD: u128 = 0x9e37_79b9_7f4a_7c15;
        let wide = u128::from((self.0 ^ word).wrapping_add(0x2545_f491_4f6c_dd1d)) * ODD;
        self.0 = (wide as u64) ^ ((wide >> 64) as u64);
    }

    fn write_i64(&mut self, word: i64) {
        self.write_u64(word.cast_unsigned());
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }
}

/// The ids of nodes by their hash: open addressing, at most half full.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Hash and id; a power of two of them.
    slots: Vec<Option<(u32, NodeId)>>,
    len: usize,
}

impl Known {
    /// The node of this hash that `is_it`.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(NodeId) -> bool) -> Option<NodeId> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        while let Some((own, id)) = self.slots[at] {
            if own == hash as u32 && is_it(id) {
                return Some(id);
            }
            at = (at + 1) & mask;
        }
        None
    }

    /// Adds a node that was not found.
    pub(super) fn insert(&mut self, hash: u64, id: NodeId) {
        if 2 * (self.len + 1) > self.slots.len() {
            let slots = vec![None; (4 * (self.len + 1)).next_power_of_two().max(64)];
            for (hash, id) in std::mem::replace(&mut self.slots, slots).into_iter().flatten() {
                self.place(hash, id);
            }
        }
        // The low half of a hash is kept, and is enough to find its place: ids have no more bits.
        self.place(hash as u32, id);
        self.len += 1;
    }

    fn place(&mut self, hash: u32, id: NodeId) {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while self.slots[at].is_some() {
            at = (at + 1) & mask;
        }
        self.slots[at] = Some((hash, id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_whose_hashes_collide_are_told_apart() {
        let mut known = Known::default();
        for n in 0..1000 {
            let hash = u64::from(n % 3);
            assert_eq!(known.find(hash, |id| id == NodeId(n)), None);
            known.insert(hash, NodeId(n));
        }
        for n in 0..1000 {
            assert_eq!(known.find(u64::from(n % 3), |id| id == NodeId(n)), Some(NodeId(n)));
        }
    }

    #[test]
    fn windows_of_a_sweep_spread_over_the_table() {
        let hash = |value: f64| {
            let mut mixer = Mixer::default();
            mixer.write_u64(value.to_bits());
            mixer.finish() & 1023
        };
        let places: std::collections::BTreeSet<u64> = (0..512).map(|n| hash(f64::from(n))).collect();
        // 512 balls in 1024 boxes fill some 403.
        assert!(places.len() > 350, "{}", places.len());
    }
}
