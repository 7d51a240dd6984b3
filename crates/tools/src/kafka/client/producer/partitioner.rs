//! Which partition a record goes to.

use std::collections::HashMap;

/// The partition of a key: as Kafka's clients choose it, so that a key stays where it is.
pub fn for_key(key: &[u8], partitions: i32) -> i32 {
    (murmur2(key) & i32::MAX) % partitions.max(1)
}

/// MurmurHash2, 32 bits, with Kafka's seed.
fn murmur2(data: &[u8]) -> i32 {
    const SEED: u32 = 0x9747_b28c;
    const MULTIPLIER: u32 = 0x5bd1_e995;
    const SHIFT: u32 = 24;
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut hash = SEED ^ length;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        k = k.wrapping_mul(MULTIPLIER);
        k ^= k >> SHIFT;
        k = k.wrapping_mul(MULTIPLIER);
        hash = hash.wrapping_mul(MULTIPLIER) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (at, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * at);
        }
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^= hash >> 15;
    hash as i32
}

/// Records without a key: a batch's worth to one partition, then to another.
#[derive(Clone, Debug, Default)]
pub struct Sticky {
    topics: HashMap<String, (i32, usize)>,
    random: Option<u64>,
}

impl Sticky {
    /// The partition of the next record without a key.
    pub fn next(&mut self, topic: &str, partitions: i32, size: usize, batch: usize) -> i32 {
        let stay = self
            .topics
            .get_mut(topic)
            .filter(|(partition, sent)| *partition < partitions && *sent < batch.max(1));
        if let Some((partition, sent)) = stay {
            *sent += size;
            return *partition;
        }
        let random = self.next_random();
        let partition = i32::try_from(random % u64::from(partitions.max(1).unsigned_abs()));
        let partition = partition.unwrap_or_default();
        self.topics.insert(topic.to_owned(), (partition, size));
        partition
    }

    /// Xorshift, seeded by the system: spreading load needs no better.
    fn next_random(&mut self) -> u64 {
        let mut state = self.random.unwrap_or_else(|| {
            let mut seed = [0; 8];
            // Without randomness the spreading begins at the same place every time.
            let _ = getrandom::fill(&mut seed);
            u64::from_le_bytes(seed) | 1
        });
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.random = Some(state);
        state >> 11
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_hashed_as_by_kafkas_clients() {
        // From the tests of Kafka's clients: murmur2 of these texts.
        assert_eq!(murmur2(b"21"), -973_932_308);
        assert_eq!(murmur2(b"foobar"), -790_332_482);
        assert_eq!(murmur2(b"a-little-bit-long-string"), -985_981_536);
        assert_eq!(murmur2(b"a-little-bit-longer-string"), -1_486_304_829);
        assert_eq!(murmur2(b"abc"), 479_470_107);
        assert!((0..3).contains(&for_key(b"21", 3)));
    }

    #[test]
    fn records_without_a_key_stay_for_a_batch() {
        let mut sticky = Sticky::default();
        let first = sticky.next("t", 100, 10, 30);
        assert_eq!([sticky.next("t", 100, 10, 30), sticky.next("t", 100, 10, 30)], [first; 2]);
        let others: Vec<_> = (0..300).map(|_| sticky.next("t", 100, 30, 30)).collect();
        assert!(others.iter().any(|other| *other != first));
        assert_eq!(sticky.next("t", 1, 1, 30), 0, "a partition that is gone is left");
    }
}
