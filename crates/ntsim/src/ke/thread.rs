//! Threads as guest code sees them.

use crate::{kernel::Kernel, sched::ThreadId};

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
