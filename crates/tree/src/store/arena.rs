//! Slots with stable 32-bit indices, in chunks so that growth neither copies nor doubles.

/// A slot of the arena. Reused after its znode is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeIndex(pub u32);

impl NodeIndex {
    /// The root's slot.
    pub const ROOT: NodeIndex = NodeIndex(0);
    /// No slot.
    pub const NONE: NodeIndex = NodeIndex(u32::MAX);

    pub(crate) fn some(self) -> Option<NodeIndex> {
        (self != Self::NONE).then_some(self)
    }
}

const CHUNK: usize = 4096;

#[derive(Debug)]
pub(super) struct Arena<T> {
    chunks: Vec<Vec<Option<T>>>,
    free: Vec<u32>,
    /// Slots ever used; all below are a value or free.
    end: u32,
}

impl<T> Arena<T> {
    pub(super) fn new() -> Self {
        Self { chunks: Vec::new(), free: Vec::new(), end: 0 }
    }

    pub(super) fn insert(&mut self, value: T) -> u32 {
        if let Some(index) = self.free.pop() {
            *self.slot(index) = Some(value);
            return index;
        }
        let index = self.end;
        self.set(index, value);
        index
    }

    /// Puts a value at a given index: snapshots keep their slots.
    pub(super) fn set(&mut self, index: u32, value: T) {
        while self.end <= index {
            if (self.end as usize).is_multiple_of(CHUNK) {
                // The first chunk grows by itself, so that a small tree stays small.
                let capacity = if self.end == 0 { 0 } else { CHUNK };
                self.chunks.push(Vec::with_capacity(capacity));
            }
            if let Some(chunk) = self.chunks.last_mut() {
                chunk.push(None);
            }
            self.end += 1;
        }
        *self.slot(index) = Some(value);
    }

    /// After slots were [`set`](Self::set): the empty ones become free.
    pub(super) fn rebuild_free_list(&mut self) {
        self.free = (0..self.end).rev().filter(|index| self.get(*index).is_none()).collect();
    }

    pub(super) fn remove(&mut self, index: u32) -> Option<T> {
        let value = self.slot(index).take();
        if value.is_some() {
            self.free.push(index);
        }
        value
    }

    fn slot(&mut self, index: u32) -> &mut Option<T> {
        &mut self.chunks[index as usize / CHUNK][index as usize % CHUNK]
    }

    pub(super) fn get(&self, index: u32) -> Option<&T> {
        self.chunks.get(index as usize / CHUNK)?.get(index as usize % CHUNK)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.chunks.get_mut(index as usize / CHUNK)?.get_mut(index as usize % CHUNK)?.as_mut()
    }

    pub(super) fn next_free(&self) -> Option<u32> {
        self.free.last().copied()
    }

    pub(super) fn end(&self) -> u32 {
        self.end
    }
}
