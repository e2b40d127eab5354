//! `ringo run` and `ringo exec`: from the command line to a bundle, a VM, and its exit code.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use ringo_bundle::{Circumstances, Flags, Metadata, StreamKind, Writer};

use crate::args::{self, RunOptions};
use crate::host::{self, Streams};
use crate::keep::{self, Keeper};
use crate::network::{self, Mac, Net};
use crate::profile::Collector;
use crate::program::{self, Program};
use crate::qemu::{self, Card, Link, engine, published, tap};
use crate::root::{self, Kind, Node, Source, Tree};
use crate::session;

/// Whose files, variables and working directory the program finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// Its own: `ringo run`.
    Own,
    /// The host's: `ringo exec`.
    Host,
}

/// How far beyond the VM's memory the bundle is still written, to say how large it is.
const HOW_MUCH_TOO_MUCH: u64 = 64 << 20;

const HOSTNAME: &str = "ringo";
/// As Docker's images have it.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs the program and returns the exit code.
pub fn run(options: &RunOptions, world: World) -> Result<u8> {
    let typed = &options.command[0];
    let program = program::read(typed, world)?;
    program::check(&program.bytes, &typed.to_string_lossy())?;
    program::check_permission(&program, &typed.to_string_lossy())?;
    // Asking KVM takes as long as packing the files.
    let (wanted, default_cpus) = if options.icount {
        counted(options)?
    } else {
        (options.engine, host::cpus())
    };
    let engine = std::thread::spawn(move || engine::choose(wanted));
    let streams = host::streams();
    let memory = options.memory.0.next_multiple_of(1 << 20);
    let cwd = working_directory(options, world)?;
    let kept = kept(options, world, &cwd)?;
    let (bundle, length) = bundle(options, world, &program, &streams, &cwd, &kept)
        .map_err(|error| explain_limit(error, memory))?;
    check_memory(length, memory)?;

    let config = qemu::Config {
        engine: engine
            .join()
            .map_err(|_| anyhow!("the question to KVM went wrong"))??,
        machine: options.machine,
        cpus: options.cpus.unwrap_or(default_cpus),
        memory,
        icount: options.icount,
        host_files: world == World::Host,
        card: card(options)?,
        tty: streams.controlling.is_some(),
        capture: capture(options)?,
    };
    let profile = match &options.profile {
        Some(path) => Some(Collector::create(path, options.profile_rate)?),
        None => None,
    };
    let vm = qemu::start(&config, bundle)?;
    session::run(
        vm,
        &session::Task {
            config,
            streams,
            program: program.bytes,
            stats: options.stats,
            verbose: options.verbose,
        },
        Keeper::new(kept),
        profile,
    )
}

/// Engine and number of CPUs with which instructions can be counted.
fn counted(options: &RunOptions) -> Result<(args::Engine, u32)> {
    ensure!(
        options.engine != args::Engine::Kvm,
        "--icount needs --engine tcg: QEMU counts only instructions that it runs itself"
    );
    ensure!(
        options.cpus.is_none_or(|cpus| cpus == 1),
        "--icount needs --cpus 1: with more, time has no one count"
    );
    Ok((args::Engine::Tcg, 1))
}

/// The network card, connected to what the host has.
fn card(options: &RunOptions) -> Result<Option<Card>> {
    let work = match options.pcap {
        Some(_) => tap::Work::Apart,
        None => tap::Work::Shared,
    };
    let tap = match options.network() {
        Net::None => return Ok(None),
        Net::User => {
            options.publish.iter().try_for_each(published::check)?;
            let link = Link::User(options.publish.clone());
            let mac = options.mac;
            return Ok(Some(Card { link, mac }));
        }
        Net::Tap(name) => tap::tap(&name, work)?,
        Net::Bridge(name) => tap::bridge(&name, work)?,
    };
    // Several VMs may be on one network, where QEMU's default would be all of theirs.
    let mac = options
        .mac
        .or_else(|| tap.name.as_deref().map(Mac::for_interface));
    let random = || Ok::<_, anyhow::Error>(Mac::random(host::entropy()?));
    let mac = mac.map_or_else(random, Ok)?;
    Ok(Some(Card {
        link: Link::Tap(tap.descriptor),
        mac: Some(mac),
    }))
}

