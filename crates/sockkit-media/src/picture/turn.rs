//! Turned and mirrored pictures.

use super::{Encoding, Picture, PictureError, PixelFormat};

/// By quarters of a circle, and mirrored: where each shown pixel is stored.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Turn {
    /// Rows are stored as columns.
    swapped: bool,
    /// Columns are stored from the right.
    from_right: bool,
    /// Rows are stored from below.
    from_below: bool,
}

impl Turn {
    pub(crate) const NONE: Self = Self {
        swapped: false,
        from_right: false,
        from_below: false,
    };

    /// The value of Exif's orientation tag, 1 to 8; others turn nothing.
    pub(crate) const fn from_exif(value: u16) -> Self {
        Self {
            swapped: matches!(value, 5..=8),
            from_right: matches!(value, 2 | 3 | 7 | 8),
            from_below: matches!(value, 3 | 4 | 6 | 7),
        }
    }

    /// The upper left of a track's matrix in MP4: where a column goes, and a row.
    #[cfg(feature = "record")]
    pub(crate) const fn from_matrix([a, b, c, d]: [i32; 4]) -> Self {
        match a == 0 && b != 0 {
            true => Self {
                swapped: true,
                from_right: b < 0,
                from_below: c < 0,
            },
            // A matrix of zeros shows nothing, and is none.
            false => Self {
                swapped: false,
                from_right: a < 0,
                from_below: d < 0,
            },
        }
    }

    /// The size as shown of a picture stored in that size.
    pub(crate) const fn size(self, (width_px, height_px): (u32, u32)) -> (u32, u32) {
        match self.swapped {
            true => (height_px, width_px),
            false => (width_px, height_px),
        }
    }
}

impl Picture {
    /// The picture as it is shown, in RGB, BGR or gray; shares the bytes if it is so
    /// already.
    pub(crate) fn turned(&self, turn: Turn) -> Result<Self, PictureError> {
        if turn == Turn::NONE {
            return Ok(self.clone());
        }
        let (format, source) = match self.encoding() {
            Encoding::Raw(format @ (PixelFormat::Rgb | PixelFormat::Bgr | PixelFormat::Gray)) => {
                (format, self.packed())
            }
            _ => (PixelFormat::Rgb, self.to_rgb()?),
        };
        let stored = (source.width_px(), source.height_px());
        let (width_px, height_px) = turn.size(stored);
        let pixels = turn_pixels(source.data(), stored, format.row_bytes(1), turn);
        Ok(Self::new(format, width_px, height_px, pixels)?.stamped_like(self))
    }
}

fn turn_pixels(from: &[u8], (width, height): (u32, u32), pixel: usize, turn: Turn) -> Vec<u8> {
    let (width, height) = (width as usize, height as usize);
    let (shown_width, shown_height) = match turn.swapped {
        true => (height, width),
        false => (width, height),
    };
    let mut to = Vec::with_capacity(from.len());
    for y in 0..shown_height {
        for x in 0..shown_width {
            let (column, row) = match turn.swapped {
                true => (y, x),
                false => (x, y),
            };
            let column = if turn.from_right {
                width - 1 - column
            } else {
                column
            };
            let row = if turn.from_below {
                height - 1 - row
            } else {
                row
            };
            let at = (row * width + column) * pixel;
            to.extend_from_slice(&from[at..at + pixel]);
        }
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `abc` above `def`, as Exif's eight values show it.
    #[test]
    fn every_orientation_is_the_one_of_exif() {
        let stored = Picture::new(PixelFormat::Gray, 3, 2, &b"abcdef"[..]).unwrap();
        for (value, shown) in [
            (1, ["abc", "def", ""]),
            (2, ["cba", "fed", ""]),
            (3, ["fed", "cba", ""]),
            (4, ["def", "abc", ""]),
            (5, ["ad", "be", "cf"]),
            (6, ["da", "eb", "fc"]),
            (7, ["fc", "eb", "da"]),
            (8, ["cf", "be", "ad"]),
            (9, ["abc", "def", ""]),
        ] {
            let turned = stored.turned(Turn::from_exif(value)).unwrap();
            assert_eq!(turned.data()[..], *shown.concat().as_bytes(), "{value}");
            assert_eq!(turned.width_px() as usize, shown[0].len());
        }
    }

    #[test]
    fn pixels_of_three_bytes_stay_together() {
        let stored = Picture::new(PixelFormat::Bgr, 2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap();
        let turned = stored.turned(Turn::from_exif(6)).unwrap();
        assert_eq!((turned.width_px(), turned.height_px()), (1, 2));
        assert_eq!(turned.data()[..], [1, 2, 3, 4, 5, 6]);
        assert_eq!(turned.encoding(), PixelFormat::Bgr.into());
    }

    #[cfg(feature = "record")]
    #[test]
    fn a_matrix_is_the_orientation_that_looks_so() {
        for (matrix, value) in [
            ([1, 0, 0, 1], 1),
            ([0, 1, -1, 0], 6),
            ([-1, 0, 0, -1], 3),
            ([0, -1, 1, 0], 8),
            ([-1, 0, 0, 1], 2),
            ([0, 0, 0, 0], 1),
        ] {
            assert_eq!(Turn::from_matrix(matrix), Turn::from_exif(value));
        }
    }
}
