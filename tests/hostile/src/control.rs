//! The control port, as the command and as the kernel read it.
use ringo_control::{
    Addresses, Crash, CrashKind, DecodeError, Decoder, ExitStatus, FileRequest, FileWork, HEADER,
    Kept, MAX_PAYLOAD, Message, Note, Place, Stream, Termios, ToGuest, ToHost, WhenToSet, WinSize,
    encode,
};

/// The buffers' sizes on either side.
const HOST: usize = HEADER + MAX_PAYLOAD;
const GUEST: usize = 64;

/// See [`crate::Target`]. The first byte says in which pieces the rest arrives.
pub fn run(bytes: &[u8]) {
    let Some((&piece, stream)) = bytes.split_first() else {
        return;
    };
    let piece = usize::from(piece) + 1;
    let host = |piece| decode::<HOST>(stream, piece, next_to_host);
    assert_eq!(host(piece), host(usize::MAX), "pieces make a difference");
    let guest = |piece| decode::<GUEST>(stream, piece, next_to_guest);
    assert_eq!(guest(piece), guest(usize::MAX), "pieces make a difference");
}

type Next<const N: usize> = fn(&mut Decoder<N>) -> Option<Result<String, DecodeError>>;

fn next_to_host(decoder: &mut Decoder<HOST>) -> Option<Result<String, DecodeError>> {
    let result: Result<ToHost<'_>, _> = decoder.next()?;
    Some(result.map(|message| again(&message)))
}

fn next_to_guest(decoder: &mut Decoder<GUEST>) -> Option<Result<String, DecodeError>> {
    let result: Result<ToGuest, _> = decoder.next()?;
    Some(result.map(|message| again(&message)))
}

/// What was understood is written and understood again; gives it in words.
fn again<'a>(message: &(impl Message<'a> + std::fmt::Debug)) -> String {
    let mut buffer = vec![0; HOST];
    let length = encode(message, &mut buffer).expect("it came in a frame");
    let said = format!("{message:?}");
    let mut decoder = Decoder::<HOST>::new();
    assert_eq!(decoder.feed(&buffer[..length]), length);
    let read = if buffer[0] < 0x80 {
        decoder
            .next()
            .map(|r: Result<ToHost<'_>, _>| format!("{:?}", r.expect("just written")))
    } else {
        decoder
            .next()
            .map(|r: Result<ToGuest, _>| format!("{:?}", r.expect("just written")))
    };
    assert_eq!(read.as_ref(), Some(&said));
    said
}

/// Everything in `stream`, which arrives in pieces of this size at most, until the stream can't be followed.
fn decode<const N: usize>(
    stream: &[u8],
    piece: usize,
    next: Next<N>,
) -> Vec<Result<String, DecodeError>> {
    let mut decoder = Decoder::<N>::new();
    let mut results = Vec::new();
    let mut rest = stream;
    loop {
        let taken = decoder.feed(&rest[..rest.len().min(piece)]);
        rest = &rest[taken..];
        let before = results.len();
        while let Some(result) = next(&mut decoder) {
            let fatal = matches!(&result, Err(error) if error.is_fatal());
            results.push(result);
            if fatal {
                assert_eq!(
                    next(&mut decoder).as_ref(),
                    results.last(),
                    "a fatal error is repeated"
                );
                return results;
            }
        }
        if rest.is_empty() {
            return results;
        }
        assert!(
            taken > 0 || results.len() > before,
            "neither takes nor gives"
        );
    }
}

/// See [`crate::Target`].
pub fn seeds() -> Vec<Vec<u8>> {
    let termios = Termios([7; Termios::LEN]);
    let size = WinSize {
        rows: 24,
        cols: 80,
        xpixel: 1,
        ypixel: 2,
    };
    let stream = Stream::Stderr;
    let crash = Crash {
        kind: CrashKind::DoubleFault,
        cpu: 1,
        reason: b"reason",
        program_bias: 4096,
        kernel: Addresses::Words(&[1, 2]),
        program: Addresses::Words(&[3]),
    };
    let host = [
        ToHost::Booted { since_entry_ns: 5 },
        ToHost::Exit(ExitStatus::Signal(9)),
        ToHost::Stats(b"{}"),
        ToHost::Log(b"line"),
        ToHost::Crash(crash),
        ToHost::TermiosSet {
            stream,
            when: WhenToSet::Drain,
            termios,
        },
        ToHost::TermiosFlush { stream, queue: 2 },
        ToHost::WinSizeSet { stream, size },
        ToHost::ClockQuery { id: 3 },
        ToHost::StdinCredit {
            bytes: 4096,
            written: [1, 2],
        },
        ToHost::Closed(stream),
        ToHost::Stopped {
            signal: 19,
            written: [3, 4],
        },
        ToHost::SignalTaken(2),
        ToHost::Noted(Note::OutOfMemory),
        ToHost::Settle { written: [5, 6] },
        ToHost::Samples {
            program_bias: 4096,
            lost: 1,
            words: Addresses::Words(&[1 << 32 | 1, 1, 0, 4]),
        },
        ToHost::File(FileRequest {
            handle: 1,
            written: [7, 8],
            work: FileWork::Write {
                offset: Some(9),
                bytes: b"data",
            },
        }),
        ToHost::Kept(Kept::Symlink {
            place: Place {
                root: 1,
                path: b"a/b",
            },
            target: b"c",
        }),
        ToHost::Kept(Kept::Data {
            offset: 4096,
            bytes: b"data",
        }),
    ];
    let guest = [
        ToGuest::Signal(2),
        ToGuest::WinSize { stream, size },
        ToGuest::TermiosAck { stream, errno: 5 },
        ToGuest::TermiosState { stream, termios },
        ToGuest::Clock {
            id: 3,
            realtime_ns: 9,
        },
        ToGuest::StreamFailed { stream, errno: 32 },
        ToGuest::StdinEof {
            after: 1,
            errno: 21,
        },
        ToGuest::Shutdown,
        ToGuest::FileAnswer {
            result: -5,
            length: 0,
        },
    ];
    fn frame<'a>(message: &impl Message<'a>) -> Vec<u8> {
        let mut buffer = [0; 256];
        let length = encode(message, &mut buffer).expect("room");
        buffer[..length].to_vec()
    }
    let frames: Vec<_> = host
        .iter()
        .map(frame)
        .chain(guest.iter().map(frame))
        .collect();
    let one = |frame: &Vec<u8>| [&[255], &frame[..]].concat();
    let mut seeds: Vec<_> = frames.iter().map(one).collect();
    seeds.push([&[2], &frames.concat()[..]].concat());
    seeds
}
