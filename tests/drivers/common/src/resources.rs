//! The translated resources of `IRP_MN_START_DEVICE`.

use wdk_sys::{
    _CM_SHARE_DISPOSITION::CmResourceShareShared, _KINTERRUPT_MODE, BOOLEAN, CM_PARTIAL_RESOURCE_DESCRIPTOR,
    CM_RESOURCE_INTERRUPT_LATCHED, CM_RESOURCE_LIST, CmResourceTypeInterrupt, CmResourceTypeMemory, KAFFINITY,
    KINTERRUPT_MODE, KIRQL, PHYSICAL_ADDRESS, ULONG,
};

/// What the device was given.
#[derive(Default)]
pub(crate) struct Resources {
    /// The first range of device memory: BAR 0.
    pub(crate) memory: Option<MemoryResource>,
    pub(crate) interrupt: Option<InterruptResource>,
}

pub(crate) struct MemoryResource {
    pub(crate) start: PHYSICAL_ADDRESS,
    /// In bytes.
    pub(crate) length: u32,
}

pub(crate) struct InterruptResource {
    pub(crate) vector: ULONG,
    pub(crate) irql: KIRQL,
    pub(crate) affinity: KAFFINITY,
    pub(crate) mode: KINTERRUPT_MODE,
    pub(crate) shared: BOOLEAN,
}

/// `CmResourceShareShared`, as a descriptor has it.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an enumeration is signed in some kits, unsigned in others"
)]
const SHARE_SHARED: u8 = CmResourceShareShared as u8;

impl Resources {
    /// Takes them out of the list, which may be null.
    ///
    /// # Safety
    /// The list must be as `IRP_MN_START_DEVICE` brings it.
    pub(crate) unsafe fn find(list: *const CM_RESOURCE_LIST) -> Self {
        let mut found = Self::default();
        if list.is_null() {
            return found;
        }
        // SAFETY: a list that is not null has one full descriptor; no reference is made to the array behind it.
        let partial = unsafe { &raw const (*list).List[0].PartialResourceList };
        // SAFETY: it lies in the list.
        let count = unsafe { (*partial).Count } as usize;
        // SAFETY: as above.
        let first = unsafe { &raw const (*partial).PartialDescriptors }.cast::<CM_PARTIAL_RESOURCE_DESCRIPTOR>();
        for index in 0..count {
            // SAFETY: the list has that many descriptors.
            let descriptor = unsafe { first.wrapping_add(index).read_unaligned() };
            found.take(&descriptor);
        }
        found
    }

    fn take(&mut self, descriptor: &CM_PARTIAL_RESOURCE_DESCRIPTOR) {
        let kind = u32::from(descriptor.Type);
        if kind == CmResourceTypeMemory {
            // SAFETY: the type says which member of the union is in use.
            let memory = unsafe { descriptor.u.Memory };
            self.memory.get_or_insert(MemoryResource {
                start: memory.Start,
                length: memory.Length,
            });
        } else if kind == CmResourceTypeInterrupt {
            // SAFETY: as above.
            let interrupt = unsafe { descriptor.u.Interrupt };
            let latched = u32::from(descriptor.Flags) & CM_RESOURCE_INTERRUPT_LATCHED != 0;
            #[expect(clippy::cast_possible_truncation, reason = "an IRQL has 4 bits")]
            let irql = interrupt.Level as KIRQL;
            self.interrupt.get_or_insert(InterruptResource {
                vector: interrupt.Vector,
                irql,
                affinity: interrupt.Affinity,
                mode: if latched {
                    _KINTERRUPT_MODE::Latched
                } else {
                    _KINTERRUPT_MODE::LevelSensitive
                },
                shared: BOOLEAN::from(descriptor.ShareDisposition == SHARE_SHARED),
            });
        }
    }
}
