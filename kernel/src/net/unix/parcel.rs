//! What goes along with the bytes of a Unix socket: who sent them, and open files.
use super::super::message::Credentials;
use super::super::options::PASS_CREDENTIALS;
use super::super::socket::{Common, Receiving, Sending};
use super::super::stream::Attachment;
use super::rights::Rights;
use crate::fs::{OpenFile, fd};
use crate::sync::SlotRef;
use alloc::vec::Vec;
use linux_raw_sys::net as abi;

/// See the module's head.
#[derive(Default)]
pub struct Parcel {
    credentials: Option<Credentials>,
    rights: Rights,
}

impl Attachment for Parcel {
    const WHOLE: bool = true;

    fn joins(&self, before: &Self) -> bool {
        self.rights.is_empty() && before.rights.is_empty() && self.credentials == before.credentials
    }
}

impl Parcel {
    /// What a send-like call sends along; the open files go with the first part of it.
    pub fn new(how: &Sending, rights: Rights) -> Self {
        let given = how.control.credentials;
        Self {
            credentials: Some(given.unwrap_or_else(Credentials::own)),
            rights,
        }
    }

    /// Whether it has open files.
    pub const fn has_rights(&self) -> bool {
        !self.rights.is_empty()
    }

    /// Whether both are from the same sender.
    pub fn same_sender(&self, other: Option<Credentials>) -> bool {
        self.credentials == other
    }

    /// Who sent it.
    pub const fn credentials(&self) -> Option<Credentials> {
        self.credentials
    }

    /// Takes the open files out.
    pub fn take_rights(&mut self) -> Vec<SlotRef<OpenFile>> {
        self.rights.take()
    }

    /// References to the open files, for a look that leaves them.
    pub fn rights(&self) -> Vec<SlotRef<OpenFile>> {
        self.rights.look()
    }
}

/// Writes what came along as control data, as far as the receiver wants it and has room.
pub fn tell(
    common: &Common,
    sender: Option<Credentials>,
    rights: Vec<SlotRef<OpenFile>>,
    how: &mut Receiving,
) {
    if common.has(PASS_CREDENTIALS)
        && let Some(sender) = sender
    {
        how.control
            .put(abi::SOL_SOCKET, abi::SCM_CREDENTIALS, &sender.bytes());
    }
    if rights.is_empty() {
        return;
    }
    let close_on_exec = how.has(abi::MSG_CMSG_CLOEXEC);
    let room = how.control.room() / size_of::<i32>();
    let all = rights.len();
    let mut numbers = Vec::new();
    for file in rights.into_iter().take(room) {
        match fd::share(0, file, close_on_exec) {
            Ok(number) => numbers.extend_from_slice(&number.to_ne_bytes()),
            Err(_) => break,
        }
    }
    if !numbers.is_empty() {
        how.control.put(abi::SOL_SOCKET, abi::SCM_RIGHTS, &numbers);
    }
    if numbers.len() / size_of::<i32>() < all {
        how.control.set_truncated();
    }
}
