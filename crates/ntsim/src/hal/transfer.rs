//! Packet transfers: `MapTransfer`, `FlushAdapterBuffers`.

use super::{
    DmaRule,
    adapter::{self, enter},
    buffer, map_registers,
    violation::{CallableAt, violation},
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::mdl::pages_of,
};

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("MapTransfer", 6, Contract::ANY, map);
    ddi.function("FlushAdapterBuffers", 6, Contract::ANY, flush);
}

/// `MapTransfer(DmaAdapter, Mdl, MapRegisterBase, CurrentVa, Length, WriteToDevice)`: the logical address.
fn map(k: &Kernel, a: &Args) -> Outcome<u64> {
    let (adapter, list, base, va, length_at) = (a.va(0), a.va(1), a.va(2), a.va(3), a.va(4));
    enter(k, adapter, "MapTransfer", CallableAt::AtMost(Irql::DISPATCH))?;
    let length = u64::from(k.read::<u32>(length_at)?);
    if length == 0 {
        let message = format!("MapTransfer was given no bytes at {va}");
        return Err(violation(k, DmaRule::ZERO_LENGTH, [0; 3], message));
    }
    let mut found = buffer::locate(k, list, va, length)?;
    if found.missing > 0 {
        let message = format!(
            "MapTransfer was given {length} bytes at {va}, but the MDL {list} ends {} before",
            found.missing
        );
        return Err(violation(k, DmaRule::BEYOND_MDL, [found.missing, 0, 0], message));
    }
    let (scatter_gather, count, used, clash) = adapter::with(k, adapter, |adapter| {
        let scatter_gather = adapter.description.scatter_gather;
        let Some(set) = adapter.channel.set(base) else {
            return (scatter_gather, 0, 0, None);
        };
        let clash = set
            .mapped
            .iter()
            .find(|mapped| mapped.va < va + length && va < mapped.va + mapped.length);
        (
            scatter_gather,
            set.count.into(),
            set.used(),
            clash.map(|mapped| mapped.va),
        )
    });
    if scatter_gather {
        // Such a device is given one piece after the other.
        found.parts.truncate(1);
    }
    let length: u64 = found.parts.iter().map(|part| part.length).sum();
    if let Some(clash) = clash {
        let message = format!("{length} bytes at {va} are mapped, but those at {clash} are mapped already");
        let details = [va.get(), (va + length).get(), clash.get()];
        return Err(violation(k, DmaRule::MAPPED_TWICE, details, message));
    }
    let needed = used + pages_of(va, length);
    if needed > count {
        let message = format!("{needed} pages are to be mapped with the {count} map registers of {base}");
        return Err(violation(k, DmaRule::OUT_OF_MAP_REGISTERS, [needed, count, 0], message));
    }
    let Some(mapped) = map_registers::map(k, adapter, va, found.parts, a.bool(5))? else {
        let message = format!("no addresses are left to map {length} bytes at {va} for the device");
        return Err(violation(k, DmaRule::OUT_OF_MAP_REGISTERS, [needed, count, 0], message));
    };
    k.write(length_at, u32::try_from(length).expect("no longer than it was"))?;
    let logical = mapped.logical;
    adapter::with(k, adapter, |adapter| {
        let set = adapter.channel.set(base).expect("it was there");
        set.mapped.push(mapped);
    });
    Ok(logical)
}

/// `FlushAdapterBuffers(DmaAdapter, Mdl, MapRegisterBase, CurrentVa, Length, WriteToDevice)`.
fn flush(k: &Kernel, a: &Args) -> Outcome<bool> {
    let (adapter, list, base, va, length) = (a.va(0), a.va(1), a.va(2), a.va(3), u64::from(a.u32(4)));
    enter(k, adapter, "FlushAdapterBuffers", CallableAt::AtMost(Irql::DISPATCH))?;
    // What it finds was found when it was mapped; but it must still be there.
    buffer::locate(k, list, va, length)?;
    let mut left = length;
    let mut at = va;
    while left > 0 {
        let found = adapter::with(k, adapter, |adapter| {
            let set = adapter.channel.set(base)?;
            let index = set.mapped.iter().position(|mapped| mapped.va == at)?;
            Some(set.mapped.remove(index))
        });
        let Some(mapped) = found else {
            return Err(if at == va {
                let message = format!("{length} bytes at {va} are flushed, which are not mapped with {base}");
                violation(
                    k,
                    DmaRule::FLUSHED_UNMAPPED,
                    [base.get(), va.get(), list.get()],
                    message,
                )
            } else {
                let message = format!("{length} bytes at {va} are flushed, but {left} fewer are mapped");
                violation(k, DmaRule::FLUSHED_TOO_MUCH, [1, 0, left], message)
            });
        };
        let now = left.min(mapped.length);
        at = at + mapped.length;
        left -= now;
        map_registers::flush(k, &mapped, now, a.bool(5))?;
    }
    Ok(true)
}
