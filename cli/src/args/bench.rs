//! The options of `ringo bench`.
use std::path::PathBuf;

use clap::Args;

use super::{Engine, Size};
use ringo_abi::MAX_CPUS;

#[derive(Args)]
pub struct BenchOptions {
    /// How QEMU runs the VM
    #[arg(long, value_enum, default_value_t = Engine::Auto)]
    pub engine: Engine,

    /// Number of CPUs on either side [default: as many as the host has, up to 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_CPUS as i64))]
    pub cpus: Option<u32>,

    /// Memory of the VM
    #[arg(short, long, value_name = "SIZE", default_value = "1G")]
    pub memory: Size,

    /// Only the cases whose names begin with this (repeatable)
    #[arg(long = "case", value_name = "NAME")]
    pub cases: Vec<String>,

    /// How many times either side runs; 0, with --icount, is instructions only
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub runs: u32,

    /// Count the instructions of each operation
    #[arg(long)]
    pub icount: bool,

    /// Measure a Linux guest as well
    #[arg(long)]
    pub linux_guest: bool,

    /// Measure what a server does for another machine, too, over a tap interface (`net-tap*`; takes ip and wrk)
    #[arg(long, conflicts_with = "program")]
    pub tap: bool,

    /// Measure nothing: show what --json printed earlier (repeatable: the runs of all files together)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["icount", "linux_guest", "tap", "cases", "program"])]
    pub from: Vec<PathBuf>,

    /// Print one JSON object, with every single measurement
    #[arg(long)]
    pub json: bool,

    /// Print a page of Markdown: what docs/performance.md is made of
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,

    /// Draw the ratios, and how costs grow, as SVG files in this directory
    #[arg(long, value_name = "DIR")]
    pub plots: Option<PathBuf>,

    /// The benchmark program
    pub program: Option<PathBuf>,
}
