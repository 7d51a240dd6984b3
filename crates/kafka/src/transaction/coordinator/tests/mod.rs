mod memory;
mod on_partitions;
mod shell;
