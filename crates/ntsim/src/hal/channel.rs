//! Who may transfer: `AllocateAdapterChannel`, `FreeMapRegisters`, `FreeAdapterChannel`.
//!
//! An adapter has one channel. Whoever asks for it while it is taken, or for more map registers than are free, is called back when
//! that has changed; requests for scatter/gather lists wait in the same line.

use std::collections::VecDeque;

use ntlayout::device_object;

use super::{
    DmaRule,
    adapter::{self, enter},
    map_registers::Mapped,
    scatter_gather,
    violation::{CallableAt, violation},
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

/// `KeepObject` of `IO_ALLOCATION_ACTION`.
const KEEP_OBJECT: u64 = 1;
/// `DeallocateObjectKeepRegisters`.
const DEALLOCATE_OBJECT_KEEP_REGISTERS: u64 = 3;
/// Bytes of what stands for map registers: drivers know its address only.
const COOKIE: usize = 8;

/// A channel, and those who wait for it or for map registers.
#[derive(Debug, Default)]
pub(super) struct Channel {
    holder: Holder,
    /// All map registers that are allocated to requests for the channel.
    sets: Vec<RegisterSet>,
    waiting: VecDeque<Request>,
}

/// Who has a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Holder {
    #[default]
    Nobody,
    /// A request whose routine is running.
    Calling,
    /// A request whose routine has kept it, with these map registers.
    Kept(Va),
}

/// Map registers that one request was given.
#[derive(Debug)]
pub(super) struct RegisterSet {
    base: Va,
    pub count: u32,
    pub mapped: Vec<Mapped>,
}

impl RegisterSet {
    /// How many of them are mapped.
    pub(super) fn used(&self) -> u64 {
        self.mapped.iter().map(Mapped::registers).sum()
    }
}

/// Who is to be called back.
#[derive(Debug)]
pub(super) struct Request {
    pub device: Va,
    pub routine: Va,
    pub context: Va,
    /// Map registers.
    pub registers: u32,
    pub what: What,
}

/// What a request is for.
#[derive(Debug)]
pub(super) enum What {
    /// The channel.
    Channel,
    /// A scatter/gather list.
    List(scatter_gather::Wanted),
}

impl Channel {
    /// How many map registers are taken.
    pub(super) fn registers(&self) -> u32 {
        self.sets.iter().map(|set| set.count).sum()
    }

    /// Whether the channel is taken.
    pub(super) fn taken(&self) -> bool {
        self.holder != Holder::Nobody
    }

    /// The map registers that a driver knows as `base`.
    pub(super) fn set(&mut self, base: Va) -> Option<&mut RegisterSet> {
        self.sets.iter_mut().find(|set| set.base == base)
    }
}

pub(super) fn register(ddi: &mut Registry) {
    ddi.flow("AllocateAdapterChannel", 5, Contract::ANY, |k, a| async move {
        allocate(&k, &a).await
    });
    ddi.flow("FreeMapRegisters", 3, Contract::ANY, |k, a| async move {
        free_registers(&k, a.va(0), a.va(1), a.u32(2)).await
    });
    ddi.flow("FreeAdapterChannel", 1, Contract::ANY, |k, a| async move {
        free_channel(&k, a.va(0)).await
    });
}

/// `AllocateAdapterChannel(DmaAdapter, DeviceObject, NumberOfMapRegisters, ExecutionRoutine, Context)`.
async fn allocate(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let adapter = a.va(0);
    enter(
        k,
        adapter,
        "AllocateAdapterChannel",
        CallableAt::Exactly(Irql::DISPATCH),
    )?;
    let request = Request {
        device: a.va(1),
        routine: a.va(3),
        context: a.va(4),
        registers: a.u32(2),
        what: What::Channel,
    };
    let (limit, running, queued) = adapter::with(k, adapter, |adapter| {
        let waiting = &adapter.channel.waiting;
        let queued = waiting.iter().any(|other| matches!(other.what, What::Channel));
        let running = adapter.channel.holder == Holder::Calling;
        (adapter.description.map_registers, running, queued)
    });
    if running || queued {
        let earlier = if running { "is being called" } else { "is queued" };
        let message = format!(
            "a channel of the DMA adapter {adapter} is asked for while the AdapterControl routine of another request {earlier}"
        );
        return Err(violation(k, DmaRule::TOO_MANY_CHANNELS, [1, 0, 0], message));
    }
    if request.registers > limit {
        return Ok(NtStatus::INSUFFICIENT_RESOURCES);
    }
    submit(k, adapter, request).await?;
    Ok(NtStatus::SUCCESS)
}

