//! Driver Verifier's miscellaneous and security checks.

pub(super) mod miscellaneous {
    //! Miscellaneous checks.
    super::super::rules! { Miscellaneous, "devtest/miscellaneous-checks";
        "user-handle-used" Stops "Open handles with OBJ_KERNEL_HANDLE, or reference a program's handle with its own access mode.";
        "user-mode-wait-on-stack" GoesOn "Wait in KernelMode for an object on the stack: in UserMode the stack can be paged out.";
    }
}

pub(super) mod security {
    //! Security checks.
    super::super::rules! { SecurityChecks, "devtest/security-checks";
        "remove-lock-misused" Stops "Acquire a remove lock after it is initialized, and release it with the tag that it was acquired with.", "kernel/using-remove-locks";
    }
}
