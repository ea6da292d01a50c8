//! Compares requested option values with the effective ones.

use std::fmt;

use super::{AsSocket, Live, OptionError, SocketOptions, Value};

impl SocketOptions {
    /// Reads back every requested option.
    ///
    /// ```
    /// # use sockkit_core as sockkit;
    /// use sockkit::options::{SocketOptions, Outcome};
    ///
    /// let options = SocketOptions::new().receive_buffer_bytes(65_536);
    /// let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
    /// options.apply(&socket)?;
    /// for readback in options.report(&socket)? {
    ///     println!("{readback}"); // SO_RCVBUF: requested 65536, effective 131072 (doubled)
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`OptionError::NotASocket`]. An option that cannot be read has its own
    /// error in its entry.
    pub fn report(&self, socket: &impl AsSocket) -> Result<Vec<Readback>, OptionError> {
        let live = Live::of(socket)?;
        let requested = self.requested().into_iter();
        Ok(requested
            .filter_map(|(option, requested)| {
                let effective = live.by_name(option)?;
                // Skipped by `apply`, too.
                if matches!(effective, Err(OptionError::WrongSocket { .. })) {
                    return None;
                }
                Some(Readback {
                    option,
                    requested,
                    effective,
                })
            })
            .collect())
    }
}

/// The requested and the effective value of one option.
#[derive(Debug)]
#[non_exhaustive]
pub struct Readback {
    /// The constant's name, such as `SO_RCVBUF`.
    pub option: &'static str,
    /// The requested value.
    pub requested: Value,
    /// The effective value, read back from the socket.
    pub effective: Result<Value, OptionError>,
}

impl Readback {
    /// Compares the two values.
    pub fn outcome(&self) -> Outcome {
        let Ok(effective) = &self.effective else {
            return Outcome::Unreadable;
        };
        match (&self.requested, effective) {
            (requested, effective) if requested == effective => Outcome::AsRequested,
            (Value::Number(requested), Value::Number(effective))
                if *effective == requested.saturating_mul(2) =>
            {
                Outcome::Doubled
            }
            (Value::Number(requested), Value::Number(effective)) if effective < requested => {
                Outcome::Lowered
            }
            (Value::Number(_), Value::Number(_)) => Outcome::Raised,
            _ => Outcome::Changed,
        }
    }
}

impl fmt::Display for Readback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            option,
            requested,
            effective,
        } = self;
        match effective {
            Ok(effective) => write!(
                f,
                "{option}: requested {requested}, effective {effective} ({})",
                self.outcome()
            ),
            Err(error) => write!(f, "{option}: requested {requested}, {error}"),
        }
    }
}

/// What the kernel did with a requested value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// Set it as requested.
    AsRequested,
    /// Set twice the value: Linux does this with buffer sizes, half of which it
    /// uses for its own bookkeeping.
    Doubled,
    /// Set a smaller value, because of a system limit.
    Lowered,
    /// Set a larger value, because of a minimum or rounding.
    Raised,
    /// Set another value.
    Changed,
    /// Unknown, because the option cannot be read.
    Unreadable,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::AsRequested => "as requested",
            Self::Doubled => "doubled",
            Self::Lowered => "lowered by a limit",
            Self::Raised => "raised",
            Self::Changed => "changed",
            Self::Unreadable => "unreadable",
        })
    }
}
