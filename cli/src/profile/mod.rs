//! `--profile`: collects the kernel's samples (kernel/src/cpu/sampler.rs), gives their addresses names, and writes a file
//! for `go tool pprof` (pprof.rs) when the VM has ended, however that was.
//!
//! Equal stacks are one sample with a sum, so memory grows with what the program does, not with how long. What the kernel
//! sends is not trusted: words that make no sample are left out, and what is more than [`STACKS`] counts as lost.

mod pprof;

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::golang::LineTable;
use crate::image;
use crate::symbols::KernelSymbols;
use pprof::{Label, Line, Location, Mapping, Names, Profile, Sample, ValueType};

/// Addresses from here on are the kernel's.
const KERNEL_HALF: u64 = 1 << 63;
const KERNEL_MAPPING: u64 = 1;
const PROGRAM_MAPPING: u64 = 2;
/// Different stacks that are kept: some 100 MB of them.
const STACKS: usize = 200_000;

/// Where a CPU was, as the kernel saw it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Stack {
    thread: u32,
    kernel: Vec<u64>,
    program: Vec<u64>,
    /// Behind the first of these, the caller of a function without a frame of its own, or that has not made it yet: the frame
    /// pointer is its caller's, whose address would be missing.
    caller: Option<u64>,
}

/// Takes samples, and writes the file.
pub struct Collector<'t> {
    file: File,
    path: PathBuf,
    hertz: u32,
    started: SystemTime,
    program_bias: u64,
    stacks: HashMap<Stack, u64>,
    /// By CPU: samples the kernel had no room for.
    lost: HashMap<u16, u64>,
    /// Samples of stacks beyond [`STACKS`].
    dropped: u64,
    table: Option<LineTable<'t>>,
}

