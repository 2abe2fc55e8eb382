//! An IRP in a queue is looked at while the queue has it: once it is ended it is completed, and may be gone.
#![no_std]

use wdm::LockedStartIoQueue;

pub fn look(queue: &mut LockedStartIoQueue<'_, u32>) -> [u64; 2] {
    let Some((irp, _)) = queue.current() else {
        return [0; 2];
    };
    queue.end_current(Ok(())); //~ E0502
    irp.note()
}
