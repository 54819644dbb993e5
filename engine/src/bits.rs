//! One bit a bar: what conditions are made of, and what the event kernel skips along.

/// Bars in a word.
pub const WORD: usize = 64;

/// Bit `i` of a word.
pub(crate) const BIT: [u64; WORD] = {
    let mut bits = [1; WORD];
    let mut i = 1;
    while i < WORD {
        bits[i] = bits[i - 1] << 1;
        i += 1;
    }
    bits
};

/// The union of the words in the lanes of a vector.
#[inline(always)]
pub(crate) fn union<S: pulp::Simd>(_: S, lanes: S::u64s) -> u64 {
    pulp::bytemuck::cast_slice(std::slice::from_ref(&lanes)).iter().fold(0, |word, lane: &u64| word | lane)
}

/// A bitmap over bars. Bits beyond its length are 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bits {
    words: Vec<u64>,
    len: usize,
}

impl Bits {
    /// `len` bits, all 0.
    pub fn new(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(WORD)], len }
    }

    /// `len` bits, each as `bit` says.
    #[inline(always)]
    pub fn from_fn(len: usize, mut bit: impl FnMut(usize) -> bool) -> Self {
        let word = |w: usize| {
            let bars = w * WORD..((w + 1) * WORD).min(len);
            let start = bars.start;
            bars.fold(0, |word, i| word | u64::from(bit(i)) << (i - start))
        };
        Self { words: (0..len.div_ceil(WORD)).map(word).collect(), len }
    }

    /// How many bits there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The words, bar 0 in the lowest bit of the first.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Whether bit `i` is set.
    #[inline]
    pub fn get(&self, i: usize) -> bool {
        self.words[i / WORD] >> (i % WORD) & 1 == 1
    }

    /// Makes bit `i` 0, if there is one.
    pub fn clear(&mut self, i: usize) {
        if let Some(word) = self.words.get_mut(i / WORD) {
            *word &= !(1 << (i % WORD));
        }
    }

    /// `word(ours, theirs)` of each pair of words; both have one length.
    #[must_use]
    pub fn zip(&self, other: &Self, word: impl Fn(u64, u64) -> u64) -> Self {
        let words = self.words.iter().zip(&other.words).map(|(&a, &b)| word(a, b)).collect();
        Self { words, len: self.len }
    }

    /// Every bit where it is `bars` bars later; the first ones become 0.
    #[must_use]
    pub fn later(&self, bars: usize) -> Self {
        let mut moved = Self::new(self.len);
        let (whole, part) = (bars / WORD, bars % WORD);
        for w in whole..self.words.len() {
            let low = self.words[w - whole] << part;
            let carried = if part > 0 && w > whole { self.words[w - whole - 1] >> (WORD - part) } else { 0 };
            moved.words[w] = low | carried;
        }
        moved.clear_beyond();
        moved
    }

    fn clear_beyond(&mut self) {
        let used = self.len % WORD;
        if used > 0
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1 << used) - 1;
        }
    }
}

/// The first set bit at or after `from`, before `to`; `words` gives the word of 64 bars.
#[inline(always)]
pub(crate) fn next_set(words: impl Fn(usize) -> u64, from: usize, to: usize) -> Option<usize> {
    if from >= to {
        return None;
    }
    let last = (to - 1) / WORD;
    let mut w = from / WORD;
    let mut word = words(w) & (u64::MAX << (from % WORD));
    loop {
        if word != 0 {
            let at = w * WORD + word.trailing_zeros() as usize;
            return (at < to).then_some(at);
        }
        if w == last {
            return None;
        }
        w += 1;
        word = words(w);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thirds(len: usize) -> Bits {
        Bits::from_fn(len, |i| i % 3 == 0)
    }

    #[test]
    fn bits_move_to_later_bars_and_none_beyond_the_end() {
        for len in [0, 1, 63, 64, 65, 200] {
            for bars in [0, 1, 5, 63, 64, 65, 130, 300] {
                let moved = thirds(len).later(bars);
                assert_eq!(moved, Bits::from_fn(len, |i| i >= bars && (i - bars) % 3 == 0), "{len} {bars}");
            }
        }
    }

    #[test]
    fn the_next_set_bit_is_that_of_a_plain_search() {
        let bits = Bits::from_fn(300, |i| i % 97 == 5);
        for from in 0..300 {
            for to in [from, from + 1, 200, 300] {
                let plain = (from..to.min(300)).find(|&i| bits.get(i));
                assert_eq!(next_set(|w| bits.words()[w], from, to.min(300)), plain, "{from}..{to}");
            }
        }
    }
}
