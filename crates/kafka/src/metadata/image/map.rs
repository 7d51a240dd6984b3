//! A map whose copies share what is equal: a copy costs little, and a change copies a hundredth.

use std::borrow::Borrow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Children of each of the two inner levels.
const WIDTH: usize = 64;

type Leaf<K, V> = Arc<Vec<(K, V)>>;

/// Keys are found by hash in one of 4096 sorted leaves.
#[derive(Clone, Debug)]
pub struct Map<K, V> {
    branches: Vec<Arc<Vec<Leaf<K, V>>>>,
    len: usize,
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        let leaf = Leaf::default();
        let branch = Arc::new(vec![leaf; WIDTH]);
        Self { branches: vec![branch; WIDTH], len: 0 }
    }
}

/// The same on every node and in every run.
fn place<Q: Hash + ?Sized>(key: &Q) -> (usize, usize) {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    let hash = hasher.finish() as usize;
    (hash % WIDTH, hash / WIDTH % WIDTH)
}

impl<K: Clone + Ord + Hash, V: Clone> Map<K, V> {
    fn leaf<Q: Hash + ?Sized>(&self, key: &Q) -> &Leaf<K, V> {
        let (branch, leaf) = place(key);
        &self.branches[branch][leaf]
    }

    fn leaf_mut<Q: Hash + ?Sized>(&mut self, key: &Q) -> &mut Vec<(K, V)> {
        let (branch, leaf) = place(key);
        Arc::make_mut(&mut Arc::make_mut(&mut self.branches[branch])[leaf])
    }

    /// The value of a key.
    pub fn get<Q: Hash + Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let leaf = self.leaf(key);
        let at = leaf.binary_search_by(|(k, _)| k.borrow().cmp(key)).ok()?;
        Some(&leaf[at].1)
    }

    /// The value of a key, to be changed: in this copy only.
    pub fn get_mut<Q: Hash + Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let found = |(k, _): &(K, V)| k.borrow().cmp(key);
        let at = self.leaf(key).binary_search_by(found).ok()?;
        Some(&mut self.leaf_mut(key)[at].1)
    }

    /// Sets the value of a key; the answer is the one before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let leaf = self.leaf_mut(&key);
        match leaf.binary_search_by(|(k, _)| k.cmp(&key)) {
            Ok(at) => Some(std::mem::replace(&mut leaf[at].1, value)),
            Err(at) => {
                leaf.insert(at, (key, value));
                self.len += 1;
                None
            }
        }
    }

    /// Removes a key; the answer is its value.
    pub fn remove<Q: Hash + Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let found = |(k, _): &(K, V)| k.borrow().cmp(key);
        let at = self.leaf(key).binary_search_by(found).ok()?;
        let (_, value) = self.leaf_mut(key).remove(at);
        self.len -= 1;
        Some(value)
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of them, in an order that depends only on the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let leaves = self.branches.iter().flat_map(|branch| branch.iter());
        leaves.flat_map(|leaf| leaf.iter()).map(|(key, value)| (key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Op {
        Insert(u16, u8),
        Remove(u16),
        Add(u16),
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let key = 0..300_u16;
        let op = prop_oneof![
            (key.clone(), any::<u8>()).prop_map(|(k, v)| Op::Insert(k, v)),
            key.clone().prop_map(Op::Remove),
            key.prop_map(Op::Add),
        ];
        prop::collection::vec(op, 0..400)
    }

    proptest! {
        #[test]
        fn it_is_a_map_and_old_copies_stay_as_they_were(before in ops(), after in ops()) {
            let (mut map, mut model) = (Map::default(), BTreeMap::new());
            let run = |map: &mut Map<u16, u8>, model: &mut BTreeMap<u16, u8>, ops: Vec<Op>| {
                for op in ops {
                    match op {
                        Op::Insert(k, v) => assert_eq!(map.insert(k, v), model.insert(k, v)),
                        Op::Remove(k) => assert_eq!(map.remove(&k), model.remove(&k)),
                        Op::Add(k) => {
                            map.get_mut(&k).into_iter().for_each(|v| *v = v.wrapping_add(1));
                            model.get_mut(&k).into_iter().for_each(|v| *v = v.wrapping_add(1));
                        }
                    }
                }
            };
            let content = |map: &Map<u16, u8>| -> BTreeMap<u16, u8> {
                map.iter().map(|(k, v)| (*k, *v)).collect()
            };
            run(&mut map, &mut model, before);
            let (copy, copied) = (map.clone(), model.clone());
            run(&mut map, &mut model, after);
            prop_assert_eq!(content(&map), model.clone());
            prop_assert_eq!(map.len(), model.len());
            prop_assert_eq!(content(&copy), copied);
        }
    }

    #[test]
    fn a_change_copies_one_leaf() {
        let mut map = Map::default();
        for key in 0..10_000_u32 {
            map.insert(key, key);
        }
        let before = map.clone();
        map.insert(77, 0);
        let leaves =
            before.branches.iter().zip(&map.branches).flat_map(|(a, b)| a.iter().zip(b.iter()));
        assert_eq!(leaves.filter(|(a, b)| !Arc::ptr_eq(a, b)).count(), 1);
    }
}
