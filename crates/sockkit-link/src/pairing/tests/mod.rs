//! Both sides against each other, and against what a liar sends.

mod guesses;
mod python;
mod relay;
mod sockets;
mod stored;

use spake2::{Ed25519Group, Group};

use super::{
    Code, Refusal, TypedCode,
    dialler::{Asking, Confirming, Ended},
    exchange::{Bound, Element, Half, Role, Seed, Tag},
    listener::Answering,
    wire::{ELEMENT_BYTES, Hello},
};
use crate::Fingerprint;

fn code(text: &str) -> Code {
    text.parse().unwrap()
}

/// A connection of two machines, and no other.
fn bound(number: u8) -> Bound {
    Bound {
        dialler: Fingerprint::of_key(b"dialler"),
        listener: Fingerprint::of_key(b"listener"),
        binding: [number; 32],
    }
}

fn seed(random: &mut fastrand::Rng) -> Seed {
    std::array::from_fn(|_| random.u8(..))
}

/// An element as an honest peer with this code sends it.
fn element(role: Role, bound: &Bound, code: &Code) -> Element {
    Half::new(role, bound, code, [7; 64]).element()
}

/// The hello is left away.
fn first_element(first: &[u8]) -> Element {
    assert_eq!(first.len(), Hello::BYTES + ELEMENT_BYTES);
    first[Hello::BYTES..].try_into().unwrap()
}

/// Runs one exchange: whether the listener accepts, and the dialler proceeds.
fn exchange(
    dialler: (&Bound, &TypedCode),
    listener: (&Bound, &Code),
    random: &mut fastrand::Rng,
) -> (Option<Tag>, Option<Result<(), Ended>>) {
    let (asking, first) = Asking::new(dialler.0, dialler.1, seed(random));
    let answering = Answering::new(listener.0, listener.1, seed(random), &first_element(&first));
    let answering = answering.unwrap();
    let Ok((confirming, tag)) = asking.answer(&answering.element()) else {
        return (None, None);
    };
    let own = answering.confirm(&tag);
    (own, own.map(|own| confirming.confirm(&own)))
}

#[test]
fn a_right_code_pairs_and_gives_the_try_back() {
    let mut random = fastrand::Rng::with_seed(1);
    let (bound, code) = (bound(1), code("7-coral-lamp"));
    let typed = TypedCode::new(code.clone());
    for _ in 0..10 {
        let (own, confirmed) = exchange((&bound, &typed), (&bound, &code), &mut random);
        assert!(own.is_some());
        assert_eq!(confirmed, Some(Ok(())));
    }
    assert!(!typed.is_spent());
}

/// Each thing that the exchange is bound to, changed on one side.
#[test]
fn what_differs_on_one_side_is_a_wrong_code() {
    let mut random = fastrand::Rng::with_seed(2);
    let (here, shown) = (bound(1), code("7-coral-lamp"));
    let other_dialler = Bound {
        dialler: Fingerprint::of_key(b"x"),
        ..here
    };
    let other_listener = Bound {
        listener: Fingerprint::of_key(b"x"),
        ..here
    };
    for (there, typed) in [
        (bound(2), "7-coral-lamp"),
        (other_dialler, "7-coral-lamp"),
        (other_listener, "7-coral-lamp"),
        (here, "8-coral-lamp"),
        (here, "7-coral-river"),
        (here, "7-lamp-coral"),
        (here, "coral-lamp-orbit"),
    ] {
        let typed = TypedCode::new(code(typed));
        for _ in 0..3 {
            let (own, _) = exchange((&there, &typed), (&here, &shown), &mut random);
            assert_eq!(own, None, "{typed:?}");
        }
        assert!(typed.is_spent());
    }
}

#[test]
fn a_try_counts_from_the_tag_on_and_a_cut_connection_is_one() {
    let (bound, typed) = (bound(1), TypedCode::new(code("7-coral-lamp")));
    let theirs = element(Role::Listener, &bound, &code("7-coral-river"));
    let begin = || Asking::new(&bound, &typed, [1; 64]).0;
    // Cut before the tag was sent.
    for _ in 0..10 {
        drop(begin());
    }
    assert!(!typed.is_spent());
    // After it; and one that answers with a wrong tag.
    drop(begin().answer(&theirs).unwrap());
    let (confirming, _) = begin().answer(&theirs).unwrap();
    assert_eq!(confirming.confirm(&[0; 32]), Err(Ended::Wrong));
    let (last, _) = begin().answer(&theirs).unwrap();
    assert_eq!(begin().answer(&theirs).err(), Some(Ended::Spent));
    drop::<Confirming>(last);
    assert!(typed.is_spent());
}

/// The eight points of small order, as RFC 7748's curve has them, in every form
/// that a decoder may take.
const SMALL_ORDER: [&str; 11] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    // Not reduced: the identity, and the point of order four.
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    // The identity with the sign that zero has not.
    "0100000000000000000000000000000000000000000000000000000000000080",
];

fn hex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.map(byte).collect()
}

/// Whether each side takes it.
fn taken(element: &Element) -> [bool; 2] {
    let (bound, code) = (bound(1), code("7-coral-lamp"));
    let typed = TypedCode::new(code.clone());
    let (asking, _) = Asking::new(&bound, &typed, [1; 64]);
    let by_dialler = match asking.answer(element) {
        Ok(_) => true,
        Err(ended) => {
            assert_eq!(ended, Ended::BadElement);
            false
        }
    };
    let by_listener = match Answering::new(&bound, &code, [2; 64], element) {
        Ok(_) => true,
        Err(refusal) => {
            assert_eq!(refusal, Refusal::Malformed);
            false
        }
    };
    [by_dialler, by_listener]
}

#[test]
fn elements_outside_the_group_are_refused() {
    let scalar = Ed25519Group::hash_to_scalar(b"any");
    let good = Ed25519Group::basepoint_mult(&scalar);
    let bytes = |point: &_| Element::try_from(Ed25519Group::element_to_bytes(point)).unwrap();
    assert_eq!(taken(&bytes(&good)), [true; 2]);
    let mut mixed = 0;
    for small in SMALL_ORDER.map(hex) {
        assert_eq!(
            taken(&small[..].try_into().unwrap()),
            [false; 2],
            "{small:02x?}"
        );
        if let Some(point) = Ed25519Group::bytes_to_element(&small)
            && !point.compress().as_bytes().starts_with(&[1, 0, 0])
        {
            let point = Ed25519Group::add(&good, &point);
            assert_eq!(taken(&bytes(&point)), [false; 2], "{small:02x?}");
            mixed += 1;
        }
    }
    assert!(mixed >= 7, "{mixed}");
    assert_eq!(taken(&[0xff; 32]), [false; 2]);
}

#[test]
fn any_bytes_are_taken_or_refused() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut refused = 0;
    for _ in 0..200 {
        let any: Element = std::array::from_fn(|_| random.u8(..));
        let [by_dialler, by_listener] = taken(&any);
        assert_eq!(by_dialler, by_listener);
        refused += usize::from(!by_dialler);
    }
    // Half are no points, and of the others one in eight is in the group.
    assert!((160..200).contains(&refused), "{refused}");
}

/// What a listener that reflects or mirrors gets.
#[test]
fn a_dialler_takes_neither_its_own_element_nor_its_own_tag() {
    let (bound, typed) = (bound(1), TypedCode::new(code("7-coral-lamp")));
    let (asking, first) = Asking::new(&bound, &typed, [1; 64]);
    let (confirming, tag) = asking.answer(&first_element(&first)).unwrap();
    assert_eq!(confirming.confirm(&tag), Err(Ended::Wrong));
}
