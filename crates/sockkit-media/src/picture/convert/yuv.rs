//! Formats with separate luma and chroma.
//!
//! # Source
//! ITU-R BT.601, limited range, in 8-bit fixed point.

use crate::picture::{Picture, PixelFormat};

/// YUYV to UYVY, and back.
pub(super) fn swap_pairs(pixels: &[u8]) -> Vec<u8> {
    let mut swapped = pixels.to_vec();
    for pair in swapped.chunks_exact_mut(2) {
        pair.swap(0, 1);
    }
    swapped
}

/// Extracts the luma, scaled to full range.
pub(super) fn to_gray(format: PixelFormat, frame: &Picture) -> Vec<u8> {
    let (data, size) = (frame.data(), size_of_luma(frame));
    let spread = |&luma: &u8| clamp(298 * (i32::from(luma) - 16) + 128);
    match format {
        PixelFormat::Yuyv => data.iter().step_by(2).map(spread).collect(),
        PixelFormat::Uyvy => data.iter().skip(1).step_by(2).map(spread).collect(),
        _ => data[..size].iter().map(spread).collect(),
    }
}

/// Converts any of them to packed RGB.
pub(super) fn to_rgb(format: PixelFormat, frame: &Picture) -> Vec<u8> {
    let (data, luma_bytes) = (frame.data(), size_of_luma(frame));
    let width = frame.width_px() as usize;
    let mut pixels = vec![0; luma_bytes * 3];
    match format {
        PixelFormat::Yuyv => packed_to_rgb(data, &mut pixels, |[y0, u, y1, v]| [y0, y1, u, v]),
        PixelFormat::Uyvy => packed_to_rgb(data, &mut pixels, |[u, y0, v, y1]| [y0, y1, u, v]),
        PixelFormat::Nv12 => {
            let (luma, colour) = data.split_at(luma_bytes);
            for (row, out) in pixels.chunks_exact_mut(width * 3).enumerate() {
                let luma = &luma[row * width..][..width];
                let colour = colour[row / 2 * width..][..width].chunks_exact(2);
                row_to_rgb(luma, colour.map(|pair| [pair[0], pair[1]]), out);
            }
        }
        _ => {
            let (luma, colour) = data.split_at(luma_bytes);
            let (blue, red) = colour.split_at(luma_bytes / 4);
            for (row, out) in pixels.chunks_exact_mut(width * 3).enumerate() {
                let luma = &luma[row * width..][..width];
                let first = row / 2 * (width / 2);
                let colour = blue[first..].iter().zip(&red[first..]);
                row_to_rgb(luma, colour.map(|(&u, &v)| [u, v]), out);
            }
        }
    }
    pixels
}

/// Converts packed RGB to any of them, averaging the chroma of neighbours.
pub(super) fn from_rgb(frame: &Picture, to: PixelFormat) -> Vec<u8> {
    let (pixels, width) = (frame.data(), frame.width_px() as usize);
    match to {
        PixelFormat::Yuyv => rgb_to_packed(pixels, |[y0, y1, u, v]| [y0, u, y1, v]),
        PixelFormat::Uyvy => rgb_to_packed(pixels, |[y0, y1, u, v]| [u, y0, v, y1]),
        _ => {
            let mut data: Vec<u8> = pixels.chunks_exact(3).map(luma).collect();
            let colours = square_colours(pixels, width);
            if to == PixelFormat::Nv12 {
                data.extend(colours.flatten());
            } else {
                let (blue, red): (Vec<u8>, Vec<u8>) = colours.map(|[u, v]| (u, v)).unzip();
                data.extend(blue);
                data.extend(red);
            }
            data
        }
    }
}

/// Planes of Y'CbCr in layouts that are no pixel format, as files hold them.
///
/// Luma first, then Cb, then Cr, rows unpadded, sides of colour rounded up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Planes {
    /// Pixels that share a colour from left to right.
    pub(crate) across: u32,
    /// Rows that share a colour.
    pub(crate) down: u32,
    pub(crate) range: Range,
}

/// What black and white are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Range {
    /// 16 and 235.
    Limited,
    /// 0 and 255.
    Full,
}

