//! placeholder
use crate::args::DoctorOptions;
use anyhow::Result;
pub fn run(_: &DoctorOptions) -> Result<u8> {
    Ok(0)
}
