//! Initialising a device extension in place.

use core::marker::PhantomData;
use core::mem::size_of;
use core::ptr::NonNull;

use pinned_init::{PinInit, pin_init_from_closure};

use super::{Extension, Header, Object, ObjectNode};
use crate::error::{Error, Result};

/// The device whose extension is being initialised: what the constructors of kernel objects ask for.
///
/// The system keeps the address of such an object, so it must lie in the device extension, which stays in place and is given
/// back only when the system has let go of every object in it. Each constructor checks that and fails with
/// `STATUS_INVALID_PARAMETER` anywhere else.
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

    /// An initialiser of a kernel object: puts `value` in its place, which must lie in the extension, then has `finish` make the object of it.
    ///
    /// What `finish` finds stays where it is until the extension goes, which is when the system has let go of the object.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` outside the extension; what `finish` returns.
    pub(crate) fn place<U>(&self, value: U, finish: impl FnOnce(&U) -> Result<()>) -> impl PinInit<U, Error> {
        let init = move |slot: *mut U| {
            self.check_inside(slot)?;
            // SAFETY: the slot is valid for writes.
            unsafe { slot.write(value) };
            // SAFETY: just written; only shared from here on.
            finish(unsafe { &*slot })
        };
        // SAFETY: on success the value is there, as `finish` left it; what a failure leaves there needs no drop. It is not moved: it lies in the
        // extension.
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

    /// Makes `object` known to the safe layer, which closes it when the device goes.
    ///
    /// # Safety
    /// `node` must lie inside that very object, and the object in this extension, for good.
    pub(crate) unsafe fn register(&self, node: &ObjectNode, object: Object) {
        // SAFETY: the header is initialised before the initialiser of the driver's value runs.
        let header = unsafe { self.header().as_ref() };
        node.link(object, header.objects.get());
        header.objects.set(node);
        header.object_count.set(header.object_count.get() + 1);
    }
}

impl<T> core::fmt::Debug for DeviceInit<'_, T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("DeviceInit").finish_non_exhaustive()
    }
}
