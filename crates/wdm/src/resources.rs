//! The hardware resources that the PnP manager gives a device.

use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use wdk_sys::{
    _CM_SHARE_DISPOSITION::CmResourceShareShared, CM_PARTIAL_RESOURCE_DESCRIPTOR, CM_RESOURCE_INTERRUPT_LATCHED,
    CM_RESOURCE_INTERRUPT_MESSAGE, CM_RESOURCE_LIST, CmResourceTypeInterrupt, CmResourceTypeMemory,
    CmResourceTypeMemoryLarge, KAFFINITY, PASSIVE_LEVEL, PHYSICAL_ADDRESS, ULONG, ntddk::RtlCmDecodeMemIoResource,
};

/// `CmResourceShareShared`, as a descriptor has it.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an enumeration is signed in some kits, unsigned in others"
)]
const SHARE_SHARED: u8 = CmResourceShareShared as u8;

/// The translated resources of `IRP_MN_START_DEVICE`, valid while that request is handled.
///
/// See [Hardware Resources](https://learn.microsoft.com/windows-hardware/drivers/kernel/hardware-resources).
///
/// ```no_run
/// use wdm::Resources;
///
/// fn describe(resources: &Resources<'_>) -> (u64, bool) {
///     let registers = resources.memory(0).map_or(0, |memory| memory.len());
///     let by_message = resources.interrupt().is_some_and(|interrupt| interrupt.is_message_signaled());
///     (registers, by_message)
/// }
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct Resources<'r> {
    descriptors: NonNull<CM_PARTIAL_RESOURCE_DESCRIPTOR>,
    count: ULONG,
    lifetime: PhantomData<&'r CM_RESOURCE_LIST>,
}

/// A range of device memory, as a translated address.
pub struct MemoryResource<'r> {
    pub(crate) start: PHYSICAL_ADDRESS,
    length: u64,
    lifetime: PhantomData<&'r ()>,
}

/// An interrupt, as translated for `IoConnectInterrupt`.
#[derive(Debug)]
pub struct InterruptResource<'r> {
    pub(crate) vector: ULONG,
    pub(crate) level: u8,
    pub(crate) affinity: KAFFINITY,
    pub(crate) latched: bool,
    pub(crate) shared: bool,
    message: bool,
    lifetime: PhantomData<&'r ()>,
}

impl<'r> Resources<'r> {
    /// The resources in `list`; none where the device needs none and the list is null.
    ///
    /// # Safety
    /// The list must be valid for `'r`, and as `IRP_MN_START_DEVICE` brings it.
    pub(crate) unsafe fn new(list: *const CM_RESOURCE_LIST) -> Self {
        let none = Self {
            descriptors: NonNull::dangling(),
            count: 0,
            lifetime: PhantomData,
        };
        // SAFETY: promised by the caller.
        let Some(first) = (unsafe { list.as_ref() }) else {
            return none;
        };
        if first.Count == 0 {
            return none;
        }
        // A device has one bus interface, hence one full descriptor: the only one whose place is fixed.
        // SAFETY: the list has at least one full descriptor; no reference is made to the array behind it.
        let partial = unsafe { &raw const (*list).List[0].PartialResourceList };
        // SAFETY: it lies within the list.
        let count = unsafe { (*partial).Count };
        // SAFETY: as above.
        let descriptors = unsafe { &raw const (*partial).PartialDescriptors };
        NonNull::new(descriptors.cast_mut().cast()).map_or(none, |descriptors| Self {
            descriptors,
            count,
            lifetime: PhantomData,
        })
    }

    fn descriptors(&self) -> impl Iterator<Item = CM_PARTIAL_RESOURCE_DESCRIPTOR> + '_ {
        (0..self.count as usize).map(|index| {
            // SAFETY: the list has `count` descriptors, one behind the other.
            let descriptor = unsafe { self.descriptors.add(index) };
            // SAFETY: it is initialised; the read needs no alignment, whatever the caller of the driver made of the list.
            unsafe { descriptor.read_unaligned() }
        })
    }

    /// The `index`th range of device memory: for a PCI device, its memory base address registers in order. Ranges of 4 GiB and more count as
    /// well, although their descriptors have a type of their own (`CmResourceTypeMemoryLarge`). DDI: `RtlCmDecodeMemIoResource`.
    #[must_use]
    pub fn memory(&self, index: usize) -> Option<MemoryResource<'r>> {
        let is_memory = |d: &CM_PARTIAL_RESOURCE_DESCRIPTOR| {
            let kind = u32::from(d.Type);
            kind == CmResourceTypeMemory || kind == CmResourceTypeMemoryLarge
        };
        let mut descriptor = self.descriptors().filter(is_memory).nth(index)?;
        let mut start = 0;
        // SAFETY: the descriptor is one of memory, and a local variable, as the address is.
        let length = unsafe { RtlCmDecodeMemIoResource(&raw mut descriptor, &raw mut start) };
        Some(MemoryResource {
            start: PHYSICAL_ADDRESS {
                QuadPart: start.cast_signed(),
            },
            length,
            lifetime: PhantomData,
        })
    }

    /// The first interrupt of the device.
    #[must_use]
    pub fn interrupt(&self) -> Option<InterruptResource<'r>> {
        let descriptor = self
            .descriptors()
            .find(|d| u32::from(d.Type) == CmResourceTypeInterrupt)?;
        // SAFETY: the type says which member of the union is in use; a translated message has the same shape.
        let interrupt = unsafe { descriptor.u.Interrupt };
        let flags = u32::from(descriptor.Flags);
        Some(InterruptResource {
            vector: interrupt.Vector,
            level: level(interrupt.Level),
            affinity: interrupt.Affinity,
            latched: flags & CM_RESOURCE_INTERRUPT_LATCHED != 0,
            shared: descriptor.ShareDisposition == SHARE_SHARED,
            message: flags & CM_RESOURCE_INTERRUPT_MESSAGE != 0,
            lifetime: PhantomData,
        })
    }
}

/// The IRQL in a descriptor's `Level`, whose upper half may name a processor group.
#[expect(clippy::cast_possible_truncation, reason = "an IRQL has 8 bits")]
const fn level(level: ULONG) -> u8 {
    level as u8
}

impl MemoryResource<'_> {
    /// Its length, in bytes.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.length
    }

    /// Whether it has no byte.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl InterruptResource<'_> {
    /// Whether the interrupt is one of `PASSIVE_LEVEL`, as devices behind a serial bus have it. Its ISR would run in a thread, without a spin
    /// lock: see [Using Passive-Level Interrupt Service Routines](https://learn.microsoft.com/windows-hardware/drivers/kernel/using-passive-level-interrupt-handling-routines).
    pub(crate) const fn is_passive_level(&self) -> bool {
        self.level as u32 == PASSIVE_LEVEL
    }

    /// Whether the interrupt is signalled by a message (MSI, MSI-X) and not by a line.
    #[must_use]
    pub const fn is_message_signaled(&self) -> bool {
        self.message
    }
}

impl fmt::Debug for MemoryResource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryResource")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}
