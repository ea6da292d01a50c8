//! Inputs that mean harm, for the tests of every decoder.

/// How many of them each decoder has to survive.
pub(crate) const INPUTS: u64 = 10_000;

/// Sound inputs made unsound, each time the same ones; some are noise from end
/// to end.
fn inputs(sound: &[Vec<u8>]) -> impl Iterator<Item = Vec<u8>> {
    (0..INPUTS).map(move |seed| {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = random.choice(sound).expect("there are some").clone();
        for _ in 0..random.u32(1..6) {
            spoil(&mut bytes, &mut random);
        }
        bytes
    })
}

/// Gives ten thousand bad inputs to a decoder that says whether one was sound.
///
/// Fails if it takes more memory at a time than `most_bytes` says for an input
/// of that length, or if it takes all of them for sound.
#[track_caller]
pub(crate) fn check(
    sound: &[Vec<u8>],
    decode: fn(&[u8]) -> bool,
    most_bytes: impl Fn(usize) -> usize,
) {
    for input in sound {
        assert!(decode(input), "a sound one is refused");
    }
    let mut refused = 0;
    for (number, input) in inputs(sound).enumerate() {
        let used = allocation_counter::measure(|| refused += u64::from(!decode(&input)));
        let (length, most) = (input.len(), most_bytes(input.len()));
        assert!(
            used.bytes_max <= most as u64,
            "input {number} of {length} bytes took {} bytes of memory, at most {most} allowed",
            used.bytes_max
        );
    }
    assert!(refused > INPUTS / 10, "{refused} of {INPUTS} refused");
    assert_peak_memory_below(PEAK_BYTES);
}

/// Fails if this process, with all its tests, ever held more than `limit_bytes`.
///
/// It counts what a decoder in C++ takes, too.
fn assert_peak_memory_below(limit_bytes: u64) {
    #[cfg(target_os = "linux")]
    {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"))
            .unwrap();
        let peak_bytes = peak.trim().parse::<u64>().unwrap() * 1_024;
        assert!(peak_bytes < limit_bytes, "{peak_bytes} bytes at the peak");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = limit_bytes;
}

/// All tests of this crate at once, with the inputs themselves.
const PEAK_BYTES: u64 = 768 << 20;

fn spoil(bytes: &mut Vec<u8>, random: &mut fastrand::Rng) {
    if bytes.is_empty() {
        bytes.push(random.u8(..));
    }
    let at = random.usize(..bytes.len());
    let end = (at + random.usize(1..64)).min(bytes.len());
    match random.u8(..8) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => bytes.extend_from_within(at..end),
        3 => bytes[at..end].fill(*random.choice(&[0, 0xff]).unwrap()),
        // A length or a count that promises much.
        4 => {
            let lie = random
                .choice([0, 1, 0x7fff_ffff, u32::MAX - 7, u32::MAX])
                .unwrap();
            for (byte, lie) in bytes[at..].iter_mut().zip(lie.to_be_bytes()) {
                *byte = lie;
            }
        }
        5 if random.u8(..8) == 0 => bytes.iter_mut().for_each(|byte| *byte = random.u8(..)),
        _ => bytes[at] ^= 1 << random.u8(..8),
    }
}
