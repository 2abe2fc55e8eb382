//! Guest addresses: virtual ([`Va`]) and physical ([`Pa`]).

use std::{
    fmt,
    ops::{Add, Sub},
};

/// Bytes in a page, on x64.
pub const PAGE_SIZE: u64 = 0x1000;

/// A guest virtual address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Va(pub u64);

/// A guest physical address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pa(pub u64);

/// The first address of the system's half of the address space, on x64.
pub const SYSTEM_RANGE_START: Va = Va(0xFFFF_8000_0000_0000);

/// The first address past what programs can have, on x64: `MM_USER_PROBE_ADDRESS`.
pub const USER_PROBE_ADDRESS: Va = Va(0x0000_7FFF_FFFF_0000);

impl Va {
    /// The null pointer.
    pub const NULL: Self = Self(0);

    /// The address as a number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether this is the null pointer.
    #[must_use]
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }

    /// Whether the address lies in the system's half of the address space.
    #[must_use]
    pub const fn is_system(self) -> bool {
        self.0 >= SYSTEM_RANGE_START.0
    }

    /// The start of the page that the address lies in.
    #[must_use]
    pub const fn page(self) -> Self {
        Self(self.0 & !(PAGE_SIZE - 1))
    }

    /// How far into its page the address lies.
    #[must_use]
    pub const fn offset_in_page(self) -> u32 {
        (self.0 & (PAGE_SIZE - 1)) as u32
    }

    /// The address `offset` bytes on, wrapping as the processor's address arithmetic does.
    #[must_use]
    pub const fn offset(self, offset: u64) -> Self {
        Self(self.0.wrapping_add(offset))
    }
}

macro_rules! address_arithmetic {
    ($address:ty) => {
        impl Add<u64> for $address {
            type Output = Self;
            fn add(self, offset: u64) -> Self {
                Self(self.0.wrapping_add(offset))
            }
        }

        impl Add<usize> for $address {
            type Output = Self;
            fn add(self, offset: usize) -> Self {
                Self(self.0.wrapping_add(offset as u64))
            }
        }

        impl Sub<u64> for $address {
            type Output = Self;
            fn sub(self, offset: u64) -> Self {
                Self(self.0.wrapping_sub(offset))
            }
        }

        impl Sub<usize> for $address {
            type Output = Self;
            fn sub(self, offset: usize) -> Self {
                Self(self.0.wrapping_sub(offset as u64))
            }
        }

        impl Sub for $address {
            type Output = u64;
            fn sub(self, other: Self) -> u64 {
                self.0.wrapping_sub(other.0)
            }
        }

        impl From<u64> for $address {
            fn from(address: u64) -> Self {
                Self(address)
            }
        }

        impl From<$address> for u64 {
            fn from(address: $address) -> u64 {
                address.0
            }
        }

        impl fmt::LowerHex for $address {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::LowerHex::fmt(&self.0, f)
            }
        }
    };
}

address_arithmetic!(Va);
address_arithmetic!(Pa);

impl fmt::Display for Va {
    /// As WinDbg prints 64-bit addresses: two halves with a backquote between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}`{:08x}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl fmt::Display for Pa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}
