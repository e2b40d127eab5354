//! Descriptors 0 to 2 on the serial line, until the console's ports are there.
use super::{FileOps, OpenFile, Stat};
use crate::cpu::port::outb;
use crate::memory::user::UserIo;
use alloc::vec::Vec;
use linux_raw_sys::general::S_IFIFO;
use ringo_abi::{Errno, SysResult};

/// The first serial port.
pub struct Serial;

impl FileOps for Serial {
    fn read(&self, _file: &OpenFile, _io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        Ok(0)
    }

    fn write(&self, _file: &OpenFile, io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        let mut chunk = [0; 256];
        let mut done = 0;
        while io.remaining() > 0 {
            let wanted = io.remaining().min(chunk.len());
            let got = io.copy_in(&mut chunk[..wanted])?;
            for &byte in &chunk[..got] {
                outb(0x3f8, byte);
            }
            done += got;
        }
        Ok(done)
    }

    fn stat(&self) -> Result<Stat, Errno> {
        Ok(Stat {
            mode: S_IFIFO | 0o600,
            links: 1,
            block_size: 4096,
            ..Stat::default()
        })
    }

    fn name(&self) -> Vec<u8> {
        b"pipe:[1]".to_vec()
    }
}