impl<'t> Collector<'t> {
    /// Makes the file, before anything runs.
    pub fn create(path: &Path, hertz: u32) -> Result<Collector<'t>> {
        let file = File::create(path).with_context(|| format!("--profile {}", path.display()))?;
        Ok(Collector {
            file,
            path: path.to_owned(),
            hertz,
            started: SystemTime::now(),
            program_bias: 0,
            stacks: HashMap::new(),
            lost: HashMap::new(),
            dropped: 0,
            table: None,
        })
    }

    /// Names the executable whose samples will come.
    pub fn of(mut self, program: &'t [u8]) -> Collector<'t> {
        self.table = LineTable::find(program);
        self
    }

    /// Takes one message's samples.
    pub fn take(&mut self, program_bias: u64, lost: u64, words: impl Iterator<Item = u64>) {
        self.program_bias = program_bias;
        let words: Vec<u64> = words.collect();
        let mut rest = &words[..];
        while let [head, periods, top, behind @ ..] = rest {
            let [kernel, program, cpu @ .., _, _, _, _] = head.to_le_bytes();
            let (kernel, program) = (usize::from(kernel), usize::from(program));
            let Some((kernel, behind)) = behind.split_at_checked(kernel) else {
                return;
            };
            let Some((program, behind)) = behind.split_at_checked(program) else {
                return;
            };
            let stack = Stack {
                thread: (head >> 32) as u32,
                kernel: kernel.to_vec(),
                program: program.to_vec(),
                caller: program.first().and_then(|&at| self.caller(at, *top)),
            };
            if self.stacks.len() < STACKS || self.stacks.contains_key(&stack) {
                let count = self.stacks.entry(stack).or_default();
                *count = count.saturating_add(*periods);
            } else {
                self.dropped = self.dropped.saturating_add(*periods);
            }
            self.lost.insert(u16::from_le_bytes(cpu), lost);
            rest = behind;
        }
    }

    /// The word at the top of the stack, if the function at `address` has nothing there but what it returns to.
    fn caller(&self, address: u64, top: u64) -> Option<u64> {
        let table = self.table.as_ref()?;
        let place = |at: u64| at.wrapping_sub(self.program_bias);
        let is_caller = table.frame_size(place(address)) == Some(0)
            && table.place(place(top.wrapping_sub(1))).is_some();
        is_caller.then_some(top)
    }

    /// Writes the file.
    pub fn finish(self) -> Result<()> {
        let kernel = image::with_debug_information().unwrap_or_default();
        let profile = self.profile(&kernel);
        profile
            .write(&self.file)
            .with_context(|| format!("--profile {}", self.path.display()))
    }

    fn profile(&self, kernel: &[u8]) -> Profile {
        let mut places = Places {
            kernel: KernelSymbols::read(kernel),
            program: self.table.as_ref(),
            bias: self.program_bias,
            names: Names::new(),
            ids: HashMap::new(),
            locations: Vec::new(),
        };
        let period = 1_000_000_000 / i64::from(self.hertz);
        let thread = places.names.string("thread");
        let mut samples: Vec<_> = self
            .stacks
            .iter()
            .map(|(stack, &count)| {
                let count = i64::try_from(count).unwrap_or(i64::MAX);
                Sample {
                    location_id: places.stack(stack),
                    value: vec![count, count.saturating_mul(period)],
                    label: vec![Label {
                        key: thread,
                        number: stack.thread.into(),
                    }],
                }
            })
            .collect();
        samples.sort_by_key(|sample| std::cmp::Reverse(sample.value[0]));
        let Places {
            mut names,
            locations,
            ..
        } = places;
        let mut value = |kind: &str, unit: &str| ValueType {
            kind: names.string(kind),
            unit: names.string(unit),
        };
        let cpu = value("cpu", "nanoseconds");
        let mut profile = Profile {
            sample_type: vec![value("samples", "count"), cpu],
            sample: samples,
            mapping: vec![
                mapping(
                    KERNEL_MAPPING,
                    KERNEL_HALF..u64::MAX,
                    names.string("ringo-kernel"),
                ),
                mapping(PROGRAM_MAPPING, 0..KERNEL_HALF, names.string("program")),
            ],
            location: locations,
            time_nanos: nanoseconds(self.started.duration_since(UNIX_EPOCH).unwrap_or_default()),
            duration_nanos: nanoseconds(self.started.elapsed().unwrap_or_default()),
            period_type: Some(cpu),
            period,
            default_sample_type: cpu.kind,
            ..Profile::default()
        };
        let lost = self
            .lost
            .values()
            .fold(self.dropped, |sum, &more| sum.saturating_add(more));
        if lost > 0 {
            profile.comment.push(names.string(&format!(
                "{lost} samples were lost: a lower --profile-rate loses none"
            )));
        }
        names.complete(&mut profile);
        profile
    }
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// What tells pprof that every address has its names.
fn mapping(id: u64, addresses: std::ops::Range<u64>, filename: i64) -> Mapping {
    Mapping {
        id,
        memory_start: addresses.start,
        memory_limit: addresses.end,
        filename,
        has_functions: true,
        has_filenames: true,
        has_line_numbers: true,
        has_inline_frames: id == KERNEL_MAPPING,
    }
}

/// Locations, each made once.
struct Places<'a> {
    kernel: Option<KernelSymbols<'a>>,
    program: Option<&'a LineTable<'a>>,
    bias: u64,
    names: Names,
    ids: HashMap<u64, u64>,
    locations: Vec<Location>,
}

