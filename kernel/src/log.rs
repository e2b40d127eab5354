//! The kernel's log: lines for `ringo run -v`, sent over the control port; never on the program's streams.
//!
//! Needs no memory, and formats nothing that nobody wants: lines are written where memory is short, too.
use crate::drivers::control;
use crate::panic::Text;
use core::fmt::{Arguments, Write};

/// Logs a formatted line, of up to 512 bytes.
#[macro_export]
macro_rules! klog {
    ($($argument:tt)*) => { $crate::log::line(::core::format_args!($($argument)*)) };
}

/// Sends a line if somebody wants it.
pub fn line(arguments: Arguments<'_>) {
    if control::is_verbose() {
        let mut text = Text::new();
        let _ = text.write_fmt(arguments);
        control::log(text.as_str());
    }
}
