#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sockkit_codec::fuzzing::rtp(input));
