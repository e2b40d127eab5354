//! Writing an archive, front to back; only the header is filled in at the end.

use std::collections::HashSet;
use std::io::{self, Seek, SeekFrom, Write};

use ringo_control::{Termios, WinSize};

use crate::entry::is_plain;
use crate::{Data, Flags, MAGIC, PAGE, StreamKind, Terminal, VERSION};

/// Files below this size are collected before they are written.
const SMALL: usize = 1 << 20;

/// A longer path cannot be opened (PATH_MAX counts the slash in front and the zero behind it).
const PATH_MAX: usize = 4096 - 2;

/// What stat(2) says besides kind and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Permission bits; others are dropped.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time.
    pub mtime_ns: i64,
}

/// An owned [`crate::Config`].
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)] // The fields are those of `Config`.
pub struct Circumstances {
    pub flags: Flags,
    pub started_ns: u64,
    pub entropy: [u8; 32],
    pub uid: u32,
    pub gid: u32,
    pub umask: u32,
    pub nofile: (u64, u64),
    pub ignored_signals: u64,
    pub streams: [StreamKind; 3],
    pub controlling: Option<Terminal>,
    pub stream_flags: [u32; 3],
    pub program_path: Vec<u8>,
    pub program_data: Data,
    pub cwd: Vec<u8>,
    pub hostname: Vec<u8>,
    pub args: Vec<Vec<u8>>,
    pub env: Vec<Vec<u8>>,
    pub groups: Vec<u32>,
    pub kept: Vec<Vec<u8>>,
    pub profile_hertz: u32,
    pub network: Vec<Vec<u8>>,
}

/// Writes an archive to a file that starts empty. Entries may come in any order: missing parents are made, and a second
/// entry with the same path is refused.
pub struct Writer<W> {
    out: W,
    /// Where the next file's data goes; a multiple of [`PAGE`].
    position: u64,
    /// Small files that belong before `position` and are not yet written: hundreds of them make one write.
    pending: Vec<u8>,
    records: Vec<u8>,
    count: u64,
    paths: HashSet<Vec<u8>>,
    default_mtime_ns: i64,
    limit: u64,
}

impl<W: Write + Seek> Writer<W> {
    /// `default_mtime_ns` is for directories that nobody described.
    pub fn new(mut out: W, default_mtime_ns: i64) -> io::Result<Self> {
        out.seek(SeekFrom::Start(PAGE))?;
        Ok(Self {
            out,
            position: PAGE,
            pending: Vec::new(),
            records: Vec::new(),
            count: 0,
            paths: HashSet::new(),
            default_mtime_ns,
            limit: u64::MAX,
        })
    }

    /// No more than this many bytes, please: what goes beyond fails with [`io::ErrorKind::StorageFull`].
    pub fn limit(&mut self, bytes: u64) {
        self.limit = bytes;
    }

    /// How many bytes are left of the limit. Who copies from a source of unknown length takes at most one more than that, and
    /// hears of the limit then.
    pub fn room(&self) -> u64 {
        self.limit
            .saturating_sub(self.position)
            .saturating_sub(self.records.len() as u64)
    }

    /// Is there an entry with this path?
    pub fn contains(&self, path: &[u8]) -> bool {
        self.paths.contains(path)
    }

    /// A directory.
    pub fn directory(&mut self, path: &[u8], metadata: &Metadata) -> io::Result<()> {
        self.begin(path, 0, metadata)
    }

    /// A file with the bytes that `fill` appends.
    pub fn file(
        &mut self,
        path: &[u8],
        metadata: &Metadata,
        fill: impl FnOnce(&mut W) -> io::Result<()>,
    ) -> io::Result<Data> {
        self.begin(path, 1, metadata)?;
        let data = match self.data(fill) {
            Ok(data) => data,
            Err(error) => {
                // The record is half written: an empty file keeps the archive sound if the caller goes on.
                self.put_data(Data::default());
                return Err(error);
            }
        };
        self.put_data(data);
        Ok(data)
    }

