//! The macro that generates everything from one table.
//!
//! A row reads
//!
//! ```text
//! /// What it does.
//! SO_NAME: method(what the setter takes) -> what the getter gives,
//!     Level, SCOPE, Platforms, "unit", "default",
//!     via calls(getter, setter);      // or: via int(level, name)
//! ```
//!
//! Each row generates the field and method of `SocketOptions`, the method of
//! `Live` and the entry of `ALL`. Rows after `read_only:` have no setter.

macro_rules! define_options {
    (
        settable: $(
            $(#[doc = $doc:literal])+
            $name:ident: $method:ident($argument:ty) -> $value:ty,
                $level:ident, $scope:ident, $platforms:ident, $unit:literal, $default:literal,
                via $how:ident($get:expr, $set:expr);
        )*
        read_only: $(
            $(#[doc = $ro_doc:literal])+
            $ro_name:ident: $ro_method:ident() -> $ro_value:ty,
                $ro_level:ident, $ro_scope:ident, $ro_platforms:ident, $ro_unit:literal,
                $ro_default:literal,
                via $ro_how:ident($ro_get:expr, $ro_rest:expr);
        )*
    ) => {
        /// Options to set on a socket, before or after it binds or connects.
        ///
        /// Options that were not requested are left alone. Pass the set to a
        /// constructor such as `TcpSocket::connect`, or [`apply`](Self::apply)
        /// it to any number of sockets.
        ///
        /// ```
        /// # use sockkit_core as sockkit;
        /// use std::net::UdpSocket;
        /// use sockkit::options::{Live, SocketOptions};
        ///
        /// let socket = UdpSocket::bind("127.0.0.1:0")?;
        /// SocketOptions::new().broadcast(true).apply(&socket)?;
        /// assert!(Live::of(&socket)?.broadcast()?);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[derive(Clone, Debug, Default, PartialEq)]
        #[must_use = "options do nothing until a socket is given them"]
        pub struct SocketOptions {
            $(pub(super) $method: Option<$value>,)*
        }

        impl SocketOptions {
            $(
                $(#[doc = $doc])+
                #[doc = ""]
                #[doc = concat!(
                    "`", stringify!($name), "`. Default: ", $default, ". Read back with [`Live::",
                    stringify!($method), "`].",
                )]
                pub fn $method(mut self, value: $argument) -> Self {
                    self.$method = Some(value.into());
                    self
                }
            )*

            /// Sets the requested options, in the table's order.
            pub(super) fn apply_to(&self, live: &Live<'_>) -> Result<(), OptionError> {
                $(
                    if let Some(value) = &self.$method {
                        let set = on_platform!($platforms, Set<$value>, setter!($how, $get, $set));
                        live.write(&identity!($name, $scope, $platforms), set, value.clone())?;
                    }
                )*
                Ok(())
            }

            /// The requested values by constant name, in the table's order.
            pub(super) fn requested(&self) -> Vec<(&'static str, Value)> {
                let mut asked = Vec::new();
                $(
                    if let Some(value) = self.$method.clone() {
                        asked.push((stringify!($name), value.into()));
                    }
                )*
                asked
            }
        }

        impl Live<'_> {
            $(getter_method!(
                [$($doc),+] $name, $method, $value, $scope, $platforms, $how, $get, $set
            );)*
            $(getter_method!(
                [$($ro_doc),+] $ro_name, $ro_method, $ro_value, $ro_scope, $ro_platforms,
                $ro_how, $ro_get, $ro_rest
            );)*
        }

        /// Every option, in the order in which they are applied.
        pub const ALL: &[OptionSpec] = &[
            $(spec!(
                [$($doc),+] $name, $method, $value, $level, $scope, $platforms, $unit, $default,
                ReadWrite
            ),)*
            $(spec!(
                [$($ro_doc),+] $ro_name, $ro_method, $ro_value, $ro_level, $ro_scope,
                $ro_platforms, $ro_unit, $ro_default, ReadOnly
            ),)*
        ];
    };
}

/// One method of `Live`.
macro_rules! getter_method {
    (
        [$($doc:literal),+] $name:ident, $method:ident, $value:ty, $scope:ident,
        $platforms:ident, $how:ident, $get:expr, $set:expr
    ) => {
        $(#[doc = $doc])+
        #[doc = ""]
        #[doc = concat!("Reads `", stringify!($name), "`.")]
        ///
        /// # Errors
        /// [`OptionError::Unsupported`], [`OptionError::WrongSocket`], or
        /// [`OptionError::Read`] with the kernel's error.
        pub fn $method(&self) -> Result<$value, OptionError> {
            let get = on_platform!($platforms, Get<$value>, getter!($how, $get, $set));
            self.read(&identity!($name, $scope, $platforms), get)
        }
    };
}

/// One entry of `ALL`.
macro_rules! spec {
    (
        [$($doc:literal),+] $name:ident, $method:ident, $value:ty, $level:ident, $scope:ident,
        $platforms:ident, $unit:literal, $default:literal, $access:ident
    ) => {
        OptionSpec {
            name: stringify!($name),
            method: stringify!($method),
            level: Level::$level,
            scope: Scope::$scope,
            platforms: Platforms::$platforms,
            access: Access::$access,
            value_type: stringify!($value),
            unit: $unit,
            default: $default,
            summary: concat!($($doc),+).trim_ascii_start(),
            read: |live| live.$method().map(Value::from),
        }
    };
}

macro_rules! identity {
    ($name:ident, $scope:ident, $platforms:ident) => {
        Identity {
            option: stringify!($name),
            scope: Scope::$scope,
            platforms: Platforms::$platforms,
        }
    };
}

macro_rules! getter {
    (calls, $get:expr, $set:expr) => {
        $get
    };
    (int, $level:expr, $name:expr) => {
        |socket| int::get(socket, $level, $name)
    };
}

macro_rules! setter {
    (calls, $get:expr, $set:expr) => {
        $set
    };
    (int, $level:expr, $name:expr) => {
        |socket, value| int::set(socket, $level, $name, value)
    };
}

/// The call on platforms that have it, `None` on the others.
macro_rules! on_platform {
    (Everywhere, $kind:ty, $call:expr) => {{
        let call: $kind = $call;
        Some(call)
    }};
    (LinuxAndMac, $kind:ty, $call:expr) => {{
        #[cfg(any(target_os = "linux", target_os = "macos"))]
        let call: Option<$kind> = Some($call);
        #[cfg(not(any(target_os = "linux", target_os = "macos")))]
        let call: Option<$kind> = None;
        call
    }};
    (Linux, $kind:ty, $call:expr) => {{
        #[cfg(target_os = "linux")]
        let call: Option<$kind> = Some($call);
        #[cfg(not(target_os = "linux"))]
        let call: Option<$kind> = None;
        call
    }};
}
