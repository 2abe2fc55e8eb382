//! How soon a DPC runs, and where.

use wdk_sys::{_KDPC_IMPORTANCE, KDPC_IMPORTANCE, PROCESSOR_NUMBER};

/// How soon a DPC runs, and on which processor: set when it is made, so before it can be queued. A processor that is set later does not count
/// for a DPC that is queued already, as the documentation of `KeSetTargetProcessorDpcEx` says.
///
/// ```no_run
/// # mod device { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/device.rs")); }
/// # use device::{Device, Finish};
/// use pinned_init::PinInit;
/// use wdm::{CustomDpc, DeviceInit, DpcSettings, Error, Importance, ProcessorNumber};
///
/// /// A DPC that comes before the others of the first processor, and runs there.
/// fn first(device: &DeviceInit<'_, Device>) -> impl PinInit<CustomDpc<Finish>, Error> {
///     let settings = DpcSettings::new()
///         .importance(Importance::High)
///         .processor(ProcessorNumber { group: 0, number: 0 });
///     CustomDpc::with(settings, device)
/// }
/// # fn main() {}
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DpcSettings {
    pub(super) importance: Importance,
    pub(super) processor: Option<ProcessorNumber>,
}

impl DpcSettings {
    /// What a DPC has that nothing was set for: medium importance, and the processor that it is queued on.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            importance: Importance::Medium,
            processor: None,
        }
    }

    /// With this importance. DDI: `KeSetImportanceDpc`.
    #[must_use]
    pub const fn importance(self, importance: Importance) -> Self {
        Self { importance, ..self }
    }

    /// On this processor, wherever it is queued. DDI: `KeSetTargetProcessorDpcEx`. (`KeSetTargetProcessorDpc` knows the processors of group 0
    /// only.)
    #[must_use]
    pub const fn processor(self, processor: ProcessorNumber) -> Self {
        Self {
            processor: Some(processor),
            ..self
        }
    }
}

/// Where a DPC is put in its processor's queue, and whether that is seen to at once: `KDPC_IMPORTANCE`.
///
/// For a [`ThreadedDpc`](crate::ThreadedDpc) only the place counts. See
/// [Organization of DPC Queues](https://learn.microsoft.com/windows-hardware/drivers/kernel/organization-of-dpc-queues).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Importance {
    /// At the end; the queue is seen to when it has grown, or requests have become rare.
    Low,
    /// At the end; the queue is seen to at once if it is that of this processor.
    #[default]
    Medium,
    /// At the end; the queue is seen to at once, whosever it is.
    MediumHigh,
    /// In front; the queue is seen to at once, whosever it is.
    High,
}

impl Importance {
    pub(super) const fn as_raw(self) -> KDPC_IMPORTANCE {
        match self {
            Self::Low => _KDPC_IMPORTANCE::LowImportance,
            Self::Medium => _KDPC_IMPORTANCE::MediumImportance,
            Self::MediumHigh => _KDPC_IMPORTANCE::MediumHighImportance,
            Self::High => _KDPC_IMPORTANCE::HighImportance,
        }
    }
}

/// A processor: its group, and its number in that. `PROCESSOR_NUMBER`.
///
/// See [Processor Groups](https://learn.microsoft.com/windows/win32/procthread/processor-groups).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessorNumber {
    /// The group.
    pub group: u16,
    /// The number within the group, from 0.
    pub number: u8,
}

impl ProcessorNumber {
    pub(super) const fn as_raw(self) -> PROCESSOR_NUMBER {
        PROCESSOR_NUMBER {
            Group: self.group,
            Number: self.number,
            Reserved: 0,
        }
    }
}
