//! Steps over a block of bars: a tile. What a tile reads and makes stays in the cache, however long the series is.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::formula::{Formulas, Operand, Step, StepId};
use crate::bits::{BIT, WORD, union};

/// Words in a tile at most.
pub(super) const WORDS: usize = 16;

/// The bits of a tile; those after its last bar have no meaning.
pub(super) type Words = [u64; WORDS];

/// The bars of a tile: they start with a word, and fill whole words but at the end of the candles.
#[derive(Debug, Clone)]
pub(super) struct Tile {
    pub(super) bars: Range<usize>,
}

impl Tile {
    fn words(&self) -> usize {
        self.bars.len().div_ceil(WORD)
    }

    fn first_word(&self) -> usize {
        self.bars.start / WORD
    }
}

/// The words of the steps of one tile, and what steps carry into the next one.
#[derive(Debug)]
pub(super) struct Board<'a> {
    formulas: &'a Formulas,
    arch: Arch,
    /// Where the words of each step are.
    place: &'a [u32],
    words: Vec<Words>,
    /// By step: the last bit of its input, or what a crossing remembers.
    carried: Vec<u8>,
}

/// [`Board::run`] as code for the processor that runs.
struct Run<'r, 'a> {
    board: &'r mut Board<'a>,
    steps: &'r [StepId],
    tile: &'r Tile,
}

impl WithSimd for Run<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for &step in self.steps {
            self.board.one(simd, step, self.tile);
        }
    }
}

/// The place of a step that nothing reads.
pub(super) const NOWHERE: u32 = u32::MAX;

/// vectorbt's crossing has been below since it last was unknown.
const WAS_BELOW: u8 = 1;
/// It was above at the last bar.
const WAS_ABOVE: u8 = 2;

impl<'a> Board<'a> {
    /// A board on which each step has its `place` among `places`.
    pub(super) fn new(formulas: &'a Formulas, arch: Arch, place: &'a [u32], places: usize) -> Self {
        let carried = vec![0; formulas.steps.len()];
        Self { formulas, arch, place, words: vec![[0; WORDS]; places], carried }
    }

    /// The words of a step.
    #[inline]
    pub(super) fn words(&self, step: StepId) -> &Words {
        &self.words[self.place[step as usize] as usize]
    }

    /// Runs `steps`, inputs first, over a tile. Tiles come in order, and each step once a tile.
    pub(super) fn run(&mut self, steps: &[StepId], tile: &Tile) {
        self.arch.dispatch(Run { board: self, steps, tile });
    }

    #[inline(always)]
    fn one<S: Simd>(&mut self, simd: S, id: StepId, tile: &Tile) {
        let count = tile.words();
        let place = self.place[id as usize] as usize;
        match self.formulas.steps[id as usize] {
            Step::All(value) => self.words[place] = [if value { u64::MAX } else { 0 }; WORDS],
            Step::Whole(column, wanted) => {
                let column = &self.formulas.conditions[column as usize];
                let bits = if wanted { &column.is_true } else { &column.is_false };
                let from = &bits.words()[tile.first_word()..][..count];
                self.words[place][..count].copy_from_slice(from);
            }
            Step::Compare(a, b) => {
                // The step after a comparison is its second place.
                let second = self.place[id as usize + 1];
                let (above, below) = self.compare(simd, a, b, tile, second != NOWHERE);
                self.words[place] = above;
                if second != NOWHERE {
                    self.words[second as usize] = below;
                }
            }
            Step::Below(_) => {}
            Step::KnownAndNot(of, a, b) => {
                let mut words = *self.words(of);
                for word in &mut words {
                    *word = !*word;
                }
                for operand in [a, b] {
                    self.drop_unknown(operand, tile, &mut words);
                }
                self.words[place] = words;
            }
            Step::And(a, b) => {
                let (a, b) = (self.words(a), self.words(b));
                self.words[place] = std::array::from_fn(|w| a[w] & b[w]);
            }
            Step::Or(a, b) => {
                let (a, b) = (self.words(a), self.words(b));
                self.words[place] = std::array::from_fn(|w| a[w] | b[w]);
            }
            Step::Later(of) => {
                let of = *self.words(of);
                let mut carried = u64::from(self.carried[id as usize]);
                let words = &mut self.words[place];
                for w in 0..count {
                    words[w] = of[w] << 1 | carried;
                    carried = of[w] >> (WORD - 1);
                }
                self.carried[id as usize] = carried as u8;
            }
            Step::CrossVectorbt { above, below, operands, start } => {
                self.cross_vectorbt(id, (above, below), operands, start as usize, tile);
            }
        }
    }

    #[inline(always)]
    fn column(&self, place: u32, tile: &Tile) -> &[f64] {
        &self.formulas.columns[place as usize].values[tile.bars.clone()]
    }

