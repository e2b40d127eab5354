//! How QEMU runs the guest's instructions: asks /dev/kvm before QEMU does, so that the answer is one clear line.

use std::io::ErrorKind;

use anyhow::{Result, bail};

use crate::args;

/// The engine taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Kvm,
    Tcg,
}

impl Engine {
    /// Its name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Kvm => "kvm",
            Engine::Tcg => "tcg",
        }
    }
}

/// Takes what was asked for, or what works.
pub fn choose(wanted: args::Engine) -> Result<Engine> {
    match wanted {
        args::Engine::Tcg => Ok(Engine::Tcg),
        args::Engine::Kvm => match probe() {
            Ok(()) => Ok(Engine::Kvm),
            Err(why) => bail!("{why}; or use --engine tcg, which is slower"),
        },
        args::Engine::Auto => Ok(match probe() {
            Ok(()) => Engine::Kvm,
            Err(why) => {
                say!("ringo: using the slower engine tcg: {why}");
                Engine::Tcg
            }
        }),
    }
}

/// `Err` says in one line what is wrong and what to do.
fn probe() -> Result<(), String> {
    let kvm = kvm_ioctls::Kvm::new().map_err(|error| {
        match std::io::Error::from_raw_os_error(error.errno()).kind() {
            ErrorKind::NotFound => "this machine has no /dev/kvm: enable virtualisation in its firmware (or nested \
                                    virtualisation, if it is a VM) and `modprobe kvm_intel` or `modprobe kvm_amd`"
                .to_owned(),
            ErrorKind::PermissionDenied => "no permission for /dev/kvm: `sudo usermod -aG kvm $USER` and log in again".to_owned(),
            _ => format!("/dev/kvm doesn't open ({error})"),
        }
    })?;
    // The only version there has been since 2007.
    match kvm.get_api_version() {
        12 => {}
        other => return Err(format!("/dev/kvm speaks version {other}, QEMU wants 12")),
    }
    kvm.create_vm()
        .map(drop)
        .map_err(|error| format!("/dev/kvm makes no virtual machine ({error})"))
}
