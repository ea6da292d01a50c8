//! A router in a process of its own, in the namespace of a host.

use std::{
    env,
    io::{self, Read},
    process::Command,
};

use sockkit::{
    link::zenoh::Session,
    testing::{lab::Host, program::Program},
};

/// Starts a function of this file or of another one, which is a test by name only. It ends
/// with this process, by the end of its input.
pub(crate) fn start(host: &Host, role: &str, variables: &[(&str, &str)]) -> Program {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", role, "--ignored", "--nocapture"]);
    command.envs(variables.iter().copied());
    host.run(|| Program::start(&mut command))
}

/// Starts a router that connects to others, and waits until it is up.
pub(crate) fn router(host: &Host, port: u16, connect: &str) -> Program {
    let config = format!(
        r#"{{ mode: "router", scouting: {{ multicast: {{ enabled: false }} }},
            listen: {{ endpoints: ["tcp/0.0.0.0:{port}"] }},
            connect: {{ endpoints: {connect} }} }}"#
    );
    let router = start(host, "router::process", &[(ROUTER, &config)]);
    router.line_after("router is up");
    router
}

pub(crate) fn wait_for_end_of_input() {
    let mut end = Vec::new();
    io::stdin().read_to_end(&mut end).unwrap();
}

#[test]
#[ignore = "a process of the others"]
fn process() {
    let Ok(config) = env::var(ROUTER) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let nowhere = "zenoh://:7447".parse().unwrap();
    let session = runtime.block_on(Session::open(&nowhere, Some(&config)));
    let _session = session.unwrap();
    println!("\nrouter is up");
    wait_for_end_of_input();
}

const ROUTER: &str = "SOCKKIT_TEST_ROUTER";