impl Planes {
    /// What [`PixelFormat::I420`] holds, of even sides.
    pub(crate) const I420: Self = Self {
        across: 2,
        down: 2,
        range: Range::Limited,
    };

    /// Bytes of each of the two planes of colour.
    pub(crate) const fn colour_bytes(self, width_px: u32, height_px: u32) -> usize {
        width_px.div_ceil(self.across) as usize * height_px.div_ceil(self.down) as usize
    }

    /// Packed RGB of a whole picture's planes.
    pub(crate) fn to_rgb(self, data: &[u8], width_px: u32, height_px: u32) -> Vec<u8> {
        let (width, across) = (width_px as usize, self.across as usize);
        let (luma, colour) = data.split_at(width * height_px as usize);
        let (blue, red) = colour.split_at(self.colour_bytes(width_px, height_px));
        let mut pixels = vec![0; luma.len() * 3];
        let rows = luma
            .chunks_exact(width)
            .zip(pixels.chunks_exact_mut(width * 3));
        for (row, (luma, out)) in rows.enumerate() {
            let first = row / self.down as usize * width.div_ceil(across);
            for (column, (&luma, out)) in luma.iter().zip(out.as_chunks_mut().0).enumerate() {
                let at = first + column / across;
                *out = match self.range {
                    Range::Limited => pixel(luma, tint(blue[at], red[at])),
                    Range::Full => full_range_pixel(luma, blue[at], red[at]),
                };
            }
        }
        pixels
    }

    /// Luma of limited range, spread to the full one.
    pub(crate) fn spread(luma: Vec<u8>) -> Vec<u8> {
        luma.into_iter()
            .map(|luma| clamp(298 * (i32::from(luma) - 16) + 128))
            .collect()
    }
}

fn full_range_pixel(luma: u8, blue: u8, red: u8) -> [u8; 3] {
    let (u, v) = (i32::from(blue) - 128, i32::from(red) - 128);
    let base = 256 * i32::from(luma) + 128;
    [base + 359 * v, base - 88 * u - 183 * v, base + 454 * u].map(clamp)
}

fn size_of_luma(frame: &Picture) -> usize {
    frame.width_px() as usize * frame.height_px() as usize
}

/// `split` returns the two luma samples and the chroma of four bytes.
fn packed_to_rgb(data: &[u8], pixels: &mut [u8], split: impl Fn([u8; 4]) -> [u8; 4]) {
    for (quad, out) in data.chunks_exact(4).zip(pixels.chunks_exact_mut(6)) {
        let [y0, y1, u, v] = split([quad[0], quad[1], quad[2], quad[3]]);
        let tint = tint(u, v);
        out[..3].copy_from_slice(&pixel(y0, tint));
        out[3..].copy_from_slice(&pixel(y1, tint));
    }
}

/// `join` combines two luma samples and their chroma into four bytes.
fn rgb_to_packed(pixels: &[u8], join: impl Fn([u8; 4]) -> [u8; 4]) -> Vec<u8> {
    pixels
        .chunks_exact(6)
        .flat_map(|pair| {
            let [u, v] = colour(sum([&pair[..3], &pair[3..]]), 1);
            join([luma(&pair[..3]), luma(&pair[3..]), u, v])
        })
        .collect()
}

/// One chroma value for each square of four pixels, row after row.
fn square_colours(pixels: &[u8], width: usize) -> impl Iterator<Item = [u8; 2]> {
    pixels.chunks_exact(width * 6).flat_map(move |rows| {
        let (upper, lower) = rows.split_at(width * 3);
        upper
            .chunks_exact(6)
            .zip(lower.chunks_exact(6))
            .map(|(up, low)| colour(sum([&up[..3], &up[3..], &low[..3], &low[3..]]), 2))
    })
}

/// Two neighbouring pixels share a chroma value.
fn row_to_rgb(luma: &[u8], colours: impl Iterator<Item = [u8; 2]>, out: &mut [u8]) {
    let pairs = luma.chunks_exact(2).zip(out.chunks_exact_mut(6));
    for ((luma, out), [u, v]) in pairs.zip(colours) {
        let tint = tint(u, v);
        out[..3].copy_from_slice(&pixel(luma[0], tint));
        out[3..].copy_from_slice(&pixel(luma[1], tint));
    }
}

