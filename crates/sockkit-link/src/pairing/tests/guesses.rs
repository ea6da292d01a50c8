//! Guesses, as many as an attacker may have in years.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use super::*;
use crate::pairing::{
    Uses,
    book::{Book, End},
};

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What one attacker got.
#[derive(Debug, Default, Eq, PartialEq)]
struct Got {
    accepted: usize,
    honest: usize,
}

/// A code of the first words of the list.
fn drawn(words: &[&str], random: &mut fastrand::Rng) -> Code {
    let word = |random: &mut fastrand::Rng| words[random.usize(..words.len())].to_owned();
    let (first, second) = (word(random), word(random));
    code(&format!("7-{first}-{second}"))
}

fn all_words() -> Vec<&'static str> {
    include_str!("../words.txt").lines().collect()
}

/// A dialler that guesses, three at a time side by side and one after the other;
/// and, in between, one that knows the code.
fn against_listener(guesses: usize, words: &[&str], random: &mut fastrand::Rng) -> Got {
    let mut book = Book::new(Uses::Once);
    let mut now = Instant::now();
    let mut got = Got::default();
    let bound = bound(1);
    for round in 0..guesses / 3 {
        now += Duration::from_secs(60);
        book.show(drawn(words, random), None);
        let mut begun = Vec::new();
        let mut left = 3;
        while left > 0 {
            let typed = TypedCode::new(drawn(words, random));
            let (shown, token) = book.begin(7, HOST, now).unwrap();
            let (own, _) = exchange((&bound, &typed), (&bound, &shown), random);
            left -= 1;
            if own.is_some() {
                got.accepted += 1;
            } else if round % 2 == 0 {
                book.end(&token, false);
            } else {
                begun.push(token);
            }
        }
        for token in begun {
            book.end(&token, false);
        }
        if round % 10 == 0 {
            let honest = drawn(words, random);
            book.show(honest.clone(), None);
            let (shown, token) = book.begin(7, HOST, now).unwrap();
            let typed = TypedCode::new(honest);
            let (own, confirmed) = exchange((&bound, &typed), (&bound, &shown), random);
            let paired = own.is_some() && book.end(&token, true) == End::Paired;
            got.honest += usize::from(paired && confirmed == Some(Ok(())));
        }
    }
    got
}

/// A listener that guesses: of each dial it learns whether its guess was right, and
/// each typed code is dialled with three times.
fn against_dialler(guesses: usize, words: &[&str], random: &mut fastrand::Rng) -> usize {
    let bound = bound(1);
    let mut accepted = 0;
    for _ in 0..guesses / 3 {
        let typed = TypedCode::new(drawn(words, random));
        for _ in 0..3 {
            let guess = drawn(words, random);
            let (own, confirmed) = exchange((&bound, &typed), (&bound, &guess), random);
            accepted += usize::from(own.is_some() || confirmed == Some(Ok(())));
        }
    }
    accepted
}

fn guessed(guesses: usize) {
    let mut random = fastrand::Rng::with_seed(4);
    let words = all_words();
    let got = against_listener(guesses / 2, &words, &mut random);
    assert_eq!(got.accepted, 0);
    assert_eq!(got.honest, (guesses / 2 / 3).div_ceil(10));
    assert_eq!(against_dialler(guesses / 2, &words, &mut random), 0);
}

/// A tenth of what the soak tries.
#[test]
fn ten_thousand_guesses_are_refused_and_who_knows_the_code_is_let_in() {
    guessed(10_000);
}

/// Some minutes: `cargo test -p sockkit-link --all-features -- --ignored soak`.
#[test]
#[ignore = "soak"]
fn soak_a_hundred_thousand_guesses_are_refused() {
    guessed(100_000);
    let mut random = fastrand::Rng::with_seed(5);
    let (bound, words) = (bound(1), all_words());
    for _ in 0..1_000 {
        let right = drawn(&words, &mut random);
        let typed = TypedCode::new(right.clone());
        let (_, confirmed) = exchange((&bound, &typed), (&bound, &right), &mut random);
        assert_eq!(confirmed, Some(Ok(())));
    }
}

/// With codes of six bits the same attacks succeed as often as they should: they do
/// try.
#[test]
fn short_codes_are_guessed_as_often_as_chance_has_it() {
    let mut random = fastrand::Rng::with_seed(6);
    let words = &all_words()[..8];
    for hits in [
        against_listener(1_920, words, &mut random).accepted,
        against_dialler(1_920, words, &mut random),
    ] {
        // 30 are expected, with a standard deviation of 5.4.
        assert!((8..=60).contains(&hits), "{hits} of 1,920 guesses");
    }
}
