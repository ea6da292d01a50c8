//! Notifies of changes to interfaces and addresses, on Windows.
//!
//! # Source
//! Microsoft's "NotifyIpInterfaceChange", "NotifyUnicastIpAddressChange" and
//! "CancelMibChangeNotify2".

#![expect(unsafe_code, reason = "no crate in use wraps these calls")]

use std::{ffi::c_void, io, ptr, sync::Arc};

use tokio::sync::Notify;
use windows_sys::Win32::{
    Foundation::{ERROR_SUCCESS, HANDLE, WIN32_ERROR},
    NetworkManagement::IpHelper::{
        CancelMibChangeNotify2, MIB_NOTIFICATION_TYPE, NotifyIpInterfaceChange,
        NotifyUnicastIpAddressChange,
    },
    Networking::WinSock::AF_UNSPEC,
};

/// Notifies of changes from construction on.
#[derive(Debug)]
pub(crate) struct Changes {
    changed: Arc<Notify>,
    _interfaces: Registration,
    _addresses: Registration,
}

impl Changes {
    /// # Errors
    /// The error of the calls that register.
    pub(crate) fn watch() -> io::Result<Self> {
        let changed = Arc::new(Notify::new());
        let interfaces = Registration::new(&changed, |context, handle| {
            let callback = Some(on_change as _);
            // SAFETY: the context is an `Arc` that lives for as long as the registration.
            unsafe { NotifyIpInterfaceChange(AF_UNSPEC, callback, context, false, handle) }
        })?;
        let addresses = Registration::new(&changed, |context, handle| {
            let callback = Some(on_change as _);
            // SAFETY: as above.
            unsafe { NotifyUnicastIpAddressChange(AF_UNSPEC, callback, context, false, handle) }
        })?;
        Ok(Self {
            changed,
            _interfaces: interfaces,
            _addresses: addresses,
        })
    }

    /// Waits for a change; several in quick succession may be merged into one.
    ///
    /// # Cancel safety
    /// Cancel safe: no change is lost.
    #[expect(clippy::unnecessary_wraps, reason = "it can fail on Linux")]
    pub(crate) async fn next(&self) -> io::Result<()> {
        self.changed.notified().await;
        Ok(())
    }
}

/// A callback of the system, until it is dropped.
#[derive(Debug)]
struct Registration {
    handle: HANDLE,
    /// An `Arc` that the system's callback borrows.
    changed: *const Notify,
}

// SAFETY: the handle may be used from any thread, and `Notify` may be shared.
unsafe impl Send for Registration {}
// SAFETY: it has no method that takes `&self`.
unsafe impl Sync for Registration {}

impl Registration {
    /// `register` gets the context and the place for the handle.
    fn new(
        changed: &Arc<Notify>,
        register: impl FnOnce(*const c_void, *mut HANDLE) -> WIN32_ERROR,
    ) -> io::Result<Self> {
        let changed = Arc::into_raw(Arc::clone(changed));
        let mut handle = ptr::null_mut();
        let status = register(changed.cast(), &raw mut handle);
        if status != ERROR_SUCCESS {
            // SAFETY: it came from `into_raw`, and nothing was registered.
            drop(unsafe { Arc::from_raw(changed) });
            return Err(io::Error::from_raw_os_error(status.cast_signed()));
        }
        Ok(Self { handle, changed })
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: the handle of a registration. This is not one of its callbacks, and
        // holds nothing that they wait for: it waits until none of them runs.
        let status = unsafe { CancelMibChangeNotify2(self.handle) };
        // Otherwise a callback could still come: it is better leaked.
        if status == ERROR_SUCCESS {
            // SAFETY: it came from `into_raw`, and no callback comes any more.
            drop(unsafe { Arc::from_raw(self.changed) });
        }
    }
}

/// Called on a thread of the system. What has changed is in the row; the task reads
/// the interfaces itself.
///
/// # Safety
/// The context is the `Notify` of a registration that is alive.
unsafe extern "system" fn on_change<Row>(
    context: *const c_void,
    _row: *const Row,
    _kind: MIB_NOTIFICATION_TYPE,
) {
    // SAFETY: the caller's promise.
    if let Some(changed) = unsafe { context.cast::<Notify>().as_ref() } {
        changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_callback_wakes_the_task_that_waits_next() {
        let changes = Changes::watch().unwrap();
        let context = Arc::as_ptr(&changes.changed).cast();
        for _ in 0..2 {
            // SAFETY: the registration is alive.
            unsafe { on_change::<()>(context, ptr::null(), 0) };
        }
        changes.next().await.unwrap();
        // Both were one.
        tokio::select! {
            biased;
            _ = changes.next() => panic!("no change since"),
            () = std::future::ready(()) => {}
        }
    }
}
