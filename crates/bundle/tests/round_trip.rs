//! The archive's promises: what is written is read back, and no damage makes the reader panic.

use std::collections::BTreeMap;
use std::io::Cursor;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use ringo_bundle::*;
use ringo_control::{Stream, Termios, WinSize};

const METADATA: Metadata = Metadata {
    mode: 0o644,
    uid: 7,
    gid: 8,
    mtime_ns: -5,
};

fn circumstances() -> Circumstances {
    let terminal = Terminal {
        device: Stream::Stdin,
        termios: Termios([9; 36]),
        size: WinSize {
            rows: 24,
            cols: 80,
            xpixel: 1,
            ypixel: 2,
        },
    };
    Circumstances {
        flags: Flags::VERBOSE | Flags::HOST_ROOT,
        started_ns: 1_700_000_000_000_000_000,
        entropy: [3; 32],
        uid: 1000,
        gid: 1001,
        umask: 0o22,
        nofile: (1024, 4096),
        ignored_signals: 1,
        streams: [
            StreamKind::Terminal(terminal),
            StreamKind::Null,
            StreamKind::File,
        ],
        controlling: Some(terminal),
        stream_flags: [2, 1, 0o2001],
        program_path: b"/bin/hello".to_vec(),
        program_data: Data::default(),
        cwd: b"/work dir".to_vec(),
        hostname: b"ringo".to_vec(),
        args: vec![b"hello".to_vec(), b"".to_vec(), b"\xff".to_vec()],
        env: vec![b"A=b".to_vec()],
        groups: vec![4, 70_000],
        kept: vec![b"/out".to_vec(), b"/a b".to_vec()],
        profile_hertz: 499,
        network: vec![b"user".to_vec(), b"nameserver 192.0.2.53".to_vec()],
    }
}

fn archive(files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut writer = Writer::new(Cursor::new(Vec::new()), 11).expect("memory");
    for (path, contents) in files {
        writer
            .file_of(path.as_bytes(), &METADATA, &contents[..])
            .expect("distinct paths");
    }
    let mut config = circumstances();
    config.program_data = writer
        .data(|out| std::io::Write::write_all(out, b"\x7fELF"))
        .expect("memory");
    let (out, total) = writer.finish(&config).expect("memory");
    let bytes = out.into_inner();
    assert_eq!(bytes.len() as u64, total);
    bytes
}

/// Paths below directories that are never files.
fn files() -> impl Strategy<Value = BTreeMap<String, Vec<u8>>> {
    btree_map(
        "(d[a-z]/){0,3}f[a-z0-9 ]{1,9}",
        vec(any::<u8>(), 0..9000),
        0..12,
    )
}

