//! Dispatch, made from the one table in crates/abi.
use super::Handler;
use crate::cpu::entry::SyscallFrame;
use crate::cpu::trap::TrapFrame;
use ringo_abi::for_each_syscall;

/// Numbers from here on are not in the table.
pub const DISPATCH_LEN: usize = 512;

macro_rules! handler {
    ($number:literal, $family:ident :: $name:ident ()) => {{
        extern "C" fn call(_: usize, _: usize, _: usize, _: usize, _: usize, _: usize) -> usize {
            super::encode(super::$family::$name())
        }
        call as Handler
    }};
    ($number:literal, $family:ident :: $name:ident ($a:ident : $ta:ty)) => {{
        extern "C" fn call(a: usize, _: usize, _: usize, _: usize, _: usize, _: usize) -> usize {
            super::encode(super::$family::$name(a as $ta))
        }
        call as Handler
    }};
    ($number:literal, $family:ident :: $name:ident ($a:ident : $ta:ty, $b:ident : $tb:ty)) => {{
        extern "C" fn call(a: usize, b: usize, _: usize, _: usize, _: usize, _: usize) -> usize {
            super::encode(super::$family::$name(a as $ta, b as $tb))
        }
        call as Handler
    }};
    ($number:literal, $family:ident :: $name:ident ($a:ident : $ta:ty, $b:ident : $tb:ty, $c:ident : $tc:ty)) => {{
        extern "C" fn call(a: usize, b: usize, c: usize, _: usize, _: usize, _: usize) -> usize {
            super::encode(super::$family::$name(a as $ta, b as $tb, c as $tc))
        }
        call as Handler
    }};
    ($number:literal, $family:ident :: $name:ident ($a:ident : $ta:ty, $b:ident : $tb:ty, $c:ident : $tc:ty, $d:ident : $td:ty)) => {{
        extern "C" fn call(a: usize, b: usize, c: usize, d: usize, _: usize, _: usize) -> usize {
            super::encode(super::$family::$name(
                a as $ta, b as $tb, c as $tc, d as $td,
            ))
        }
        call as Handler
    }};
    ($number:literal, $family:ident :: $name:ident ($a:ident : $ta:ty, $b:ident : $tb:ty, $c:ident : $tc:ty, $d:ident : $td:ty, $e:ident : $te:ty)) => {{
        extern "C" fn call(a: usize, b: usize, c: usize, d: usize, e: usize, _: usize) -> usize {
            super::encode(super::$family::$name(
                a as $ta, b as $tb, c as $tc, d as $td, e as $te,
            ))
        }
        call as Handler
    }};
    ($number:literal, $family:ident :: $name:ident ($a:ident : $ta:ty, $b:ident : $tb:ty, $c:ident : $tc:ty, $d:ident : $td:ty, $e:ident : $te:ty, $f:ident : $tf:ty)) => {{
        extern "C" fn call(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> usize {
            super::encode(super::$family::$name(
                a as $ta, b as $tb, c as $tc, d as $td, e as $te, f as $tf,
            ))
        }
        call as Handler
    }};
}

/// The handler of a line: the `@frame` ones get the whole register frame.
macro_rules! entry {
    (@frame $number:literal, $family:ident :: $name:ident $args:tt) => {
        $crate::frame_handler!(super::$family::$name)
    };
    ($number:literal, $family:ident :: $name:ident $args:tt) => {
        handler!($number, $family::$name $args)
    };
}

macro_rules! dispatch {
    ($($(@$mark:ident)? $number:literal => $family:ident :: $name:ident $args:tt, $support:ident $(($why:literal))? ;)*) => {
        /// Handlers by number.
        pub static DISPATCH: [Handler; DISPATCH_LEN] = {
            let mut table = not_provided();
            $(table[$number] = entry!($(@$mark)? $number, $family::$name $args);)*
            table
        };

        /// The `@frame` calls for a caller that has a trap frame already.
        pub fn dispatch_frame(number: usize, frame: &mut TrapFrame) -> Option<usize> {
            let mut registers = SyscallFrame::from_trap(frame);
            match number {
                $($number => frame_call!($(@$mark)? $family::$name, registers),)*
                _ => None,
            }
        }
    };
}

macro_rules! frame_call {
    (@frame $family:ident :: $name:ident, $registers:ident) => {
        Some(super::encode(super::$family::$name(&mut $registers)))
    };
    ($family:ident :: $name:ident, $registers:ident) => {
        None
    };
}

/// One function a number, so that the log can name the number.
const fn not_provided() -> [Handler; DISPATCH_LEN] {
    extern "C" fn without<const N: usize>(
        _: usize,
        _: usize,
        _: usize,
        _: usize,
        _: usize,
        _: usize,
    ) -> usize {
        super::unknown_syscall(N)
    }
    macro_rules! sixteen {
        ($table:ident, $base:expr) => {
            sixteen!(@ $table, $base, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        };
        (@ $table:ident, $base:expr, $($i:literal)*) => { $($table[$base + $i] = without::<{ $base + $i }> as Handler;)* };
    }
    macro_rules! all {
        ($table:ident, $($h:literal)*) => { $(sixteen!($table, $h * 16);)* };
    }
    let mut table = [without::<0> as Handler; DISPATCH_LEN];
    all!(table, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
    table
}

for_each_syscall!(dispatch);
