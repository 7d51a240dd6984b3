//! A znode's name and data in one exact allocation.

/// Layout: name length (2 bytes, top bit: data is null), name, data.
#[derive(Clone, Debug)]
pub(super) struct Blob(Box<[u8]>);

const NULL_DATA: u16 = 0x8000;
/// Longest name. A frame bounds a path at 1 MiB; a single component over this is refused.
pub(super) const MAX_NAME: usize = 0x7fff;

impl Blob {
    pub(super) fn new(name: &str, data: Option<&[u8]>) -> Self {
        debug_assert!(name.len() <= MAX_NAME);
        let bytes = data.unwrap_or_default();
        let mut blob = Vec::with_capacity(2 + name.len() + bytes.len());
        let null = if data.is_none() { NULL_DATA } else { 0 };
        blob.extend_from_slice(&(name.len() as u16 | null).to_le_bytes());
        blob.extend_from_slice(name.as_bytes());
        blob.extend_from_slice(bytes);
        Self(blob.into_boxed_slice())
    }

    fn header(&self) -> (usize, bool) {
        let header = u16::from_le_bytes([self.0[0], self.0[1]]);
        (usize::from(header & !NULL_DATA), header & NULL_DATA != 0)
    }

    pub(super) fn name_bytes(&self) -> &[u8] {
        let (len, _) = self.header();
        &self.0[2..2 + len]
    }

    pub(super) fn name(&self) -> &str {
        // Only `new` makes blobs, from a `str`.
        std::str::from_utf8(self.name_bytes()).unwrap_or_default()
    }

    pub(super) fn data(&self) -> Option<&[u8]> {
        let (len, null) = self.header();
        (!null).then_some(&self.0[2 + len..])
    }

    pub(super) fn data_len(&self) -> usize {
        self.0.len() - 2 - self.header().0
    }
}
