//! The machine's own rules: what Windows lets pass, or has no number for.

super::rules! { Ntsim, "kernel/";
    "device" Stops "Mend the device model: it has found itself used as it does not allow.";
    "device-access" Stops "Access the register with the width and at the address that the device's specification allows.";
    "device-queue-misused" Stops "Insert an entry once, into an initialized device queue.", "kernel/setting-up-and-using-device-queues";
    "driver-irp" Stops "Follow the life of an IRP: allocate, initialize, send, reclaim, free.";
    "interrupt-not-connected" Stops "Use an interrupt object between IoConnectInterrupt and IoDisconnectInterrupt only.";
    "io-status-not-set" Stops "Set IoStatus.Status and IoStatus.Information before IoCompleteRequest.", "ddi/wdm/nf-wdm-iocompleterequest";
    "user-memory-not-probed" Stops "Probe the address with ProbeForRead or ProbeForWrite, or lock it with MmProbeAndLockPages, or use the request's system buffer.", "kernel/errors-in-referencing-user-space-addresses";
    "io-space-leak" Stops "Unmap with MmUnmapIoSpace what MmMapIoSpace has mapped, before the driver unloads.", "ddi/wdm/nf-wdm-mmunmapiospace";
    "io-space-not-mapped" Stops "Unmap what MmMapIoSpace has mapped, with the same address and length.", "ddi/wdm/nf-wdm-mmunmapiospace";
    "left-behind" Stops "Give back everything before the driver unloads.";
    "no-process-object" Stops "Give the routine an EPROCESS that PsLookupProcessByProcessId or PsGetCurrentProcess gave.", "ddi/ntifs/nf-ntifs-pslookupprocessbyprocessid";
    "not-modelled" Stops "The machine does not have this part of Windows: leave it out of the run, or model it.";
    "system-buffer-in-device-memory" Stops "Give the system a buffer in memory, not in a device's registers.";
    "timer-not-initialized" Stops "Call KeInitializeTimer or KeInitializeTimerEx before the timer is first used.", "ddi/wdm/nf-wdm-keinitializetimer";
    "unlocked-sharing" Stops "Hold one lock around every update of what several processors share, or use interlocked operations.", "kernel/spin-locks";
    "lock-order-in-dpc" GoesOn "Take locks in one order everywhere, in DPCs as well.", "devtest/deadlock-detection";
    "object-in-dead-memory" Stops "Keep an object's memory until its last user is done with it.", "kernel/introduction-to-kernel-dispatcher-objects";
    "bus-interface-not-referenced" Stops "Call the routines of BUS_INTERFACE_STANDARD before the last InterfaceDereference only.", "ddi/wdm/ns-wdm-_bus_interface_standard";
    "contiguous-length" Stops "Free contiguous memory with the length that was allocated.", "ddi/ntddk/nf-ntddk-mmfreecontiguousmemoryspecifycache";
    "noncached-bad-free" Stops "Free noncached memory once, with the address and the length that it was allocated with.", "ddi/ntddk/nf-ntddk-mmfreenoncachedmemory";
    "physical-memory-leak" GoesOn "Free physical memory before the driver unloads: MmFreeContiguousMemory, MmFreeNonCachedMemory, or MmFreePagesFromMdl.", "ddi/ntddk/nf-ntddk-mmfreecontiguousmemory";
    "notification-not-registered" Stops "Unregister a PnP notification once, with the entry that IoRegisterPlugPlayNotification gave.", "ddi/wdm/nf-wdm-iounregisterplugplaynotificationex";
    "error-log-entry" Stops "Write or free an entry of the error log once: writing frees it.", "ddi/wdm/nf-wdm-iowriteerrorlogentry";
    "power-registration" Stops "Unregister once, with the handle that registering gave.", "ddi/ntifs/nf-ntifs-poregisterpowersettingcallback";
    "secured-memory" Stops "Unsecure memory once, with the handle that MmSecureVirtualMemory gave.", "ddi/ntddk/nf-ntddk-mmunsecurevirtualmemory";
}
