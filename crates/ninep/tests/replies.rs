//! Requests have the bytes the protocol wants; replies are understood, and nothing else is taken for one.
use proptest::collection::vec;
use proptest::prelude::*;
use ringo_ninep::*;

fn encoded<R: Request>(request: &R, tag: u16) -> Vec<u8> {
    let mut buffer = vec![0xee; request.length() + 8];
    let length = encode(request, tag, &mut buffer).expect("room");
    assert_eq!(length, request.length());
    assert!(buffer[length..].iter().all(|&byte| byte == 0xee));
    buffer.truncate(length);
    buffer
}

/// A reply as a host would write it.
fn reply(kind: u8, tag: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = ((HEADER + payload.len()) as u32).to_le_bytes().to_vec();
    bytes.push(kind);
    bytes.extend(tag.to_le_bytes());
    bytes.extend(payload);
    bytes
}

fn string(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u16).to_le_bytes()[..], text].concat()
}

fn qid(kind: u8, path: u64) -> Vec<u8> {
    [&[kind][..], &7u32.to_le_bytes(), &path.to_le_bytes()].concat()
}

fn entry(path: u64, next: u64, kind: u8, name: &[u8]) -> Vec<u8> {
    [
        qid(0, path),
        next.to_le_bytes().to_vec(),
        vec![kind],
        string(name),
    ]
    .concat()
}

