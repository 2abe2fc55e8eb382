//! A routine on every processor at once, at `IPI_LEVEL`: `KeIpiGenericCall`.

use std::{cell::Cell, rc::Rc};

use super::{Irql, interrupt};
use crate::{
    bugcheck::Outcome,
    ddi::{Contract, Registry},
    kernel::Kernel,
    mm::Va,
    sched::{Activity, ActivityKind},
    verifier::SyncObject,
};

/// Whether a call is under way: one at a time.
#[derive(Debug, Default)]
struct UnderWay(bool);

/// What the processors of a call know together.
#[derive(Debug, Default)]
struct Gathering {
    arrived: Cell<usize>,
    done: Cell<usize>,
}

fn is_under_way(k: &Kernel) -> bool {
    k.state::<UnderWay>().borrow().0
}

fn order(routine: Va) -> SyncObject {
    SyncObject::Dpc(routine.get())
}

/// One processor's part: it waits for all others, then calls the routine.
async fn take_part(k: &Kernel, routine: Va, context: u64, gathering: Rc<Gathering>) -> Outcome<u64> {
    let processors = k.config().processors;
    gathering.arrived.set(gathering.arrived.get() + 1);
    let all = gathering.clone();
    k.spin_until("all processors to be interrupted", move |_| {
        all.arrived.get() == processors
    })
    .await?;
    k.sync_acquire(order(routine));
    let value = k.call(routine, &[context]).label("IpiGenericCall").await?;
    k.sync_release(order(routine));
    gathering.done.set(gathering.done.get() + 1);
    Ok(value)
}

/// Interrupts another processor, whose IRQL allows it.
fn interrupt_processor(k: &Kernel, processor: usize, routine: Va, context: u64, gathering: Rc<Gathering>) {
    let kernel = k.clone();
    let flow = async move { take_part(&kernel, routine, context, gathering).await };
    let mut scheduler = k.scheduler().borrow_mut();
    let this = &mut scheduler.processors[processor];
    let mut activity = Activity::new(ActivityKind::Ipi, "IPI", Box::pin(flow), this.interrupt_stack);
    activity.stack_base = interrupt::below_nested(&this.activities, this.interrupt_stack);
    activity.resume_irql = this.irql;
    this.irql = Irql::IPI;
    this.activities.push(activity);
}

async fn call(k: &Kernel, routine: Va, context: u64) -> Outcome<u64> {
    // Meanwhile another processor's call can interrupt this one.
    k.spin_until("another KeIpiGenericCall to be over", |k| !is_under_way(k))
        .await?;
    k.state::<UnderWay>().borrow_mut().0 = true;
    let old = k.raise_irql(Irql::IPI);
    k.sync_release(order(routine));
    let gathering = Rc::new(Gathering::default());
    let (processors, own) = (k.config().processors, k.processor());
    for processor in (0..processors).filter(|&processor| processor != own) {
        let why = format!("cpu{processor} to take an interrupt");
        k.spin_until(why, move |k| {
            k.scheduler().borrow().processors[processor].irql < Irql::IPI
        })
        .await?;
        interrupt_processor(k, processor, routine, context, gathering.clone());
    }
    let value = take_part(k, routine, context, gathering.clone()).await?;
    k.spin_until("all processors to have called the routine", move |_| {
        gathering.done.get() == processors
    })
    .await?;
    k.sync_acquire(order(routine));
    k.state::<UnderWay>().borrow_mut().0 = false;
    k.lower_irql(old);
    Ok(value)
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    let below = Contract::at_most(Irql::CLOCK);
    ddi.flow("KeIpiGenericCall", 2, below, |k, a| async move {
        call(&k, a.va(0), a.u64(1)).await
    });
}

#[cfg(test)]
mod tests {
    use iced_x86::code_asm::{dword_ptr, qword_ptr, rax, rcx, rdx};

    use super::*;
    use crate::machine::testing::{
        Program,
        script::{beside, export, memory, run},
    };

    /// Counts, and notes the IRQL, in what its argument points to.
    fn counting() -> Program {
        Program::default().import(&["KeGetCurrentIrql"]).function(|f| {
            f.asm.lock().inc(qword_ptr(rcx)).unwrap();
            f.asm.mov(rdx, rcx).unwrap();
            f.asm.mov(qword_ptr(iced_x86::code_asm::rsp + 0x20), rdx).unwrap();
            f.call("KeGetCurrentIrql");
            f.asm.mov(rdx, qword_ptr(iced_x86::code_asm::rsp + 0x20)).unwrap();
            f.asm.mov(dword_ptr(rdx + 8), iced_x86::code_asm::eax).unwrap();
            f.asm.mov(rax, qword_ptr(rdx + 16)).unwrap();
        })
    }

    #[test]
    fn a_routine_runs_once_on_every_processor() {
        for seed in 0..20 {
            run(&counting(), seed, |k| async move {
                let block = memory(&k, 24)?;
                k.fill(block, 0, 24)?;
                k.write(block + 16_u64, 0x77_u64)?;
                let mut threads = Vec::new();
                for _ in 0..3 {
                    threads.push(beside(&k, "caller", move |k| async move {
                        let arguments = [Program::address(0).get(), block.get()];
                        assert_eq!(export(&k, "KeIpiGenericCall", &arguments).await?, 0x77);
                        assert_eq!(k.irql(), Irql::PASSIVE);
                        Ok(())
                    }));
                }
                for thread in threads {
                    k.join(thread).await?;
                }
                assert_eq!(k.read::<u64>(block)?, 6);
                assert_eq!(k.read::<u32>(block + 8_u64)?, 14);
                Ok(())
            });
        }
    }
}
