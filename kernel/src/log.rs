//! The kernel's log: lines for `ringo run -v`, sent over the control port; never on the program's streams.
use alloc::string::String;

/// Logs a formatted line.
#[macro_export]
macro_rules! klog {
    ($($argument:tt)*) => { $crate::log::line(::alloc::format!($($argument)*)) };
}

/// Takes a line; drivers/ sends it on when the control port is up and logging is on.
pub fn line(text: String) {
    crate::drivers::log_line(&text);
}
