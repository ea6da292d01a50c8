//! Where pictures come from: cameras, patterns, clips, stills.

mod config;
mod error;
pub mod pattern;
mod spec;

use std::time::SystemTime;

use tokio::time::{Interval, MissedTickBehavior, interval};

use self::{
    config::DEFAULT_RATE_HZ,
    pattern::{Stamp, paint},
};
pub use self::{config::SourceConfig, error::SourceError, spec::SourceSpec};
use crate::picture::VideoFrame;

/// A running source of pictures.
///
/// ```
/// use sockkit_media::source::{Source, SourceConfig, SourceSpec};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = SourceConfig::default().size(320, 240).rate_hz(50.0);
/// let mut source = Source::open(&SourceSpec::Pattern, config).await?;
/// let first = source.next().await?;
/// let second = source.next().await?;
/// assert_eq!(second.number(), first.number() + 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Source {
    kind: Kind,
    ticks: Interval,
    next_number: u64,
}

impl Source {
    /// Opens a source.
    ///
    /// # Errors
    /// [`SourceError`] if the source does not exist or cannot do what is asked.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is left open.
    pub async fn open(spec: &SourceSpec, config: SourceConfig) -> Result<Self, SourceError> {
        let (kind, own_rate_hz) = match spec {
            SourceSpec::Pattern => {
                let (width_px, height_px) = config.size_px.unwrap_or(pattern::DEFAULT_SIZE_PX);
                // Wrong sizes are found here, not at the first picture.
                paint(width_px, height_px, Stamp::default())?;
                let kind = Kind::Pattern {
                    width_px,
                    height_px,
                };
                (kind, DEFAULT_RATE_HZ)
            }
            _ => return Err(SourceError::Unknown { spec: spec.clone() }),
        };
        let mut ticks = interval(config.interval(own_rate_hz)?);
        // A late picture is not made up for by a burst.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Ok(Self {
            kind,
            ticks,
            next_number: 0,
        })
    }

    /// Waits for the next picture, as long as the source's rate says.
    ///
    /// # Errors
    /// [`SourceError`] if the source broke down.
    ///
    /// # Cancel safety
    /// Cancel safe: a picture not taken is given next time.
    pub async fn next(&mut self) -> Result<VideoFrame, SourceError> {
        self.ticks.tick().await;
        let stamp = Stamp {
            number: self.next_number,
            clock: SystemTime::now().into(),
        };
        let frame = match self.kind {
            Kind::Pattern {
                width_px,
                height_px,
            } => paint(width_px, height_px, stamp)?,
        };
        self.next_number += 1;
        Ok(frame)
    }
}

/// What the pictures are made of.
#[derive(Debug)]
enum Kind {
    Pattern { width_px: u32, height_px: u32 },
}
