//! Scatter/gather lists: `GetScatterGatherList`, `BuildScatterGatherList`, `CalculateScatterGatherList`, `PutScatterGatherList`.
//!
//! A device that can do several parts of a buffer in one transfer gets an element for each; any other gets one, whatever the buffer.

use ntlayout::{device_object, scatter_gather_element as element, scatter_gather_list as layout};

use super::{
    DmaRule,
    adapter::{self, enter},
    buffer::{self, Part},
    channel::{self, Request, What},
    map_registers::{self, Mapped},
    violation::{CallableAt, violation},
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::{Va, mdl::pages_of},
    status::NtStatus,
};

/// A list that is asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    va: Va,
    parts: Vec<Part>,
    to_device: bool,
    /// Where the driver wants it; the system allocates it otherwise.
    buffer: Option<Va>,
    /// Map registers.
    registers: u32,
}

/// A list that a driver has.
#[derive(Debug)]
pub(super) struct List {
    mapped: Vec<Mapped>,
    /// Map registers.
    pub registers: u32,
    /// The system has allocated it.
    allocated: bool,
}

pub(super) fn register(ddi: &mut Registry) {
    ddi.flow("GetScatterGatherList", 8, Contract::ANY, |k, a| async move {
        get(&k, &a, "GetScatterGatherList", None).await
    });
    ddi.flow("BuildScatterGatherList", 10, Contract::ANY, |k, a| async move {
        let buffer = (a.va(8), a.u32(9));
        get(&k, &a, "BuildScatterGatherList", Some(buffer)).await
    });
    ddi.function("CalculateScatterGatherList", 6, Contract::ANY, calculate);
    ddi.flow("PutScatterGatherList", 3, Contract::ANY, |k, a| async move {
        put(&k, a.va(0), a.va(1), a.bool(2)).await
    });
}

/// Bytes of a list.
fn size(elements: usize) -> usize {
    layout::SIZE + elements * element::SIZE
}

/// The parts that the device gets an element for each.
fn elements(k: &Kernel, adapter: Va, parts: Vec<Part>) -> Vec<Vec<Part>> {
    if adapter::with(k, adapter, |adapter| adapter.description.scatter_gather) {
        parts.into_iter().map(|part| vec![part]).collect()
    } else {
        vec![parts]
    }
}

/// `GetScatterGatherList(DmaAdapter, DeviceObject, Mdl, CurrentVa, Length, ExecutionRoutine, Context, WriteToDevice)`, and
/// `BuildScatterGatherList`, which has the address and size of the list's memory besides.
async fn get(k: &Kernel, a: &Args, routine: &str, buffer: Option<(Va, u32)>) -> Outcome<NtStatus> {
    let (adapter, list, va, length) = (a.va(0), a.va(2), a.va(3), u64::from(a.u32(4)));
    enter(k, adapter, routine, CallableAt::Exactly(Irql::DISPATCH))?;
    let found = buffer::locate(k, list, va, length)?;
    if found.missing > 0 {
        return Ok(NtStatus::BUFFER_TOO_SMALL);
    }
    let limit = adapter::with(k, adapter, |adapter| adapter.description.map_registers);
    let needed = pages_of(va, length);
    let Some(registers) = u32::try_from(needed).ok().filter(|&needed| needed <= limit) else {
        return Ok(NtStatus::INSUFFICIENT_RESOURCES);
    };
    let count = elements(k, adapter, found.parts.clone()).len();
    if buffer.is_some_and(|(_, length)| size(count) > length as usize) {
        return Ok(NtStatus::BUFFER_TOO_SMALL);
    }
    let wanted = Wanted {
        va,
        parts: found.parts,
        to_device: a.bool(7),
        buffer: buffer.map(|(at, _)| at),
        registers,
    };
    let request = Request {
        device: a.va(1),
        routine: a.va(5),
        context: a.va(6),
        registers,
        what: What::List(wanted),
    };
    channel::submit(k, adapter, request).await?;
    Ok(NtStatus::SUCCESS)
}

