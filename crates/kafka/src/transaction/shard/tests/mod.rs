mod transcript;
mod transcripts;
mod world;
