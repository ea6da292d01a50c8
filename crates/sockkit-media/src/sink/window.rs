//! A native window that shows the newest picture.

use std::{
    error::Error,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use minifb::{Key, ScaleMode, WindowOptions};
use tokio::sync::oneshot;

use crate::{
    latest::Subscriber,
    picture::{Picture, PictureError, PixelFormat},
};

/// An open window. Dropping it closes it.
///
/// Shows the newest picture at most 60 times a second, scaled to the window's
/// size with its aspect ratio kept. `q`, Escape and the close button close it.
///
/// ```no_run
/// # use sockkit_media as sockkit;
/// use sockkit::{latest, sink::window::Window};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let (publisher, pictures) = latest::channel();
/// let mut window = Window::open("porch", pictures).await?;
/// window.closed().await?;
/// # drop(publisher);
/// # Ok(())
/// # }
/// ```
///
/// # Platforms
/// X11, and Wayland through XWayland. Not verified elsewhere: macOS requires
/// windows on the main thread, and this one has a thread of its own.
#[derive(Debug)]
#[must_use = "a window that is dropped is closed"]
pub struct Window {
    ended: oneshot::Receiver<Result<(), WindowError>>,
    stop: Arc<AtomicBool>,
}

/// Error from opening or showing a window.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WindowError {
    /// There is no display, or it rejects the window.
    #[error("no window can be opened; is there a display?")]
    Open(#[source] Box<dyn Error + Send + Sync>),
    /// The display connection was lost.
    #[error("the window failed")]
    Show(#[source] Box<dyn Error + Send + Sync>),
    /// The window's thread could not be started.
    #[error("no thread for the window")]
    Thread(#[from] io::Error),
}

impl Window {
    /// Opens a window that shows `pictures`.
    ///
    /// # Errors
    /// [`WindowError::Open`] without a display.
    ///
    /// # Cancel safety
    /// Cancel safe: the window is closed again.
    pub async fn open(
        title: impl Into<String>,
        pictures: Subscriber<Picture>,
    ) -> Result<Self, WindowError> {
        let (title, stop) = (title.into(), Arc::new(AtomicBool::new(false)));
        let (opened, is_open) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let window = Self {
            ended,
            stop: Arc::clone(&stop),
        };
        // Calls to the display block, and its handle must stay on its thread.
        thread::Builder::new()
            .name("sockkit-window".into())
            .spawn(move || match create(&title) {
                Ok(screen) => {
                    // Fails if the caller was cancelled.
                    let _ = opened.send(Ok(()));
                    let _ = end.send(show(screen, &pictures, &stop));
                }
                Err(error) => drop(opened.send(Err(WindowError::Open(error.into())))),
            })?;
        match is_open.await {
            Ok(opened) => opened.map(|()| window),
            Err(_panicked) => Err(WindowError::Open("its thread was lost".into())),
        }
    }

    /// Waits until the user closes the window.
    ///
    /// # Errors
    /// [`WindowError::Show`] if the display connection was lost.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn closed(&mut self) -> Result<(), WindowError> {
        match (&mut self.ended).await {
            Ok(ended) => ended,
            Err(_panicked) => Err(WindowError::Show("its thread was lost".into())),
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn create(title: &str) -> minifb::Result<minifb::Window> {
    let options = WindowOptions {
        resize: true,
        scale_mode: ScaleMode::AspectRatioStretch,
        ..WindowOptions::default()
    };
    let mut screen = minifb::Window::new(title, FIRST_SIZE_PX.0, FIRST_SIZE_PX.1, options)?;
    screen.set_target_fps(60);
    Ok(screen)
}

fn show(
    mut screen: minifb::Window,
    pictures: &Subscriber<Picture>,
    stop: &AtomicBool,
) -> Result<(), WindowError> {
    let mut shown = None;
    while screen.is_open()
        && !stop.load(Ordering::Relaxed)
        && !screen.is_key_down(Key::Escape)
        && !screen.is_key_down(Key::Q)
    {
        let newest = pictures.latest();
        let number = newest.as_ref().map(Picture::number);
        let result = match newest.filter(|_| number != shown) {
            Some(picture) => {
                shown = number;
                match pixels(&picture) {
                    Ok((pixels, width, height)) => {
                        screen.update_with_buffer(&pixels, width, height)
                    }
                    Err(error) => {
                        tracing::debug!(%error, "picture not shown");
                        continue;
                    }
                }
            }
            None => {
                screen.update();
                Ok(())
            }
        };
        result.map_err(|error| WindowError::Show(error.into()))?;
    }
    Ok(())
}

/// The display's format: one word per pixel, 0RGB.
fn pixels(picture: &Picture) -> Result<(Vec<u32>, usize, usize), PictureError> {
    let rgb = picture.convert(PixelFormat::Rgb)?.packed();
    let words = rgb.data().as_chunks::<3>().0.iter();
    let words = words.map(|&[red, green, blue]| u32::from_be_bytes([0, red, green, blue]));
    // Sides of pictures are below 2^16.
    let (width, height) = (rgb.width_px() as usize, rgb.height_px() as usize);
    Ok((words.collect(), width, height))
}

/// Window size before the first picture.
const FIRST_SIZE_PX: (usize, usize) = (640, 480);
