//! What a user types to resume an interrupted transfer: a code is used up by then.

use sockkit::link::{
    Address,
    pairing::{AuthenticatedPeer, ProvedBy, Uses},
};

use crate::{
    address::{FILES_PORT, shown},
    remote::{self, Remote},
    secure::{Purpose, Security},
    typed,
};

/// Where nothing that was typed is used up.
pub(crate) const SAME: &str = "run the same command to resume";

/// For the side that has connected to `at`, as `whom`.
pub(crate) fn dialled(
    purpose: Purpose,
    security: &Security,
    (whom, at): (&Remote, &Address),
    peer: Option<&AuthenticatedPeer>,
) -> String {
    let Some(peer) = peer.filter(|peer| peer.by == ProvedBy::Code) else {
        return SAME.to_owned();
    };
    if security.is_for_once() {
        return "to resume, run it again with the new code that the other side shows".to_owned();
    }
    // A host that was typed is reached where no name is announced.
    let is_typed = matches!(whom, Remote::Address(_)) && whom.name(FILES_PORT).is_none();
    let name = peer.name.as_deref().filter(|_| !is_typed);
    let name = name.filter(|_| peer.namesakes == 0).and_then(machine);
    let to = name.map_or_else(|| shown(at), str::to_owned);
    format!(
        "to resume, start the other side again and run: {} {to}",
        typed::again(purpose.here)
    )
}

/// For the side that has shown a code, and is `known_as` that to the other.
pub(crate) fn listened(
    purpose: Purpose,
    security: &Security,
    known_as: Option<&str>,
    peer: Option<&AuthenticatedPeer>,
) -> String {
    let by_code = peer.is_some_and(|peer| peer.by == ProvedBy::Code);
    match known_as {
        Some(_) if by_code && security.is_for_once() => {
            "to resume, start this again, and type its new code on the other side".to_owned()
        }
        Some(name) if by_code => {
            let there = match purpose.uses {
                Uses::Many => "at each receiver",
                _ => "on the other side",
            };
            let command = purpose.there;
            format!("to resume, start this again, and {there}: {command} {name}")
        }
        _ => SAME.to_owned(),
    }
}

/// The machine in the name of a user and a machine, if it can be typed in place of an
/// address.
pub(crate) fn machine(name: &str) -> Option<&str> {
    let machine = name
        .rsplit_once('@')
        .map_or(name, |(_user, machine)| machine);
    let machine = machine.split('.').next()?;
    let remote = remote::files(machine).ok()?;
    let is_name = matches!(remote, Remote::Address(_)) && remote.name(FILES_PORT).is_some();
    is_name.then_some(machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_in_a_name_is_what_is_typed() {
        for (name, typed) in [
            ("anna@desk.lan", Some("desk")),
            ("desk", Some("desk")),
            ("anna@7-coral-lamp", None),
            ("anna@localhost", None),
            ("anna@my desk", None),
            ("anna@", None),
        ] {
            assert_eq!(machine(name), typed, "{name}");
        }
    }
}