proptest! {
    #[test]
    fn trees_round_trip(files in files()) {
        let bytes = archive(&files);
        let bundle = Bundle::parse(&bytes).expect("valid");
        let mut seen = std::collections::HashSet::new();
        let mut contents = BTreeMap::new();
        for entry in bundle.entries() {
            let path = String::from_utf8(entry.path.to_vec()).expect("ASCII");
            if let Some((parent, _)) = path.rsplit_once('/') {
                prop_assert!(seen.contains(parent), "parents come first");
            }
            seen.insert(path.clone());
            if let Kind::File(data) = entry.kind {
                prop_assert!(data.offset.is_multiple_of(PAGE));
                prop_assert_eq!((entry.mode, entry.uid, entry.gid, entry.mtime_ns), (0o644, 7, 8, -5));
                let end = (data.offset + data.len) as usize;
                let tail = &bytes[end..end.next_multiple_of(PAGE as usize)];
                prop_assert!(tail.iter().all(|&b| b == 0), "the last page ends in zeros");
                contents.insert(path, bundle.data(data).to_vec());
            } else {
                prop_assert_eq!((entry.kind, entry.mode, entry.mtime_ns), (Kind::Directory, 0o755, 11));
            }
        }
        prop_assert_eq!(contents, files);
        prop_assert_eq!(bundle.program(), b"\x7fELF");
    }

    #[test]
    fn damage_never_panics(files in files(), position: prop::sample::Index, value: u8, cut: prop::sample::Index) {
        let mut bytes = archive(&files);
        let at = position.index(bytes.len());
        bytes[at] = value;
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            if let Ok(bundle) = Bundle::parse(bytes) {
                for entry in bundle.entries() {
                    if let Kind::File(data) = entry.kind { bundle.data(data); }
                }
                prop_assert_eq!(bundle.entries().count() as u64, bundle.entry_count());
                bundle.config().args.count();
            }
        }
    }

    #[test]
    fn damaged_metadata_never_panics(changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = archive(&BTreeMap::from([("a/b".to_owned(), b"x".to_vec())]));
        let start = Bundle::parse(&bytes).expect("valid").header().metadata_offset() as usize;
        for (position, value) in changes {
            let at = start + position.index(bytes.len() - start);
            bytes[at] = value;
        }
        if let Ok(bundle) = Bundle::parse(&bytes) {
            bundle.entries().for_each(|entry| if let Kind::File(data) = entry.kind { bundle.data(data); });
        }
    }

    #[test]
    fn noise_is_refused(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(Bundle::parse(&bytes).is_err());
    }
}

#[test]
fn entropy_is_where_its_offset_says() {
    let bytes = archive(&BTreeMap::from([("a".to_owned(), b"x".to_vec())]));
    let bundle = Bundle::parse(&bytes).expect("valid");
    let at = bundle.header().entropy_offset().expect("there is some") as usize;
    assert_eq!(bytes[at..at + 32], bundle.config().entropy);
    assert_eq!(bytes[at - 8..at], bundle.config().started_ns.to_le_bytes());
}

#[test]
fn circumstances_round_trip() {
    let bytes = archive(&BTreeMap::new());
    let bundle = Bundle::parse(&bytes).expect("valid");
    let (got, want) = (bundle.config(), circumstances());
    assert!(got.flags.contains(Flags::VERBOSE) && got.flags.contains(Flags::HOST_ROOT));
    assert!(!got.flags.contains(Flags::STATS));
    assert_eq!(got.groups.iter().collect::<Vec<_>>(), want.groups);
    assert_eq!(
        (
            got.started_ns,
            got.entropy,
            got.uid,
            got.gid,
            got.umask,
            got.nofile,
            got.ignored_signals
        ),
        (
            want.started_ns,
            want.entropy,
            1000,
            1001,
            0o22,
            want.nofile,
            1
        )
    );
    assert_eq!(
        (got.streams, got.stream_flags),
        (want.streams, want.stream_flags)
    );
    assert_eq!(got.program.path, b"/bin/hello");
    assert_eq!((got.cwd, got.hostname), (&b"/work dir"[..], &b"ringo"[..]));
    assert_eq!(got.args.collect::<Vec<_>>(), [&b"hello"[..], b"", b"\xff"]);
    assert_eq!(got.env.collect::<Vec<_>>(), [b"A=b"]);
}

