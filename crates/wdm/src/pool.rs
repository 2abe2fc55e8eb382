//! Pool memory.

use core::alloc::{GlobalAlloc, Layout};
use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use wdk_alloc::WdkAllocator;

use crate::error::{Error, Result};
use crate::irql::{AtMostDispatch, Irql};

/// What pool memory is aligned to on 64-bit systems, in bytes.
const POOL_ALIGNMENT: usize = 16;

/// A value in nonpaged pool, allocated and freed where the IRQL is known.
///
/// There is no `#[global_allocator]`: a `Box` could be made, and dropped, in an ISR. For the same reason a `PoolBox` is not freed by being
/// dropped, but by [`free`](Self::free); one that is forgotten leaks, and Driver Verifier reports it when the driver is unloaded.
///
/// ```no_run
/// use wdm::{Irql, PoolBox, Result, irql::Passive};
///
/// fn twice(value: u64, irql: &mut Irql<Passive>) -> Result<u64> {
///     let mut doubled = PoolBox::new(value, irql)?;
///     *doubled = doubled.wrapping_mul(2);
///     Ok(doubled.free(irql))
/// }
/// # fn main() {}
/// ```
#[must_use = "pool memory that is not freed leaks"]
pub struct PoolBox<T>(NonNull<T>);

// SAFETY: the value is owned.
unsafe impl<T: Send> Send for PoolBox<T> {}
// SAFETY: the value is owned.
unsafe impl<T: Sync> Sync for PoolBox<T> {}

impl<T> PoolBox<T> {
    /// Moves `value` into nonpaged pool.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`. DDI: `ExAllocatePool2`, by `wdk-alloc`.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES` if there is no memory; the value is dropped.
    pub fn new<L: AtMostDispatch>(value: T, _irql: &mut Irql<L>) -> Result<Self> {
        const {
            assert!(align_of::<T>() <= POOL_ALIGNMENT, "pool memory is aligned to 16 bytes");
            assert!(size_of::<T>() != 0, "a zero-sized value needs no memory");
        }
        // SAFETY: the layout's size is not 0; at most DISPATCH_LEVEL, as the token proves.
        let memory = unsafe { WdkAllocator.alloc(Layout::new::<T>()) };
        let memory = NonNull::new(memory.cast::<T>()).ok_or(Error::INSUFFICIENT_RESOURCES)?;
        // SAFETY: the memory is new, large enough and aligned.
        unsafe { memory.write(value) };
        Ok(Self(memory))
    }

    /// Leaves the value where it is.
    pub(crate) fn into_raw(self) -> NonNull<T> {
        ManuallyDrop::new(self).0
    }

    /// Undoes [`into_raw`](Self::into_raw).
    ///
    /// # Safety
    /// The value must be what that returned, and be used by nobody else.
    pub(crate) const unsafe fn from_raw(value: NonNull<T>) -> Self {
        Self(value)
    }

    /// Frees the memory and gives the value back. IRQL: at most `DISPATCH_LEVEL`. DDI: `ExFreePool`, by `wdk-alloc`.
    pub fn free<L: AtMostDispatch>(self, _irql: &mut Irql<L>) -> T {
        let memory = ManuallyDrop::new(self).0;
        // SAFETY: the value is initialised, and not used in this place again.
        let value = unsafe { memory.read() };
        // SAFETY: the memory came from this allocator with this layout; at most DISPATCH_LEVEL, as the token proves.
        unsafe { WdkAllocator.dealloc(memory.as_ptr().cast(), Layout::new::<T>()) };
        value
    }
}

impl<T> Deref for PoolBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the value is initialised and owned.
        unsafe { self.0.as_ref() }
    }
}

impl<T> DerefMut for PoolBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the value is initialised and owned.
        unsafe { self.0.as_mut() }
    }
}

impl<T: fmt::Debug> fmt::Debug for PoolBox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