    /// Where `a > b`, and, if it is asked for, where `a < b`.
    #[inline(always)]
    fn compare<S: Simd>(
        &self,
        simd: S,
        a: Operand,
        b: Operand,
        tile: &Tile,
        with_below: bool,
    ) -> (Words, Words) {
        let (mut above, mut below) = ([0; WORDS], [0; WORDS]);
        match (a, b) {
            (Operand::Column(a), Operand::Column(b)) => {
                let (a, b) = (self.column(a, tile), self.column(b, tile));
                let (whole_a, rest_a) = a.as_chunks::<WORD>();
                let (whole_b, rest_b) = b.as_chunks::<WORD>();
                for (w, (a, b)) in whole_a.iter().zip(whole_b).enumerate() {
                    above[w] = less(simd, b, a);
                    if with_below {
                        below[w] = less(simd, a, b);
                    }
                }
                if !rest_a.is_empty() {
                    above[whole_a.len()] = rest(rest_a.iter().zip(rest_b).map(|(a, b)| a > b));
                    below[whole_a.len()] = rest(rest_a.iter().zip(rest_b).map(|(a, b)| a < b));
                }
            }
            (Operand::Column(a), Operand::Constant(b)) | (Operand::Constant(b), Operand::Column(a)) => {
                let (a, b) = (self.column(a, tile), f64::from_bits(b));
                let (whole, rest_a) = a.as_chunks::<WORD>();
                let constant = [b; WORD];
                for (w, a) in whole.iter().enumerate() {
                    above[w] = less(simd, &constant, a);
                    if with_below {
                        below[w] = less(simd, a, &constant);
                    }
                }
                if !rest_a.is_empty() {
                    above[whole.len()] = rest(rest_a.iter().map(|&a| a > b));
                    below[whole.len()] = rest(rest_a.iter().map(|&a| a < b));
                }
            }
            (Operand::Constant(a), Operand::Constant(b)) => {
                let (a, b) = (f64::from_bits(a), f64::from_bits(b));
                above = [if a > b { u64::MAX } else { 0 }; WORDS];
                below = [if a < b { u64::MAX } else { 0 }; WORDS];
            }
        }
        (above, below)
    }

    #[inline(always)]
    fn drop_unknown(&self, operand: Operand, tile: &Tile, words: &mut Words) {
        match operand {
            Operand::Column(column) => {
                let unknown = self.formulas.columns[column as usize].unknown().words();
                for (word, unknown) in words.iter_mut().zip(&unknown[tile.first_word()..]) {
                    *word &= !unknown;
                }
            }
            Operand::Constant(bits) if f64::from_bits(bits).is_nan() => *words = [0; WORDS],
            Operand::Constant(_) => {}
        }
    }

    /// An unknown forgets everything; otherwise it fires where `a > b`, the bar before was not, and some bar since had
    /// `a < b`.
    #[inline(always)]
    fn cross_vectorbt(
        &mut self,
        id: StepId,
        steps: (StepId, StepId),
        operands: (Operand, Operand),
        start: usize,
        tile: &Tile,
    ) {
        let mut known = [u64::MAX; WORDS];
        self.drop_unknown(operands.0, tile, &mut known);
        self.drop_unknown(operands.1, tile, &mut known);
        let (above, below) = (*self.words(steps.0), *self.words(steps.1));
        let mut carried = self.carried[id as usize];
        let mut words = [0; WORDS];
        for w in 0..tile.words() {
            let first = tile.bars.start + w * WORD;
            if start > first {
                known[w] = if start - first < WORD { known[w] & (u64::MAX << (start - first)) } else { 0 };
            }
            let (above, below) = (above[w], below[w]);
            if known[w] == u64::MAX {
                let was_above = above << 1 | u64::from(carried & WAS_ABOVE != 0);
                let lowest = below & below.wrapping_neg();
                // Bars after the first one below.
                let was_below = match (carried & WAS_BELOW != 0, lowest) {
                    (true, _) => u64::MAX,
                    (false, 0) => 0,
                    (false, lowest) => !(lowest | (lowest - 1)),
                };
                words[w] = above & !was_above & was_below;
                carried |= if below != 0 { WAS_BELOW } else { 0 };
                carried = carried & !WAS_ABOVE | if above >> (WORD - 1) == 1 { WAS_ABOVE } else { 0 };
            } else {
                (words[w], carried) = cross_bar_by_bar(above, below, known[w], carried);
            }
        }
        self.carried[id as usize] = carried;
        self.words[self.place[id as usize] as usize] = words;
    }
}

/// Where `a < b`.
#[inline(always)]
fn less<S: Simd>(simd: S, a: &[f64; WORD], b: &[f64; WORD]) -> u64 {
    let ((a, _), (b, _)) = (S::as_simd_f64s(a), S::as_simd_f64s(b));
    // A word is the union of 64 numbers that are one bit or none.
    let (bit, _) = S::as_simd_u64s(&BIT);
    let none = simd.splat_u64s(0);
    let mut word = none;
    for ((&a, &b), &bit) in a.iter().zip(b).zip(bit) {
        word = simd.or_u64s(word, simd.select_u64s(simd.less_than_f64s(a, b), bit, none));
    }
    union(simd, word)
}

/// The bits of the bars that do not fill a word.
fn rest(bars: impl Iterator<Item = bool>) -> u64 {
    bars.enumerate().fold(0, |word, (i, bit)| word | u64::from(bit) << i)
}

/// vectorbt's crossing in a word with unknown bars.
fn cross_bar_by_bar(above: u64, below: u64, known: u64, mut carried: u8) -> (u64, u8) {
    let mut word = 0;
    for i in 0..WORD {
        if known >> i & 1 == 0 {
            carried = 0;
            continue;
        }
        let (is_above, is_below) = (above >> i & 1 == 1, below >> i & 1 == 1);
        word |= u64::from(is_above && carried == WAS_BELOW) << i;
        carried =
            carried & WAS_BELOW | if is_below { WAS_BELOW } else { 0 } | if is_above { WAS_ABOVE } else { 0 };
    }
    (word, carried)
}