/// The contribution of a chroma value to red, green and blue, times 256,
/// including rounding.
#[inline]
fn tint(u: u8, v: u8) -> [i32; 3] {
    let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
    [409 * v + 128, -100 * u - 208 * v + 128, 516 * u + 128]
}

#[inline]
fn pixel(luma: u8, tint: [i32; 3]) -> [u8; 3] {
    let base = 298 * (i32::from(luma) - 16);
    tint.map(|tint| clamp(base + tint))
}

/// Converts a sample times 256 to a byte.
#[inline]
fn clamp(sample: i32) -> u8 {
    u8::try_from((sample >> 8).clamp(0, 255)).expect("clamped to a byte")
}

#[inline]
fn luma(pixel: &[u8]) -> u8 {
    let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(i32::from);
    clamp(66 * r + 129 * g + 25 * b + 128 + (16 << 8))
}

#[inline]
fn sum<const N: usize>(pixels: [&[u8]; N]) -> [i32; 3] {
    [0, 1, 2].map(|channel| pixels.iter().map(|pixel| i32::from(pixel[channel])).sum())
}

/// The chroma of `1 << shift` pixels whose samples have these sums.
#[inline]
fn colour([r, g, b]: [i32; 3], shift: u32) -> [u8; 2] {
    let round = (128 << shift) + (128 << (8 + shift));
    let u = (-38 * r - 74 * g + 112 * b + round) >> shift;
    let v = (112 * r - 94 * g - 18 * b + round) >> shift;
    [clamp(u), clamp(v)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMATS: [PixelFormat; 4] = [
        PixelFormat::Yuyv,
        PixelFormat::Uyvy,
        PixelFormat::Nv12,
        PixelFormat::I420,
    ];

    /// Four pixels of one colour, there and back.
    #[track_caller]
    fn check(rgb: [u8; 3]) {
        let frame = Picture::new(PixelFormat::Rgb, 2, 2, rgb.repeat(4)).unwrap();
        for format in FORMATS {
            let back = frame.convert(format).unwrap().to_rgb().unwrap();
            for (a, b) in back.data().iter().zip(frame.data()) {
                assert!(
                    a.abs_diff(*b) <= 3,
                    "{format}: {rgb:?} became {:?}",
                    back.data()
                );
            }
        }
    }

    #[test]
    fn colours_survive_the_round_trip() {
        for rgb in [
            [0, 0, 0],
            [255, 255, 255],
            [255, 0, 0],
            [0, 255, 0],
            [0, 0, 255],
            [12, 200, 99],
        ] {
            check(rgb);
        }
    }

    #[test]
    fn black_and_white_are_the_standards() {
        let rgb = Picture::new(PixelFormat::Rgb, 2, 1, vec![0, 0, 0, 255, 255, 255]).unwrap();
        let yuyv = rgb.convert(PixelFormat::Yuyv).unwrap();
        assert_eq!(yuyv.data()[..], [16, 128, 235, 128]);
        let uyvy = yuyv.convert(PixelFormat::Uyvy).unwrap();
        assert_eq!(uyvy.data()[..], [128, 16, 128, 235]);
        assert_eq!(
            uyvy.convert(PixelFormat::Gray).unwrap().data()[..],
            [0, 255]
        );
    }

    #[test]
    fn planes_are_where_they_belong() {
        // Left half red, right half blue.
        let row = [[255, 0, 0], [255, 0, 0], [0, 0, 255], [0, 0, 255]].concat();
        let rgb = Picture::new(PixelFormat::Rgb, 4, 2, row.repeat(2)).unwrap();
        let nv12 = rgb.convert(PixelFormat::Nv12).unwrap();
        let i420 = rgb.convert(PixelFormat::I420).unwrap();
        assert_eq!(nv12.data()[..8], i420.data()[..8]);
        let [u0, v0, u1, v1] = nv12.data()[8..] else {
            panic!("two colours");
        };
        assert_eq!(i420.data()[8..], [u0, u1, v0, v1]);
        assert!(v0 > 200 && u1 > 200 && u0 < 128 && v1 < 128);
    }
}
