//! A DPC on every processor at once: `KeGenericCallDpc`, `KeSignalCallDpcDone`, `KeSignalCallDpcSynchronize`; and what DPCs ask about
//! themselves: `KeIsExecutingDpc`, `KeShouldYieldProcessor`, `KeRemoveQueueDpcEx`, `KeSetTargetProcessorDpcEx`.

use std::collections::BTreeMap;

use ntlayout::kdpc;

use super::{TARGETED, initialize, insert, is_running, remove, returned};
use crate::{
    bugcheck::Outcome,
    ddi::{Contract, Registry},
    ke::{Irql, processor_numbers},
    kernel::Kernel,
    mm::Va,
    sched::WaitQueue,
    status::NtStatus,
    verifier::SyncObject,
};

/// The calls that are under way, by the address that their routines are given; one at a time.
#[derive(Debug, Default)]
struct Calls {
    under_way: BTreeMap<Va, Call>,
    waiters: WaitQueue,
}

#[derive(Clone, Copy, Debug, Default)]
struct Call {
    processors: usize,
    /// How many routines have not said yet that they are done.
    left: usize,
    /// How many routines wait at the barrier.
    arrived: usize,
    /// How often all have met at the barrier.
    meetings: u64,
}

/// Bytes that a call's routines are given two addresses in; what lies there is the system's business.
const BLOCK: usize = 16;
/// Where the second address, the barrier's, lies.
const BARRIER: u64 = 8;

fn with<T>(k: &Kernel, block: Va, work: impl FnOnce(&mut Call) -> T) -> Option<T> {
    k.state::<Calls>().borrow_mut().under_way.get_mut(&block).map(work)
}

/// What one routine did is visible to those that it meets.
fn order(block: Va) -> SyncObject {
    SyncObject::Dispatcher(block.get())
}

async fn call(k: &Kernel, routine: Va, context: u64) -> Outcome<()> {
    loop {
        let busy = !k.state::<Calls>().borrow().under_way.is_empty();
        if !busy {
            break;
        }
        let waiters = k.state::<Calls>().borrow().waiters.clone();
        waiters.wait(k, "another KeGenericCallDpc to be over").await?;
    }
    let processors = k.config().processors;
    let block = k.allocate_system(BLOCK, "KeGenericCallDpc")?;
    let new = Call {
        processors,
        left: processors,
        ..Call::default()
    };
    k.state::<Calls>().borrow_mut().under_way.insert(block, new);
    k.sync_release(order(block));
    let old = k.raise_irql(Irql::DISPATCH);
    let own = k.processor();
    let arguments = [block.get(), (block + BARRIER).get()];
    let mut dpcs = Vec::new();
    for processor in (0..processors).filter(|&processor| processor != own) {
        let dpc = k.allocate_system(kdpc::SIZE, "KDPC")?;
        initialize(k, dpc, routine, Va(context))?;
        target(k, dpc, processor)?;
        insert(k, dpc, arguments[0], arguments[1])?;
        dpcs.push(dpc);
    }
    let own_dpc = k.allocate_system(kdpc::SIZE, "KDPC")?;
    initialize(k, own_dpc, routine, Va(context))?;
    dpcs.push(own_dpc);
    k.call(routine, &[own_dpc.get(), context, arguments[0], arguments[1]])
        .label("DPC")
        .await?;
    k.spin_until("the DPCs of KeGenericCallDpc", move |k| {
        with(k, block, |call| call.left) == Some(0)
    })
    .await?;
    // A routine says that it is done before it returns.
    for &dpc in &dpcs {
        k.spin_until("a DPC of KeGenericCallDpc to return", move |k| !is_running(k, dpc))
            .await?;
    }
    k.sync_acquire(order(block));
    k.lower_irql(old);
    k.state::<Calls>().borrow_mut().under_way.remove(&block);
    for dpc in dpcs {
        k.free_system(dpc)?;
    }
    k.free_system(block)?;
    let waiters = k.state::<Calls>().borrow().waiters.clone();
    waiters.wake_one(k);
    Ok(())
}

/// `KeSignalCallDpcSynchronize`: returns when every routine has called it; true in one of them.
async fn meet(k: &Kernel, barrier: Va) -> Outcome<bool> {
    let block = barrier - BARRIER;
    k.sync_release(order(block));
    let last = with(k, block, |call| {
        call.arrived += 1;
        let last = call.arrived == call.processors;
        if last {
            call.arrived = 0;
            call.meetings += 1;
        }
        (last, call.meetings)
    });
    let Some((last, meetings)) = last else {
        return Ok(false);
    };
    if !last {
        k.spin_until("the other DPCs of KeGenericCallDpc", move |k| {
            with(k, block, |call| call.meetings) != Some(meetings)
        })
        .await?;
    }
    k.sync_acquire(order(block));
    Ok(last)
}

fn target(k: &Kernel, dpc: Va, processor: usize) -> Outcome<()> {
    let number = u16::try_from(processor).unwrap_or(u16::MAX - TARGETED);
    k.write(dpc + kdpc::NUMBER, TARGETED + number)
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    let apc = Contract::at_most(Irql::APC);
    ddi.flow("KeGenericCallDpc", 2, apc, |k, a| async move {
        call(&k, a.va(0), a.u64(1)).await
    });
    let dispatch = Contract::exactly(Irql::DISPATCH);
    ddi.function("KeSignalCallDpcDone", 1, dispatch, |k, a| {
        k.sync_release(order(a.va(0)));
        with(k, a.va(0), |call| call.left = call.left.saturating_sub(1));
        Ok(())
    });
    ddi.flow("KeSignalCallDpcSynchronize", 1, dispatch, |k, a| async move {
        meet(&k, a.va(0)).await
    });
    ddi.function("KeIsExecutingDpc", 0, Contract::ANY, |k, _| {
        Ok(k.scheduler().borrow().processors[k.processor()].draining())
    });
    ddi.function(
        "KeShouldYieldProcessor",
        0,
        Contract::at_least(Irql::DISPATCH),
        |_, _| Ok(false),
    );
    ddi.flow("KeRemoveQueueDpcEx", 2, Contract::ANY, |k, a| async move {
        let (dpc, wait) = (a.va(0), a.bool(1));
        let removed = remove(&k, dpc)?;
        if wait {
            k.spin_until(format!("the DPC {dpc} to return"), move |k| !is_running(k, dpc))
                .await?;
            k.sync_acquire(returned(dpc));
        }
        Ok(removed)
    });
    ddi.function("KeSetTargetProcessorDpcEx", 2, Contract::ANY, |k, a| {
        let Some(index) = processor_numbers::index_of(k, a.va(1))? else {
            return Ok(NtStatus::INVALID_PARAMETER);
        };
        target(k, a.va(0), index as usize)?;
        Ok(NtStatus::SUCCESS)
    });
}
