//! Threads as guest code sees them.

use ntlayout::dispatcher_header as header;

use super::{fast_mutex, mutex, region, wait};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome},
    ex,
    kernel::Kernel,
    mm::{Va, layout},
    ps,
    sched::ThreadId,
};

/// Where the KPCR holds the current thread: what `KeGetCurrentThread` reads through gs.
const CURRENT_THREAD: u64 = 0x188;

/// Makes a thread the processor's current one.
pub(crate) fn set_current(k: &Kernel, processor: usize, thread: Option<ThreadId>) {
    let kpcr = k.scheduler().borrow().processors[processor].kpcr;
    let object = thread.map_or(0, |thread| k.thread_object(thread).get());
    let translated = k.watch().space.borrow().translate(kpcr + CURRENT_THREAD, 8);
    if let Some((pa, _)) = translated {
        k.engine().borrow_mut().write(pa, &object.to_le_bytes());
    }
}

/// Makes a new KTHREAD an object that can be waited for: it is signalled when the thread has ended.
///
/// # Panics
/// When the system's own memory cannot be written.
pub(crate) fn initialize(k: &Kernel, object: Va) {
    let size = usize::try_from(layout::KTHREAD_SIZE).expect("it is small");
    // After a crash nothing is written, and nothing matters.
    let _: Outcome<()> = wait::object::initialize(k, object, wait::object::THREAD, size, 0);
}

/// The thread with a KTHREAD.
#[must_use]
pub fn find(k: &Kernel, object: Va) -> Option<ThreadId> {
    let scheduler = k.scheduler().borrow();
    let index = scheduler.threads.iter().position(|thread| thread.object == object)?;
    Some(ThreadId(index))
}

/// What a thread must not have when it ends: regions that it has not left, mutexes that it owns.
pub(crate) fn ending(k: &Kernel, thread: ThreadId) -> Outcome<()> {
    mutex::thread_ends(k, thread)?;
    fast_mutex::thread_ends(k, thread)?;
    ex::resource::thread_ends(k, thread)?;
    ex::push_lock::thread_ends(k, thread)?;
    let regions = region::current(k);
    if regions == ps::thread::initial_regions(k, thread) {
        return Ok(());
    }
    Err(k.bugcheck(BugCheck::new(
        Code::KERNEL_APC_PENDING_DURING_EXIT,
        [0, u64::from(regions.kernel_apc_disable()), u64::from(k.irql().0), 0],
        "apc-disable-count",
        format!(
            "thread {} ends in {} critical and {} guarded regions that it has not left",
            k.thread_name(thread),
            regions.critical,
            regions.guarded
        ),
    )))
}

/// A thread has ended: lets those proceed who wait for it.
pub(crate) fn ended(k: &Kernel, thread: ThreadId) -> Outcome<()> {
    let object = k.thread_object(thread);
    k.write(object + header::SIGNAL_STATE, 1_i32)?;
    wait::signalled(k, object)
}
