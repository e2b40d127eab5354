//! The 8259 interrupt controllers, turned off: where firmware ran before us it has left them on, with vectors that mean
//! exceptions here (Intel 8259A).
use super::port;

const MASKS: [u16; 2] = [0x21, 0xa1];

/// Masks every line.
pub fn turn_off() {
    for mask in MASKS {
        port::outb(mask, 0xff);
    }
}
