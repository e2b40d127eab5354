//! The archive that the kernel starts from.
use std::io::Cursor;

use ringo_bundle::{
    Bundle, Circumstances, Data, Kind, Metadata, PAGE, StreamKind, Terminal, Writer,
};
use ringo_control::{Stream, Termios, WinSize};

/// See [`crate::Target`].
pub fn run(bytes: &[u8]) {
    match Bundle::parse(bytes) {
        Ok(bundle) => check(bytes, &bundle),
        Err(error) => assert!(!error.to_string().contains('\n')),
    }
}

/// What the kernel takes for granted of a checked archive.
fn check(bytes: &[u8], bundle: &Bundle<'_>) {
    let total = bundle.header().total_len();
    assert!(total <= bytes.len() as u64 && bundle.header().metadata_offset() <= total);
    // Whole pages of data become files; the metadata's are given back.
    let data = |data: Data| {
        let found = bundle.data(data);
        assert_eq!(found.len() as u64, data.len);
        assert!(data.offset.is_multiple_of(PAGE));
        assert!(data.len == 0 || data.offset >= PAGE);
        assert!(data.offset + data.len <= bundle.header().metadata_offset());
    };
    let config = bundle.config();
    data(config.program.data);
    assert_eq!(bundle.program().len() as u64, config.program.data.len);
    for path in [config.program.path, config.cwd] {
        assert!(path.starts_with(b"/") && !path.contains(&0));
    }
    for list in [config.args, config.env] {
        let (said, count) = (list.len(), list.count());
        assert_eq!(said, count);
        assert!(list.into_iter().all(|string| !string.contains(&0)));
    }
    assert!(!config.hostname.contains(&0));
    assert!(config.groups.iter().count() * 4 <= bytes.len());
    assert_eq!(bundle.entries().count() as u64, bundle.entry_count());
    for entry in bundle.entries() {
        assert!(entry.mode <= 0o7777);
        let plain = |path: &[u8]| {
            path.split(|&b| b == b'/').all(|name| {
                (1..=255).contains(&name.len())
                    && name != b"."
                    && name != b".."
                    && !name.contains(&0)
            })
        };
        assert!(plain(entry.path) || (entry.path.is_empty() && entry.kind == Kind::Directory));
        match entry.kind {
            Kind::Directory => {}
            Kind::File(contents) => data(contents),
            Kind::Symlink(target) => assert!(!target.is_empty() && !target.contains(&0)),
            Kind::HardLink(target) => assert!(plain(target)),
        }
    }
    // What follows the archive in its last page has no part in it.
    let again = Bundle::parse(&bytes[..total as usize]).expect("the same archive");
    assert_eq!(format!("{:?}", again.config()), format!("{config:?}"));
    assert!(again.entries().eq(bundle.entries()));
}

/// See [`crate::Target`].
pub fn seeds() -> Vec<Vec<u8>> {
    vec![archive(false), archive(true)]
}

fn archive(full: bool) -> Vec<u8> {
    let metadata = Metadata {
        mode: 0o644,
        uid: 1,
        gid: 2,
        mtime_ns: -1,
    };
    let mut writer = Writer::new(Cursor::new(Vec::new()), 3).expect("memory");
    let mut config = Circumstances {
        program_path: b"/bin/p".to_vec(),
        cwd: b"/".to_vec(),
        ..Circumstances::default()
    };
    config.program_data = writer
        .file_of(b"bin/p", &metadata, b"\x7fELF")
        .expect("a first one");
    if full {
        writer.directory(b"", &metadata).expect("a root");
        writer
            .symlink(b"etc/l", &metadata, b"../bin/p")
            .expect("a link");
        writer
            .hard_link(b"q", &metadata, b"bin/p")
            .expect("another name");
        writer.file_of(b"empty", &metadata, b"").expect("a file");
        let terminal = Terminal {
            device: Stream::Stdin,
            termios: Termios([1; Termios::LEN]),
            size: WinSize {
                rows: 24,
                cols: 80,
                xpixel: 0,
                ypixel: 0,
            },
        };
        config.streams = [
            StreamKind::Terminal(terminal),
            StreamKind::File,
            StreamKind::Null,
        ];
        config.args = vec![b"p".to_vec(), b"".to_vec()];
        config.env = vec![b"A=b".to_vec()];
        config.groups = vec![4, 5];
        config.hostname = b"ringo".to_vec();
    }
    let (out, _) = writer.finish(&config).expect("memory");
    out.into_inner()
}