    /// A file with these bytes.
    pub fn file_of(&mut self, path: &[u8], metadata: &Metadata, bytes: &[u8]) -> io::Result<Data> {
        if bytes.len() as u64 > self.room() {
            return Err(full());
        }
        self.begin(path, 1, metadata)?;
        let data = if bytes.len() < SMALL {
            let data = Data {
                offset: self.position,
                len: bytes.len() as u64,
            };
            self.pending.extend(bytes);
            self.pending
                .resize(self.pending.len().next_multiple_of(PAGE as usize), 0);
            self.position += data.len.next_multiple_of(PAGE);
            if bytes.is_empty() {
                Data::default()
            } else {
                data
            }
        } else {
            let written = self.data(|out| out.write_all(bytes));
            // As in `file`: what failed stays an empty file.
            self.put_data(*written.as_ref().unwrap_or(&Data::default()));
            return written;
        };
        self.put_data(data);
        if self.pending.len() >= SMALL {
            self.write_pending().map(|()| data)
        } else {
            Ok(data)
        }
    }

    /// A file with data that was written before, by [`Writer::data`]; at most one may share it.
    pub fn file_with(&mut self, path: &[u8], metadata: &Metadata, data: Data) -> io::Result<()> {
        self.begin(path, 1, metadata)?;
        self.put_data(data);
        Ok(())
    }

    /// Data without a name: the program, when the tree doesn't show it.
    pub fn data(&mut self, fill: impl FnOnce(&mut W) -> io::Result<()>) -> io::Result<Data> {
        self.write_pending()?;
        let (offset, room) = (self.position, self.room());
        let filled = fill(&mut self.out);
        let end = self.out.stream_position()?;
        // A gap reads as zeros: the tail of the last page. What a failed `fill` wrote stays behind, unused.
        self.position = end.next_multiple_of(PAGE);
        self.out.seek(SeekFrom::Start(self.position))?;
        filled?;
        let len = end.saturating_sub(offset);
        if len > room {
            return Err(full());
        }
        Ok(if len == 0 {
            Data::default()
        } else {
            Data { offset, len }
        })
    }

    /// A symbolic link.
    pub fn symlink(&mut self, path: &[u8], metadata: &Metadata, target: &[u8]) -> io::Result<()> {
        if target.is_empty() || target.contains(&0) {
            return Err(invalid("a symbolic link has no valid target", path));
        }
        self.begin(path, 2, metadata)?;
        put_bytes(&mut self.records, target);
        Ok(())
    }

    /// Another name for the file at `target`, which must be there already.
    pub fn hard_link(&mut self, path: &[u8], metadata: &Metadata, target: &[u8]) -> io::Result<()> {
        if !self.paths.contains(target) || target.is_empty() {
            return Err(invalid("a hard link precedes its file", path));
        }
        self.begin(path, 3, metadata)?;
        put_bytes(&mut self.records, target);
        Ok(())
    }

    fn write_pending(&mut self) -> io::Result<()> {
        let written = self.out.write_all(&self.pending);
        self.pending.clear();
        written
    }

