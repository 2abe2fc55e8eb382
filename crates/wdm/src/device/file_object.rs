//! File objects: what a request was made through.

use wdk_sys::PFILE_OBJECT;

/// Which open of the device a request belongs to: the identity of its `FILE_OBJECT`, nothing more.
///
/// Two requests with equal values were made through the same file object, as long as either is not completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileObject(usize);

impl FileObject {
    pub(crate) fn new(raw: PFILE_OBJECT) -> Self {
        Self(raw.addr())
    }

    /// Whether the request was made through no file object, as drivers may.
    pub(crate) const fn is_none(self) -> bool {
        self.0 == 0
    }
}
