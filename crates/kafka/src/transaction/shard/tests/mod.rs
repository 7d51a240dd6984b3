mod kafka;
mod transcript;
mod transcripts;
mod world;
