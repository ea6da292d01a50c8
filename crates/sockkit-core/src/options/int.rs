//! Represents Rust values as the kernel's `int`.

use std::{ffi::c_int, io};

use socket2::Socket;

use super::{PathMtuDiscovery, TrafficClass};
use crate::sys::option;

pub(super) fn get<T: Int>(socket: &Socket, level: c_int, name: c_int) -> io::Result<T> {
    option::get::<c_int>(socket, level, name).and_then(T::from_int)
}

pub(super) fn set<T: Int>(socket: &Socket, level: c_int, name: c_int, value: T) -> io::Result<()> {
    option::set::<c_int>(socket, level, name, value.into_int()?)
}

/// A value that the kernel stores in an `int`.
pub(super) trait Int: Sized {
    fn from_int(int: c_int) -> io::Result<Self>;
    fn into_int(self) -> io::Result<c_int>;
}

impl Int for bool {
    fn from_int(int: c_int) -> io::Result<Self> {
        Ok(int != 0)
    }

    fn into_int(self) -> io::Result<c_int> {
        Ok(self.into())
    }
}

macro_rules! number {
    ($($number:ty)*) => {$(
        impl Int for $number {
            fn from_int(int: c_int) -> io::Result<Self> {
                Self::try_from(int).map_err(|_| io::ErrorKind::InvalidData.into())
            }

            fn into_int(self) -> io::Result<c_int> {
                c_int::try_from(self).map_err(|_| io::ErrorKind::InvalidInput.into())
            }
        }
    )*};
}

number!(u8 u32 usize);

impl Int for TrafficClass {
    fn from_int(int: c_int) -> io::Result<Self> {
        u8::from_int(int).map(Self::from)
    }

    fn into_int(self) -> io::Result<c_int> {
        Ok(u8::from(self).into())
    }
}

impl Int for PathMtuDiscovery {
    fn from_int(int: c_int) -> io::Result<Self> {
        let mode = usize::from_int(int)?;
        MODES
            .get(mode)
            .copied()
            .ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn into_int(self) -> io::Result<c_int> {
        let mode = MODES.iter().position(|mode| *mode == self);
        mode.expect("every mode is in the list").into_int()
    }
}

/// In the order of Linux's `IP_PMTUDISC_*` and `IPV6_PMTUDISC_*`, from 0.
const MODES: [PathMtuDiscovery; 6] = [
    PathMtuDiscovery::Fragment,
    PathMtuDiscovery::Allow,
    PathMtuDiscovery::Forbid,
    PathMtuDiscovery::Probe,
    PathMtuDiscovery::Interface,
    PathMtuDiscovery::Omit,
];
