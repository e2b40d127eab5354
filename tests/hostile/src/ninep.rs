//! Replies of the host that serves files.
use ringo_ninep::{
    Attach, Clunk, Getattr, HEADER, Open, Read, Readdir, Readlink, ReplyError, Request, VERSION,
    Version, Walk, decode, decode_scattered, encode,
};

const TAG: u16 = 1;
/// What is asked for at most.
const COUNT: u32 = 600;

/// See [`crate::Target`]. The first byte says which request the rest is the reply to, the second what else varies.
pub fn run(bytes: &[u8]) {
    let &[which, some, ref reply @ ..] = bytes else {
        return;
    };
    let names = [&b"a"[..], b"bc", b"d"];
    let names = &names[..usize::from(some % 4)];
    match which % 9 {
        0 => {
            let request = Version {
                size: 8192,
                version: VERSION,
            };
            if let Some((size, version)) = answer(&request, reply) {
                assert!(size <= 8192);
                within(version, reply);
            }
        }
        1 => drop(answer(
            &Attach {
                fid: 0,
                user: b"u",
                tree: b"",
                uid: 1,
            },
            reply,
        )),
        2 => {
            if let Some(qids) = answer(
                &Walk {
                    fid: 0,
                    new: 1,
                    names,
                },
                reply,
            ) {
                assert!(qids.len() <= names.len());
                assert_eq!(qids.last().is_none(), qids.is_empty());
            }
        }
        3 => drop(answer(&Getattr { fid: 1 }, reply)),
        4 => drop(answer(&Open { fid: 1, flags: 0 }, reply)),
        5 => read(some, reply),
        6 => {
            if let Some(entries) = answer(
                &Readdir {
                    fid: 1,
                    offset: 0,
                    count: COUNT,
                },
                reply,
            ) {
                let mut bytes = 0;
                for entry in entries {
                    within(entry.name, reply);
                    bytes += 24 + entry.name.len();
                    let slash = entry.name.contains(&b'/') || entry.name.contains(&0);
                    assert!(!entry.is_plain() || (!slash && !entry.name.is_empty()));
                }
                assert!(bytes <= COUNT as usize && bytes + HEADER + 4 <= reply.len());
                assert_eq!(entries.is_empty(), bytes == 0);
            }
        }
        7 => {
            if let Some(target) = answer(&Readlink { fid: 1 }, reply) {
                assert!(!target.is_empty() && !target.contains(&0));
                within(target, reply);
            }
        }
        _ => drop(answer(&Clunk { fid: 1 }, reply)),
    }
}

/// The data of a read went elsewhere: only so much of the reply is at hand.
fn read(some: u8, reply: &[u8]) {
    let request = Read {
        fid: 1,
        offset: 7,
        count: COUNT,
    };
    let here = &reply[..reply.len().min(usize::from(some))];
    if let Ok(count) = decode_scattered(&request, TAG, here, reply.len()) {
        assert!(count <= COUNT && request.reply_length() + count as usize <= reply.len());
    }
    if let Some(count) = answer(&request, reply) {
        let all = decode_scattered(&request, TAG, &reply[..request.reply_length()], reply.len());
        assert_eq!(all, Ok(count));
    }
}

/// The reply's value. The request itself is as long as it says.
fn answer<'a, R: Request>(request: &R, reply: &'a [u8]) -> Option<R::Reply<'a>> {
    let mut buffer = vec![0; request.length()];
    assert_eq!(encode(request, TAG, &mut buffer), Ok(buffer.len()));
    let short = buffer.len() - 1;
    assert!(encode(request, TAG, &mut buffer[..short]).is_err());
    match decode(request, TAG, reply) {
        Ok(value) => Some(value),
        Err(ReplyError::Host(_)) => {
            assert!(reply.len() >= HEADER + 4);
            None
        }
        Err(ReplyError::Malformed) => None,
    }
}

fn within(part: &[u8], whole: &[u8]) {
    let (part, whole) = (part.as_ptr_range(), whole.as_ptr_range());
    assert!(part.start >= whole.start && part.end <= whole.end);
}

/// See [`crate::Target`].
pub fn seeds() -> Vec<Vec<u8>> {
    let string = |s: &[u8]| [&(s.len() as u16).to_le_bytes()[..], s].concat();
    let qid = [&[0x80u8][..], &7u32.to_le_bytes(), &9u64.to_le_bytes()].concat();
    let entry = [&qid[..], &1u64.to_le_bytes(), &[4], &string(b"name")].concat();
    let entries = [&(2 * entry.len() as u32).to_le_bytes()[..], &entry, &entry].concat();
    let bodies: [(u8, u8, Vec<u8>); 10] = [
        (
            0,
            101,
            [&8192u32.to_le_bytes()[..], &string(VERSION)].concat(),
        ),
        (1, 105, qid.clone()),
        (2, 111, [&2u16.to_le_bytes()[..], &qid, &qid].concat()),
        (3, 25, [&[0; 8][..], &qid, &[5; 132]].concat()),
        (4, 13, [&qid[..], &[0; 4]].concat()),
        (5, 117, [&5u32.to_le_bytes()[..], b"bytes"].concat()),
        (6, 41, entries),
        (7, 23, string(b"../target")),
        (8, 121, Vec::new()),
        (8, 7, 2u32.to_le_bytes().to_vec()),
    ];
    let reply = |(which, kind, body): &(u8, u8, Vec<u8>)| {
        let size = (HEADER + body.len()) as u32;
        [
            &[*which, 3][..],
            &size.to_le_bytes(),
            &[*kind, TAG as u8, 0],
            body,
        ]
        .concat()
    };
    bodies.iter().map(reply).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_replies() {
        let seeds = seeds();
        let reply = |index: usize| &seeds[index][2..];
        assert!(answer(&Getattr { fid: 1 }, reply(3)).is_some());
        let entries = answer(
            &Readdir {
                fid: 1,
                offset: 0,
                count: COUNT,
            },
            reply(6),
        );
        assert_eq!(entries.map(Iterator::count), Some(2));
        assert_eq!(
            answer(&Readlink { fid: 1 }, reply(7)),
            Some(&b"../target"[..])
        );
        assert_eq!(
            decode(&Clunk { fid: 1 }, TAG, reply(9)),
            Err(ReplyError::Host(2))
        );
    }
}
