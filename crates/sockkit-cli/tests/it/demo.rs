//! `sockkit demo`.

use std::net::TcpListener;

use crate::fails;

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    fails(
        &["demo", "--seconds", "1", "--web", &address],
        &[&address, "in use", "--web"],
    );
}

#[test]
fn a_bad_address_is_named() {
    fails(&["demo", "--web", "nowhere"], &["nowhere", "--web"]);
}

#[test]
fn a_missing_source_is_named() {
    fails(
        &[
            "demo",
            "--source",
            "/no/such/clip.mjpeg",
            "--web",
            "127.0.0.1:0",
        ],
        &["/no/such/clip.mjpeg", "No such file"],
    );
}
