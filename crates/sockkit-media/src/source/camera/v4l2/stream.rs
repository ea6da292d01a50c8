//! Buffers exchanged between the driver and the program.

use std::{cell::RefCell, io, path::PathBuf, rc::Rc, time::Duration};

use moq_v4l::{
    Device as Handle,
    buffer::{Flags, Metadata, Type},
    io::{
        mmap::Stream,
        traits::{CaptureStream, Stream as _},
    },
};
use nokhwa::NokhwaError;

use super::{CameraError, CameraId, clock};
use crate::source::camera::device::{Beside, Told};

/// A running stream, shared by nokhwa's backend and this crate.
#[derive(Clone)]
pub(super) struct SharedStream {
    id: CameraId,
    path: PathBuf,
    running: Rc<RefCell<Running>>,
}

struct Running {
    stream: Stream<'static>,
    told: Metadata,
    error: Option<io::Error>,
}

impl SharedStream {
    /// Starts the camera.
    pub(super) fn start(handle: &Handle, id: CameraId, path: PathBuf) -> io::Result<Self> {
        let mut stream = Stream::with_buffers(handle, Type::VideoCapture, BUFFERS)?;
        stream.set_timeout(READY);
        // `next` queues the first buffer before it dequeues one. The others are
        // queued here, so that it never has to wait; this crate waits instead,
        // and can stop.
        let mut index = 1;
        while CaptureStream::queue(&mut stream, index).is_ok() {
            index += 1;
        }
        stream.start()?;
        Ok(Self {
            id,
            path,
            running: Rc::new(RefCell::new(Running {
                stream,
                told: Metadata::default(),
                error: None,
            })),
        })
    }

    /// Copies the next picture, without padding.
    ///
    /// Blocks for at most [`READY`]: call [`Beside::wait`] first.
    pub(super) fn take(&self) -> Result<Vec<u8>, NokhwaError> {
        let running = &mut *self.running.borrow_mut();
        match running.stream.next() {
            Ok((buffer, told)) => {
                running.told = *told;
                let length = usize::try_from(told.bytesused).unwrap_or(usize::MAX);
                Ok(buffer.get(..length).unwrap_or(buffer).to_vec())
            }
            Err(error) => {
                let text = error.to_string();
                running.error = Some(error);
                Err(NokhwaError::ReadFrameError(text))
            }
        }
    }

    fn error(&self, error: io::Error) -> CameraError {
        CameraError::of_io(&self.id, &self.path, error)
    }
}

impl Beside for SharedStream {
    fn wait(&mut self, timeout: Duration) -> Result<bool, CameraError> {
        let handle = self.running.borrow().stream.handle();
        let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        match handle.poll(READABLE, millis) {
            Ok(ready) => Ok(ready > 0),
            // Interrupted by a signal.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            Err(error) => Err(self.error(error)),
        }
    }

    fn told(&mut self) -> Told {
        let told = &self.running.borrow().told;
        Told {
            captured: clock::captured(told),
            sequence: Some(told.sequence),
            is_broken: told.flags.contains(Flags::ERROR) || told.bytesused == 0,
            picture_bytes: None,
        }
    }

    fn failure(&mut self, error: NokhwaError) -> CameraError {
        let cause = self.running.borrow_mut().error.take();
        self.error(cause.unwrap_or_else(|| io::Error::other(error)))
    }
}

/// One is filled while another is read; two more for a program that is delayed.
const BUFFERS: u32 = 4;

/// Time to dequeue a picture that is ready.
const READY: Duration = Duration::from_millis(100);

/// `POLLIN`.
const READABLE: i16 = 1;