/// The file that frames are written to.
fn capture(options: &RunOptions) -> Result<Option<File>> {
    let create =
        |path: &PathBuf| File::create(path).with_context(|| format!("--pcap {}", path.display()));
    options.pcap.as_ref().map(create).transpose()
}

fn bundle(
    options: &RunOptions,
    world: World,
    program: &Program,
    streams: &Streams,
    cwd: &Path,
    kept: &[keep::Root],
) -> Result<(File, u64)> {
    let now = host::realtime_ns();
    let file = qemu::anonymous_file("ringo-bundle")?;
    let mut writer = Writer::new(file, now as i64).context("the bundle can't be written")?;
    // What won't fit in the VM must not fill the host's memory first.
    writer.limit(options.memory.0.saturating_add(HOW_MUCH_TOO_MUCH));
    let program_data = writer
        .data(|out| std::io::Write::write_all(out, &program.bytes))
        .context("the bundle can't be written")?;
    if world == World::Own {
        let mut tree = match &options.root {
            Some(root) => root::read(root, &mut writer)?,
            None => Tree::default(),
        };
        let names = root::Names {
            hostname: HOSTNAME,
            addresses: options.ip.iter().map(|ip| ip.address).collect(),
            network: options.has_network(),
        };
        root::complete(&mut tree, &names, now as i64);
        let metadata = program::bundle_metadata(&program.metadata);
        let kind = Kind::File(Source::Written(program_data));
        tree.insert(
            &program.path.as_os_str().as_bytes()[1..],
            Node { metadata, kind },
        );
        for path in std::iter::once(cwd).chain(kept.iter().map(|root| &*root.inside)) {
            let directory = &path.as_os_str().as_bytes()[1..];
            if tree.contains(directory) {
                continue;
            }
            let metadata = Metadata {
                mode: 0o755,
                uid: 0,
                gid: 0,
                mtime_ns: now as i64,
            };
            tree.insert(
                directory,
                Node {
                    metadata,
                    kind: Kind::Directory,
                },
            );
        }
        tree.write(&mut writer)?;
    }

    let (umask, ignored_signals) = host::umask_and_ignored_signals();
    let mut flags = Flags::default();
    for (flag, on) in [
        (Flags::VERBOSE, options.verbose),
        (Flags::STATS, options.stats),
        (Flags::HOST_ROOT, world == World::Host),
        (Flags::ONE_OUTPUT, streams.one_output),
        (Flags::TWO_PLACES, streams.two_places),
        (Flags::READ_AHEAD, streams.input_alone),
        (
            Flags::TELL_DISCARDED,
            world == World::Host && keep::is_test(&options.command),
        ),
    ] {
        if on {
            flags |= flag;
        }
    }
    let (uid, gid, groups) = match world {
        World::Own => (0, 0, vec![0]),
        World::Host => (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
            host::groups(),
        ),
    };
    let circumstances = Circumstances {
        flags,
        started_ns: host::realtime_ns(),
        entropy: host::entropy()?,
        uid,
        gid,
        groups,
        umask: if world == World::Host { umask } else { 0o22 },
        nofile: host::open_files(),
        ignored_signals,
        streams: streams.kinds,
        controlling: streams.controlling,
        stream_flags: streams.flags,
        program_path: program.path.as_os_str().as_bytes().to_vec(),
        program_data,
        cwd: cwd.as_os_str().as_bytes().to_vec(),
        hostname: hostname(world).into_bytes(),
        args: options
            .command
            .iter()
            .map(|arg| arg.as_bytes().to_vec())
            .collect(),
        env: environment(options, world, streams)?,
        kept: kept
            .iter()
            .map(|root| root.inside.as_os_str().as_bytes().to_vec())
            .collect(),
        profile_hertz: options.profile.as_ref().map_or(0, |_| options.profile_rate),
        network: network::settings(options),
    };
    writer
        .finish(&circumstances)
        .context("the bundle can't be written")
}

