//! The special files on a device: paging files, hibernation files, dump files.

use wdk_sys::{
    _DEVICE_USAGE_NOTIFICATION_TYPE::{DeviceUsageTypeDumpFile, DeviceUsageTypeHibernation, DeviceUsageTypePaging},
    DEVICE_USAGE_NOTIFICATION_TYPE,
};

/// A type of special file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpecialFile {
    Paging,
    Hibernation,
    Dump,
}

impl SpecialFile {
    const ALL: [Self; 3] = [Self::Paging, Self::Hibernation, Self::Dump];

    /// The type that a notification is about; `None` for one that is not known here.
    pub(crate) fn from_raw(kind: DEVICE_USAGE_NOTIFICATION_TYPE) -> Option<Self> {
        Self::ALL.into_iter().find(|file| file.to_raw() == kind)
    }

    const fn to_raw(self) -> DEVICE_USAGE_NOTIFICATION_TYPE {
        match self {
            Self::Paging => DeviceUsageTypePaging,
            Self::Hibernation => DeviceUsageTypeHibernation,
            Self::Dump => DeviceUsageTypeDumpFile,
        }
    }
}

/// How many files of each type the drivers below have taken.
pub(crate) struct SpecialFiles {
    /// In the order of [`SpecialFile::ALL`].
    counts: [u32; 3],
    /// One of them has cleared `DO_POWER_PAGABLE`, which the device had.
    pub(crate) cleared: bool,
}

impl SpecialFiles {
    pub(super) const fn none() -> Self {
        Self {
            counts: [0; 3],
            cleared: false,
        }
    }

    /// Whether a file of this type is the only one that is left.
    pub(crate) fn is_last(&self, file: SpecialFile) -> bool {
        let mut counts = SpecialFile::ALL.into_iter().zip(self.counts);
        counts.all(|(other, count)| count == u32::from(other == file))
    }

    /// Whether there is a file of this type.
    pub(crate) fn has(&self, file: SpecialFile) -> bool {
        let mut counts = SpecialFile::ALL.into_iter().zip(self.counts);
        counts.any(|(other, count)| other == file && count != 0)
    }

    /// One has come, or gone.
    pub(crate) fn count(&mut self, file: SpecialFile, in_path: bool) {
        let mut counts = SpecialFile::ALL.into_iter().zip(&mut self.counts);
        if let Some((_, count)) = counts.find(|(other, _)| *other == file) {
            *count = if in_path {
                count.saturating_add(1)
            } else {
                count.saturating_sub(1)
            };
        }
    }
}
