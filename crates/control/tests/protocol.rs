//! The codec's promises: what is encoded is decoded, however it arrives, and no input panics.

use proptest::collection::vec;
use proptest::prelude::*;
use ringo_control::*;

fn stream() -> impl Strategy<Value = Stream> {
    prop_oneof![
        Just(Stream::Stdin),
        Just(Stream::Stdout),
        Just(Stream::Stderr)
    ]
}

fn termios() -> impl Strategy<Value = Termios> {
    vec(any::<u8>(), Termios::LEN).prop_map(|v| Termios(v.try_into().expect("36 bytes")))
}

fn size() -> impl Strategy<Value = WinSize> {
    any::<[u16; 4]>().prop_map(|[rows, cols, xpixel, ypixel]| WinSize {
        rows,
        cols,
        xpixel,
        ypixel,
    })
}

fn to_guest() -> impl Strategy<Value = ToGuest> {
    prop_oneof![
        any::<u8>().prop_map(ToGuest::Signal),
        (stream(), size()).prop_map(|(stream, size)| ToGuest::WinSize { stream, size }),
        (stream(), any::<u16>()).prop_map(|(stream, errno)| ToGuest::TermiosAck { stream, errno }),
        (stream(), termios())
            .prop_map(|(stream, termios)| ToGuest::TermiosState { stream, termios }),
        any::<(u32, u64)>().prop_map(|(id, realtime_ns)| ToGuest::Clock { id, realtime_ns }),
        (stream(), any::<u16>())
            .prop_map(|(stream, errno)| ToGuest::StreamFailed { stream, errno }),
        any::<(u64, u16)>().prop_map(|(after, errno)| ToGuest::StdinEof { after, errno }),
        any::<(u64, u16)>().prop_map(|(after, errno)| ToGuest::TtyEof { after, errno }),
        Just(ToGuest::Shutdown),
        Just(ToGuest::Settled),
        any::<i64>().prop_map(|result| ToGuest::FileAnswer { result, length: 0 }),
    ]
}

fn when() -> impl Strategy<Value = WhenToSet> {
    prop_oneof![
        Just(WhenToSet::Now),
        Just(WhenToSet::Drain),
        Just(WhenToSet::Flush)
    ]
}

fn file_request() -> impl Strategy<Value = FileRequest<'static>> {
    let offset = proptest::option::of(0..u64::MAX);
    let work = prop_oneof![
        (offset.clone(), 0..=FILE_READ_MAX as u32)
            .prop_map(|(offset, length)| FileWork::Read { offset, length }),
        (offset, 0usize..64).prop_map(|(offset, length)| FileWork::Write {
            offset,
            bytes: &[7; 64][..length]
        }),
        any::<(i64, u8)>().prop_map(|(offset, whence)| FileWork::Seek { offset, whence }),
        Just(FileWork::Stat),
        any::<u64>().prop_map(FileWork::Truncate),
        any::<(u32, u64, u64)>().prop_map(|(mode, offset, length)| FileWork::Allocate {
            mode,
            offset,
            length
        }),
        Just(FileWork::Sync),
        any::<bool>().prop_map(FileWork::Append),
        any::<u32>().prop_map(|flags| FileWork::Reopen { flags }),
        Just(FileWork::Close),
        (0..=FILE_READ_MAX as u32).prop_map(|length| FileWork::Peek { length }),
        any::<u64>().prop_map(FileWork::Advance),
    ];
    (any::<u32>(), any::<[u64; 2]>(), work).prop_map(|(handle, written, work)| FileRequest {
        handle,
        written,
        work,
    })
}

/// Messages whose payload is not borrowed; the borrowed ones have their own tests.
fn to_host() -> impl Strategy<Value = ToHost<'static>> {
    prop_oneof![
        any::<u64>().prop_map(|since_entry_ns| ToHost::Booted { since_entry_ns }),
        any::<u8>().prop_map(|c| ToHost::Exit(ExitStatus::Code(c))),
        any::<u8>().prop_map(|s| ToHost::Exit(ExitStatus::Signal(s))),
        any::<u8>().prop_map(|s| ToHost::Ending(ExitStatus::Signal(s))),
        (stream(), when(), termios()).prop_map(|(stream, when, termios)| ToHost::TermiosSet {
            stream,
            when,
            termios
        }),
        (stream(), any::<u8>()).prop_map(|(stream, queue)| ToHost::TermiosFlush { stream, queue }),
        (stream(), size()).prop_map(|(stream, size)| ToHost::WinSizeSet { stream, size }),
        any::<u32>().prop_map(|id| ToHost::ClockQuery { id }),
        (any::<u32>(), any::<[u64; 2]>())
            .prop_map(|(bytes, written)| ToHost::StdinCredit { bytes, written }),
        (any::<u32>(), any::<[u64; 2]>())
            .prop_map(|(bytes, written)| ToHost::TtyCredit { bytes, written }),
        stream().prop_map(ToHost::Closed),
        (any::<u8>(), any::<[u64; 2]>())
            .prop_map(|(signal, written)| ToHost::Stopped { signal, written }),
        any::<u8>().prop_map(ToHost::SignalTaken),
        Just(ToHost::Noted(Note::OutOfMemory)),
        Just(ToHost::Noted(Note::OneProgram)),
        Just(ToHost::Noted(Note::NoProfile)),
        any::<[u64; 2]>().prop_map(|written| ToHost::Settle { written }),
        file_request().prop_map(ToHost::File),
        any::<u64>().prop_map(|size| ToHost::Kept(Kept::End { size })),
        any::<u16>().prop_map(|errno| ToHost::Kept(Kept::Failed { errno })),
    ]
}

