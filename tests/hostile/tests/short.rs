//! Every target on some thousand inputs, the same each time: its seeds, damaged in a few places, and bytes from nowhere.
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use ringo_hostile::{TARGETS, Target, sites};

const CASES: u32 = 2000;

/// One edit of an input.
#[derive(Clone, Debug)]
enum Damage {
    Set(Index, u8),
    Flip(Index, u8),
    /// A whole field: a boundary of some type.
    Word(Index, u64),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Repeat(Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let words = [
        0,
        1,
        0x7f,
        0xff,
        0xfff,
        0x1000,
        0xffff,
        0x7fff_ffff,
        0xffff_ffff,
        0x7fff_ffff_f000,
        1 << 63,
        !0,
        !0xfff,
    ];
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (any::<Index>(), 0..8u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        (any::<Index>(), select(words.to_vec())).prop_map(|(at, word)| Damage::Word(at, word)),
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        any::<(Index, Index)>().prop_map(|(from, to)| Damage::Repeat(from, to)),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: Damage) {
    let length = bytes.len();
    if length == 0 {
        return;
    }
    match damage {
        Damage::Set(at, byte) => bytes[at.index(length)] = byte,
        Damage::Flip(at, bit) => bytes[at.index(length)] ^= 1 << bit,
        Damage::Word(at, word) => {
            let at = at.index(length);
            let count = (length - at).min(8);
            bytes[at..at + count].copy_from_slice(&word.to_le_bytes()[..count]);
        }
        Damage::Cut(at) => bytes.truncate(at.index(length)),
        Damage::Insert(at, more) => {
            let at = at.index(length);
            bytes.splice(at..at, more);
        }
        Damage::Repeat(from, to) => {
            let (from, to) = (from.index(length), to.index(length));
            let (from, to) = (from.min(to), from.max(to).min(from.min(to) + 512));
            bytes.extend_from_within(from..to);
        }
    }
}

/// Early bytes are where headers are, late ones matter less.
fn inputs(target: Target) -> impl Strategy<Value = Vec<u8>> {
    let damaged = (select((target.seeds)()), vec(damage(), 0..6)).prop_map(|(mut bytes, list)| {
        list.into_iter()
            .for_each(|damage| apply(&mut bytes, damage));
        bytes
    });
    prop_oneof![4 => damaged, 1 => vec(any::<u8>(), 0..300)]
}

fn run(strategy: impl Strategy<Value = Vec<u8>>, test: fn(&[u8])) {
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let result = runner.run(&strategy, |bytes| {
        test(&bytes);
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

fn target(name: &str) -> Target {
    *TARGETS
        .iter()
        .find(|target| target.name == name)
        .expect("a target")
}

macro_rules! short {
    ($($test:ident: $name:literal,)*) => {
        $(
            #[test]
            fn $test() {
                run(inputs(target($name)), target($name).run);
            }
        )*

        #[test]
        fn every_target_is_run() {
            assert_eq!(TARGETS.map(|target| target.name), [$($name),*]);
        }
    };
}

short! {
    executables_do_no_harm: "elf",
    code_with_rewritten_calls_does_what_it_did: "sites",
    archives_do_no_harm: "bundle",
    frames_do_no_harm: "control",
    replies_of_the_host_do_no_harm: "ninep",
    addresses_and_messages_do_no_harm: "net",
    ports_are_shared_as_a_search_of_lists_says: "ports",
}

#[test]
fn seeds_pass() {
    for target in TARGETS {
        (target.seeds)().iter().for_each(|seed| (target.run)(seed));
    }
}

/// Code made of what sites are made of, and of what looks like them.
#[test]
fn code_full_of_sites_does_what_it_did() {
    let parts: Vec<Vec<u8>> = [
        &b"\x0f\x05"[..],
        b"\xb8",
        b"\x48\xc7\xc0",
        b"\x48\x89\xdf",
        b"\x48\x8b\x44\x24\x08",
        b"\x41\x5c",
        b"\x41\x54",
        b"\x48\x3d\x01\xf0\xff\xff",
        b"\x27\0\0\0",
        b"\x57\x02\0\0",
        b"\x58\x02\0\0",
        b"\0",
        b"\xc3",
        b"\xcc",
        b"\x41",
        b"\x48",
        b"\x81",
        b"\x69",
        b"\x84",
        b"\x44\x8b\x4c\x24\x48",
        b"\x90\0\0\0\x0f\x05\0\0",
        b"\xb8\x27\0\0\0\x0f\x05",
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    let part = prop_oneof![6 => select(parts), 1 => vec(any::<u8>(), 1..3)];
    let code = (any::<u8>(), vec(part, 0..60))
        .prop_map(|(place, parts)| [vec![place], parts.concat()].concat());
    run(code, sites::run);
}