/// Serves a request now, or when it can be.
pub(super) async fn submit(k: &Kernel, adapter: Va, request: Request) -> Outcome<()> {
    adapter::with(k, adapter, |adapter| adapter.channel.waiting.push_back(request));
    serve(k, adapter).await
}

/// Serves the requests whose turn it is. A routine that is called may put the adapter.
pub(super) async fn serve(k: &Kernel, adapter: Va) -> Outcome<()> {
    while let Some(request) = next(k, adapter) {
        match request.what {
            What::Channel => call_back(k, adapter, request).await?,
            What::List(wanted) => {
                let (device, routine, context) = (request.device, request.routine, request.context);
                scatter_gather::call_back(k, adapter, wanted, device, routine, context).await?;
            }
        }
    }
    Ok(())
}

/// Takes the first request off the line, if there is what it needs.
fn next(k: &Kernel, adapter: Va) -> Option<Request> {
    adapter::find(k, adapter, |adapter| {
        let free = adapter.description.map_registers - adapter.registers();
        let channel = &mut adapter.channel;
        let first = channel.waiting.front()?;
        let waits = matches!(first.what, What::Channel) && channel.taken();
        if waits || first.registers > free {
            return None;
        }
        if matches!(first.what, What::Channel) {
            channel.holder = Holder::Calling;
        }
        channel.waiting.pop_front()
    })?
}

/// Gives a request its map registers and calls its `AdapterControl` routine.
async fn call_back(k: &Kernel, adapter: Va, request: Request) -> Outcome<()> {
    let base = k.allocate_system(COOKIE, "map registers")?;
    let set = RegisterSet {
        base,
        count: request.registers,
        mapped: Vec::new(),
    };
    adapter::with(k, adapter, |adapter| adapter.channel.sets.push(set));
    let irp: u64 = k.read(request.device + device_object::CURRENT_IRP)?;
    let arguments = [request.device.get(), irp, base.get(), request.context.get()];
    let action = k.call(request.routine, &arguments).label("AdapterControl").await?;
    let action = action & 0xFFFF_FFFF;
    let holder = if action == KEEP_OBJECT {
        Holder::Kept(base)
    } else {
        Holder::Nobody
    };
    let exists = adapter::find(k, adapter, |adapter| adapter.channel.holder = holder).is_some();
    if exists && action != KEEP_OBJECT && action != DEALLOCATE_OBJECT_KEEP_REGISTERS {
        release(k, adapter, base)?;
    }
    Ok(())
}

/// Takes back map registers.
fn release(k: &Kernel, adapter: Va, base: Va) -> Outcome<u32> {
    let found = adapter::with(k, adapter, |adapter| {
        let sets = &mut adapter.channel.sets;
        let index = sets.iter().position(|set| set.base == base)?;
        Some(sets.remove(index))
    });
    let Some(set) = found else {
        let message = format!("the map registers {base} are freed, which are none, or were freed before");
        return Err(violation(k, DmaRule::MAP_REGISTERS_FREED_TWICE, [1, 0, 0], message));
    };
    let mapped = set.used();
    if mapped > 0 {
        let message = format!(
            "the map registers {base} are freed while {mapped} of them are mapped: FlushAdapterBuffers comes first"
        );
        return Err(violation(k, DmaRule::STILL_MAPPED, [mapped, 0, 0], message));
    }
    k.free_system(base)?;
    Ok(set.count)
}

/// `FreeMapRegisters(DmaAdapter, MapRegisterBase, NumberOfMapRegisters)`.
async fn free_registers(k: &Kernel, adapter: Va, base: Va, count: u32) -> Outcome<()> {
    enter(k, adapter, "FreeMapRegisters", CallableAt::Exactly(Irql::DISPATCH))?;
    let released = release(k, adapter, base)?;
    if released != count {
        let message = format!("{count} map registers {base} are freed, of which there are {released}");
        let extra = u64::from(count.saturating_sub(released));
        return Err(violation(k, DmaRule::MAP_REGISTERS_FREED_TWICE, [extra, 0, 0], message));
    }
    serve(k, adapter).await
}

/// `FreeAdapterChannel`.
async fn free_channel(k: &Kernel, adapter: Va) -> Outcome<()> {
    enter(k, adapter, "FreeAdapterChannel", CallableAt::Exactly(Irql::DISPATCH))?;
    let holder = adapter::with(k, adapter, |adapter| std::mem::take(&mut adapter.channel.holder));
    let Holder::Kept(base) = holder else {
        let message = format!("the channel of the DMA adapter {adapter} is freed, which nobody has kept");
        return Err(violation(k, DmaRule::CHANNEL_FREED_TWICE, [1, 0, 0], message));
    };
    release(k, adapter, base)?;
    serve(k, adapter).await
}
