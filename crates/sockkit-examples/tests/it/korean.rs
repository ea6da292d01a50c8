//! The Korean README's commands, as a student types them.

use std::{path::Path, process::Command};

use sockkit::testing::lab::Lab;

use crate::run::{Program, has_python};

#[test]
fn the_korean_readme_works_as_it_is_written() {
    // A network of its own: the programs use the course's ports.
    let Some(lab) = Lab::new("the Korean README", 1, 0).filter(|_| has_python("the Korean README"))
    else {
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/korean-readme");
    let built = Path::new(env!("CARGO_BIN_EXE_time-server"))
        .parent()
        .unwrap();
    let mut play = Command::new("python3");
    play.arg(script).arg("--built").arg(built);
    let end = lab.host(0).run(|| Program::start(&mut play)).end();
    assert!(end.status.success(), "{end:?}");
    assert_eq!(end.lines.len(), 4, "{end:?}");
}
