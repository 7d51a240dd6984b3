//! A list whose copies share what is equal: partitions of a topic.

use std::sync::Arc;

/// Items that are copied together.
const CHUNK: usize = 32;

/// A list by index.
#[derive(Clone, Debug, Default)]
pub struct List<T> {
    chunks: Vec<Arc<Vec<T>>>,
}

impl<T: Clone> List<T> {
    /// Number of items.
    pub fn len(&self) -> usize {
        match self.chunks.split_last() {
            Some((last, full)) => full.len() * CHUNK + last.len(),
            None => 0,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The item at an index.
    pub fn get(&self, at: usize) -> Option<&T> {
        self.chunks.get(at / CHUNK)?.get(at % CHUNK)
    }

    /// The item at an index, to be changed: in this copy only.
    pub fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        let chunk = self.chunks.get_mut(at / CHUNK)?;
        if at % CHUNK >= chunk.len() {
            return None;
        }
        Arc::make_mut(chunk).get_mut(at % CHUNK)
    }

    /// All items in their order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut chunks = Vec::new();
        let mut items = items.into_iter();
        loop {
            let chunk: Vec<T> = items.by_ref().take(CHUNK).collect();
            if chunk.is_empty() {
                return Self { chunks };
            }
            chunks.push(Arc::new(chunk));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_list_and_old_copies_stay_as_they_were() {
        for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let list: List<usize> = (0..len).collect();
            assert_eq!((list.len(), list.is_empty()), (len, len == 0));
            assert!(list.iter().copied().eq(0..len));
            let mut changed = list.clone();
            assert!(changed.get_mut(len).is_none() && list.get(len).is_none());
            if let Some(last) = len.checked_sub(1) {
                *changed.get_mut(last).unwrap() = 99;
                assert_eq!((list.get(last), changed.get(last)), (Some(&last), Some(&99)));
                let same = list.chunks.iter().zip(&changed.chunks);
                assert_eq!(same.filter(|(a, b)| !Arc::ptr_eq(a, b)).count(), 1);
            }
        }
    }
}