/// Where what the program changes is kept: as the user says, and, from the host's environment, as `go test` does.
fn kept(options: &RunOptions, world: World, cwd: &Path) -> Result<Vec<keep::Root>> {
    let wanted = options.write.iter();
    let mut roots = wanted
        .map(|wanted| keep::parse(wanted, world == World::Host))
        .collect::<Result<Vec<_>>>()?;
    if world == World::Host {
        let coverage = std::env::var_os("GOCOVERDIR").filter(|path| !path.is_empty());
        roots.extend(keep::asked_for(&options.command, cwd, coverage.as_deref()));
    }
    Ok(roots)
}

fn hostname(world: World) -> String {
    match world {
        World::Own => HOSTNAME.to_owned(),
        World::Host => rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
    }
}

fn working_directory(options: &RunOptions, world: World) -> Result<PathBuf> {
    let base = match world {
        World::Own => PathBuf::from("/"),
        World::Host => std::env::current_dir().context("the working directory is gone")?,
    };
    let Some(wanted) = &options.workdir else {
        return Ok(base);
    };
    let mut path = base;
    // Without `.` and `..`: there may be no such directory on this side to ask.
    for part in wanted.components() {
        match part {
            std::path::Component::RootDir => path = PathBuf::from("/"),
            std::path::Component::ParentDir => drop(path.pop()),
            std::path::Component::Normal(name) => path.push(name),
            std::path::Component::CurDir | std::path::Component::Prefix(_) => {}
        }
    }
    if world == World::Host && !Path::new(&path).is_dir() {
        bail!("--workdir {}: no such directory", wanted.display());
    }
    Ok(path)
}

fn environment(options: &RunOptions, world: World, streams: &Streams) -> Result<Vec<Vec<u8>>> {
    let mut variables: Vec<Vec<u8>> = match world {
        World::Own => vec![PATH.into(), b"HOME=/root".to_vec()],
        World::Host => std::env::vars_os()
            .map(|(key, value)| assignment(&key, &value))
            .collect(),
    };
    let at_terminal = streams
        .kinds
        .iter()
        .any(|kind| matches!(kind, StreamKind::Terminal(_)));
    if world == World::Own && at_terminal {
        variables
            .extend(std::env::var_os("TERM").map(|term| assignment(OsStr::new("TERM"), &term)));
    }
    for wanted in &options.env {
        let bytes = wanted.as_bytes();
        let equals = bytes.iter().position(|&b| b == b'=');
        let key = &bytes[..equals.unwrap_or(bytes.len())];
        ensure!(
            !key.is_empty(),
            "--env {}: has no name",
            wanted.to_string_lossy()
        );
        variables.retain(|v| !(v.starts_with(key) && v.get(key.len()) == Some(&b'=')));
        match equals {
            Some(_) => variables.push(bytes.to_vec()),
            // As docker: a variable that the host doesn't have stays unset.
            None => {
                variables.extend(std::env::var_os(wanted).map(|value| assignment(wanted, &value)))
            }
        }
    }
    Ok(variables)
}

fn assignment(key: &OsStr, value: &OsStr) -> Vec<u8> {
    let mut whole = OsString::from(key);
    whole.push("=");
    whole.push(value);
    whole.into_vec()
}

/// The bundle's limit is the VM's memory.
fn explain_limit(error: anyhow::Error, memory: u64) -> anyhow::Error {
    let full = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| {
            // Not the host's own ENOSPC.
            error.kind() == std::io::ErrorKind::StorageFull && error.raw_os_error().is_none()
        })
    };
    if error.chain().any(full) {
        anyhow!(
            "the program and its files take more than the VM's {} MiB: give it more with --memory",
            memory >> 20
        )
    } else {
        error
    }
}

fn check_memory(bundle: u64, memory: u64) -> Result<()> {
    // Kernel image and heap, page tables, the program's first pages.
    const BESIDE: u64 = 6 << 20;
    if bundle + BESIDE > memory {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        bail!(
            "the program and its files take {} MiB, which doesn't fit in {} MiB: try --memory {}M",
            mib(bundle),
            mib(memory),
            (mib(bundle) * 2 + 16).next_multiple_of(16)
        );
    }
    Ok(())
}
