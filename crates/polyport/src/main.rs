//! Polyport's one program: the server, and the tools by their own names.
//!
//! No logic: it reads the command line and the configuration, and wires the crates together.

mod cli;
mod descriptors;
mod kafka;
mod ops;
mod owner;
mod pages;
mod restore;
mod serve;
mod tools;
mod wiring;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let started = std::time::Instant::now();
    let args: Vec<String> = std::env::args().collect();
    if let Some(tool) = args.first().and_then(|name| polyport_tools::by_name(name)) {
        std::process::exit(tool(args));
    }
    std::process::exit(cli::run(started));
}
