//! What the users are told when it ends before everyone has everything.

use std::{fs, process::Command};

use sockkit::testing::{
    needs::{Need, met},
    program::{Program, ProgramOutput},
};

use super::{Class, succeeds};

#[track_caller]
fn says(end: &ProgramOutput, text: &str) {
    let is_told = end.errors.contains(text) || end.lines.iter().any(|line| line.contains(text));
    assert!(is_told, "{text:?} is not in {end:?}");
}

#[test]
fn a_sender_that_is_stopped_says_so_and_each_side_what_resumes() {
    let Some(class) = Class::new("many: the sender is stopped", 2, 0.0) else {
        return;
    };
    let film = class.film(16 << 20);
    let (sender, line) = class.send(&["--rate", "24"]);
    let [whole, lacking] = [1, 2].map(|host| class.receive(host, &line));
    class.wait_for_files(2, 2, 1 << 20);
    lacking.freeze();
    sender.wait_for_error("has everything");
    sender.interrupt();
    let end = sender.end();
    assert_eq!(end.status.code(), Some(130), "{end:?}");
    says(&end, "1 of 2 have everything; ");
    let told = |text: &str| end.lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!(told(") has everything"), 1, "{end:?}");
    let stopped = "does not have everything: the transfer was stopped here";
    assert_eq!(told(stopped), 1, "{end:?}");
    says(&end, "stopped; verified data is kept; to resume, ");

    succeeds(&whole.end());
    assert!(class.has_film(1, &film));
    lacking.thaw();
    let end = lacking.end();
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    says(&end, "sender ended the transfer: it was stopped there; ");
    says(
        &end,
        "start the other side again and run: sockkit receive --yes",
    );
    assert!(!end.errors.contains("cannot read"), "{end:?}");
}

impl Class {
    /// Starts a receiver whose folder is a disk of so many MiB, mounted for it alone.
    fn receive_on_a_disk(&self, host: u8, line: &str, mebibytes: u32) -> Program {
        let folder = self.folder_of(host);
        fs::create_dir(&folder).unwrap();
        let receiver = self.receiver(host, line);
        let mounted = format!(
            "mount -t tmpfs -o size={mebibytes}m none '{}' && exec \"$0\" \"$@\"",
            folder.display()
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &mounted]);
        command
            .arg(receiver.get_program())
            .args(receiver.get_args());
        for (name, value) in receiver.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        self.lab.host(host).run(|| Program::start(&mut command))
    }
}

#[test]
fn a_member_whose_disk_is_full_tells_the_sender_that() {
    let test = "many: a disk is full";
    if !met(test, &[Need::Program("mount"), Need::Program("unshare")]) {
        return;
    }
    let Some(class) = Class::new(test, 2, 0.0) else {
        return;
    };
    class.film(8 << 20);
    // For the file, and not for what is kept beside it.
    let (sender, line) = class.send(&["--rate", "60"]);
    let whole = class.receive(1, &line);
    let full = class.receive_on_a_disk(2, &line, 11);
    let end = full.end();
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    says(&end, "bytes are needed");
    assert!(!end.errors.contains("cannot read"), "{end:?}");
    succeeds(&whole.end());
    let end = sender.end();
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    says(&end, "does not have everything: 8388608 bytes are needed, ");
    says(&end, " are free on its disk");
}

#[test]
fn a_member_that_is_stopped_tells_the_sender_that() {
    let Some(class) = Class::new("many: a receiver is stopped", 2, 0.0) else {
        return;
    };
    class.film(8 << 20);
    let (sender, line) = class.send(&["--rate", "24"]);
    let [whole, stopped] = [1, 2].map(|host| class.receive(host, &line));
    class.wait_for_files(2, 1, 1 << 20);
    stopped.interrupt();
    assert_eq!(stopped.end().status.code(), Some(130));
    succeeds(&whole.end());
    let end = sender.end();
    says(&end, "does not have everything: it was stopped there");
    says(&end, "not everyone has everything; to resume, ");
}

#[test]
fn a_sender_says_for_how_many_it_waits() {
    let Some(class) = Class::new("many: one is waited for", 1, 0.0) else {
        return;
    };
    class.film(1 << 20);
    let (sender, line) = class.send_to(2, &[]);
    sender.wait_for_error("starts when 2 receivers have accepted; Ctrl-C stops");
    let receiver = class.receive(1, &line);
    sender.wait_for_error("has accepted (1 of 2)");
    sender.wait_for_error(
        "1 of 2 receivers is here; waiting for 1 more, for a day at most; Ctrl-C stops",
    );
    sender.interrupt();
    let end = sender.end();
    assert_eq!(end.status.code(), Some(130), "{end:?}");
    assert!(end.errors.ends_with("sockkit: stopped\n"), "{end:?}");
    let end = receiver.end();
    says(&end, "sender ended the transfer: it was stopped there");
    assert!(!end.errors.contains("resume"), "{end:?}");
}
