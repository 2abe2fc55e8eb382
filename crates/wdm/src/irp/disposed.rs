//! The proof that an IRP has been disposed of.

use core::marker::PhantomData;

use wdk_sys::NTSTATUS;

use crate::status::Status;

/// Makes `'i` invariant, and the type neither `Send` nor `Sync`.
pub(super) type Brand<'i> = PhantomData<(fn(&'i ()) -> &'i (), *mut ())>;

/// Proof that the IRP with the brand `'i` is not the holder's responsibility any more, and what its dispatch routine returns.
#[must_use = "a callback returns it to show what became of its IRP"]
#[derive(Debug)]
pub struct Disposed<'i> {
    status: Status,
    brand: Brand<'i>,
}

impl Disposed<'_> {
    /// To be made where the responsibility for an IRP with this brand ends.
    pub(crate) const fn new(status: Status) -> Self {
        Self {
            status,
            brand: PhantomData,
        }
    }

    /// What the dispatch routine returns.
    pub(crate) const fn as_raw(&self) -> NTSTATUS {
        self.status.as_raw()
    }
}
