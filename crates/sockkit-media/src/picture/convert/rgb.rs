//! RGB, BGR and gray.

/// RGB to BGR, and back.
pub(super) fn swap_ends(pixels: &[u8]) -> Vec<u8> {
    let mut swapped = pixels.to_vec();
    for pixel in swapped.chunks_exact_mut(3) {
        pixel.swap(0, 2);
    }
    swapped
}

/// Gray to RGB or BGR, which are the same for gray.
pub(super) fn from_gray(luma: &[u8]) -> Vec<u8> {
    let mut pixels = vec![0; luma.len() * 3];
    for (pixel, &luma) in pixels.chunks_exact_mut(3).zip(luma) {
        pixel.fill(luma);
    }
    pixels
}

/// The luma of BT.601, full range; the weights are of 256.
pub(super) fn to_gray(pixels: &[u8]) -> Vec<u8> {
    pixels
        .chunks_exact(3)
        .map(|pixel| {
            let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
            u8::try_from((77 * r + 150 * g + 29 * b + 128) >> 8).unwrap_or(u8::MAX)
        })
        .collect()
}