#[test]
fn links_and_the_root_directory_round_trip() {
    let mut writer = Writer::new(Cursor::new(Vec::new()), 0).expect("memory");
    writer
        .directory(
            b"",
            &Metadata {
                mode: 0o40_700,
                ..METADATA
            },
        )
        .expect("root");
    writer.file_of(b"f", &METADATA, &b"x"[..]).expect("file");
    writer.symlink(b"s", &METADATA, b"../f").expect("symlink");
    writer.hard_link(b"h", &METADATA, b"f").expect("hard link");
    assert!(writer.hard_link(b"i", &METADATA, b"nowhere").is_err());
    assert!(writer.file_of(b"f", &METADATA, &b"y"[..]).is_err(), "twice");
    for bad in [&b"/f"[..], b"a//b", b"a/../b", b".", b"a/", b"nul\0"] {
        assert!(writer.file_of(bad, &METADATA, &b"y"[..]).is_err());
    }
    let bytes = writer
        .finish(&circumstances())
        .expect("memory")
        .0
        .into_inner();
    let bundle = Bundle::parse(&bytes).expect("valid");
    let kinds: Vec<_> = bundle.entries().map(|e| (e.path, e.kind)).collect();
    assert_eq!(kinds[0], (&b""[..], Kind::Directory));
    assert_eq!(bundle.entries().next().expect("root").mode, 0o700);
    assert!(matches!(kinds[1], (b"f", Kind::File(_))));
    assert_eq!(kinds[2], (&b"s"[..], Kind::Symlink(b"../f")));
    assert_eq!(kinds[3], (&b"h"[..], Kind::HardLink(b"f")));
    assert_eq!(kinds.len(), 4);
}

#[test]
fn a_file_that_cannot_be_read_leaves_the_archive_sound() {
    let mut writer = Writer::new(Cursor::new(Vec::new()), 0).expect("memory");
    let failed = writer.file(b"bad", &METADATA, |out| {
        std::io::Write::write_all(out, b"half of it")?;
        Err(std::io::Error::other("disk on fire"))
    });
    assert!(failed.is_err());
    writer
        .file_of(b"good", &METADATA, &b"contents"[..])
        .expect("file");
    let bytes = writer
        .finish(&circumstances())
        .expect("memory")
        .0
        .into_inner();
    let bundle = Bundle::parse(&bytes).expect("valid");
    let lengths: Vec<_> = bundle
        .entries()
        .map(|e| {
            if let Kind::File(d) = e.kind {
                bundle.data(d).len()
            } else {
                99
            }
        })
        .collect();
    assert_eq!(lengths, [0, 8]);
}

#[test]
fn a_deep_path_is_refused_and_a_long_one_gets_its_parents() {
    let mut writer = Writer::new(Cursor::new(Vec::new()), 0).expect("memory");
    let deep = [&b"d"[..]; 60_000].join(&b'/');
    let error = writer
        .file_of(&deep, &METADATA, b"x")
        .expect_err("too deep");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    let long = [&b"d"[..]; 2_000].join(&b'/');
    writer.file_of(&long, &METADATA, b"x").expect("2,000 deep");
    let bytes = writer.finish(&circumstances()).expect("memory").0;
    let bytes = bytes.into_inner();
    let bundle = Bundle::parse(&bytes).expect("valid");
    let paths: Vec<_> = bundle.entries().map(|entry| entry.path.len()).collect();
    assert_eq!(paths, (0..2_000).map(|n| 2 * n + 1).collect::<Vec<_>>());
}

#[test]
fn the_limit_is_for_contents_and_names() {
    let full = |result: std::io::Result<Data>| {
        result.expect_err("beyond the limit").kind() == std::io::ErrorKind::StorageFull
    };
    let mut writer = Writer::new(Cursor::new(Vec::new()), 0).expect("memory");
    writer.limit(1 << 20);
    writer
        .file_of(b"small", &METADATA, &[1; 1 << 19])
        .expect("it has room");
    assert!(full(writer.file_of(b"a", &METADATA, &[1; 1 << 20])));
    let mut endless = std::io::Read::take(std::io::repeat(1), writer.room() + 1);
    assert!(full(
        writer.data(|out| std::io::copy(&mut endless, out).map(drop))
    ));

    let mut writer = Writer::new(Cursor::new(Vec::new()), 0).expect("memory");
    writer.limit(1 << 20);
    let name = |n: usize| format!("{n:0200}").into_bytes();
    let stored = (0..100_000).find(|&n| writer.file_of(&name(n), &METADATA, b"").is_err());
    assert!(stored.is_some_and(|n| n > 1_000 && n < 6_000), "{stored:?}");
}
