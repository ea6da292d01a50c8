#![no_main]

use std::time::Instant;

libfuzzer_sys::fuzz_target!(|input: &[u8]| sockkit_codec::fuzzing::rtsp(Instant::now(), input));
