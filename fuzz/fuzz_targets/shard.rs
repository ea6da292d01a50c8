#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sockkit_codec::fuzzing::shard(std::time::Instant::now(), input));
