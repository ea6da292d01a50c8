//! The options of a socket that exists.

use std::{fmt, io};

use socket2::{SockRef, Socket};

use super::{
    ALL, AsSocket, OptionError, OptionSpec, Platforms, Scope, Value,
    spec::{Family, Fit, Kind, Transport},
};

/// A look at a live socket: one getter an option, and all of them as a table.
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

/// What sockets have here that no program has touched: the name of the transport,
/// and every option with its value, for TCP and for UDP.
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
    /// Looks at any TCP or UDP socket: std's, tokio's, socket2's or ours.
    ///
    /// # Errors
    /// [`OptionError::NotASocket`] for anything else.
    pub fn of(socket: &'socket impl AsSocket) -> Result<Self, OptionError> {
        let socket = SockRef::from(socket);
        let kind = Kind::of(&socket)?;
        Ok(Self { socket, kind })
    }

    /// Every option that a socket of this kind has here, with the value that a
    /// fresh socket has beside it.
    ///
    /// An option that cannot be read stays in the table with the reason.
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

    /// The value of the option of that constant name, such as `SO_RCVBUF`.
    ///
    /// # Errors
    /// As the option's own getter; `None` if there is no such option.
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
        // One set of options serves both candidates of a connect by name.
        if identity.scope.fit(self.kind) == Fit::OtherFamily {
            return Ok(());
        }
        let set = identity.checked(set, self.kind)?;
        set(&self.socket, value).map_err(|source| identity.refusal(source, Attempt::Set))
    }
}

/// One line of the live table.
#[derive(Debug)]
#[non_exhaustive]
pub struct Row {
    /// Which option.
    pub spec: &'static OptionSpec,
    /// What this socket has.
    pub value: Result<Value, OptionError>,
    /// What a fresh socket of the same kind has; `None` if that is unreadable.
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

/// The kernel's own words, where the row already names the option.
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

/// What the checks and the errors need to know of a row.
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
            // An older kernel than the table knows.
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
