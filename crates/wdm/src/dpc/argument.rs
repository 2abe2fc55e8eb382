//! `SystemArgument1` and `SystemArgument2`: what who queues a DPC hands over to its routine.

use core::ffi::c_void;

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A value that is handed over to the routine of a DPC in place of a pointer: at most as wide as one, without a byte that nobody has written, and
/// without a reference, which could be gone by then.
///
/// `()` is nothing. A number is one, and so is a type of the driver's own that derives [`zerocopy`]'s traits:
///
/// ```no_run
/// use zerocopy::{FromBytes, Immutable, IntoBytes};
///
/// /// Which of the device's channels, and how many entries it has.
/// #[derive(Clone, Copy, FromBytes, Immutable, IntoBytes)]
/// #[repr(C)]
/// struct Channel {
///     number: u32,
///     entries: u32,
/// }
/// # fn is_an_argument<T: wdm::DpcArgument>() {}
/// # fn main() { is_an_argument::<Channel>() }
/// ```
///
/// One that is wider than a pointer does not compile where the DPC is queued.
pub trait DpcArgument: Copy + FromBytes + Immutable + IntoBytes + 'static {}

impl<T: Copy + FromBytes + Immutable + IntoBytes + 'static> DpcArgument for T {}

/// Whether a `T` fits; an error of the driver's compilation otherwise. For whoever queues: so the error names the driver's line.
pub(crate) const fn check<T>() {
    assert!(
        size_of::<T>() <= size_of::<*mut c_void>(),
        "the argument of a DPC is at most as wide as a pointer"
    );
}

/// The argument in a pointer's place, which it fits into, as [`check`] has seen to.
pub(crate) fn into_raw<T: DpcArgument>(argument: T) -> *mut c_void {
    let mut raw = [0; size_of::<usize>()];
    for (to, from) in raw.iter_mut().zip(argument.as_bytes()) {
        *to = *from;
    }
    core::ptr::without_provenance_mut(usize::from_ne_bytes(raw))
}

/// What [`into_raw`] made a pointer of.
pub(crate) fn from_raw<T: DpcArgument>(raw: *mut c_void) -> T {
    let raw = raw.addr().to_ne_bytes();
    // It fits, so there is no other case.
    T::read_from_prefix(&raw).map_or_else(|_| T::new_zeroed(), |(argument, _)| argument)
}
