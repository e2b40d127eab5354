//! Generic netlink (NETLINK_GENERIC): the controller, which tells what families there are. There is one: itself.
//!
//! So programs that look for a family (WireGuard, ethtool, taskstats, nl80211) hear ENOENT, as of a Linux built without.
//! Source: Linux net/netlink/genetlink.c, genetlink(7) of libnl.
use super::netlink::Answer;
use alloc::vec::Vec;
use ringo_abi::Errno;
use ringo_net::netlink::{DUMP, MULTI, Message, Request, attributes};

/// GENL_ID_CTRL, its name and version.
const CONTROLLER: u16 = 16;
const NAME: &str = "nlctrl";
const VERSION: u8 = 2;
/// CTRL_CMD_NEWFAMILY, _GETFAMILY, _GETPOLICY.
const NEW_FAMILY: u8 = 1;
const GET_FAMILY: u8 = 3;
const GET_POLICY: u8 = 10;
/// CTRL_ATTR_*.
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;
const FAMILY_VERSION: u16 = 3;
const HEADER_SIZE: u16 = 4;
const MAX_ATTRIBUTE: u16 = 5;
const OPERATIONS: u16 = 6;
const GROUPS: u16 = 7;
/// CTRL_ATTR_OP_*.
const OPERATION_ID: u16 = 1;
const OPERATION_FLAGS: u16 = 2;
/// GENL_CMD_CAP_DO, _DUMP, _HASPOL.
const CAN_DO: u32 = 2;
const CAN_DUMP: u32 = 4;
const HAS_POLICY: u32 = 8;
/// CTRL_ATTR_MCAST_GRP_NAME, _ID, and GENL_ID_CTRL as the group's number.
const GROUP_NAME: u16 = 1;
const GROUP_ID: u16 = 2;
/// struct genlmsghdr: command, version, nothing.
const HEADER: usize = 4;

/// Answers a request.
///
/// # Errors
/// ENOENT for a family there is not, EINVAL, EOPNOTSUPP.
pub fn answer(request: &Request<'_>, port: u32, out: &mut Answer) -> Result<(), Errno> {
    if request.kind != CONTROLLER {
        return Err(Errno::ENOENT);
    }
    let (header, rest) = request
        .body
        .split_first_chunk::<HEADER>()
        .ok_or(Errno::EINVAL)?;
    let dump = request.flags & DUMP == DUMP;
    match header[0] {
        GET_FAMILY => {
            if !dump {
                is_asked(rest)?;
            }
            out.put(family(request, port, if dump { MULTI } else { 0 }));
            Ok(())
        }
        // Of no family is the policy known.
        GET_POLICY if dump => Err(Errno::ENODATA),
        _ => Err(Errno::EOPNOTSUPP),
    }
}

/// Whether the family that is asked for is the controller.
fn is_asked(attributes_of: &[u8]) -> Result<(), Errno> {
    let mut found = None;
    for (kind, data) in attributes(attributes_of) {
        match kind {
            FAMILY_ID => found = Some(data.get(..2) == Some(&CONTROLLER.to_ne_bytes())),
            FAMILY_NAME => {
                let name = data.split(|&byte| byte == 0).next();
                found = Some(name == Some(NAME.as_bytes()));
            }
            _ => {}
        }
    }
    match found {
        None => Err(Errno::EINVAL),
        Some(false) => Err(Errno::ENOENT),
        Some(true) => Ok(()),
    }
}

fn family(request: &Request<'_>, port: u32, flags: u16) -> Vec<u8> {
    let operation = |id: u8, can: u32| {
        let mut bytes = Vec::new();
        put(&mut bytes, OPERATION_ID, &u32::from(id).to_ne_bytes());
        put(&mut bytes, OPERATION_FLAGS, &can.to_ne_bytes());
        bytes
    };
    let mut operations = Vec::new();
    let get = operation(GET_FAMILY, CAN_DO | CAN_DUMP | HAS_POLICY);
    put(&mut operations, 1, &get);
    put(
        &mut operations,
        2,
        &operation(GET_POLICY, CAN_DUMP | HAS_POLICY),
    );
    let mut group = Vec::new();
    put(&mut group, GROUP_ID, &u32::from(CONTROLLER).to_ne_bytes());
    put(&mut group, GROUP_NAME, b"notify\0");
    let mut groups = Vec::new();
    put(&mut groups, 1, &group);
    let mut message = Message::new(CONTROLLER, flags, request.sequence, port);
    message
        .put(&[NEW_FAMILY, VERSION, 0, 0])
        .text(FAMILY_NAME, NAME)
        .attribute(FAMILY_ID, &CONTROLLER.to_ne_bytes())
        .attribute(FAMILY_VERSION, &u32::from(VERSION).to_ne_bytes())
        .attribute(HEADER_SIZE, &0u32.to_ne_bytes())
        .attribute(MAX_ATTRIBUTE, &0u32.to_ne_bytes())
        .attribute(OPERATIONS, &operations)
        .attribute(GROUPS, &groups);
    message.finish()
}

/// An attribute inside of another.
fn put(to: &mut Vec<u8>, kind: u16, data: &[u8]) {
    to.extend_from_slice(&((4 + data.len()) as u16).to_ne_bytes());
    to.extend_from_slice(&kind.to_ne_bytes());
    to.extend_from_slice(data);
    to.resize(to.len().next_multiple_of(4), 0);
}
