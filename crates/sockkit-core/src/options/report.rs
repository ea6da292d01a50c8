//! What the kernel made of the values it was given.

use std::fmt;

use super::{AsSocket, Live, OptionError, SocketOptions, Value};

impl SocketOptions {
    /// Reads back every option that was asked for.
    ///
    /// ```
    /// # use sockkit_core as sockkit;
    /// use sockkit::options::{SocketOptions, Verdict};
    ///
    /// let options = SocketOptions::new().receive_buffer_bytes(65_536);
    /// let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
    /// options.apply(&socket)?;
    /// for taken in options.report(&socket)? {
    ///     println!("{taken}"); // SO_RCVBUF: asked 65536, took 131072 (doubled)
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`OptionError::NotASocket`]; an option that cannot be read has its own
    /// error in its line.
    pub fn report(&self, socket: &impl AsSocket) -> Result<Vec<Taken>, OptionError> {
        let live = Live::of(socket)?;
        let asked = self.asked().into_iter();
        Ok(asked
            .filter_map(|(option, asked)| {
                let took = live.by_name(option)?;
                // Left out by `apply` too.
                if matches!(took, Err(OptionError::WrongSocket { .. })) {
                    return None;
                }
                Some(Taken {
                    option,
                    asked,
                    took,
                })
            })
            .collect())
    }
}

/// One option: what was asked for, and what the socket has.
#[derive(Debug)]
#[non_exhaustive]
pub struct Taken {
    /// The constant's name, such as `SO_RCVBUF`.
    pub option: &'static str,
    /// What was asked for.
    pub asked: Value,
    /// What the socket has.
    pub took: Result<Value, OptionError>,
}

impl Taken {
    /// How the two compare.
    pub fn verdict(&self) -> Verdict {
        let Ok(took) = &self.took else {
            return Verdict::Unreadable;
        };
        match (&self.asked, took) {
            (asked, took) if asked == took => Verdict::AsAsked,
            (Value::Number(asked), Value::Number(took)) if *took == asked.saturating_mul(2) => {
                Verdict::Doubled
            }
            (Value::Number(asked), Value::Number(took)) if took < asked => Verdict::Lowered,
            (Value::Number(_), Value::Number(_)) => Verdict::Raised,
            _ => Verdict::Changed,
        }
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            option,
            asked,
            took,
        } = self;
        match took {
            Ok(took) => write!(
                f,
                "{option}: asked {asked}, took {took} ({})",
                self.verdict()
            ),
            Err(error) => write!(f, "{option}: asked {asked}, {error}"),
        }
    }
}

/// What the kernel did with a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// Took it as it was.
    AsAsked,
    /// Took twice as much: Linux's way with buffer sizes, half of which is its
    /// own bookkeeping.
    Doubled,
    /// Took less: a limit of the machine.
    Lowered,
    /// Took more: a least value, or rounding.
    Raised,
    /// Took something else.
    Changed,
    /// Took it or not; it cannot be read.
    Unreadable,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::AsAsked => "as asked",
            Self::Doubled => "doubled",
            Self::Lowered => "lowered by a limit",
            Self::Raised => "raised",
            Self::Changed => "changed",
            Self::Unreadable => "unreadable",
        })
    }
}
