//! Seeded mutation of well-formed inputs. It knows what our formats have in common: numbers of
//! one, two, four and eight bytes, of either byte order, many of which are lengths and counts.

use polyport_base::rng::SplitMix64;

/// Numbers at the edges of what decoders handle.
const EDGES: [i64; 16] = [
    0,
    1,
    -1,
    2,
    7,
    -2,
    127,
    255,
    256,
    65_535,
    0x7fff_ffff,
    -0x8000_0000,
    0xf_ffff,
    0x1000_0000,
    i64::MAX,
    i64::MIN,
];

/// Makes inputs. The same seed and corpus give the same ones.
pub(crate) struct Mutator {
    rng: SplitMix64,
    max_bytes: usize,
}

impl Mutator {
    pub(crate) fn new(seed: u64, max_bytes: usize) -> Self {
        Self { rng: SplitMix64::new(seed), max_bytes }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.rng.below(bound as u64) as usize
    }

    /// A member of the corpus, changed in a few places.
    pub(crate) fn next(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let pick = self.below(corpus.len());
        let mut input = corpus.get(pick).cloned().unwrap_or_default();
        for _ in 0..=self.below(4) {
            self.change(&mut input, corpus);
        }
        input.truncate(self.max_bytes);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        if input.is_empty() {
            input.push(self.rng.next_u64() as u8);
            return;
        }
        let at = self.below(input.len());
        match self.below(10) {
            0 => input[at] ^= 1 << self.below(8),
            1 => input[at] = self.rng.next_u64() as u8,
            2..=4 => self.number(input, at),
            5 => input.truncate(at),
            6 => {
                let (from, to) = self.range(input.len());
                input.drain(from..to);
            }
            7 => {
                let (from, to) = self.range(input.len());
                let piece = input[from..to].to_vec();
                input.splice(at..at, piece);
            }
            8 => {
                let other = self.below(corpus.len());
                let (from, to) = self.range(corpus[other].len());
                let piece = corpus[other][from..to].to_vec();
                input.splice(at..at, piece);
            }
            _ => {
                // A length that is nearly right.
                let nudge = [1_u8, 255, 2, 254][self.below(4)];
                input[at] = input[at].wrapping_add(nudge);
            }
        }
    }

    fn number(&mut self, input: &mut [u8], at: usize) {
        let edge = EDGES[self.below(EDGES.len())];
        let number = if self.rng.chance(20) { input.len() as i64 } else { edge };
        let width = [1, 2, 4, 4, 8][self.below(5)].min(input.len() - at);
        let (big, little) = (number.to_be_bytes(), number.to_le_bytes());
        let bytes = if self.rng.chance(70) { &big[8 - width..] } else { &little[..width] };
        input[at..at + width].copy_from_slice(bytes);
    }

    fn range(&mut self, len: usize) -> (usize, usize) {
        let from = self.below(len + 1);
        (from, (from + 1 + self.below(64)).min(len).max(from))
    }
}

/// Names an input (FNV-1a).
pub(crate) fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