proptest! {
    #[test]
    fn messages_survive_any_fragmentation(messages in vec(to_guest(), 0..20), pieces in vec(1usize..13, 1..40)) {
        let mut wire = Vec::new();
        let mut frame = [0; 64];
        for message in &messages {
            let n = encode(message, &mut frame).expect("64 bytes hold every ToGuest");
            wire.extend_from_slice(&frame[..n]);
        }
        let mut decoder = Decoder::<64>::new();
        let mut seen = Vec::new();
        let mut rest = &wire[..];
        let mut pieces = pieces.iter().cycle();
        while !rest.is_empty() {
            let piece = (*pieces.next().expect("endless")).min(rest.len());
            let taken = decoder.feed(&rest[..piece]);
            rest = &rest[taken..];
            while let Some(message) = decoder.next::<ToGuest>() {
                seen.push(message.expect("valid"));
            }
        }
        prop_assert_eq!(seen, messages);
    }

    #[test]
    fn bytes_behind_a_message_belong_to_no_frame(data in vec(any::<u8>(), 0..300), pieces in vec(1usize..90, 1..40),
                                                 after in to_guest()) {
        let mut wire = Vec::new();
        let mut frame = [0; 64];
        for message in [ToGuest::FileAnswer { result: 3, length: data.len() as u32 }, after] {
            let n = encode(&message, &mut frame).expect("64 bytes hold every ToGuest");
            wire.extend_from_slice(&frame[..n]);
            if wire.len() == n {
                wire.extend_from_slice(&data);
            }
        }
        let mut decoder = Decoder::<64>::new();
        let (mut seen, mut raw, mut missing) = (Vec::new(), Vec::new(), 0);
        let mut rest = &wire[..];
        let mut pieces = pieces.iter().cycle();
        while !rest.is_empty() {
            let mut piece = &rest[..(*pieces.next().expect("endless")).min(rest.len())];
            rest = &rest[piece.len()..];
            while !piece.is_empty() {
                let past = missing.min(piece.len());
                raw.extend_from_slice(&piece[..past]);
                missing -= past;
                let taken = decoder.feed(&piece[past..]);
                piece = &piece[past + taken..];
                while missing == 0 && let Some(message) = decoder.next::<ToGuest>() {
                    let message = message.expect("valid");
                    if let (ToGuest::FileAnswer { length, .. }, true) = (message, seen.is_empty()) {
                        missing = length as usize;
                        let here = decoder.raw(missing);
                        raw.extend_from_slice(here);
                        missing -= here.len();
                    }
                    seen.push(message);
                }
            }
        }
        prop_assert_eq!(raw, data);
        prop_assert_eq!(seen.len(), 2);
        prop_assert_eq!(seen[1], after);
    }

    #[test]
    fn attributes_round_trip(words: [u64; 9], times: [i64; 3]) {
        let [dev, ino, mode, nlink, uid, gid, size, blocks, blksize] = words;
        let stat = FileStat { dev, ino, mode, nlink, uid, gid, size, blocks, blksize, times };
        prop_assert_eq!(FileStat::from_bytes(&stat.to_bytes()), Some(stat));
        prop_assert_eq!(FileStat::from_bytes(&stat.to_bytes()[1..]), None);
    }

    #[test]
    fn messages_to_the_host_round_trip(message in to_host()) {
        let mut frame = [0; 128];
        let n = encode(&message, &mut frame).expect("short");
        let mut decoder = Decoder::<128>::new();
        prop_assert_eq!(decoder.feed(&frame[..n]), n);
        prop_assert_eq!(decoder.next::<ToHost>(), Some(Ok(message)));
        prop_assert_eq!(decoder.next::<ToHost>(), None);
    }

    #[test]
    fn samples_round_trip(words in vec(any::<u64>(), 0..300), program_bias: u64, lost: u64) {
        let message = ToHost::Samples { program_bias, lost, words: Addresses::Words(&words) };
        let mut frame = [0; 4096];
        let n = encode(&message, &mut frame).expect("room");
        let mut decoder = Decoder::<4096>::new();
        decoder.feed(&frame[..n]);
        let Some(Ok(ToHost::Samples { program_bias: bias, lost: gone, words: got })) = decoder.next() else {
            panic!("no samples");
        };
        prop_assert_eq!((bias, gone), (program_bias, lost));
        prop_assert_eq!(got.iter().collect::<Vec<_>>(), words);
    }

    #[test]
    fn crashes_round_trip(reason in vec(any::<u8>(), 0..300), cpu: u32, bias: u64,
                          kernel in vec(any::<u64>(), 0..50), program in vec(any::<u64>(), 0..50)) {
        let crash = Crash { kind: CrashKind::Fault, cpu, reason: &reason, program_bias: bias,
            kernel: Addresses::Words(&kernel), program: Addresses::Words(&program) };
        let mut frame = vec![0; 4096];
        let n = encode(&ToHost::Crash(crash), &mut frame).expect("fits");
        let mut decoder = Decoder::<4096>::new();
        decoder.feed(&frame[..n]);
        let Some(Ok(ToHost::Crash(got))) = decoder.next::<ToHost>() else { panic!("no crash") };
        prop_assert_eq!((got.kind, got.cpu, got.reason, got.program_bias), (crash.kind, cpu, &reason[..], bias));
        prop_assert_eq!(got.kernel.iter().collect::<Vec<_>>(), kernel);
        prop_assert_eq!(got.program.iter().collect::<Vec<_>>(), program);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..600)) {
        let mut host = Decoder::<256>::new();
        let mut guest = Decoder::<64>::new();
        let mut rest = &bytes[..];
        loop {
            let n = host.feed(rest);
            rest = &rest[n..];
            let mut got = 0;
            while let Some(message) = host.next::<ToHost>() {
                got += 1;
                if message.is_err_and(DecodeError::is_fatal) {
                    return Ok(());
                }
            }
            if n == 0 && got == 0 { break }
        }
        guest.feed(&bytes);
        while let Some(message) = guest.next::<ToGuest>() {
            if message.is_err_and(DecodeError::is_fatal) { break }
        }
    }

    #[test]
    fn a_bad_payload_leaves_the_stream_in_step(kind in 1u8..=0x10, junk in vec(any::<u8>(), 60..64)) {
        let mut wire = vec![kind, 0, 0, 0, junk.len() as u8, 0, 0, 0];
        wire.extend(&junk);
        let mut frame = [0; 16];
        let n = encode(&ToHost::ClockQuery { id: 7 }, &mut frame).expect("short");
        wire.extend(&frame[..n]);
        let mut decoder = Decoder::<256>::new();
        decoder.feed(&wire);
        let _ = decoder.next::<ToHost>();
        prop_assert_eq!(decoder.next::<ToHost>(), Some(Ok(ToHost::ClockQuery { id: 7 })));
    }
}

