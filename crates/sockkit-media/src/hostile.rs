//! Inputs that mean harm, for the tests of every decoder.

/// How many of them each decoder has to survive.
pub(crate) const INPUTS: u64 = 10_000;

/// Sound inputs made unsound, each time the same ones; some are noise from end
/// to end.
pub(crate) fn inputs(sound: &[Vec<u8>]) -> impl Iterator<Item = Vec<u8>> {
    (0..INPUTS).map(move |seed| {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = random.choice(sound).expect("there are some").clone();
        for _ in 0..random.u32(1..6) {
            spoil(&mut bytes, &mut random);
        }
        bytes
    })
}

/// Fails if this process, with all its tests, ever held more than `limit_bytes`.
pub(crate) fn assert_peak_memory_below(limit_bytes: u64) {
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
