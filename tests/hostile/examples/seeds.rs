//! Writes the inputs that fuzzing starts from: `seeds FOLDER [GO-EXECUTABLE]...` makes FOLDER/TARGET for each target, with
//! its seeds, and for the given executables their headers (elf) and the code around their system calls (sites).
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use ringo_hostile::{TARGETS, elf, sites};

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let folder = arguments
        .next()
        .expect("usage: seeds FOLDER [GO-EXECUTABLE]...");
    let folder = Path::new(&folder);
    let executables = arguments
        .map(std::fs::read)
        .collect::<Result<Vec<_>, _>>()?;
    let headers = executables.iter().filter_map(|bytes| elf::cut_down(bytes));
    let code: BTreeSet<_> = executables
        .iter()
        .flat_map(|bytes| sites::around_sites(bytes))
        .collect();
    for target in TARGETS {
        write(&folder.join(target.name), (target.seeds)())?;
    }
    write(&folder.join("elf"), headers)?;
    write(&folder.join("sites"), code)
}

/// A file each, named after its contents, as libFuzzer's own are.
fn write(folder: &Path, seeds: impl IntoIterator<Item = Vec<u8>>) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    seeds.into_iter().try_for_each(|seed| {
        let mut hasher = DefaultHasher::new();
        seed.hash(&mut hasher);
        std::fs::write(folder.join(format!("seed-{:016x}", hasher.finish())), seed)
    })
}
