//! What an IRP asks for.

use core::fmt;

use super::{Irp, raw::current_stack_location};

/// The major function code of an IRP: `IRP_MJ_XXX`.
///
/// See [IRP Major Function Codes](https://learn.microsoft.com/windows-hardware/drivers/kernel/irp-major-function-codes).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MajorFunction(u8);

macro_rules! major_functions {
    ($($(#[$doc:meta])* $name:ident = $raw:ident;)*) => {
        impl MajorFunction {
            $(
                $(#[$doc])*
                #[expect(clippy::cast_possible_truncation, reason = "the code has 8 bits")]
                pub const $name: Self = Self(wdk_sys::$raw as u8);
            )*
        }

        impl fmt::Debug for MajorFunction {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self {
                    $(Self::$name => f.write_str(stringify!($raw)),)*
                    Self(code) => write!(f, "IRP_MJ_{code:#04x}"),
                }
            }
        }
    };
}

major_functions! {
    /// A handle is opened.
    CREATE = IRP_MJ_CREATE;
    /// The last reference to a file object is gone.
    CLOSE = IRP_MJ_CLOSE;
    /// `ReadFile`.
    READ = IRP_MJ_READ;
    /// `WriteFile`.
    WRITE = IRP_MJ_WRITE;
    /// `FlushFileBuffers`.
    FLUSH_BUFFERS = IRP_MJ_FLUSH_BUFFERS;
    /// `DeviceIoControl`.
    DEVICE_CONTROL = IRP_MJ_DEVICE_CONTROL;
    /// A device control request that only drivers send.
    INTERNAL_DEVICE_CONTROL = IRP_MJ_INTERNAL_DEVICE_CONTROL;
    /// The last handle of a file object is closed.
    CLEANUP = IRP_MJ_CLEANUP;
    /// Power management.
    POWER = IRP_MJ_POWER;
    /// WMI.
    SYSTEM_CONTROL = IRP_MJ_SYSTEM_CONTROL;
    /// Plug and Play.
    PNP = IRP_MJ_PNP;
}

impl MajorFunction {
    pub(crate) const fn as_raw(self) -> u8 {
        self.0
    }
}

impl Irp<'_> {
    /// What the request asks for.
    #[must_use]
    pub fn major_function(&self) -> MajorFunction {
        // SAFETY: the IRP is owned.
        MajorFunction(unsafe { current_stack_location(self.raw) }.MajorFunction)
    }
}
