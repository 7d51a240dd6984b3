use super::entity::{Entity, Name};
use super::*;
use crate::quota::change::{Filter, QuotaError, entity, values};

/// Kafka's defaults.
const WINDOW: Window = Window { samples: 11, sample_ms: 1000 };

fn of(name: &str) -> Name {
    Name::Of(name.to_owned())
}

#[test]
fn a_burst_counts_over_all_samples_but_the_last() {
    let mut rate = Rate::default();
    rate.record(10_000.0, Millis(0), WINDOW);
    assert_eq!(rate.measure(Millis(0), WINDOW), 1000.0);
    assert_eq!(rate.throttle_ms(1000.0, Millis(0), WINDOW), 0);
    rate.record(5000.0, Millis(500), WINDOW);
    // 15000 in ten seconds and a half; to be 1000 a second, it has to be fifteen.
    assert_eq!(rate.throttle_ms(1000.0, Millis(500), WINDOW), 4500);
    // Until then it is still counted over ten seconds, and after eleven it is forgotten.
    assert_eq!(rate.throttle_ms(1000.0, Millis(5000), WINDOW), 5000);
    assert_eq!(rate.throttle_ms(1000.0, Millis(11_499), WINDOW), 3501);
    assert_eq!(rate.throttle_ms(1000.0, Millis(11_500), WINDOW), 0);
}

#[test]
fn what_is_older_than_the_window_is_forgotten() {
    let mut rate = Rate::default();
    for second in 0..30 {
        rate.record(1000.0, Millis(second * 1000), WINDOW);
        let measured = rate.measure(Millis(second * 1000), WINDOW);
        // The sample of eleven seconds ago is forgotten when the twelfth begins.
        let expected = (second.min(10) + 1) as f64 * 1000.0 / 10.0;
        assert!((measured - expected).abs() < 1e-6, "{second}: {measured} for {expected}");
    }
    assert_eq!(rate.measure(Millis(29_000 + 11_000), WINDOW), 0.0);
}

#[test]
fn taking_back_leaves_nothing() {
    let quotas = Quotas::new(WINDOW);
    let mut limits = Limits::default();
    limits.set(Kind::Fetch, Entity::Client(of("c")), 10.0);
    quotas.set_limits(limits);
    assert_eq!(quotas.most_at_once(Kind::Fetch, "u", "c"), Some(100.0));
    assert_eq!(quotas.used(Kind::Fetch, "u", "c", 200.0, Millis(1)), 10_000);
    quotas.unused(Kind::Fetch, "u", "c", 200.0, Millis(1));
    assert_eq!(quotas.used(Kind::Fetch, "u", "c", 100.0, Millis(1)), 0);
    // Others have quotas of their own, or none.
    assert_eq!(quotas.used(Kind::Fetch, "u", "d", 1e9, Millis(1)), 0);
    assert_eq!(quotas.used(Kind::Produce, "u", "c", 1e9, Millis(1)), 0);
    assert_eq!(quotas.most_at_once(Kind::Fetch, "u", "d"), None);
}

#[test]
fn a_users_clients_share_what_the_user_has() {
    let quotas = Quotas::new(WINDOW);
    let mut limits = Limits::default();
    limits.set(Kind::Produce, Entity::User(Name::Default), 10.0);
    quotas.set_limits(limits);
    assert_eq!(quotas.used(Kind::Produce, "u", "a", 100.0, Millis(1)), 0);
    assert!(quotas.used(Kind::Produce, "u", "b", 1.0, Millis(1)) > 0);
    assert_eq!(quotas.used(Kind::Produce, "v", "b", 100.0, Millis(1)), 0, "another user");
}

#[test]
fn time_is_held_against_a_client_for_one_sample_at_most() {
    let quotas = Quotas::new(WINDOW);
    let mut limits = Limits::default();
    limits.set(Kind::Request, Entity::User(of("u")), 1.0);
    quotas.set_limits(limits);
    assert_eq!(quotas.used(Kind::Request, "u", "a", 5000.0, Millis(1)), 1000);
}

#[test]
fn the_most_specific_of_eight_levels_decides() {
    let (u, c, rest) = (of("u"), of("c"), Name::Default);
    // In Kafka's order.
    let levels = [
        Entity::UserClient(u.clone(), c.clone()),
        Entity::UserClient(u.clone(), rest.clone()),
        Entity::User(u),
        Entity::UserClient(rest.clone(), c.clone()),
        Entity::UserClient(rest.clone(), rest.clone()),
        Entity::User(rest.clone()),
        Entity::Client(c),
        Entity::Client(rest),
    ];
    for first in 0..levels.len() {
        let mut limits = Limits::default();
        for (at, entity) in levels.iter().enumerate().skip(first) {
            limits.set(Kind::Produce, entity.clone(), at as f64);
        }
        let (_, bound) = limits.find(Kind::Produce, "u", "c").unwrap();
        assert_eq!(bound, first as f64);
    }
    assert_eq!(Limits::default().find(Kind::Produce, "u", "c"), None);
}

