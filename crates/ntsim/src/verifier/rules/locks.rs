//! Driver Verifier's deadlock detection.

super::rules! { DeadlockDetection, "devtest/deadlock-detection";
    "lock-order" GoesOn "Take locks in one order everywhere.";
    "spin-lock-freed-held" Stops "Release a spin lock before its memory goes.";
    "spin-lock-initialized-held" Stops "Initialize a spin lock once, before it is first used.";
    "spin-lock-not-held" Stops "Release a spin lock once for each time that it was acquired.";
    "spin-lock-not-initialized" Stops "Call KeInitializeSpinLock before the lock is first used.";
    "spin-lock-of-another" Stops "Release a spin lock where it was acquired: on the same processor.";
    "spin-lock-recursion" Stops "Do not acquire a spin lock that the caller holds already.";
}
