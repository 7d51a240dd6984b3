//! The last offset of each key, in memory that does not grow.

use md5::{Digest as _, Md5};

/// Slots used of a hundred before the map is full.
const LOAD_PERCENT: usize = 90;

/// A table of MD5 sums of keys, as in Kafka: two keys with the same sum would be taken for one.
#[derive(Debug)]
pub struct KeyOffsets {
    slots: Vec<Slot>,
    used: usize,
    /// Goes in front of each key, so that nobody can prepare keys that meet.
    seed: u64,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    sum: [u64; 2],
    /// -1: the slot is empty.
    offset: i64,
}

const EMPTY: Slot = Slot { sum: [0; 2], offset: -1 };

impl KeyOffsets {
    /// A map that takes at most this much memory (`log.cleaner.dedupe.buffer.size` of one thread).
    pub fn new(bytes: usize, seed: u64) -> Self {
        let slots = (bytes / size_of::<Slot>()).max(16);
        KeyOffsets { slots: vec![EMPTY; slots], used: 0, seed }
    }

    fn sum(&self, key: &[u8]) -> [u64; 2] {
        let digest = Md5::new().chain_update(self.seed.to_le_bytes()).chain_update(key).finalize();
        let mut sum = [0; 2];
        let (halves, _) = digest.as_chunks::<8>();
        for (to, half) in sum.iter_mut().zip(halves) {
            *to = u64::from_le_bytes(*half);
        }
        sum
    }

    /// Where the key is, or would be.
    fn find(&self, sum: [u64; 2]) -> usize {
        let mut at = (sum[0] % self.slots.len() as u64) as usize;
        while self.slots[at].offset >= 0 && self.slots[at].sum != sum {
            at = (at + 1) % self.slots.len();
        }
        at
    }

    /// Notes that the key has a record at this offset, which is greater than all before. Says no,
    /// and notes nothing, if there is no room for one more key.
    pub fn note(&mut self, key: &[u8], offset: i64) -> bool {
        let sum = self.sum(key);
        let at = self.find(sum);
        if self.slots[at].offset < 0 {
            if self.used >= self.slots.len() * LOAD_PERCENT / 100 {
                return false;
            }
            self.used += 1;
        }
        self.slots[at] = Slot { sum, offset };
        true
    }

    /// The last offset noted for the key.
    pub fn last_offset(&self, key: &[u8]) -> Option<i64> {
        let offset = self.slots[self.find(self.sum(key))].offset;
        (offset >= 0).then_some(offset)
    }

    /// How many keys are noted.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Forgets all keys, keeping the memory.
    pub fn clear(&mut self) {
        self.slots.fill(EMPTY);
        self.used = 0;
    }
}
