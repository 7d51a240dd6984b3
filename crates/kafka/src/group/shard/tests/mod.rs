mod classic;
mod consumer;
mod offsets;
mod random;
mod statics;
pub(crate) mod world;
