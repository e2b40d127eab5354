//! Kernel stacks. (Stand-in until the memory subsystem lands.)
use alloc::vec::Vec;
/// A thread's kernel stack.
pub struct KernelStack(Vec<u128>);
impl KernelStack {
    /// A new one.
    pub fn alloc() -> Result<Self, ringo_abi::Errno> {
        Ok(Self(alloc::vec![0; 1024]))
    }
    /// Its highest address.
    pub fn top(&self) -> usize {
        self.0.as_ptr() as usize + 16 * 1024
    }
}