/// Makes the list and calls the `AdapterListControl` routine.
pub(super) async fn call_back(
    k: &Kernel,
    adapter: Va,
    wanted: Wanted,
    device: Va,
    routine: Va,
    context: Va,
) -> Outcome<()> {
    let mut va = wanted.va;
    let mut mapped = Vec::new();
    for parts in elements(k, adapter, wanted.parts) {
        let Some(part) = map_registers::map(k, adapter, va, parts, wanted.to_device)? else {
            let message = format!("no addresses are left to map the buffer at {va} for the device");
            let registers = u64::from(wanted.registers);
            return Err(violation(
                k,
                DmaRule::OUT_OF_MAP_REGISTERS,
                [registers, registers, 0],
                message,
            ));
        };
        va = va + part.length;
        mapped.push(part);
    }
    let at = match wanted.buffer {
        Some(at) => at,
        None => k.allocate_system(size(mapped.len()), "SCATTER_GATHER_LIST")?,
    };
    let count = u32::try_from(mapped.len()).expect("at most one a page");
    k.write(at + layout::NUMBER_OF_ELEMENTS, count)?;
    for (index, part) in mapped.iter().enumerate() {
        let entry = at + layout::ELEMENTS + index * element::SIZE;
        k.write(entry + element::ADDRESS, part.logical)?;
        k.write(
            entry + element::LENGTH,
            u32::try_from(part.length).expect("a 32-bit length"),
        )?;
    }
    let list = List {
        mapped,
        registers: wanted.registers,
        allocated: wanted.buffer.is_none(),
    };
    adapter::with(k, adapter, |adapter| adapter.lists.insert(at, list));
    let irp: u64 = k.read(device + device_object::CURRENT_IRP)?;
    let arguments = [device.get(), irp, at.get(), context.get()];
    k.call(routine, &arguments).label("AdapterListControl").await?;
    Ok(())
}

/// `CalculateScatterGatherList(DmaAdapter, Mdl, CurrentVa, Length, ScatterGatherListSize, NumberOfMapRegisters)`.
fn calculate(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let (adapter, list, va, length) = (a.va(0), a.va(1), a.va(2), u64::from(a.u32(3)));
    enter(k, adapter, "CalculateScatterGatherList", CallableAt::AtMost(Irql::HIGH))?;
    let registers = pages_of(va, length);
    let count = if list.is_null() {
        usize::try_from(registers).expect("a 32-bit length")
    } else {
        let found = buffer::locate(k, list, va, length)?;
        if found.missing > 0 {
            return Ok(NtStatus::BUFFER_TOO_SMALL);
        }
        elements(k, adapter, found.parts).len()
    };
    let limit = adapter::with(k, adapter, |adapter| adapter.description.map_registers);
    if registers > limit.into() {
        return Ok(NtStatus::INSUFFICIENT_RESOURCES);
    }
    k.write(a.va(4), u32::try_from(size(count)).expect("a 32-bit length"))?;
    if !a.va(5).is_null() {
        k.write(a.va(5), u32::try_from(registers).expect("within the limit"))?;
    }
    Ok(NtStatus::SUCCESS)
}

/// `PutScatterGatherList`.
async fn put(k: &Kernel, adapter: Va, at: Va, to_device: bool) -> Outcome<()> {
    enter(k, adapter, "PutScatterGatherList", CallableAt::Exactly(Irql::DISPATCH))?;
    let (found, others) = adapter::with(k, adapter, |adapter| (adapter.lists.remove(&at), adapter.lists.len()));
    let Some(list) = found else {
        let message = format!("the scatter/gather list {at} is put, which is none, or was put before");
        return Err(violation(
            k,
            DmaRule::LIST_FREED_TWICE,
            [others as u64, others as u64 + 1, 0],
            message,
        ));
    };
    for part in &list.mapped {
        map_registers::flush(k, part, part.length, to_device)?;
    }
    if list.allocated {
        k.free_system(at)?;
    }
    channel::serve(k, adapter).await
}
