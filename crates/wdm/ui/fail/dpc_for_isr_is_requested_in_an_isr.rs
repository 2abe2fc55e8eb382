//! IoRequestDpc is for ISRs alone.
#![no_std]

use wdm::{
    DpcForIsr, DpcForIsrRoutine, Irql,
    irql::{Dirql, Dispatch},
};

pub fn request<R: DpcForIsrRoutine<Context = ()>>(dpc: &DpcForIsr<R>, dirql: &mut Irql<Dirql>, dispatch: &mut Irql<Dispatch>) {
    let _ = (&dirql, &dispatch);
    let _ = dpc.request(None, (), dispatch); //~ E0308
}
