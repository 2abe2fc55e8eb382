//! Values that guest memory holds.

use super::{Pa, Va};
use crate::status::NtStatus;

/// A value with a fixed little-endian layout in guest memory.
pub trait GuestValue: Copy {
    /// Its size, in bytes.
    const SIZE: usize;

    /// From its bytes; `bytes` is `SIZE` long.
    fn from_guest(bytes: &[u8]) -> Self;

    /// To its bytes; `bytes` is `SIZE` long.
    fn to_guest(self, bytes: &mut [u8]);
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl GuestValue for $integer {
            const SIZE: usize = size_of::<$integer>();

            fn from_guest(bytes: &[u8]) -> Self {
                Self::from_le_bytes(bytes.try_into().expect("SIZE bytes"))
            }

            fn to_guest(self, bytes: &mut [u8]) {
                bytes.copy_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}

integers!(u8, u16, u32, u64, i8, i16, i32, i64);

macro_rules! wrappers {
    ($($wrapper:ident($integer:ty)),*) => {$(
        impl GuestValue for $wrapper {
            const SIZE: usize = size_of::<$integer>();

            fn from_guest(bytes: &[u8]) -> Self {
                Self(<$integer>::from_guest(bytes))
            }

            fn to_guest(self, bytes: &mut [u8]) {
                self.0.to_guest(bytes);
            }
        }
    )*};
}

wrappers!(Va(u64), Pa(u64), NtStatus(u32));
