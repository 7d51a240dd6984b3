use super::hand_over::handed_over;
use super::rebalance::preferred;
use super::*;
use crate::metadata::image::tests::image;

#[test]
fn elections_come_to_what_kafka_says() {
    let outcome = |image: &Image, election| {
        let partition = image.partition("t", 0).unwrap();
        let state = partition.state.as_ref().unwrap();
        super::elect::outcome(image, partition, state, election).map(|state| state.leader)
    };
    let led_by_second = image(&[1, 2], &[(&[1, 2], Some((2, &[1, 2])))]);
    assert_eq!(outcome(&led_by_second, Election::Preferred), Ok(1));
    assert_eq!(outcome(&led_by_second, Election::Unclean), Err(LeaderError::NotNeeded));
    let led_by_first = image(&[1, 2], &[(&[1, 2], Some((1, &[1, 2])))]);
    assert_eq!(outcome(&led_by_first, Election::Preferred), Err(LeaderError::NotNeeded));
    let first_lags = image(&[1, 2], &[(&[1, 2], Some((2, &[2])))]);
    let error = Err(LeaderError::PreferredNotAvailable);
    assert_eq!(outcome(&first_lags, Election::Preferred), error);
    let leaderless = image(&[2], &[(&[1, 2], Some((-1, &[1])))]);
    assert_eq!(outcome(&leaderless, Election::Unclean), Ok(2));
    let all_dead = image(&[], &[(&[1, 2], Some((-1, &[1])))]);
    assert_eq!(outcome(&all_dead, Election::Unclean), Err(LeaderError::NoneAvailable));
}

#[test]
fn a_broker_that_stops_hands_over_what_others_can_lead() {
    let now = image(
        &[1, 2],
        &[(&[1, 2], Some((1, &[1, 2]))), (&[1, 2], Some((1, &[1]))), (&[2], Some((2, &[2])))],
    );
    let (changes, remaining) = handed_over(&now, 1);
    assert_eq!((changes.len(), remaining), (1, 1));
    let SetState { topic, partition, version, state } = &changes[0];
    assert_eq!((&**topic, *partition, *version), ("t", 0, 6));
    assert_eq!((state.leader, state.leader_epoch, &state.isr), (2, 5, &vec![2]));
    // Nobody is waited for who is not there.
    let alone = image(&[1], &[(&[1, 2], Some((1, &[1]))), (&[1], Some((1, &[1])))]);
    let (changes, remaining) = handed_over(&alone, 1);
    assert_eq!((changes.len(), remaining), (0, 0));
}

#[test]
fn a_leader_takes_into_the_isr_who_lives_and_has_not_been_away() {
    let mut now = image(&[1, 2, 3], &[(&[1, 2, 3], Some((1, &[1, 2])))]);
    let refused = |image: &Image, isr: &[i32]| {
        let partition = image.partition("t", 0).unwrap();
        ineligible(image, partition, partition.state.as_ref().unwrap(), isr)
    };
    assert_eq!(refused(&now, &[1, 2, 3]), None);
    assert_eq!(refused(&now, &[1]), None);
    assert_eq!(refused(&now, &[2, 3]), Some(1));
    assert_eq!(refused(&now, &[1, 4]), Some(4));
    let brokers = std::sync::Arc::make_mut(&mut now.brokers);
    std::sync::Arc::make_mut(brokers.get_mut(&2).unwrap()).epoch = 11;
    assert_eq!(refused(&now, &[1, 2]), Some(2));
    assert_eq!(refused(&now, &[1, 3]), None);
    assert_eq!(now.acting_leader(now.partition("t", 0).unwrap()), Some(1));
    let away = image(&[1, 2], &[(&[2, 1], Some((3, &[3])))]);
    assert_eq!(away.acting_leader(away.partition("t", 0).unwrap()), None);
}

#[test]
fn balance_is_restored_beyond_the_percentage() {
    let led: (&[i32], Option<(i32, &[i32])>) = (&[1, 2], Some((1, &[1, 2])));
    let elsewhere: (&[i32], Option<(i32, &[i32])>) = (&[1, 2], Some((2, &[1, 2])));
    let mut partitions = vec![led; 9];
    partitions.push(elsewhere);
    assert_eq!(preferred(&image(&[1, 2], &partitions), 10).len(), 0);
    partitions.push(elsewhere);
    assert_eq!(preferred(&image(&[1, 2], &partitions), 10).len(), 2);
    assert_eq!(preferred(&image(&[2], &partitions), 10).len(), 0);
}
