use super::*;
use alloc::vec::Vec;
use proptest::prelude::*;

const QUIET: Situation = Situation {
    unacknowledged: 7,
    waits: false,
    no_room: false,
    orphan: false,
    awaits_end: false,
};
const WAITING: Situation = Situation {
    waits: true,
    ..QUIET
};

/// What happens, in seconds from the beginning, if nothing ever comes.
fn course(clocks: &mut Clocks) -> Vec<(u64, Action)> {
    let mut all = Vec::new();
    for _ in 0..100 {
        let due = clocks.due();
        if due == u64::MAX {
            break;
        }
        let action = clocks.check(due);
        if action != Action::Nothing {
            all.push((due / SECOND, action));
        }
        if matches!(action, Action::GiveUp { .. }) {
            break;
        }
    }
    all
}

fn times(course: &[(u64, Action)]) -> Vec<u64> {
    course.iter().map(|(at, _)| *at).collect()
}

fn open(settings: Settings) -> Clocks {
    let mut clocks = Clocks::new(0, true);
    clocks.set(settings);
    clocks.open(0);
    clocks
}

#[test]
fn a_connection_that_nobody_answers_is_given_up_on_linux_s_schedule() {
    let default = times(&course(&mut Clocks::new(0, true)));
    assert_eq!(default, [1, 2, 3, 4, 5, 7, 11, 19, 35, 67, 131]);
    for (tries, expected) in [(1, &[1, 2, 3][..]), (2, &[1, 2, 3, 4, 5, 7])] {
        let mut clocks = Clocks::new(0, true);
        clocks.set(Settings {
            tries,
            ..Settings::default()
        });
        let course = course(&mut clocks);
        assert_eq!(times(&course), expected);
        assert_eq!(course.last().unwrap().1, Action::GiveUp { reset: false });
    }
}

#[test]
fn an_answer_that_nobody_confirms_is_repeated_five_times() {
    let times = times(&course(&mut Clocks::new(0, false)));
    assert_eq!(times, [1, 3, 7, 15, 31, 63]);
}

#[test]
fn the_shown_clock_stands_still_until_a_repetition_is_due() {
    let mut clocks = Clocks::new(0, true);
    let begin = clocks.shown(0);
    assert_eq!(clocks.shown(SECOND) - begin, 900_000);
    assert_eq!(clocks.real(begin + 1_000_000), u64::MAX);
    clocks.jump(begin + 1_000_000, SECOND);
    assert_eq!(clocks.shown(SECOND), begin + 1_000_000);
}

#[test]
fn a_second_of_an_open_connection_is_a_fifth() {
    let clocks = open(Settings::default());
    let begin = clocks.shown(0);
    assert_eq!(clocks.real(begin + 1_000_000), SECOND / 5);
    assert_eq!(clocks.shown(SECOND / 5), begin + 1_000_000);
}

#[test]
fn silence_slows_the_clock_and_ends_the_connection_at_last() {
    let mut clocks = open(Settings::default());
    clocks.observe(0, WAITING);
    assert_eq!(clocks.check(SLOW_AFTER), Action::Nothing);
    let shown = clocks.shown(SLOW_AFTER);
    assert_eq!(clocks.shown(SLOW_AFTER + SECOND) - shown, 1_000_000);
    assert_eq!(times(&course(&mut clocks)), [924]);
}

#[test]
fn progress_begins_anew() {
    let mut clocks = open(Settings {
        user_timeout: 2000,
        ..Settings::default()
    });
    clocks.observe(0, WAITING);
    clocks.observe(
        SECOND,
        Situation {
            unacknowledged: 8,
            ..WAITING
        },
    );
    assert_eq!(clocks.due(), 3 * SECOND);
    clocks.observe(SECOND, QUIET);
    assert_eq!(clocks.due(), u64::MAX);
}

#[test]
fn who_answers_may_have_no_room_for_ever() {
    let mut clocks = open(Settings::default());
    let full = Situation {
        no_room: true,
        ..WAITING
    };
    clocks.observe(0, full);
    clocks.heard(500 * SECOND);
    clocks.observe(500 * SECOND, full);
    assert_eq!(times(&course(&mut clocks)), [1424]);
}

#[test]
fn who_is_not_asked_any_more_is_not_given_up_for_the_last_question() {
    let settings = Settings {
        keep_alive: true,
        count: 1,
        ..Settings::default()
    };
    let mut clocks = open(settings);
    clocks.observe(0, QUIET);
    assert_eq!(clocks.check(clocks.due()), Action::Probe);
    clocks.set(Settings::default());
    assert_eq!(clocks.due(), u64::MAX);
    // On again: it is asked anew.
    clocks.set(settings);
    assert_eq!(clocks.check(clocks.due()), Action::Probe);
}

#[test]
fn probes_are_as_far_apart_and_as_many_as_was_said() {
    let mut clocks = open(Settings {
        keep_alive: true,
        idle: 10,
        interval: 3,
        count: 2,
        ..Settings::default()
    });
    clocks.observe(0, QUIET);
    assert_eq!(
        course(&mut clocks.clone()),
        [
            (10, Action::Probe),
            (13, Action::Probe),
            (16, Action::GiveUp { reset: true })
        ]
    );
    assert_eq!(clocks.check(10 * SECOND), Action::Probe);
    assert!(clocks.heard(11 * SECOND));
    assert_eq!(clocks.due(), 21 * SECOND);
    // Nobody is asked who owes an answer anyway.
    clocks.observe(12 * SECOND, WAITING);
    assert!(clocks.due() > 22 * SECOND);
}

#[test]
fn an_end_that_does_not_come_is_waited_for_if_a_program_does() {
    let mut clocks = open(Settings {
        linger: 5,
        ..Settings::default()
    });
    let half = Situation {
        awaits_end: true,
        ..QUIET
    };
    clocks.observe(SECOND, half);
    assert_eq!(clocks.due(), u64::MAX);
    clocks.observe(
        2 * SECOND,
        Situation {
            orphan: true,
            ..half
        },
    );
    assert_eq!(times(&course(&mut clocks)), [7]);
}

proptest! {
    #[test]
    fn the_shown_clock_never_goes_back(steps in proptest::collection::vec((0u8..5, 0u64..40_000_000_000), 1..40)) {
        let mut clocks = Clocks::new(0, true);
        let (mut now, mut last, mut number) = (0, 0, 0);
        for (what, passes) in steps {
            now += passes;
            prop_assert!(clocks.shown(now) >= last);
            last = clocks.shown(now);
            match what {
                0 => clocks.open(now),
                1 => clocks.jump(last + 1000, now),
                2 => {
                    number += 1;
                    clocks.observe(now, Situation { unacknowledged: number, ..WAITING });
                }
                3 => clocks.observe(now, WAITING),
                _ => {
                    clocks.check(now);
                }
            }
            prop_assert!(clocks.shown(now) >= last);
            last = clocks.shown(now);
            prop_assert!(clocks.due() > now || clocks.check(now) != Action::Nothing || clocks.due() > now);
        }
    }
}
