//! The end of the VM. (Stand-in until the drivers land.)
use ringo_control::ExitStatus;
/// Ends with the program's status.
pub fn exit(status: ExitStatus) -> ! {
    crate::klog!("exit {status:?}");
    off()
}
/// Ends because Ringo could not do what was asked; the text tells the user why.
pub fn fail(reason: &str) -> ! {
    super::log_line(reason);
    off()
}
/// Ends with a kernel bug.
pub fn crash(reason: &str, addresses: &[u64]) -> ! {
    super::log_line(reason);
    for address in addresses {
        crate::klog!("  {address:#x}");
    }
    off()
}
fn off() -> ! {
    crate::cpu::port::outb(0xf4, 0);
    crate::cpu::trap::halt_forever()
}