#[test]
fn requests_are_the_protocols_bytes() {
    let version = Version {
        size: 8192,
        version: VERSION,
    };
    assert_eq!(
        encoded(&version, NO_TAG),
        b"\x15\0\0\0\x64\xff\xff\0\x20\0\0\x08\x009P2000.L"
    );
    let walk = Walk {
        fid: 1,
        new: 2,
        names: &[b"usr", b"x"],
    };
    assert_eq!(
        encoded(&walk, 5),
        b"\x19\0\0\0\x6e\x05\0\x01\0\0\0\x02\0\0\0\x02\0\x03\0usr\x01\0x"
    );
    let read = Read {
        fid: 9,
        offset: 0x1_0000_0002,
        count: 4096,
    };
    assert_eq!(
        encoded(&read, 0x102),
        b"\x17\0\0\0\x74\x02\x01\x09\0\0\0\x02\0\0\0\x01\0\0\0\0\x10\0\0"
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut small = [0; 10];
    assert_eq!(encode(&Clunk { fid: 1 }, 1, &mut small), Err(TooLong));
    let names = [&b"a"[..]; MAX_NAMES + 1];
    let walk = Walk {
        fid: 0,
        new: 1,
        names: &names,
    };
    assert_eq!(encode(&walk, 1, &mut [0; 1000]), Err(TooLong));
    let long = vec![b'a'; 65536];
    let walk = Walk {
        fid: 0,
        new: 1,
        names: &[&long],
    };
    assert_eq!(encode(&walk, 1, &mut vec![0; 100_000]), Err(TooLong));
}

#[test]
fn errors_of_the_host_are_told() {
    let bytes = reply(7, 3, &2u32.to_le_bytes());
    assert_eq!(
        decode(&Getattr { fid: 1 }, 3, &bytes),
        Err(ReplyError::Host(2))
    );
    assert_eq!(
        decode(&Clunk { fid: 1 }, 4, &bytes),
        Err(ReplyError::Malformed),
        "of another request"
    );
}

#[test]
fn a_walk_may_stop_early_but_not_go_further() {
    let walk = Walk {
        fid: 1,
        new: 2,
        names: &[b"a", b"b"],
    };
    let one = reply(111, 1, &[&1u16.to_le_bytes()[..], &qid(0x80, 44)].concat());
    let found = decode(&walk, 1, &one).expect("a reply");
    assert_eq!((found.len(), found.last().map(|q| q.path)), (1, Some(44)));
    assert!(found.last().is_some_and(Qid::is_directory));
    let three = [&3u16.to_le_bytes()[..], &qid(0, 1), &qid(0, 2), &qid(0, 3)].concat();
    assert_eq!(
        decode(&walk, 1, &reply(111, 1, &three)),
        Err(ReplyError::Malformed)
    );
}

#[test]
fn attributes_have_their_places() {
    let mut payload = 0x7ffu64.to_le_bytes().to_vec();
    payload.extend(qid(0, 99));
    for word in [0o100_644u32, 1000, 100] {
        payload.extend(word.to_le_bytes());
    }
    for word in 1..=15u64 {
        payload.extend(word.to_le_bytes());
    }
    let bytes = reply(25, 1, &payload);
    assert_eq!(bytes.len(), Getattr { fid: 1 }.reply_length());
    let got = decode(&Getattr { fid: 1 }, 1, &bytes).expect("a reply");
    assert_eq!((got.mode, got.uid, got.gid), (0o100_644, 1000, 100));
    assert_eq!(
        (got.links, got.rdev, got.size, got.block_size, got.blocks),
        (1, 2, 3, 4, 5)
    );
    assert_eq!(
        (got.atime, got.mtime, got.ctime),
        ((6, 7), (8, 9), (10, 11))
    );
}

#[test]
fn data_may_lie_elsewhere() {
    let read = Read {
        fid: 1,
        offset: 0,
        count: 100,
    };
    let bytes = reply(117, 1, &[&5u32.to_le_bytes()[..], b"hello"].concat());
    let header = &bytes[..read.reply_length()];
    assert_eq!(decode_scattered(&read, 1, header, bytes.len()), Ok(5));
    // The device wrote less than the reply says, or the host says more than was asked for.
    assert_eq!(
        decode_scattered(&read, 1, header, bytes.len() - 1),
        Err(ReplyError::Malformed)
    );
    let much = reply(117, 1, &[&101u32.to_le_bytes()[..], &[0; 101]].concat());
    assert_eq!(
        decode_scattered(&read, 1, &much[..11], much.len()),
        Err(ReplyError::Malformed)
    );
    // An error fits into the beginning.
    let error = reply(7, 1, &5u32.to_le_bytes());
    assert_eq!(
        decode_scattered(&read, 1, &error, error.len()),
        Err(ReplyError::Host(5))
    );
}

#[test]
fn entries_are_told_in_order_and_odd_names_are_known() {
    let all = [
        entry(1, 10, 4, b"."),
        entry(2, 11, 8, b"a b"),
        entry(3, 12, 8, b"x/y"),
        entry(4, 13, 8, b""),
        entry(5, 14, 8, b"nul\0"),
        entry(6, 15, 8, &[b'n'; 256]),
        entry(7, 16, 0, "\u{e9}".as_bytes()),
    ]
    .concat();
    let payload = [&(all.len() as u32).to_le_bytes()[..], &all].concat();
    let bytes = reply(41, 1, &payload);
    let request = Readdir {
        fid: 1,
        offset: 0,
        count: 8192,
    };
    let plain: Vec<_> = decode(&request, 1, &bytes)
        .expect("a reply")
        .filter(Entry::is_plain)
        .map(|e| (e.qid.path, e.next))
        .collect();
    assert_eq!(plain, [(2, 11), (7, 16)]);
    // Cut in the middle of an entry.
    let cut = &all[..all.len() - 1];
    let payload = [&(cut.len() as u32).to_le_bytes()[..], cut].concat();
    assert_eq!(
        decode(&request, 1, &reply(41, 1, &payload)),
        Err(ReplyError::Malformed)
    );
}

#[test]
fn link_targets_are_paths() {
    let link = Readlink { fid: 1 };
    let of = |target: &[u8]| reply(23, 1, &string(target));
    assert_eq!(decode(&link, 1, &of(b"../x")), Ok(&b"../x"[..]));
    assert_eq!(decode(&link, 1, &of(b"")), Err(ReplyError::Malformed));
    assert_eq!(decode(&link, 1, &of(b"a\0b")), Err(ReplyError::Malformed));
}

/// Every decoder on these bytes; what they give must lie within them.
fn decode_all(tag: u16, bytes: &[u8], length: usize) {
    let version = Version {
        size: 8192,
        version: VERSION,
    };
    let _ = decode(&version, tag, bytes);
    let attach = Attach {
        fid: 0,
        user: b"",
        tree: b"",
        uid: 0,
    };
    let _ = decode(&attach, tag, bytes);
    let walk = Walk {
        fid: 0,
        new: 1,
        names: &[b"a", b"b", b"c"],
    };
    if let Ok(qids) = decode(&walk, tag, bytes) {
        assert!(qids.len() <= 3);
        let _ = qids.last();
    }
    let _ = decode(&Getattr { fid: 1 }, tag, bytes);
    let _ = decode(&Open { fid: 1, flags: 0 }, tag, bytes);
    let read = Read {
        fid: 1,
        offset: 0,
        count: 4096,
    };
    if let Ok(count) = decode_scattered(&read, tag, bytes, length) {
        assert!(count <= 4096 && 11 + count as usize <= length);
    }
    let readdir = Readdir {
        fid: 1,
        offset: 0,
        count: 4096,
    };
    if let Ok(entries) = decode(&readdir, tag, bytes) {
        assert!(entries.map(|e| e.name.len() + 24).sum::<usize>() <= bytes.len());
    }
    let _ = decode(&Readlink { fid: 1 }, tag, bytes);
    let _ = decode(&Clunk { fid: 1 }, tag, bytes);
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..300), tag: u16, more in 0usize..9000) {
        decode_all(tag, &bytes, bytes.len() + more);
    }

    /// Frames whose header is right, so that the payload's own lies are met.
    #[test]
    fn any_payload_is_survived(
        kind in prop::sample::select(vec![7u8, 13, 23, 25, 41, 101, 105, 111, 117, 121]),
        payload in vec(any::<u8>(), 0..300),
        lie in -20i64..20,
    ) {
        let mut bytes = reply(kind, 1, &payload);
        let size = (bytes.len() as i64 + lie).max(0) as u32;
        bytes[..4].copy_from_slice(&size.to_le_bytes());
        decode_all(1, &bytes, bytes.len());
    }

    #[test]
    fn a_reply_of_another_kind_or_tag_is_malformed(kind: u8, tag: u16) {
        let bytes = reply(kind, tag, &[]);
        if (kind, tag) != (121, 1) {
            prop_assert_eq!(decode(&Clunk { fid: 1 }, 1, &bytes), Err(ReplyError::Malformed));
        }
    }

    #[test]
    fn directories_round_trip(names in vec((vec(1u8..255, 1..40), any::<u64>(), any::<u8>()), 0..20)) {
        let all: Vec<u8> = names
            .iter()
            .enumerate()
            .flat_map(|(i, (name, path, kind))| entry(*path, i as u64, *kind, name))
            .collect();
        let payload = [&(all.len() as u32).to_le_bytes()[..], &all].concat();
        let bytes = reply(41, 9, &payload);
        let request = Readdir { fid: 1, offset: 0, count: 8192 };
        let got: Vec<_> = decode(&request, 9, &bytes)
            .expect("a reply")
            .map(|e| (e.name.to_vec(), e.qid.path, e.kind))
            .collect();
        prop_assert_eq!(got, names);
    }
}
