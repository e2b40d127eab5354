//! The report of a fallen kernel: its last words, and its return addresses as functions and lines.

use std::fmt::Write;

use ringo_control::{Crash, CrashKind};

use crate::golang::LineTable;
use crate::image;

/// A [`Crash`] that outlives its message.
pub struct Report {
    pub kind: CrashKind,
    cpu: u32,
    reason: String,
    program_bias: u64,
    kernel: Vec<u64>,
    program: Vec<u64>,
}

impl From<Crash<'_>> for Report {
    fn from(crash: Crash<'_>) -> Report {
        Report {
            kind: crash.kind,
            cpu: crash.cpu,
            reason: String::from_utf8_lossy(crash.reason).trim().to_owned(),
            program_bias: crash.program_bias,
            kernel: crash.kernel.iter().collect(),
            program: crash.program.iter().collect(),
        }
    }
}

impl Report {
    /// The kernel's words alone, when it only refused the program.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Everything, in lines. `program` is the executable's file.
    pub fn render(&self, program: &[u8]) -> String {
        let what = match self.kind {
            CrashKind::Panic => "panicked",
            CrashKind::Fault => "faulted",
            CrashKind::DoubleFault => "double-faulted",
            CrashKind::Hardware => "met a hardware error",
            CrashKind::Refused => "refused the program",
        };
        let mut text = format!(
            "ringo: the kernel {what} on CPU {}: {}\n",
            self.cpu, self.reason
        );
        // Writing to a String can't fail.
        let _ = self.kernel_frames(&mut text);
        let _ = self.program_frames(&mut text, program);
        text.push_str("ringo: this is a bug in Ringo, not in the program: please report it with the lines above\n");
        text
    }

    fn kernel_frames(&self, out: &mut String) -> std::fmt::Result {
        if self.kernel.is_empty() {
            return Ok(());
        }
        out.push_str("kernel:\n");
        let elf = image::with_debug_information().unwrap_or_default();
        let context = context(&elf);
        for (index, &address) in self.kernel.iter().enumerate() {
            // A return address belongs to the call before it; the first one is where it happened.
            let at = if index == 0 {
                address
            } else {
                address.wrapping_sub(1)
            };
            let lines = context
                .as_ref()
                .map(|c| kernel_places(c, at))
                .unwrap_or_default();
            if lines.is_empty() {
                writeln!(out, "  {address:#018x}")?;
            }
            for line in lines {
                writeln!(out, "  {address:#018x} {line}")?;
            }
        }
        Ok(())
    }

    fn program_frames(&self, out: &mut String, program: &[u8]) -> std::fmt::Result {
        if self.program.is_empty() {
            return Ok(());
        }
        out.push_str("program:\n");
        let table = LineTable::find(program);
        for &address in &self.program {
            let at = address.wrapping_sub(self.program_bias).wrapping_sub(1);
            let place = table.as_ref().and_then(|t| t.place(at));
            match place {
                Some(place) => match place.line {
                    Some((file, line)) => {
                        writeln!(out, "  {address:#018x} {} at {file}:{line}", place.function)?;
                    }
                    None => writeln!(out, "  {address:#018x} {}", place.function)?,
                },
                None => writeln!(out, "  {address:#018x}")?,
            }
        }
        Ok(())
    }
}

type Reader<'a> = addr2line::gimli::EndianSlice<'a, addr2line::gimli::LittleEndian>;

fn context(elf: &[u8]) -> Option<(addr2line::Context<Reader<'_>>, object::File<'_>)> {
    use object::{Object, ObjectSection};
    let file = object::File::parse(elf).ok()?;
    let dwarf = addr2line::gimli::Dwarf::load(|id| -> Result<_, addr2line::gimli::Error> {
        // Uncompressed by the linker's default; a compressed one counts as absent.
        let data = file
            .section_by_name(id.name())
            .and_then(|s| s.data().ok())
            .unwrap_or(&[]);
        Ok(Reader::new(data, addr2line::gimli::LittleEndian))
    })
    .ok()?;
    Some((addr2line::Context::from_dwarf(dwarf).ok()?, file))
}

/// "function at file:line", the inlined ones first.
fn kernel_places(
    (context, file): &(addr2line::Context<Reader<'_>>, object::File<'_>),
    address: u64,
) -> Vec<String> {
    use object::Object;
    let mut places = Vec::new();
    if let Ok(mut frames) = context.find_frames(address).skip_all_loads() {
        while let Ok(Some(frame)) = frames.next() {
            let name = frame
                .function
                .as_ref()
                .and_then(|f| f.raw_name().ok().map(|n| demangle(&n)));
            let line = frame
                .location
                .and_then(|l| Some(format!("{}:{}", l.file?, l.line?)));
            match (name, line) {
                (Some(name), Some(line)) => places.push(format!("{name} at {line}")),
                (Some(one), None) | (None, Some(one)) => places.push(one),
                (None, None) => {}
            }
        }
    }
    // Assembly, or debug information without functions: the symbol table knows the name.
    let named = places
        .iter()
        .any(|place| place.contains(" at ") || !place.contains(':'));
    if !named && let Some(symbol) = file.symbol_map().before(address) {
        let name = format!(
            "{}+{:#x}",
            demangle(symbol.name()),
            address - symbol.address()
        );
        match places.last_mut() {
            Some(line) => *line = format!("{name} at {line}"),
            None => places.push(name),
        }
    }
    places
}

fn demangle(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}
