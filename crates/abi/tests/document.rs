//! docs/syscalls.md is what its generator makes of the table now.
#[path = "../examples/syscalls.rs"]
mod syscalls;

#[test]
fn the_list_of_system_calls_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/syscalls.md");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == syscalls::document(),
        "docs/syscalls.md is stale: cargo run -q -p ringo-abi --example syscalls > docs/syscalls.md"
    );
}
