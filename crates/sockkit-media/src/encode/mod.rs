//! Compression between a source and the consumers of its pictures.
//!
//! Compressing a picture takes milliseconds of CPU, so it runs on a blocking
//! thread and never on the async ones. There is no queue: while a picture is
//! compressed only the newest of the following ones is kept, and the others are
//! counted as missed.

use std::error::Error;

use tokio::task::{JoinHandle, spawn_blocking};

use crate::{
    latest::{Publisher, Subscriber},
    picture::{Encoding, Picture, PictureError, jpeg},
};

/// Compresses pictures as JPEG, once for all subscribers.
///
/// JPEG pictures are passed on without a copy. `quality` is that of
/// [`jpeg::encode`]. A picture that cannot be compressed is logged and dropped;
/// like replaced pictures, it counts as missed at each subscriber.
///
/// Ends when the publisher of `pictures` is gone and the last picture is passed
/// on, or when there is no subscriber left.
///
/// ```
/// # use sockkit_media as sockkit;
/// use sockkit::{encode, latest, picture::{Encoding, Picture, PixelFormat}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (camera, pictures) = latest::channel();
/// let mut jpegs = encode::as_jpeg(pictures, 80);
/// camera.publish(Picture::new(PixelFormat::Gray, 8, 8, vec![9; 64])?);
/// let picture = jpegs.next().await.expect("the camera is there");
/// assert_eq!(picture.encoding(), Encoding::Jpeg);
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// If called outside a tokio runtime.
pub fn as_jpeg(pictures: Subscriber<Picture>, quality: u8) -> Subscriber<Picture> {
    let publisher = Publisher::new();
    let subscriber = publisher.subscribe();
    tokio::spawn(async move {
        tokio::select! {
            () = publisher.unsubscribed() => {}
            () = pass_on(Encoder::new(pictures, Compression::Jpeg { quality }), &publisher) => {}
        }
    });
    subscriber
}

async fn pass_on(mut encoder: Encoder, publisher: &Publisher<Picture>) {
    // Missed pictures already reported to subscribers, and those that failed to
    // compress.
    let (mut told, mut failed) = (0, 0);
    while let Some(encoded) = encoder.next().await {
        match encoded {
            Ok(picture) => {
                let missed = encoder.missed() + failed;
                publisher.publish_after(missed - told, picture);
                told = missed;
            }
            Err(error) => {
                failed += 1;
                let error = &error as &dyn Error;
                match failed {
                    1 => tracing::warn!(error, "picture not compressed"),
                    _ => tracing::debug!(error, "picture not compressed"),
                }
            }
        }
    }
}

/// Compresses one picture; a JPEG is passed on unchanged.
///
/// # Cancel safety
/// Cancel safe: the result is discarded.
#[cfg(feature = "web")]
pub(crate) async fn to_jpeg(picture: Picture, quality: u8) -> Result<Picture, PictureError> {
    match picture.encoding() {
        Encoding::Jpeg => Ok(picture),
        _ => Work::begin(picture, quality).end().await,
    }
}

/// What to do with raw pictures.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Compression {
    /// Pass them on unchanged.
    None,
    /// Compress them as JPEG.
    Jpeg { quality: u8 },
}

impl Default for Compression {
    fn default() -> Self {
        Self::Jpeg {
            quality: jpeg::DEFAULT_QUALITY,
        }
    }
}

/// Takes the newest picture from a channel and compresses it.
///
/// For a single reader; [`as_jpeg`] shares the work among several.
#[derive(Debug)]
pub(crate) struct Encoder {
    pictures: Subscriber<Picture>,
    compression: Compression,
    /// Survives a cancelled `next`.
    at_work: Option<Work>,
}

impl Encoder {
    pub(crate) fn new(pictures: Subscriber<Picture>, compression: Compression) -> Self {
        Self {
            pictures,
            compression,
            at_work: None,
        }
    }

    /// Waits for the newest picture and compresses it. Returns `None` when the
    /// publisher is gone and its last picture has been taken.
    ///
    /// # Cancel safety
    /// Cancel safe: the next call returns the picture.
    pub(crate) async fn next(&mut self) -> Option<Result<Picture, PictureError>> {
        let work = match self.at_work.as_mut() {
            Some(work) => work,
            None => {
                let picture = self.pictures.next().await?;
                match self.compression {
                    Compression::Jpeg { quality } if picture.encoding() != Encoding::Jpeg => {
                        self.at_work.insert(Work::begin(picture, quality))
                    }
                    _ => return Some(Ok(picture)),
                }
            }
        };
        let encoded = work.end().await;
        self.at_work = None;
        Some(encoded)
    }

