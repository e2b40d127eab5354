//! What QEMU says on its stderr: passed on with `-v`, and read for the reason when it ends or can't go on.

use std::io::Read;

use anyhow::{Result, anyhow, bail};

use super::Session;

impl Session<'_> {
    /// False at its end.
    pub(super) fn read_qemu_log(&mut self) -> bool {
        let mut buffer = [0; 4096];
        match self.vm.log.read(&mut buffer) {
            Ok(0) | Err(_) => false,
            Ok(n) => {
                if self.task.verbose {
                    say_part!("{}", String::from_utf8_lossy(&buffer[..n]));
                }
                // A complaint repeated for ever is of no more use.
                if self.qemu_said.len() < 1 << 16 {
                    self.qemu_said.extend(&buffer[..n]);
                }
                true
            }
        }
    }

    /// When KVM cannot run an instruction, QEMU prints the registers, ends with a line of code bytes, and keeps the VM stopped
    /// for ever.
    pub(super) fn check_kvm(&self) -> Result<()> {
        let said = String::from_utf8_lossy(&self.qemu_said);
        let failed = ["KVM internal error", "kvm run failed"]
            .iter()
            .any(|words| said.contains(words));
        if failed
            && let Some((registers, code)) = said.split_once("\nCode=")
            && let Some((code, _)) = code.split_once('\n')
        {
            let at = registers.rsplit_once("\nRIP=").map_or("", |(_, rest)| {
                rest.split(|c: char| !c.is_ascii_hexdigit())
                    .next()
                    .unwrap_or("")
            });
            let at = at.trim_start_matches('0');
            // The bytes from the instruction on, whose first is in angles.
            let code = code.split_once('<').map_or("", |(_, code)| code);
            let code = code.replace('>', "");
            let code = code.get(..23).unwrap_or(&code);
            bail!("KVM can't run the instruction at 0x{at} ({code} ...): try --engine tcg");
        }
        Ok(())
    }

    pub(super) fn why_qemu_ended(&mut self) -> anyhow::Error {
        while self.read_qemu_log() {}
        let status = match self.vm.wait() {
            Ok(status) => status,
            Err(error) => return error.into(),
        };
        let said = String::from_utf8_lossy(&self.qemu_said);
        let lines = said
            .lines()
            .map(|l| l.trim())
            .filter(|l| !l.is_empty() && !l.contains("warning:"));
        let said: Vec<_> = lines.collect();
        if !said.is_empty() {
            return anyhow!("QEMU ended ({status}): {}", said.join("; "));
        }
        match status.code() {
            // -no-reboot turns a triple fault into an orderly end.
            Some(0) => anyhow!("the VM reset itself without a word; try again with -v"),
            // isa-debug-exit: the value written, doubled, plus one. QEMU's own failures are 1, and have something to say.
            Some(code) if code & 1 == 1 && code > 1 => {
                anyhow!(
                    "the kernel stopped without a word (code {}); try again with -v",
                    code >> 1
                )
            }
            _ => anyhow!("QEMU ended ({status}); try again with -v"),
        }
    }
}
