//! A program's memory.

use std::{fmt, rc::Rc};

use crate::{
    kernel::Kernel,
    mm::{PAGE_SIZE, UserRange, Va},
};

/// Memory that a program has allocated, in pages of its own; freed when the last handle to it goes. Clones are handles to the same
/// memory. A program may read and change it at any time, whatever request it is the buffer of.
#[derive(Clone)]
pub struct Buffer(Rc<Memory>);

struct Memory {
    k: Kernel,
    address: Va,
    length: u32,
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.k.free_user(self.address);
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Buffer").field(&self.range()).finish()
    }
}

impl Buffer {
    /// `length` zeroed bytes at the start of a page.
    ///
    /// # Panics
    /// When the length is not below 4 GiB.
    #[must_use]
    pub fn new(k: &Kernel, length: usize) -> Self {
        Self::at(k, 0, length)
    }

    /// `length` zeroed bytes, `offset` bytes into a page.
    ///
    /// # Panics
    /// When the offset is not below a page, or the length not below 4 GiB.
    #[must_use]
    pub fn at(k: &Kernel, offset: u64, length: usize) -> Self {
        assert!(offset < PAGE_SIZE, "an offset into a page");
        let length = u32::try_from(length).expect("buffers are below 4 GiB");
        let address = k.allocate_user(offset, length.into());
        let k = k.clone();
        Self(Rc::new(Memory { k, address, length }))
    }

    /// Memory that holds `contents`.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    #[must_use]
    pub fn holding(k: &Kernel, contents: &[u8]) -> Self {
        let buffer = Self::new(k, contents.len());
        buffer.write(0, contents);
        buffer
    }

    /// All of it, as system calls are given it.
    #[must_use]
    pub fn range(&self) -> UserRange {
        UserRange {
            address: self.0.address,
            length: self.0.length,
        }
    }

    /// How long it is, in bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        self.0.length as usize
    }

    /// Reads `length` bytes from `offset` on.
    ///
    /// # Panics
    /// When they are not in it.
    #[must_use]
    pub fn read(&self, offset: usize, length: usize) -> Vec<u8> {
        assert!(offset + length <= self.length(), "outside the buffer");
        let range = UserRange {
            address: self.0.address + offset,
            length: u32::try_from(length).expect("below the buffer's length"),
        };
        self.0.k.read_user(range).expect("the memory is there")
    }

    /// All that it holds.
    #[must_use]
    pub fn contents(&self) -> Vec<u8> {
        self.read(0, self.length())
    }

    /// Writes bytes from `offset` on.
    ///
    /// # Panics
    /// When they do not fit, or the memory may not be written to.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= self.length(), "outside the buffer");
        let written = self.0.k.write_user(self.0.address + offset, bytes);
        written.expect("the memory may be written to");
    }

    /// `VirtualProtect` with `PAGE_READONLY`.
    pub fn make_read_only(&self) {
        self.0.k.protect_user(self.0.address, false);
    }
}