    /// Number of pictures that were replaced before they were taken.
    pub(crate) fn missed(&self) -> u64 {
        self.pictures.missed()
    }
}

/// A picture being compressed on a blocking thread.
#[derive(Debug)]
struct Work(JoinHandle<Result<Picture, PictureError>>);

impl Work {
    fn begin(picture: Picture, quality: u8) -> Self {
        Self(spawn_blocking(move || jpeg::encode(&picture, quality)))
    }

    /// Cancel safe until it has completed.
    async fn end(&mut self) -> Result<Picture, PictureError> {
        let joined = (&mut self.0).await;
        joined.unwrap_or_else(|panicked| Err(PictureError::Encode(panicked.into())))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::{latest, picture::PixelFormat};

    fn raw(number: u64) -> Picture {
        let pixels = vec![99; 64 * 48];
        Picture::new(PixelFormat::Gray, 64, 48, pixels)
            .unwrap()
            .numbered(number)
    }

    #[tokio::test]
    async fn a_jpeg_is_passed_without_a_copy() {
        let (camera, pictures) = latest::channel();
        let mut jpegs = as_jpeg(pictures, 50);
        let jpeg = jpeg::encode(&raw(1), 80).unwrap();
        camera.publish(jpeg.clone());
        let passed = jpegs.next().await.unwrap();
        assert_eq!(passed.data().as_ptr(), jpeg.data().as_ptr());
    }

    #[tokio::test]
    async fn every_payload_that_decodes_alone_becomes_a_jpeg() {
        let (camera, pictures) = latest::channel();
        let mut jpegs = as_jpeg(pictures, 50);
        for (format, number) in PixelFormat::ALL.into_iter().zip(1..) {
            let picture = raw(number).convert(format).unwrap();
            camera.publish(picture.clone());
            let encoded = jpegs.next().await.unwrap();
            assert_eq!(encoded, jpeg::encode(&picture, 50).unwrap(), "{format}");
        }
    }

    #[tokio::test]
    async fn the_last_picture_is_passed_on_after_the_publisher_is_gone() {
        let (camera, pictures) = latest::channel();
        let mut jpegs = as_jpeg(pictures, 50);
        camera.publish(raw(7));
        drop(camera);
        assert_eq!(jpegs.next().await.map(|jpeg| jpeg.number()), Some(7));
        assert_eq!(jpegs.next().await, None);
    }

    /// Each picture is passed on, or counted once: as replaced before it was
    /// compressed, as not compressible, or as replaced afterwards.
    #[tokio::test]
    async fn what_was_missed_before_counts_as_missed_after() {
        let (camera, pictures) = latest::channel();
        let mut jpegs = as_jpeg(pictures, 50);
        let h264 = Picture::from_h264(true, 16, 16, vec![0, 0, 1, 0x65]).unwrap();
        let mut taken = 0;
        for number in 0..100 {
            match number {
                50 => {
                    camera.publish(h264.clone());
                    // Let it be looked at, and refused.
                    for _ in 0..100 {
                        tokio::task::yield_now().await;
                    }
                }
                _ => camera.publish(raw(number)),
            }
            if number % 10 == 0 && number != 50 {
                while jpegs.next().await.unwrap().number() != number {
                    taken += 1;
                }
                taken += 1;
            }
        }
        drop(camera);
        while jpegs.next().await.is_some() {
            taken += 1;
        }
        assert_eq!(taken + jpegs.missed(), 100);
        assert!(jpegs.missed() > 0);
    }

    #[tokio::test]
    async fn a_cancelled_wait_loses_no_picture() {
        let (camera, pictures) = latest::channel();
        let mut encoder = Encoder::new(pictures, Compression::default());
        camera.publish(raw(3));
        // The thread may be done at once.
        let encoded = match encoder.next().now_or_never() {
            Some(encoded) => encoded,
            None => encoder.next().await,
        };
        let encoded = encoded.unwrap().unwrap();
        assert_eq!((encoded.number(), encoded.encoding()), (3, Encoding::Jpeg));
    }

    #[tokio::test]
    async fn it_ends_with_its_last_subscriber() {
        let (camera, pictures) = latest::channel();
        drop(as_jpeg(pictures, 50));
        camera.unsubscribed().await;
    }
}
