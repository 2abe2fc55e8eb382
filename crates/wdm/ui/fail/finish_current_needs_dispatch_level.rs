//! IoStartNextPacket is called at DISPATCH_LEVEL: a dispatch routine may be below.
#![no_std]

use wdm::{Irql, Serial, StartIo, StartIoQueue, irql::{Dispatch, UpToDispatch}};

pub fn finish<S: StartIo>(
    queue: &StartIoQueue<S>,
    serial: Serial,
    any: &mut Irql<UpToDispatch>,
    dispatch: &mut Irql<Dispatch>,
) -> bool {
    let _ = (&any, &dispatch);
    queue.finish_current(serial, any, |irp, irql| irp.complete(Ok(()), irql)) //~ E0308
}
