//! Bad input on purpose: what must hold of everything in crates/ that reads bytes from outside, whatever they are.
//!
//! A [`Target`] is a function that takes any bytes, gives them to a parser, and asserts what its users rely on: no panic, no
//! range outside of the input, no endless list, and that what was understood can be written and understood again. Two things
//! run them: `cargo test`, on some thousand inputs that are the same each time (tests/short.rs), and `make fuzz`, on what
//! libFuzzer finds by watching which branches an input takes (../../fuzz). Both start from [`Target::seeds`].
//!
//! | target | bytes from | crate |
//! |---|---|---|
//! | elf, sites | the executable file | elf |
//! | bundle | the archive the kernel starts from | bundle |
//! | control | the other end of the control port | control |
//! | ninep | the host's replies | ninep |
//! | net | addresses, control data and netlink requests of the program; options of DHCP, segments | net |
//! | ports | any order of bind, connect, close and packets | net |
#![forbid(unsafe_code)]

pub mod bundle;
pub mod control;
pub mod elf;
pub mod net;
pub mod ninep;
pub mod ports;
pub mod sites;

/// One parser under test.
#[derive(Clone, Copy)]
pub struct Target {
    /// As its file here is called.
    pub name: &'static str,
    /// Panics where something does not hold of these bytes.
    pub run: fn(&[u8]),
    /// Valid inputs, small ones.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: [Target; 7] = [
    Target {
        name: "elf",
        run: elf::run,
        seeds: elf::seeds,
    },
    Target {
        name: "sites",
        run: sites::run,
        seeds: sites::seeds,
    },
    Target {
        name: "bundle",
        run: bundle::run,
        seeds: bundle::seeds,
    },
    Target {
        name: "control",
        run: control::run,
        seeds: control::seeds,
    },
    Target {
        name: "ninep",
        run: ninep::run,
        seeds: ninep::seeds,
    },
    Target {
        name: "net",
        run: net::run,
        seeds: net::seeds,
    },
    Target {
        name: "ports",
        run: ports::run,
        seeds: ports::seeds,
    },
];
