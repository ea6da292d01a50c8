//! The options of an existing socket.

use std::{fmt, io};

use socket2::{SockRef, Socket};

use super::{
    ALL, AsSocket, OptionError, OptionSpec, Platforms, Scope, Value,
    spec::{Family, Fit, Kind, Transport},
};

/// Reads the options of a socket, one at a time or all as a table.
///
/// ```
/// # use sockkit_core as sockkit;
/// use sockkit::options::Live;
///
/// let socket = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let live = Live::of(&socket)?;
/// println!("{} bytes", live.receive_buffer_bytes()?);
/// for row in live.table()? {
///     println!("{row}");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Live<'socket> {
    socket: SockRef<'socket>,
    kind: Kind,
}

/// Returns the values of all options on fresh TCP and UDP sockets, each with
/// the name of the transport.
///
/// ```
/// # use sockkit_core as sockkit;
/// for (transport, rows) in sockkit::options::defaults(false)? {
///     println!("{transport}: {} options", rows.len());
/// }
/// # Ok::<(), sockkit::options::OptionError>(())
/// ```
///
/// # Errors
/// [`OptionError::NotASocket`] if no socket of that IP version can be opened.
pub fn defaults(ipv6: bool) -> Result<[(&'static str, Vec<Row>); 2], OptionError> {
    let family = if ipv6 { Family::V6 } else { Family::V4 };
    let rows = |transport| {
        let kind = Kind { family, transport };
        let socket = kind.create().map_err(OptionError::NotASocket)?;
        Live::of(&socket)?.table()
    };
    Ok([
        ("TCP", rows(Transport::Tcp)?),
        ("UDP", rows(Transport::Udp)?),
    ])
}

impl<'socket> Live<'socket> {
    /// Wraps any TCP or UDP socket: of std, tokio, socket2 or this crate.
    ///
    /// # Errors
    /// [`OptionError::NotASocket`] for anything else.
    pub fn of(socket: &'socket impl AsSocket) -> Result<Self, OptionError> {
        let socket = SockRef::from(socket);
        let kind = Kind::of(&socket)?;
        Ok(Self { socket, kind })
    }

    /// Returns every option that exists for this kind of socket, each with its
    /// value on a fresh socket.
    ///
    /// An option that cannot be read is listed with its error.
    ///
    /// # Errors
    /// [`OptionError::NotASocket`] if no fresh socket can be opened.
    pub fn table(&self) -> Result<Vec<Row>, OptionError> {
        let untouched = self.kind.create().map_err(OptionError::NotASocket)?;
        let untouched = Live::of(&untouched)?;
        Ok(ALL
            .iter()
            .filter(|spec| spec.scope.fit(self.kind) == Fit::Yes)
            .map(|spec| Row {
                spec,
                value: (spec.read)(self),
                default: (spec.read)(&untouched).ok(),
            })
            .collect())
    }

    /// Returns the value of the option with this constant name, such as
    /// `SO_RCVBUF`.
    ///
    /// # Errors
    /// As the option's own getter. Returns `None` if there is no such option.
    pub fn by_name(&self, name: &str) -> Option<Result<Value, OptionError>> {
        let spec = ALL.iter().find(|spec| spec.name == name)?;
        Some((spec.read)(self))
    }

    pub(super) fn read<T>(
        &self,
        identity: &Identity,
        get: Option<Get<T>>,
    ) -> Result<T, OptionError> {
        let get = identity.checked(get, self.kind)?;
        get(&self.socket).map_err(|source| identity.refusal(source, Attempt::Read))
    }

    pub(super) fn write<T>(
        &self,
        identity: &Identity,
        set: Option<Set<T>>,
        value: T,
    ) -> Result<(), OptionError> {
        // One set of options serves the addresses of both IP versions.
        if identity.scope.fit(self.kind) == Fit::OtherFamily {
            return Ok(());
        }
        let set = identity.checked(set, self.kind)?;
        set(&self.socket, value).map_err(|source| identity.refusal(source, Attempt::Set))
    }
}

/// One row of [`Live::table`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Row {
    /// The option.
    pub spec: &'static OptionSpec,
    /// Its value on this socket.
    pub value: Result<Value, OptionError>,
    /// Its value on a fresh socket of the same kind; `None` if it cannot be
    /// read.
    pub default: Option<Value>,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OptionSpec { name, unit, .. } = self.spec;
        match &self.value {
            Ok(value) => write!(f, "{name:<26} {value:<24}")?,
            Err(error) => write!(f, "{name:<26} {:<24}", reason(error))?,
        }
        match &self.default {
            Some(default) => write!(f, " {default:<24}")?,
            None => write!(f, " {:<24}", "-")?,
        }
        f.write_str(unit)
    }
}

/// The kernel's error text, where the row already names the option.
fn reason(error: &OptionError) -> String {
    match error {
        OptionError::Read { source, .. } => format!("({source})"),
        other => format!("({other})"),
    }
}

/// A getter of the table.
pub(super) type Get<T> = fn(&Socket) -> io::Result<T>;

/// A setter of the table.
pub(super) type Set<T> = fn(&Socket, T) -> io::Result<()>;

/// What the checks and the errors need to know about a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    pub(super) option: &'static str,
    pub(super) scope: Scope,
    pub(super) platforms: Platforms,
}

impl Identity {
    fn checked<Call>(&self, call: Option<Call>, kind: Kind) -> Result<Call, OptionError> {
        let call = call.ok_or(OptionError::Unsupported {
            option: self.option,
            platforms: self.platforms,
        })?;
        if self.scope.fit(kind) == Fit::Yes {
            Ok(call)
        } else {
            Err(OptionError::WrongSocket {
                option: self.option,
                scope: self.scope,
            })
        }
    }

    fn refusal(&self, source: io::Error, attempt: Attempt) -> OptionError {
        let option = self.option;
        match attempt {
            // The kernel is older than this option.
            _ if source.raw_os_error() == Some(NO_SUCH_OPTION) => OptionError::Unsupported {
                option,
                platforms: self.platforms,
            },
            Attempt::Read => OptionError::Read { option, source },
            Attempt::Set => OptionError::Set { option, source },
        }
    }
}

#[derive(Clone, Copy)]
enum Attempt {
    Read,
    Set,
}

#[cfg(unix)]
const NO_SUCH_OPTION: i32 = libc::ENOPROTOOPT;
/// `WSAENOPROTOOPT`
#[cfg(not(unix))]
const NO_SUCH_OPTION: i32 = 10042;
