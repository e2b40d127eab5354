//! What programs expect of any system, where `--root` does not bring it: users, hosts, /tmp, and from the host
//! CA certificates and time zones, as Go looks for them.

use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ringo_bundle::Metadata;

use super::{Kind, Node, Source, Tree};
use crate::program::bundle_metadata;

/// Where Go looks for certificates (crypto/x509/root_linux.go), the first is Debian's.
const CERTIFICATES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
const ZONES: &str = "/usr/share/zoneinfo";

/// The kernel writes the lines of resolv.conf(5) there, from options or the lease.
const RESOLVER: &str = "/proc/net/pnp";

/// Who the machine is.
pub struct Names<'a> {
    pub hostname: &'a str,
    /// Its addresses, where they are known beforehand.
    pub addresses: Vec<IpAddr>,
    /// It has a network card.
    pub network: bool,
}

/// Adds what is missing. `now_ns` dates what has no date of its own.
pub fn complete(tree: &mut Tree, names: &Names, now_ns: i64) {
    let hostname = names.hostname;
    let owned = |mode| Metadata {
        mode,
        uid: 0,
        gid: 0,
        mtime_ns: now_ns,
    };
    for (path, mode) in [
        ("", 0o755),
        ("tmp", 0o1777),
        ("root", 0o700),
        ("var/tmp", 0o1777),
        ("etc", 0o755),
    ] {
        if tree.get(path.as_bytes()).is_none() {
            tree.insert(
                path.as_bytes(),
                Node {
                    metadata: owned(mode),
                    kind: Kind::Directory,
                },
            );
        }
    }
    let files = [
        (
            "etc/passwd",
            "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n"
                .into(),
        ),
        ("etc/group", "root:x:0:\nnobody:x:65534:\n".into()),
        (
            "etc/hosts",
            match &names.addresses[..] {
                [] => format!("127.0.0.1\tlocalhost {hostname}\n::1\tlocalhost\n"),
                addresses => {
                    let ours = addresses.iter().map(|ip| format!("{ip}\t{hostname}\n"));
                    let ours: String = ours.collect();
                    format!("127.0.0.1\tlocalhost\n::1\tlocalhost\n{ours}")
                }
            },
        ),
        ("etc/hostname", format!("{hostname}\n")),
        (
            "etc/nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files dns\n".into(),
        ),
    ];
    let text = |text: String| Kind::File(Source::Bytes(text.into_bytes()));
    let mut files = files.map(|(path, lines)| (path, text(lines))).to_vec();
    files.push((
        "etc/resolv.conf",
        match names.network {
            true => Kind::Symlink(RESOLVER.into()),
            false => text(String::new()),
        },
    ));
    for (path, kind) in files {
        if !tree.contains(path.as_bytes()) {
            tree.insert(
                path.as_bytes(),
                Node {
                    metadata: owned(0o644),
                    kind,
                },
            );
        }
    }
    certificates(tree);
    time_zones(tree);
}

fn certificates(tree: &mut Tree) {
    if CERTIFICATES
        .iter()
        .any(|path| tree.contains(&path.as_bytes()[1..]))
    {
        return;
    }
    if let Some(path) = CERTIFICATES.iter().find(|path| Path::new(path).is_file()) {
        from_host(tree, Path::new(path), path);
    }
}

fn time_zones(tree: &mut Tree) {
    let had_zones = tree.contains(&ZONES.as_bytes()[1..]);
    if !had_zones {
        zones_below(tree, Path::new(ZONES), 0);
    }
    if !tree.contains(b"etc/localtime") {
        from_host(tree, Path::new("/etc/localtime"), "/etc/localtime");
    }
}

/// All zones but the copies with leap seconds and without (`right`, `posix`), which Go never asks for.
fn zones_below(tree: &mut Tree, directory: &Path, depth: u32) {
    let Ok(entries) = directory.read_dir() else {
        return;
    };
    for entry in entries.flatten() {
        let (path, Ok(kind)) = (entry.path(), entry.file_type()) else {
            continue;
        };
        let name = path.as_os_str().as_bytes();
        if kind.is_dir() {
            let copy =
                depth == 0 && [&b"right"[..], b"posix"].contains(&entry.file_name().as_bytes());
            if depth < 4 && !copy {
                zones_below(tree, &path, depth + 1);
            }
        } else if kind.is_symlink() {
            let Ok(target) = path.read_link() else {
                continue;
            };
            let kind = Kind::Symlink(target.as_os_str().as_bytes().to_vec());
            // A link's own mode and date tell nobody anything; hundreds of lstat calls are saved.
            let metadata = Metadata {
                mode: 0o777,
                uid: 0,
                gid: 0,
                mtime_ns: 0,
            };
            tree.insert(&name[1..], Node { metadata, kind });
        } else if kind.is_file() && !name.ends_with(b".list") && !name.ends_with(b"leapseconds") {
            from_host(tree, &path, &path.to_string_lossy());
        }
    }
}

/// Adds a file of the host (what it leads to, if it is a link) under an absolute path. There are hundreds, and each
/// costs four system calls: open, fstat, read, close.
fn from_host(tree: &mut Tree, source: &Path, path: &str) {
    let read = || {
        let mut file = File::open(source)?;
        let metadata = file.metadata()?;
        let mut bytes = vec![0; metadata.len() as usize];
        file.read_exact(&mut bytes)?;
        Ok::<_, std::io::Error>((metadata, bytes))
    };
    // What can't be read isn't there.
    if let Ok((metadata, bytes)) = read()
        && metadata.is_file()
    {
        let kind = Kind::File(Source::Bytes(bytes));
        tree.insert(
            &path.as_bytes()[1..],
            Node {
                metadata: bundle_metadata(&metadata),
                kind,
            },
        );
    }
}
