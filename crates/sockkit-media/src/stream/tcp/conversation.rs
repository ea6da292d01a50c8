//! One connection to a sender: pictures come, requests and reports go.

use std::time::{Duration, Instant};

use bytes::Bytes;
use sockkit_codec::frame::{FrameConfig, FrameReadError, FrameReader};
use sockkit_core::tcp::{Connection, End, Timeout};
use tokio::{
    io::{AsyncWriteExt, ReadHalf, WriteHalf, split},
    time::{sleep_until, timeout},
};

use super::message::{Message, framed};
use crate::{
    picture::Picture,
    stream::{
        Event, Report,
        clock::{Clock, Offset},
        control::Control,
        endpoint::random,
        freshness::{Freshness, Timeliness},
        inlet::{Inlet, Moment, now, wall},
        sender::MAX_PICTURE_BYTES,
    },
};

/// What is known of the sender at the other end.
pub(super) struct Conversation {
    reader: FrameReader<ReadHalf<Connection>>,
    writer: WriteHalf<Connection>,
    /// On this very machine, so that there is one clock.
    is_here: bool,
    clock: Clock,
    freshness: Freshness,
    report_at: Instant,
    /// When the next message must be complete.
    message_by: Instant,
    had_pictures: bool,
}

impl Conversation {
    pub(super) fn new(connection: Connection, is_here: bool) -> Self {
        let (reader, writer) = split(connection);
        let limit = FrameConfig::default().max_receive_bytes(MAX_PICTURE_BYTES);
        let now = now();
        Self {
            reader: FrameReader::with_config(reader, limit),
            writer,
            is_here,
            clock: Clock::new(now),
            freshness: Freshness::default(),
            report_at: now + REPORT_EVERY,
            message_by: now + MESSAGE_WITHIN,
            had_pictures: false,
        }
    }

    /// Receives until the connection ends, and says why it did. `on_first` is
    /// called before the first picture is taken in.
    pub(super) async fn run(
        &mut self,
        inlet: &mut Inlet,
        mut on_first: impl FnMut(&mut Inlet),
    ) -> End {
        loop {
            let wake_at = self.next_word().min(self.message_by);
            let received = tokio::select! {
                // What came while this program was stopped counts before the
                // time that passed.
                biased;
                received = self.reader.recv() => Some(received),
                () = sleep_until(wake_at.into()) => None,
            };
            let quiet = received.is_some();
            match self.look_again(received).await {
                Some(Ok(Some(payload))) => {
                    if let Err(end) = self.take(payload, inlet, &mut on_first) {
                        return end;
                    }
                }
                Some(Ok(None)) => return End::Finished,
                Some(Err(error)) => return refuse(inlet, error),
                None if now() >= self.message_by => return End::TimedOut(Timeout::Read),
                None => {}
            }
            if let Err(error) = self.speak(inlet, quiet).await {
                return End::from_io(&error);
            }
        }
    }

    /// A process that was stopped wakes to timers that have passed before the
    /// runtime has heard what came meanwhile. A deadline loses no bytes, so
    /// the reader can go on.
    async fn look_again(&mut self, received: Option<Received>) -> Option<Received> {
        match received {
            Some(Err(FrameReadError::Io(error)))
                if End::from_io(&error) == End::TimedOut(Timeout::Read) =>
            {
                let again = timeout(LOOK_FOR, self.reader.recv()).await;
                Some(again.unwrap_or_else(|_| Err(error.into())))
            }
            received => received,
        }
    }

    fn take(
        &mut self,
        payload: Bytes,
        inlet: &mut Inlet,
        on_first: &mut impl FnMut(&mut Inlet),
    ) -> Result<(), End> {
        self.message_by = now() + MESSAGE_WITHIN;
        match Message::read(payload) {
            Ok(Message::Picture(frame)) => {
                if !std::mem::replace(&mut self.had_pictures, true) {
                    on_first(inlet);
                }
                self.take_picture(frame, inlet);
            }
            Ok(Message::Control(Control::ClockReply {
                nonce,
                received,
                sent,
            })) => self
                .clock
                .handle_reply(now(), wall(), nonce, (received, sent)),
            Ok(Message::Control(_) | Message::Unknown) => {}
            Err(error) => {
                tracing::debug!(%error, "no picture");
                inlet.count(Event::Refused);
                return Err(NO_PICTURE);
            }
        }
        Ok(())
    }

    fn take_picture(&mut self, frame: Picture, inlet: &mut Inlet) {
        let at = Moment::now();
        let transit_micros = at.wall.micros_since(frame.captured());
        // TCP loses nothing: a gap is what the sender left out.
        if self.freshness.judge(at.now, transit_micros) != Timeliness::Fresh {
            inlet.on_waited(frame.number(), 0);
            return;
        }
        let clock = match self.is_here {
            true => Some(Offset::default()),
            false => self.clock.offset(at.now),
        };
        inlet.on_picture(at, frame, 0, clock);
    }

    /// Asks and reports, if it is time.
    ///
    /// Right after a whole message the line is `quiet`, and the reply does not
    /// wait behind a picture: that is the best time to ask for the clock.
    async fn speak(&mut self, inlet: &Inlet, quiet: bool) -> std::io::Result<()> {
        let now = now();
        if (quiet || now >= self.clock.deadline() + ASK_ANYWAY_AFTER)
            && let Some(request) = self.clock.poll(now, wall(), random()?)
        {
            self.writer.write_all(&framed(request)).await?;
        }
        if now >= self.report_at {
            self.report_at = now + REPORT_EVERY;
            let report = Report::of(&inlet.stats().snapshot());
            self.writer
                .write_all(&framed(Control::Report(report)))
                .await?;
        }
        Ok(())
    }

    fn next_word(&self) -> Instant {
        self.report_at.min(self.clock.deadline() + ASK_ANYWAY_AFTER)
    }
}

type Received = Result<Option<Bytes>, FrameReadError>;

fn refuse(inlet: &Inlet, error: FrameReadError) -> End {
    tracing::debug!(%error, "connection ends");
    match error {
        FrameReadError::Io(error) => End::from_io(&error),
        FrameReadError::Truncated { .. } => End::Finished,
        _ => {
            inlet.count(Event::Refused);
            NO_PICTURE
        }
    }
}

/// What a sender that speaks another protocol ends with.
const NO_PICTURE: End = End::Failed(std::io::ErrorKind::InvalidData);

const REPORT_EVERY: Duration = Duration::from_secs(1);

/// A longer pause between pictures is no reason not to know the clock, and
/// without pictures the reply shows that the sender lives.
const ASK_ANYWAY_AFTER: Duration = Duration::from_millis(100);

/// Enough for the runtime to ask the kernel.
const LOOK_FOR: Duration = Duration::from_millis(20);

/// The longest picture on a link of 50 Mbit/s. A peer that sends it byte by
/// byte does not hold the connection for longer.
const MESSAGE_WITHIN: Duration = Duration::from_secs(12);
