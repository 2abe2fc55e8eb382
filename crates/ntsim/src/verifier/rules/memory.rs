//! Driver Verifier's rules about pool and pageable memory.

pub(super) mod special_pool {
    //! Special pool.
    super::super::rules! { SpecialPool, "devtest/special-pool";
        "pool-overrun" Stops "Check the index or length: the access lies outside of what was allocated.";
        "pool-use-after-free" Stops "Free memory when its last user is done with it.";
    }
}

pub(super) mod force_irql {
    //! Force IRQL checking.
    super::super::rules! { ForceIrqlChecking, "devtest/force-irql-checking";
        "pageable-section-at-dispatch" GoesOn "Lock pageable code and data with MmLockPagableDataSection before it is used at DISPATCH_LEVEL, or keep it out of PAGE sections.", "kernel/making-drivers-pageable";
        "paged-pool-at-dispatch" Stops "Touch paged pool below DISPATCH_LEVEL only, or allocate it nonpaged.";
    }
}

pub(super) mod pool_tracking {
    //! Pool tracking.
    super::super::rules! { PoolTracking, "devtest/pool-tracking";
        "pool-leak" GoesOn "Free every allocation before DriverUnload returns.";
    }
}

pub(super) mod code_integrity {
    //! Code integrity checks.
    super::super::rules! { CodeIntegrity, "devtest/code-integrity-checking";
        "executable-pool" GoesOn "Allocate NonPagedPoolNx, or POOL_FLAG_NON_PAGED with ExAllocatePool2.";
        "executable-mapping" GoesOn "Add MdlMappingNoExecute to the priority.";
    }
}

pub(super) mod automatic {
    //! What Driver Verifier checks whichever settings are on.
    super::super::rules! { Automatic, "devtest/automatic-checks";
        "dpc-processor-absent" GoesOn "Target a DPC at a processor whose number is below KeQueryActiveProcessorCount.", "debugger/bug-check-0xc7--timer-or-dpc-invalid";
        "invalid-irql" Stops "Raise with KeRaiseIrql only, lower with KeLowerIrql only, to the level that was there before.";
        "io-space-not-locked" Stops "Map with MmMapIoSpace what a device decodes; map RAM that is allocated, or locked by an MDL, by that MDL.", "ddi/wdm/nf-wdm-mmmapiospace";
        "mdl-bugcheck-on-failure" GoesOn "Pass FALSE for BugCheckOnFailure, and handle a null result.";
        "mdl-freed-mapped" Stops "Call MmUnmapLockedPages before IoFreeMdl.";
        "mdl-locked-twice" Stops "Lock the pages of an MDL once; nonpaged pool needs MmBuildMdlForNonPagedPool alone.";
        "mdl-mapped-twice" Stops "Map an MDL once: MmGetSystemAddressForMdlSafe knows whether it is mapped.";
        "mdl-mapped-unlocked" Stops "Lock the pages of an MDL before you map them.";
        "mdl-not-mapped" Stops "Unmap an MDL only while it is mapped, at the address that mapping it gave.";
        "mdl-of-pageable-memory" Stops "Use MmProbeAndLockPages for pageable memory; MmBuildMdlForNonPagedPool is for nonpaged pool.";
        "mdl-unlocked-nonpaged" Stops "Do not call MmUnlockPages for an MDL of nonpaged pool.";
        "mdl-unlocked-partial" Stops "Unlock the source MDL, not the partial one.";
        "mdl-unlocked-twice" Stops "Call MmUnlockPages once for each MmProbeAndLockPages.";
        "pool-bad-free" Stops "Free exactly the address that the allocation gave.";
        "pool-double-free" Stops "Free an allocation once, and clear the pointer.";
        "pool-zero-bytes" GoesOn "Do not ask for zero bytes of pool.";
        "sync-object-pageable" GoesOn "Put events, mutexes, semaphores, timers and spin locks into nonpaged memory.";
        "work-item-pageable" GoesOn "Put work items into nonpaged memory.";
        "queued-entry-freed" Stops "Remove an entry from its queue before its memory goes.";
        "waited-object-freed" Stops "Free an object when no thread waits for it any more.";
        "overlapping-copy" GoesOn "Use RtlMoveMemory or memmove where source and destination can overlap.";
    }
}
