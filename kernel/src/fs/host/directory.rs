//! Directories of the host: walking into them, and reading them.
//!
//! Every name that is found gets a fid of its own and its attributes in one more round trip for all of them, links their
//! targets with them. Steps of a path are walked side by side, each from the beginning, so none waits for another.
use super::OVERLAY;
use super::client::{Batch, Client, Fid, NewFid};
use super::file::{self, HostFile};
use crate::fs::inode::{Content, Inode, Lower, Owner};
use crate::fs::lower::{Answer, LowerDirectory, LowerFile, Name};
use crate::fs::ram::{Directory, FileData};
use crate::memory::page::Page;
use crate::sync::SpinLock;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::general as abi;
use ringo_abi::Errno;
use ringo_ninep::{Attach, Attributes, Getattr, Open, Qid, Readdir, Readlink, Walk};

/// Bytes of entries asked for at once.
const LISTING: usize = 64 << 10;
/// The longest entry: a qid, an offset, a type, and a name with its length.
const ENTRY_MAX: usize = 13 + 8 + 1 + 2 + 255;

/// See the module's head.
struct HostDirectory {
    client: &'static Client,
    fid: Fid,
    size: (u64, u64),
}

/// A fid that was made, and what the host says it is.
struct Found {
    fid: Fid,
    qid: Qid,
}

/// The root of the host's files.
///
/// # Errors
/// EPROTO, EIO, ENOMEM; the host's.
pub fn root(client: &'static Client, uid: u32) -> Result<Arc<Inode>, Errno> {
    client.agree()?;
    let new = client.new_fid()?;
    let attach = Attach {
        fid: new.number(),
        user: b"",
        tree: b"/",
        uid,
    };
    let mut batch = client.batch();
    let index = batch.add(&attach)?;
    batch.send()?;
    let qid = batch.reply(index, &attach)?;
    let found = Found {
        fid: new.made(),
        qid,
    };
    let root = look_at(client, alloc::vec![found])?
        .pop()
        .ok_or(Errno::EIO)??;
    if root.is_directory() {
        Ok(root)
    } else {
        Err(Errno::ENOTDIR)
    }
}

/// Fetches the attributes of what was found, and where links lead.
fn look_at(
    client: &'static Client,
    found: Vec<Found>,
) -> Result<Vec<Result<Arc<Inode>, Errno>>, Errno> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let mut batch = client.batch();
    let mut numbers = Vec::with_capacity(found.len());
    for Found { fid, qid } in &found {
        let fid = fid.number();
        let attributes = batch.add(&Getattr { fid })?;
        let target = match qid.is_symlink() {
            true => Some(batch.add(&Readlink { fid })?),
            false => None,
        };
        numbers.push((attributes, target));
    }
    batch.send()?;
    let inodes = found.into_iter().zip(numbers);
    Ok(inodes
        .map(|(found, numbers)| inode(client, found.fid, &batch, numbers))
        .collect())
}

fn inode(
    client: &'static Client,
    fid: Fid,
    batch: &Batch,
    (attributes, target): (usize, Option<usize>),
) -> Result<Arc<Inode>, Errno> {
    let number = fid.number();
    let attributes = batch.reply(attributes, &Getattr { fid: number })?;
    let lower = lower(&attributes)?;
    let content = match attributes.mode & abi::S_IFMT {
        abi::S_IFREG => Content::File(FileData::over(
            Box::new(HostFile::new(client, fid, &attributes)),
            attributes.size,
        )),
        abi::S_IFDIR => Content::Directory(Directory::over(Box::new(HostDirectory {
            client,
            fid,
            size: (attributes.size, attributes.blocks),
        }))),
        abi::S_IFLNK => {
            let target = target.ok_or(Errno::EIO)?;
            Content::Symlink(batch.reply(target, &Readlink { fid: number })?.into())
        }
        abi::S_IFIFO => Content::Fifo(SpinLock::default()),
        abi::S_IFSOCK => Content::Socket(SpinLock::new(None)),
        abi::S_IFCHR | abi::S_IFBLK => Content::Device(attributes.rdev),
        _ => return Err(Errno::EIO),
    };
    Ok(Inode::over(&OVERLAY, &lower, content))
}

/// Attributes as an inode has them.
fn lower(attributes: &Attributes) -> Result<Lower, Errno> {
    const KNOWN: u32 = abi::S_IFMT | 0o7777;
    if attributes.mode & !KNOWN != 0 {
        return Err(Errno::EIO);
    }
    if attributes.size > i64::MAX as u64 {
        return Err(Errno::EOVERFLOW);
    }
    let time = |(seconds, ns): (u64, u64)| {
        seconds
            .cast_signed()
            .saturating_mul(1_000_000_000)
            .saturating_add_unsigned(ns.min(999_999_999))
    };
    Ok(Lower {
        number: attributes.qid.path,
        owner: Owner {
            mode: attributes.mode,
            uid: attributes.uid,
            gid: attributes.gid,
        },
        links: u32::try_from(attributes.links).unwrap_or(u32::MAX),
        atime: time(attributes.atime),
        mtime: time(attributes.mtime),
        ctime: time(attributes.ctime),
    })
}

