mod classic;
mod offsets;
mod statics;
pub(crate) mod world;