impl Places<'_> {
    /// The locations of a stack, innermost first.
    fn stack(&mut self, stack: &Stack) -> Vec<u64> {
        let mut addresses = Vec::new();
        for (index, &address) in stack.kernel.iter().enumerate() {
            // A return address belongs to the call before it; the first one is where the CPU was.
            addresses.push(if index == 0 {
                address
            } else {
                address.wrapping_sub(1)
            });
        }
        for (index, &address) in stack.program.iter().enumerate() {
            let interrupted = index == 0 && stack.kernel.is_empty();
            addresses.push(if interrupted {
                address
            } else {
                address.wrapping_sub(1)
            });
            if index == 0 {
                addresses.extend(stack.caller.map(|caller| caller.wrapping_sub(1)));
            }
        }
        addresses.into_iter().map(|at| self.location(at)).collect()
    }

    fn location(&mut self, address: u64) -> u64 {
        if let Some(&id) = self.ids.get(&address) {
            return id;
        }
        let (mapping_id, line) = if address >= KERNEL_HALF {
            (KERNEL_MAPPING, self.kernel_lines(address))
        } else {
            (PROGRAM_MAPPING, self.program_lines(address))
        };
        let id = self.locations.len() as u64 + 1;
        self.ids.insert(address, id);
        self.locations.push(Location {
            id,
            mapping_id,
            address,
            line,
        });
        id
    }

    fn kernel_lines(&mut self, address: u64) -> Vec<Line> {
        let symbols = self.kernel.as_ref();
        let places = symbols
            .map(|symbols| symbols.places(address))
            .unwrap_or_default();
        places
            .into_iter()
            .map(|place| {
                let (file, line) = place.line.unwrap_or_default();
                // Assembly is named with an offset, which would make many of one.
                let name = place.function.unwrap_or_else(|| "?".into());
                let name = name.split_once("+0x").map_or(&*name, |(name, _)| name);
                self.line(&format!("[kernel] {name}"), &file, line)
            })
            .collect()
    }

    fn program_lines(&mut self, address: u64) -> Vec<Line> {
        let table = self.program;
        let place = table.and_then(|table| table.place(address.wrapping_sub(self.bias)));
        place
            .map(|place| {
                let (file, line) = place.line.unwrap_or_default();
                self.line(&place.function, &file, line)
            })
            .into_iter()
            .collect()
    }

    fn line(&mut self, function: &str, file: &str, line: u32) -> Line {
        Line {
            function_id: self.names.function(function, file),
            line: line.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    fn collector() -> Collector<'static> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        Collector::create(file.path(), 499).expect("writable")
    }

    fn sample(kernel: &[u64], program: &[u64], periods: u64) -> Vec<u64> {
        let head = kernel.len() as u64 | (program.len() as u64) << 8 | 1 << 16 | 7 << 32;
        // What is at the top of the stack makes no difference where it is no caller's address.
        [&[head, periods, periods * 1000], kernel, program].concat()
    }

    #[test]
    fn equal_stacks_are_one_sample() {
        let mut collector = collector();
        let kernel = KERNEL_HALF + 5;
        let words = [
            sample(&[kernel], &[0x1000, 0x2000], 1),
            sample(&[], &[0x1000], 2),
            sample(&[kernel], &[0x1000, 0x2000], 3),
        ];
        collector.take(0, 2, words.concat().into_iter());
        let bytes = collector.profile(b"").encode_to_vec();
        let profile = Profile::decode(&*bytes).expect("it was encoded");
        let counts: Vec<_> = profile
            .sample
            .iter()
            .map(|sample| sample.value[0])
            .collect();
        assert_eq!(counts, [4, 2]);
        assert_eq!(profile.sample[0].location_id.len(), 3);
        assert_eq!(profile.sample[0].label[0].number, 7);
        assert_eq!(profile.sample[0].value[1], 4 * profile.period);
        let addresses: Vec<_> = profile.location.iter().map(|l| l.address).collect();
        assert!(addresses.contains(&kernel) && addresses.contains(&0xfff));
        let comment = &profile.string_table[profile.comment[0] as usize];
        assert!(comment.starts_with("2 samples were lost"), "{comment}");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_an_error_at_once() {
        let error = Collector::create(Path::new("/nowhere/at/all"), 1)
            .err()
            .expect("an error");
        assert!(format!("{error:#}").contains("--profile /nowhere/at/all"));
    }

    proptest::proptest! {
        #[test]
        fn any_words_make_a_profile(words: Vec<u64>, small in proptest::collection::vec(0u64..0x300, 0..60)) {
            let mut collector = collector();
            collector.take(3, 0, words.into_iter());
            collector.take(3, 0, small.into_iter());
            let profile = collector.profile(b"");
            for sample in &profile.sample {
                for &id in &sample.location_id {
                    proptest::prop_assert!(id >= 1 && id <= profile.location.len() as u64);
                }
            }
        }
    }
}