#[test]
fn what_is_kept_round_trips() {
    let place = Place {
        root: 300,
        path: b"a/b",
    };
    let all = [
        Kept::Directory { place, mode: 0o755 },
        Kept::File {
            place,
            mode: 0o600,
            mtime_ns: u64::MAX,
        },
        Kept::Data {
            offset: 1 << 40,
            bytes: &[7; PIECE],
        },
        Kept::Symlink {
            place,
            target: b"../c",
        },
        Kept::Discarded {
            count: 3,
            names: b"/a\n/b",
        },
    ];
    for kept in all {
        let mut frame = vec![0; HEADER + MAX_PAYLOAD];
        let n = encode(&ToHost::Kept(kept), &mut frame).expect("fits");
        let mut decoder = Decoder::<{ HEADER + MAX_PAYLOAD }>::new();
        decoder.feed(&frame[..n]);
        assert_eq!(decoder.next::<ToHost>(), Some(Ok(ToHost::Kept(kept))));
    }
}

#[test]
fn text_messages_round_trip_and_too_long_ones_are_refused() {
    let mut frame = vec![0; HEADER + MAX_PAYLOAD + 100];
    let n = encode(&ToHost::Log(b"booted"), &mut frame).expect("fits");
    let mut decoder = Decoder::<{ HEADER + MAX_PAYLOAD }>::new();
    decoder.feed(&frame[..n]);
    assert_eq!(decoder.next::<ToHost>(), Some(Ok(ToHost::Log(b"booted"))));
    let long = vec![b'x'; MAX_PAYLOAD + 1];
    assert_eq!(encode(&ToHost::Log(&long), &mut frame), Err(NoSpace));
    assert_eq!(encode(&ToHost::Log(b"booted"), &mut [0; 10]), Err(NoSpace));
}

#[test]
fn an_absurd_length_is_fatal_and_stays_so() {
    let mut decoder = Decoder::<64>::new();
    decoder.feed(&[1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    for _ in 0..2 {
        let error = decoder
            .next::<ToHost>()
            .expect("an answer")
            .expect_err("too long");
        assert!(error.is_fatal());
    }
}