impl HostDirectory {
    /// Walks all of these ways from here.
    fn walk(&self, ways: &[&[&[u8]]]) -> Result<Vec<Result<Option<Found>, Errno>>, Errno> {
        let mut batch = self.client.batch();
        let mut new: Vec<NewFid> = Vec::with_capacity(ways.len());
        let request = |new: u32, names| Walk {
            fid: self.fid.number(),
            new,
            names,
        };
        for names in ways {
            let fid = self.client.new_fid()?;
            batch.add(&request(fid.number(), names))?;
            new.push(fid);
        }
        batch.send()?;
        let answers = new.into_iter().zip(ways).enumerate();
        Ok(answers
            .map(
                |(index, (new, names))| match batch.reply(index, &request(new.number(), names)) {
                    Ok(qids) if qids.len() == names.len() => {
                        let qid = qids.last().unwrap_or_default();
                        Ok(Some(Found {
                            fid: new.made(),
                            qid,
                        }))
                    }
                    // As far as it came.
                    Ok(_) | Err(Errno::ENOENT) => {
                        new.not_made();
                        Ok(None)
                    }
                    // It may exist after all: it is given up as one that does.
                    Err(errno) => Err(errno),
                },
            )
            .collect())
    }

    /// A fid of this directory that is open for reading: walks start from one that is not.
    fn open(&self) -> Result<Fid, Errno> {
        let fid = self.walk(&[&[]])?.pop().ok_or(Errno::EIO)??;
        let fid = fid.ok_or(Errno::EIO)?.fid;
        let request = Open {
            fid: fid.number(),
            flags: abi::O_RDONLY | abi::O_DIRECTORY,
        };
        let mut batch = self.client.batch();
        let index = batch.add(&request)?;
        batch.send()?;
        batch.reply(index, &request)?;
        Ok(fid)
    }
}

impl LowerDirectory for HostDirectory {
    fn descend(&self, path: &[&[u8]]) -> Result<Vec<Option<Arc<Inode>>>, Errno> {
        let ways: Vec<&[&[u8]]> = (1..=path.len()).map(|steps| &path[..steps]).collect();
        let mut answers = self.walk(&ways)?.into_iter();
        let Some(first) = answers.next().ok_or(Errno::EIO)?? else {
            return Ok(alloc::vec![None]);
        };
        // Where a way ends nobody knows why: the next question, of that name alone, tells.
        let mut found = alloc::vec![first];
        found.extend(answers.map_while(|answer| answer.ok().flatten()));
        let mut inodes = look_at(self.client, found)?.into_iter();
        let first = inodes.next().ok_or(Errno::EIO)??;
        let rest = inodes.map_while(Result::ok).map(Some);
        Ok(core::iter::once(Some(first)).chain(rest).collect())
    }

    fn lookup(&self, names: &[&[u8]]) -> Result<Vec<Answer>, Errno> {
        let ways: Vec<&[&[u8]]> = names.iter().map(core::slice::from_ref).collect();
        let answers = self.walk(&ways)?;
        let mut found = Vec::new();
        let answers: Vec<Result<bool, Errno>> = answers
            .into_iter()
            .map(|answer| {
                answer.map(|one| {
                    let there = one.is_some();
                    found.extend(one);
                    there
                })
            })
            .collect();
        let mut inodes = look_at(self.client, found)?.into_iter();
        Ok(answers
            .into_iter()
            .map(|answer| match answer {
                Ok(true) => inodes.next().ok_or(Errno::EIO)?.map(Some),
                Ok(false) => Ok(None),
                Err(errno) => Err(errno),
            })
            .collect())
    }

    fn list(&self) -> Result<Vec<Name>, Errno> {
        let fid = self.open()?;
        let mut request = Readdir {
            fid: fid.number(),
            offset: 0,
            count: self.client.data_max().min(LISTING) as u32 - 64,
        };
        let mut names = Vec::new();
        loop {
            let mut batch = self.client.batch();
            let index = batch.add(&request)?;
            batch.send()?;
            let before = request.offset;
            let entries = batch.reply(index, &request)?;
            // Where one more would have found room there is none.
            let ended = entries.length() + ENTRY_MAX <= request.count as usize;
            for entry in entries {
                request.offset = entry.next;
                if entry.is_plain() {
                    names.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                    names.push(Name {
                        name: entry.name.into(),
                        inode: entry.qid.path,
                        kind: u32::from(entry.kind & 15) << 12,
                    });
                }
            }
            if ended {
                return Ok(names);
            }
            // A host that sends us in circles.
            if request.offset == before {
                return Err(Errno::EIO);
            }
        }
    }

    fn read_files(&self, files: &[&dyn LowerFile]) -> Vec<Result<Vec<Page>, Errno>> {
        file::read_together(self.client, files)
    }

    fn size(&self) -> (u64, u64) {
        self.size
    }
}
