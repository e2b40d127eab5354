//! The report of a fallen kernel: its last words, and its return addresses as functions and lines.

use std::fmt::Write;

use ringo_control::{Crash, CrashKind};

use crate::golang::LineTable;
use crate::image;
use crate::symbols::KernelSymbols;

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
        let symbols = KernelSymbols::read(&elf);
        for (index, &address) in self.kernel.iter().enumerate() {
            // A return address belongs to the call before it; the first one is where it happened.
            let at = if index == 0 {
                address
            } else {
                address.wrapping_sub(1)
            };
            let places = symbols
                .as_ref()
                .map(|symbols| symbols.places(at))
                .unwrap_or_default();
            if places.is_empty() {
                writeln!(out, "  {address:#018x}")?;
            }
            for place in places {
                writeln!(out, "  {address:#018x} {place}")?;
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
