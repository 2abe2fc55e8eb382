//! The IRP that was current when a DpcForIsr was asked for has to be won before anything is done with it.
#![no_std]

use wdm::{
    Irql, Serial, StartIo, StartIoQueue,
    irql::Dispatch,
};

pub fn finish<S: StartIo>(queue: &StartIoQueue<S>, then: Serial, irql: &mut Irql<Dispatch>) {
    let _ = then.complete(Ok(()), irql); //~ E0599
    let _ = queue;
}
