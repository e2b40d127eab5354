//! What the hypervisor hands over (PVH start info), and the last steps of booting.
use crate::cpu::{percpu, smp};
use crate::{klog, task};

/// The start info, read.
pub struct BootInfo {
    /// Physical address and length of the bundle.
    pub bundle: (usize, usize),
}

impl BootInfo {
    /// Reads the start info at this physical address.
    pub fn read(_start_info: usize) -> Self {
        Self { bundle: (0, 0) }
    }
}

/// Everything after memory, time and the first CPU.
pub fn start(boot: BootInfo) -> ! {
    klog!(
        "hello from ring 0: {} cpus, bundle {:x?}, {} ns",
        percpu::cpu_count(),
        boot.bundle,
        crate::time::now()
    );
    let cpus = smp::start_others(2);
    klog!("{cpus} cpus");
    task::exit_group(ringo_control::ExitStatus::Code(0))
}
