use super::*;
use alloc::format;

const MSS: u32 = 1000;
const ROUND: u64 = 10 * MS;

/// A connection that has sent `segments` and measured a round trip.
fn flying(segments: u32) -> Recovery {
    let mut recovery = Recovery::default();
    recovery.meet(Some(1000), Some(7), 1460);
    // Numbers wrap within what is on its way.
    recovery.open(u32::MAX - 5000, 0);
    let mut front = recovery.first;
    recovery.offered = 500;
    front = front.wrapping_add(1);
    recovery.sent(front, 0);
    recovery.hear(word(front), 0, ROUND);
    recovery.window = segments * MSS;
    recovery.sent(front.wrapping_add(segments * MSS), ROUND);
    recovery
}

fn word(acknowledges: u32) -> Word {
    Word {
        acknowledges,
        window: 500,
        bare: true,
    }
}

fn arrived(recovery: &mut Recovery, segments: u32, now: u64) {
    let to = recovery.first.wrapping_add(segments * MSS);
    assert!(!recovery.hear(word(to), 0, now));
}

#[test]
fn ten_segments_go_at_first_and_twice_as_many_a_round_trip_later() {
    let mut recovery = Recovery::default();
    recovery.meet(Some(1000), None, 1460);
    recovery.open(7, 0);
    assert_eq!(recovery.room(0, 1 << 20, 1 << 16, 0), 10_000);
    recovery.sent(7 + 10_000, 0);
    arrived(&mut recovery, 10, ROUND);
    assert_eq!(recovery.room(0, 1 << 20, 1 << 16, ROUND), 20_000);
    // What is not used does not grow.
    recovery.sent(7 + 12_000, ROUND);
    arrived(&mut recovery, 2, 2 * ROUND);
    assert_eq!(recovery.window, 20_000);
}

#[test]
fn after_a_pause_the_window_is_the_first_one() {
    let mut recovery = flying(40);
    arrived(&mut recovery, 40, 2 * ROUND);
    let later = 2 * ROUND + 1000 * MS;
    assert_eq!(recovery.room(0, 1 << 20, 1 << 16, later), 10_000);
}

#[test]
fn three_equal_acknowledgements_are_a_loss_and_not_for_smoltcp() {
    let mut recovery = flying(20);
    let first = recovery.first;
    for _ in 0..2 {
        assert!(recovery.hear(word(first), 0, 11 * MS));
        assert_eq!(recovery.take_repeat(), None);
    }
    assert!(recovery.hear(word(first), 0, 11 * MS));
    assert!(
        recovery
            .take_repeat()
            .is_some_and(|(number, _)| number == first)
    );
    assert_eq!(recovery.window, 10 * MSS);
    // One more says nothing new.
    assert!(recovery.hear(word(first), 0, 11 * MS));
    assert_eq!(recovery.take_repeat(), None);
}

#[test]
fn one_selective_acknowledgement_can_say_it() {
    let mut recovery = flying(20);
    let first = recovery.first;
    recovery.hear(word(first), 3 * MSS, 11 * MS);
    assert!(recovery.take_repeat().is_some());
}

#[test]
fn each_hole_is_filled_a_round_trip_later_and_the_window_halved_once() {
    let mut recovery = flying(20);
    recovery.hear(word(recovery.first), 3 * MSS, 11 * MS);
    recovery.take_repeat();
    for hole in 2..5 {
        arrived(&mut recovery, 4, hole * ROUND);
        assert!(recovery.take_repeat().is_some());
        assert_eq!(recovery.window, 10 * MSS);
    }
    arrived(&mut recovery, 8, 6 * ROUND);
    assert_eq!((recovery.take_repeat(), recovery.trouble), (None, None));
    assert_eq!(recovery.window, 10 * MSS);
}

#[test]
fn what_is_repeated_and_lost_again_is_repeated_more_and_more_seldom() {
    let mut recovery = flying(20);
    recovery.hear(word(recovery.first), 3 * MSS, 11 * MS);
    recovery.take_repeat();
    let mut waits = alloc::vec![];
    let mut now = 11 * MS;
    for _ in 0..4 {
        let due = recovery.due();
        waits.push(due - now);
        now = due;
        recovery.tick(now);
        assert!(recovery.take_repeat().is_some());
    }
    assert!(
        waits.windows(2).all(|pair| pair[1] == 2 * pair[0]),
        "{waits:?}"
    );
}

#[test]
fn silence_after_the_end_is_asked_about_and_halves_nothing_if_all_arrives() {
    let mut recovery = flying(3);
    let due = recovery.due();
    assert!(due > 2 * ROUND && due < 10 * ROUND);
    recovery.tick(due);
    assert!(recovery.take_repeat().is_some() && recovery.due() == u64::MAX);
    arrived(&mut recovery, 3, due + ROUND);
    assert_eq!((recovery.window, recovery.trouble), (3 * MSS, None));
    // If more is missing, something was lost.
    let mut recovery = flying(8);
    recovery.tick(recovery.due());
    recovery.take_repeat();
    arrived(&mut recovery, 1, due + ROUND);
    assert!(recovery.take_repeat().is_some() && recovery.window < 8 * MSS);
}

#[test]
fn a_single_segment_may_wait_for_company() {
    assert_eq!(flying(1).due(), u64::MAX);
}

#[test]
fn after_a_time_out_the_window_shown_is_a_segment_and_doubles() {
    let mut recovery = flying(40);
    assert!(!recovery.may_time_out(ROUND + 100 * MS));
    let now = ROUND + 200 * MS;
    assert!(recovery.may_time_out(now));
    assert_eq!(recovery.time_outs(now), (MSS >> 7) as u16);
    assert!(!recovery.may_time_out(now + 200 * MS) && recovery.may_time_out(now + 400 * MS));
    arrived(&mut recovery, 1, now + ROUND);
    let first = recovery.first;
    assert_eq!(recovery.show(500, first), (2 * MSS >> 7) as u16);
    assert_eq!(recovery.take_repeat(), None);
    arrived(&mut recovery, 39, now + 9 * ROUND);
    assert_eq!(recovery.show(500, recovery.first), 500);
}

#[test]
fn a_window_is_never_shown_closed_over_what_is_on_its_way() {
    let mut recovery = flying(4);
    let (first, front) = (recovery.first, recovery.front);
    assert_eq!(recovery.show(0, first), 1);
    assert_eq!(recovery.show(0, front), 0);
    // What makes smoltcp repeat is another window than the last one.
    for shown in [0, 1, 2, 500] {
        recovery.shown = shown;
        recovery.repeat = true;
        let (_, window) = recovery.take_repeat().unwrap();
        assert!(window != shown && window > 0);
    }
}

#[test]
fn little_waits_for_more_as_long_as_something_is_on_its_way() {
    let mut recovery = flying(20);
    assert_eq!(recovery.room(19_000, 100_000, 1 << 16, ROUND), 0);
    assert_eq!(recovery.room(14_500, 100_000, 1 << 16, ROUND), 5000);
    // The end of what the program has waits for nothing.
    assert_eq!(recovery.room(19_000, 700, 1 << 16, ROUND), 700);
    assert_eq!(recovery.room(0, 100_000, 500, ROUND), 500);
}

#[test]
fn words_about_the_past_or_the_future_change_nothing() {
    let mut recovery = flying(20);
    let before = format!("{recovery:?}");
    for number in [
        recovery.first.wrapping_sub(1),
        recovery.front.wrapping_add(1),
    ] {
        assert!(!recovery.hear(word(number), 1 << 30, 12 * MS));
    }
    assert_eq!(before, format!("{recovery:?}"));
}
