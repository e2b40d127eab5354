//! The `ringo` command.
fn main() {}
