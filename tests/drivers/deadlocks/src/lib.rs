//! A driver whose DPC takes two spin locks in another order than its dispatch routine.
//!
//! Trigger: `IOCTL_EDU_FACTORIAL`. Input 4: both take the locks in one order. Input 5: the dispatch routine takes A, then B; the DPC takes B, then
//! A. When they run on two processors each can come to hold what the other wants. Windows: bug check 0x133, `DPC_WATCHDOG_VIOLATION`,
//! with first parameter 1.
#![no_std]

use core::{
    cell::UnsafeCell,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use test_driver_common::{Device, TestDriver, asks_for_fault, driver_entry, finish};
use wdk_sys::{
    KSPIN_LOCK, NTSTATUS, PIRP, STATUS_SUCCESS,
    ntddk::{
        KeAcquireSpinLockAtDpcLevel, KeAcquireSpinLockRaiseToDpc, KeReleaseSpinLock, KeReleaseSpinLockFromDpcLevel,
    },
};

/// How often each side takes both locks: often enough that they meet.
const ROUNDS: usize = 20;

/// A spin lock at a place of its own. One that is zero is free.
struct Lock(UnsafeCell<KSPIN_LOCK>);

// SAFETY: the kernel's routines alone touch the lock.
unsafe impl Sync for Lock {}

static A: Lock = Lock(UnsafeCell::new(0));
static B: Lock = Lock(UnsafeCell::new(0));

/// The DPC takes the locks in its wrong order.
static WRONG: AtomicBool = AtomicBool::new(false);

/// Something to do under a lock.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// See the crate's documentation.
enum Deadlocks {}

impl TestDriver for Deadlocks {
    type State = ();

    unsafe fn factorial(device: Device<Self>, irp: PIRP) -> NTSTATUS {
        // SAFETY: the IRP is at this driver.
        WRONG.store(unsafe { asks_for_fault(irp) }, Relaxed);
        device.raise_interrupt();
        for _ in 0..ROUNDS {
            // SAFETY: the lock is in nonpaged memory, and the IRQL is DISPATCH_LEVEL or below.
            let irql = unsafe { KeAcquireSpinLockRaiseToDpc(A.0.get()) };
            work();
            // SAFETY: at DISPATCH_LEVEL.
            unsafe { KeAcquireSpinLockAtDpcLevel(B.0.get()) }; // BUG: A, then B
            // SAFETY: acquired above.
            unsafe { KeReleaseSpinLockFromDpcLevel(B.0.get()) };
            // SAFETY: acquired above.
            unsafe { KeReleaseSpinLock(A.0.get(), irql) };
        }
        // SAFETY: the IRP is at this driver, which gives it up.
        unsafe { finish(irp, STATUS_SUCCESS) }
    }

    fn deferred(_device: Device<Self>) {
        let (first, second) = if WRONG.load(Relaxed) {
            (B.0.get(), A.0.get())
        } else {
            (A.0.get(), B.0.get())
        };
        for _ in 0..ROUNDS {
            // SAFETY: at DISPATCH_LEVEL.
            unsafe { KeAcquireSpinLockAtDpcLevel(first) };
            work();
            // SAFETY: none for the second input: the dispatch routine may hold this lock and wait for the first.
            unsafe { KeAcquireSpinLockAtDpcLevel(second) }; // BUG: B, then A
            // SAFETY: acquired above.
            unsafe { KeReleaseSpinLockFromDpcLevel(second) };
            // SAFETY: acquired above.
            unsafe { KeReleaseSpinLockFromDpcLevel(first) };
        }
    }
}

/// Takes some time.
fn work() {
    for _ in 0..ROUNDS {
        COUNT.fetch_add(1, Relaxed);
    }
}

driver_entry!(Deadlocks);