    /// Writes metadata and header; returns the file and the archive's length.
    pub fn finish(mut self, config: &Circumstances) -> io::Result<(W, u64)> {
        self.write_pending()?;
        let mut metadata = config_record(config);
        metadata.extend(self.count.to_le_bytes());
        metadata.append(&mut self.records);
        let total = self.position + metadata.len() as u64;
        self.out.write_all(&metadata)?;

        let mut header = Vec::from(MAGIC);
        header.extend(VERSION.to_le_bytes());
        header.extend(config.flags.0.to_le_bytes());
        for field in [total, self.position, metadata.len() as u64] {
            header.extend(field.to_le_bytes());
        }
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&header)?;
        self.out.flush()?;
        Ok((self.out, total))
    }

    fn begin(&mut self, path: &[u8], kind: u8, metadata: &Metadata) -> io::Result<()> {
        if path.len() > PATH_MAX {
            return Err(invalid("the path is too long", &path[..100]));
        }
        if !is_plain(path) || (path.is_empty() && kind != 0) {
            return Err(invalid("not a path that can be stored", path));
        }
        // Parents that nobody described, the uppermost first; most paths have none of them.
        let slashes = || (0..path.len()).filter(|&at| path[at] == b'/');
        let known = slashes().rfind(|&at| self.paths.contains(&path[..at]));
        for slash in slashes().filter(|&at| known.is_none_or(|known| at > known)) {
            let metadata = Metadata {
                mode: 0o755,
                uid: 0,
                gid: 0,
                mtime_ns: self.default_mtime_ns,
            };
            self.record(&path[..slash], 0, &metadata)?;
        }
        self.record(path, kind, metadata)
    }

    fn record(&mut self, path: &[u8], kind: u8, metadata: &Metadata) -> io::Result<()> {
        if !self.paths.insert(path.to_vec()) {
            return Err(invalid("the path occurs twice", path));
        }
        if self.room() < path.len() as u64 {
            return Err(full());
        }
        self.count += 1;
        let records = &mut self.records;
        records.push(kind);
        for field in [metadata.mode & 0o7777, metadata.uid, metadata.gid] {
            records.extend(field.to_le_bytes());
        }
        records.extend(metadata.mtime_ns.to_le_bytes());
        put_bytes(records, path);
        Ok(())
    }

    fn put_data(&mut self, data: Data) {
        self.records.extend(data.offset.to_le_bytes());
        self.records.extend(data.len.to_le_bytes());
    }
}

fn full() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

fn invalid(what: &str, path: &[u8]) -> io::Error {
    let path = String::from_utf8_lossy(path);
    io::Error::new(io::ErrorKind::InvalidInput, format!("{what}: /{path}"))
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u32).to_le_bytes());
    out.extend(bytes);
}

fn config_record(config: &Circumstances) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(config.started_ns.to_le_bytes());
    out.extend(config.entropy);
    for field in [config.uid, config.gid, config.umask] {
        out.extend(field.to_le_bytes());
    }
    for field in [config.nofile.0, config.nofile.1, config.ignored_signals] {
        out.extend(field.to_le_bytes());
    }
    for (stream, flags) in config.streams.iter().zip(config.stream_flags) {
        put_stream(&mut out, stream, flags);
    }
    let controlling = config
        .controlling
        .map_or(StreamKind::Closed, StreamKind::Terminal);
    put_stream(&mut out, &controlling, 0);
    put_bytes(&mut out, &config.program_path);
    out.extend(config.program_data.offset.to_le_bytes());
    out.extend(config.program_data.len.to_le_bytes());
    put_bytes(&mut out, &config.cwd);
    put_bytes(&mut out, &config.hostname);
    put_strings(&mut out, &config.args);
    put_strings(&mut out, &config.env);
    let groups: Vec<u8> = config
        .groups
        .iter()
        .flat_map(|id| id.to_le_bytes())
        .collect();
    put_bytes(&mut out, &groups);
    put_strings(&mut out, &config.kept);
    out.extend(config.profile_hertz.to_le_bytes());
    put_strings(&mut out, &config.network);
    out
}

fn put_strings(out: &mut Vec<u8>, list: &[Vec<u8>]) {
    out.extend((list.len() as u32).to_le_bytes());
    list.iter().for_each(|string| put_bytes(out, string));
}

fn put_stream(out: &mut Vec<u8>, stream: &StreamKind, flags: u32) {
    let (number, terminal) = match stream {
        StreamKind::Closed => (0, None),
        StreamKind::Null => (1, None),
        StreamKind::Pipe => (2, None),
        StreamKind::File => (3, None),
        StreamKind::Socket => (4, None),
        StreamKind::Terminal(terminal) => (5, Some(terminal)),
        StreamKind::Device => (6, None),
    };
    out.push(number);
    out.extend(flags.to_le_bytes());
    if let Some(terminal) = terminal {
        let Termios(termios) = terminal.termios;
        let WinSize {
            rows,
            cols,
            xpixel,
            ypixel,
        } = terminal.size;
        out.push(terminal.device as u8);
        out.extend(termios);
        for field in [rows, cols, xpixel, ypixel] {
            out.extend(field.to_le_bytes());
        }
    }
}
