//! Memory that somebody else may write at any moment.

use core::arch::asm;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use zerocopy::FromBytes;

use crate::error::{Error, Result};

/// Memory that a user program (direct I/O) or a device (a common buffer) may write while the driver uses it.
///
/// No reference to it is ever made: a reference says that nobody writes. Bytes are copied in and out by instructions that the compiler
/// knows nothing about, so it concludes nothing from what it has seen there; what was copied out stays as it is.
#[derive(Clone, Copy)]
pub(crate) struct SharedMemory<'a> {
    base: NonNull<u8>,
    length: usize,
    lifetime: PhantomData<&'a ()>,
}

impl SharedMemory<'_> {
    /// # Safety
    /// The `length` bytes from `base` on must be mapped, nonpaged, for `'a`, and readable; and writable, if the value is ever written
    /// through. Nobody may have a reference to them meanwhile.
    pub(crate) const unsafe fn new(base: NonNull<u8>, length: usize) -> Self {
        Self {
            base,
            length,
            lifetime: PhantomData,
        }
    }

    /// No bytes at all.
    pub(crate) const fn empty() -> Self {
        Self {
            base: NonNull::dangling(),
            length: 0,
            lifetime: PhantomData,
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.length
    }

    /// `length` bytes of it, from `offset` on.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` if it has not so many.
    pub(crate) fn part(&self, offset: usize, length: usize) -> Result<Self> {
        let base = self.range(offset, length)?;
        Ok(Self { base, length, ..*self })
    }

    /// Copies `source` to `offset`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` if it does not fit there; nothing is copied then.
    pub(crate) fn write(&self, offset: usize, source: &[u8]) -> Result<()> {
        let destination = self.range(offset, source.len())?;
        // SAFETY: the range lies in this memory, and a slice can be read.
        unsafe { copy(source.as_ptr(), destination.as_ptr(), source.len()) };
        Ok(())
    }

    /// Copies what is at `offset` to `destination`.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub(crate) fn read(&self, offset: usize, destination: &mut [u8]) -> Result<()> {
        let source = self.range(offset, destination.len())?;
        // SAFETY: the range lies in this memory, and the slice can be written.
        unsafe { copy(source.as_ptr(), destination.as_mut_ptr(), destination.len()) };
        Ok(())
    }

    /// A copy of the `T` that all of this memory is.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` if it has another length.
    pub(crate) fn read_value<T: FromBytes>(&self) -> Result<T> {
        if self.length != size_of::<T>() {
            return Err(Error::INVALID_PARAMETER);
        }
        let mut value = MaybeUninit::<T>::uninit();
        // SAFETY: this memory is as long as a T is, and the value is a local variable.
        unsafe { copy(self.base.as_ptr(), value.as_mut_ptr().cast(), self.length) };
        // SAFETY: all its bytes are written, and any bytes make a T.
        Ok(unsafe { value.assume_init() })
    }

    /// Copies `length` bytes at `offset` to `to_offset` of `to`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` if they do not lie in either; nothing is copied then.
    pub(crate) fn copy_to(&self, offset: usize, to: &SharedMemory<'_>, to_offset: usize, length: usize) -> Result<()> {
        let source = self.range(offset, length)?;
        let destination = to.range(to_offset, length)?;
        // SAFETY: each range lies in its memory.
        unsafe { copy(source.as_ptr(), destination.as_ptr(), length) };
        Ok(())
    }

    /// Where `length` bytes at `offset` begin.
    fn range(&self, offset: usize, length: usize) -> Result<NonNull<u8>> {
        let fits = offset.checked_add(length).is_some_and(|end| end <= self.length);
        if !fits {
            return Err(Error::INVALID_PARAMETER);
        }
        // SAFETY: the offset lies in this memory, or at its end.
        Ok(unsafe { self.base.add(offset) })
    }
}

/// Copies `length` bytes. What a request has in a structure is a word or some, which need no string instruction.
///
/// # Safety
/// The source must be readable and the destination writable, for that many bytes. Others may write to either meanwhile.
#[inline]
unsafe fn copy(source: *const u8, destination: *mut u8, length: usize) {
    match length {
        4 => {
            // SAFETY: promised by the caller.
            unsafe { copy_u32(source, destination) };
        }
        8 | 16 | 24 => {
            let mut done = 0;
            while done < length {
                // SAFETY: the words lie within the bytes.
                unsafe { copy_u64(source.wrapping_add(done), destination.wrapping_add(done)) };
                done = done.wrapping_add(8);
            }
        }
        // SAFETY: promised by the caller.
        _ => unsafe { copy_string(source, destination, length) },
    }
}

/// Copies four bytes, which need not be aligned.
///
/// # Safety
/// As [`copy`].
#[inline]
unsafe fn copy_u32(source: *const u8, destination: *mut u8) {
    // SAFETY: promised by the caller.
    unsafe {
        asm!(
            "mov {word:e}, [{source}]",
            "mov [{destination}], {word:e}",
            word = out(reg) _,
            source = in(reg) source,
            destination = in(reg) destination,
            options(nostack, preserves_flags),
        );
    }
}

/// Copies eight bytes, which need not be aligned.
///
/// # Safety
/// As [`copy`].
#[inline]
unsafe fn copy_u64(source: *const u8, destination: *mut u8) {
    // SAFETY: promised by the caller.
    unsafe {
        asm!(
            "mov {word}, [{source}]",
            "mov [{destination}], {word}",
            word = out(reg) _,
            source = in(reg) source,
            destination = in(reg) destination,
            options(nostack, preserves_flags),
        );
    }
}

/// Copies `length` bytes, words first.
///
/// # Safety
/// As [`copy`].
unsafe fn copy_string(source: *const u8, destination: *mut u8, length: usize) {
    // SAFETY: promised by the caller. The direction flag is clear, as the calling convention has it; the string instructions leave all
    // flags alone.
    unsafe {
        asm!(
            "rep movsq",
            "mov rcx, {rest}",
            "rep movsb",
            rest = in(reg) length % 8,
            inout("rcx") length / 8 => _,
            inout("rsi") source => _,
            inout("rdi") destination => _,
            options(nostack, preserves_flags),
        );
    }
}
