//! The `blockgrid` program.

fn main() {}
