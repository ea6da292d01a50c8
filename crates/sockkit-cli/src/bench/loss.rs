//! What a link loses.

use std::{fmt, str::FromStr};

use sockkit::testing::sim::LossModel;

/// How a link loses packets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Loss {
    /// Each by itself.
    Single { percent: f64 },
    /// A twentieth, in bursts of four on average.
    Bursts,
}

impl Loss {
    pub(crate) fn share(self) -> f64 {
        match self {
            Self::Single { percent } => percent / 100.0,
            Self::Bursts => BURSTS_SHARE,
        }
    }

    pub(crate) fn model(self) -> LossModel {
        match self {
            Self::Single { percent } => LossModel::independent(percent / 100.0),
            Self::Bursts => LossModel::bursts(BURSTS_SHARE, BURST_PACKETS),
        }
    }
}

impl FromStr for Loss {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "bursts" {
            return Ok(Self::Bursts);
        }
        let percent: f64 = (text.parse()).map_err(|_| "the loss is in per cent, or `bursts`")?;
        match (0.0..=50.0).contains(&percent) {
            true => Ok(Self::Single { percent }),
            false => Err("0 to 50 per cent"),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Single { percent } => write!(f, "{percent} %"),
            Self::Bursts => write!(f, "5 % in bursts of 4"),
        }
    }
}

pub(crate) const BURSTS_SHARE: f64 = 0.05;
pub(crate) const BURST_PACKETS: f64 = 4.0;
