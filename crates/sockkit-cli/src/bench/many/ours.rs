//! `sockkit send --many`, by this program.

use std::{env, process::Command};

use anyhow::Context;
use sockkit::testing::{needs::Need, program::Program};

use super::{Bed, Figures, Transfer};

pub(super) struct Ours;

impl Transfer for Ours {
    fn name(&self) -> &'static str {
        "sockkit"
    }

    fn needs(&self) -> &'static [Need<'static>] {
        &[]
    }

    fn run(&self, bed: &Bed, mbits: u64) -> anyhow::Result<Figures> {
        let before = bed.counted();
        let (mut sender, line) = send(bed, mbits)?;
        let mut receivers = Vec::new();
        for receiver in 1..=bed.receivers {
            receivers.push(receive(bed, receiver, &line)?);
        }
        sender.wait_for_error(&format!("has accepted ({})", bed.receivers));
        bed.lose();
        let joined = bed.counted();
        sender.type_line("");
        let mut programs = vec![sender];
        programs.append(&mut receivers);
        let mut figures = bed.finish(programs, joined, mbits)?;
        figures.join_bytes = Some(bed.joined(before, joined));
        Ok(figures)
    }
}

/// Starts the sender, which begins at Enter; also returns the line for the receivers.
fn send(bed: &Bed, mbits: u64) -> anyhow::Result<(Program, String)> {
    let mut command = this_program()?;
    command.args(["send", "--many", "--listen", "0.0.0.0:0", "--once"]);
    command.args(["--no-announce", "--rate", &mbits.to_string()]);
    command.arg(bed.film());
    let host = bed.lab.host(0);
    let sender = host.run(|| Program::start_on_terminal(&mut command));
    let line = sender.line_after("there     ");
    Ok((sender, line))
}

fn receive(bed: &Bed, receiver: u8, line: &str) -> anyhow::Result<Program> {
    let mut command = this_program()?;
    command.args(line.split(' ').skip(1));
    command.args(["--once", "--yes", "--into"]);
    command.arg(bed.folder_of(receiver));
    let host = bed.lab.host(receiver);
    Ok(host.run(|| Program::start(&mut command)))
}

fn this_program() -> anyhow::Result<Command> {
    let program = env::current_exe().context("cannot find this program")?;
    Ok(Command::new(program))
}
