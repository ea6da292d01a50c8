#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    sockkit_media::fuzzing::mp4(input);
});