#[test]
fn who_has_no_client_id_has_the_users_quota() {
    let mut limits = Limits::default();
    limits.set(Kind::Produce, Entity::UserClient(of("u"), Name::Default), 1.0);
    limits.set(Kind::Produce, Entity::Client(Name::Default), 2.0);
    assert_eq!(limits.find(Kind::Produce, "u", ""), None);
    limits.set(Kind::Produce, Entity::User(Name::Default), 3.0);
    assert_eq!(limits.find(Kind::Produce, "u", "").unwrap().1, 3.0);
    assert_eq!(limits.find(Kind::Produce, "u", "x").unwrap().1, 1.0);
}

#[test]
fn entities_are_where_kafka_keeps_them() {
    let all = [
        (Entity::User(of("a b")), "users/a%20b"),
        (Entity::User(Name::Default), "users/<default>"),
        (Entity::Client(of("c")), "clients/c"),
        (Entity::UserClient(of("u"), Name::Default), "users/u/clients/<default>"),
        (Entity::UserClient(Name::Default, of("c")), "users/<default>/clients/c"),
        (Entity::Ip(of("127.0.0.1")), "ips/127.0.0.1"),
    ];
    for (entity, path) in all {
        assert_eq!(entity.path(), path);
        assert_eq!(Entity::parse(path), Some(entity));
    }
    for other in [
        "topics/t",
        "brokers/1",
        "users",
        "users/u/clients",
        "users/u/clients/c/d",
        "ips/1/clients/c",
    ] {
        assert_eq!(Entity::parse(other), None, "{other}");
    }
}

#[test]
fn values_are_written_as_kafka_writes_them_and_nonsense_is_refused() {
    let user = Entity::User(of("u"));
    let ops = |key: &str, value: f64| vec![(key.to_owned(), Some(value))];
    let text = |key: &str, value: f64| {
        let values = values(&user, ops(key, value))?;
        Ok::<_, QuotaError>(values[key].clone().unwrap())
    };
    assert_eq!(text("producer_byte_rate", 1024.0).unwrap(), "1024");
    assert_eq!(text("request_percentage", 50.0).unwrap(), "50.0");
    assert_eq!(text("request_percentage", 1.5e8).unwrap(), "1.5E8");
    let refused = |key: &str, value: f64| text(key, value).unwrap_err().to_string();
    assert_eq!(refused("x", 1.0), "Invalid configuration key x");
    assert_eq!(
        refused("producer_byte_rate", 0.0),
        "Quota producer_byte_rate must be greater than 0"
    );
    assert_eq!(
        refused("producer_byte_rate", 1.5),
        "producer_byte_rate cannot be a fractional value."
    );
    assert!(refused("connection_creation_rate", 1.0).starts_with("Invalid configuration key"));
    let ip = Entity::Ip(of("127.0.0.1"));
    let many = values(&ip, ops("connection_creation_rate", 3e9)).unwrap_err().to_string();
    assert_eq!(many, "Proposed value for connection_creation_rate is too large for an INT.");
    let removed = values(&user, vec![("producer_byte_rate".to_owned(), None)]).unwrap();
    assert_eq!(removed["producer_byte_rate"], None);
}

#[test]
fn entities_that_make_no_sense_are_refused() {
    let part = |kind: &str, name: Option<&str>| (kind.to_owned(), name.map(str::to_owned));
    assert_eq!(entity(vec![part("user", None)]), Ok(Entity::User(Name::Default)));
    let both = vec![part("client-id", Some("c")), part("user", Some("u"))];
    assert_eq!(entity(both), Ok(Entity::UserClient(of("u"), of("c"))));
    for bad in [
        vec![],
        vec![part("tenant", Some("x"))],
        vec![part("user", Some("a")), part("user", Some("b"))],
        vec![part("ip", Some("::1")), part("user", Some("b"))],
        vec![part("user", Some(""))],
    ] {
        assert!(matches!(entity(bad.clone()), Err(QuotaError::Invalid(_))), "{bad:?}");
    }
    let component = |kind: &str, how| (kind.to_owned(), how, None);
    assert!(Filter::new(vec![component("user", 1), component("client-id", 2)], true).is_ok());
    for bad in [
        vec![component("user", 0)],
        vec![component("user", 3)],
        vec![component("user", 2), component("user", 2)],
        vec![component("user", 2), component("ip", 2)],
        vec![component("", 2)],
    ] {
        assert!(matches!(Filter::new(bad.clone(), false), Err(QuotaError::Invalid(_))), "{bad:?}");
    }
    let unknown = Filter::new(vec![component("tenant", 2)], false);
    assert!(matches!(unknown, Err(QuotaError::UnknownKind(_))));
}
