//! Initialising a device extension in place.

use core::marker::PhantomData;
use core::mem::size_of;
use core::ptr::NonNull;

use pinned_init::{PinInit, pin_init_from_closure};

use super::{Extension, Handle, Header, KernelObject};
use crate::{
    error::{Error, Result},
    irql::{Irql, Passive},
};

/// The device whose extension is being initialised: what the constructors of kernel objects ask for.
///
/// The objects are the safe layer's, in nonpaged pool, and there as long as the driver's value is. What a constructor makes gives access to one, so it must
/// lie in that value: in the device extension, which is where it stays. Each constructor checks that and fails with `STATUS_INVALID_PARAMETER`
/// anywhere else.
pub struct DeviceInit<'a, T> {
    extension: NonNull<Extension<T>>,
    lifetime: PhantomData<&'a ()>,
}

impl<T: 'static> DeviceInit<'_, T> {
    pub(super) const fn new(extension: NonNull<Extension<T>>) -> Self {
        Self {
            extension,
            lifetime: PhantomData,
        }
    }

    pub(crate) const fn extension(&self) -> NonNull<Extension<T>> {
        self.extension
    }

    pub(crate) const fn header(&self) -> NonNull<Header> {
        self.extension.cast()
    }

    /// An initialiser of the handle on a kernel object: `finish` makes the object of `value`, where it stays until the system has let go of it, and
    /// `wrap` the driver's access of a handle.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` outside the extension; `STATUS_INSUFFICIENT_RESOURCES`; what `finish` returns.
    pub(crate) fn object<C: KernelObject, H>(
        &self,
        value: C,
        wrap: impl FnOnce(Handle<C>) -> H,
        finish: impl FnOnce(&C, &mut Irql<Passive>) -> Result<()>,
    ) -> impl PinInit<H, Error> {
        let init = move |slot: *mut H| {
            self.check_inside(slot)?;
            // SAFETY: the header is initialised before the initialiser of the driver's value runs.
            let header = unsafe { self.header().as_ref() };
            // SAFETY: AddDevice, which runs the initialiser, is called at PASSIVE_LEVEL.
            let mut irql = unsafe { Irql::<Passive>::assume() };
            // SAFETY: this is the initialiser.
            let object = unsafe { header.objects.add(value, finish, &mut irql) }?;
            // SAFETY: the object is one of this device's, and the slot lies in its extension.
            let handle = wrap(unsafe { Handle::new(object) });
            // SAFETY: the slot is valid for writes.
            unsafe { slot.write(handle) };
            Ok(())
        };
        // SAFETY: on success the value is there, and not moved; a failure leaves nothing there.
        unsafe { pin_init_from_closure(init) }
    }

    /// An initialiser of access to what the safe layer has for every device: puts `value` in its place, then calls `finish`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` outside the extension; what `finish` returns.
    pub(crate) fn place<U>(&self, value: U, finish: impl FnOnce() -> Result<()>) -> impl PinInit<U, Error> {
        let init = move |slot: *mut U| {
            self.check_inside(slot)?;
            finish()?;
            // SAFETY: the slot is valid for writes.
            unsafe { slot.write(value) };
            Ok(())
        };
        // SAFETY: as in `object`.
        unsafe { pin_init_from_closure(init) }
    }

    /// Fails unless a `U` at `slot` lies within the extension.
    fn check_inside<U>(&self, slot: *const U) -> Result<()> {
        let start = self.extension.as_ptr().addr();
        let inside = slot
            .addr()
            .checked_sub(start)
            .and_then(|offset| offset.checked_add(size_of::<U>()))
            .is_some_and(|end| end <= size_of::<Extension<T>>());
        if inside { Ok(()) } else { Err(Error::INVALID_PARAMETER) }
    }
}

impl<T> core::fmt::Debug for DeviceInit<'_, T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("DeviceInit").finish_non_exhaustive()
    }
}
