//! Rules about synchronisation and threads, of several settings.

pub(super) mod kernel {
    //! What Windows stops for without Driver Verifier.
    super::super::rules! { Kernel, "debugger/bug-check-code-reference2";
        "apc-disable-count" Stops "Leave every critical and guarded region, and release every mutex, before the routine returns or the thread ends.", "debugger/bug-check-0x1--apc-index-mismatch";
        "mutex-held-at-end" Stops "Release every mutex before the thread ends.", "debugger/bug-check-0x4000008a--thread-terminate-held-mutex";
        "resource-not-owned" Stops "Release an ERESOURCE once for each time that it was acquired, in the thread that acquired it.", "debugger/bug-check-0xe3--resource-not-owned";
        "too-many-wait-objects" Stops "Pass a WaitBlockArray for more than three objects, and wait for 64 at most.", "debugger/bug-check-0xc--maximum-wait-objects-exceeded";
        "worker-thread-terminated" Stops "Call PsTerminateSystemThread in a thread that PsCreateSystemThread has created only; return from a work item.", "debugger/bug-check-0xe9--active-ex-worker-thread-termination";
    }
}

pub(super) mod locks {
    //! Deadlock detection.
    super::super::rules! { DeadlockDetection, "devtest/deadlock-detection";
        "fast-mutex-held-at-end" Stops "Release every fast mutex before the thread ends.";
        "fast-mutex-not-held" Stops "Release a fast mutex once for each time that it was acquired.";
        "fast-mutex-not-initialized" Stops "Call ExInitializeFastMutex or KeInitializeGuardedMutex before the mutex is first used.";
        "fast-mutex-of-another" Stops "Release a fast mutex in the thread that acquired it.";
        "fast-mutex-recursion" Stops "Do not acquire a fast mutex that the thread holds already: use a KMUTEX or an ERESOURCE.";
        "lock-held-at-end" Stops "Release every lock before the thread ends.";
        "push-lock-misused" Stops "Release a push lock in the way in which it was acquired, and do not acquire it twice.";
        "resource-recursion" Stops "Release an ERESOURCE that is held shared before it is acquired exclusively.";
        "rw-spin-lock-misused" Stops "Release a reader-writer spin lock in the way in which it was acquired, and do not acquire it twice.";
    }
}

pub(super) mod automatic {
    //! What Driver Verifier checks whichever settings are on.
    super::super::rules! { Automatic, "devtest/automatic-checks";
        "lookaside-misused" Stops "Initialize a lookaside list once, and delete it before its memory goes.";
        "quota-in-dpc" GoesOn "Charge pool quota in a thread of the process that is to pay.";
        "region-not-entered" GoesOn "Leave a critical or guarded region once for each time that it was entered.";
        "resource-misused" Stops "Initialize an ERESOURCE once, and delete it before its memory goes.";
        "unsafe-lock-with-apcs" GoesOn "Call KeEnterCriticalRegion before the lock is acquired, or use the routine that does.";
    }
}

pub(super) mod ntsim {
    //! The machine's own rules.
    super::super::rules! { Ntsim, "kernel/";
        "callback-misused" Stops "Unregister a callback once, with the handle that registering it gave.", "kernel/callback-objects";
        "no-thread-object" Stops "Pass the thread object that ObReferenceObjectByHandle or PsGetCurrentThread gave.", "kernel/system-threads";
        "rundown-misused" Stops "Release rundown protection once for each time that it was acquired.", "kernel/run-down-protection";
        "timer-object-misused" Stops "Use a timer between ExAllocateTimer and ExDeleteTimer only.", "kernel/ex-timer";
    }
}
