//! What lies at an address: `MmGetPhysicalAddress`, `MmGetVirtualForPhysical`, `MmIsAddressValid`, `MmIsNonPagedSystemAddressValid`,
//! `MmCopyMemory`, `MmGetPhysicalMemoryRanges`.

use super::{PAGE_SIZE, Pa, PoolKind, PoolOwner, Va, is_device, layout, physical, pool::POOL_BASE};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    status::NtStatus,
};

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    ddi.function("MmGetPhysicalAddress", 1, Contract::ANY, |k, a| {
        Ok(physical_address(k, a.va(0)).map_or(0, |pa| pa.0))
    });
    ddi.function("MmGetVirtualForPhysical", 1, Contract::ANY, |k, a| {
        let va = k.watch().space.borrow().virtual_of(Pa(a.u64(0)));
        Ok(va.unwrap_or(Va::NULL))
    });
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.function("MmIsAddressValid", 1, contract, |k, a| {
        Ok(is_valid(k, a.va(0), k.irql() < Irql::DISPATCH))
    });
    ddi.function("MmIsNonPagedSystemAddressValid", 1, contract, |k, a| {
        let va = a.va(0);
        Ok(va.is_system() && is_valid(k, va, false))
    });
    ddi.function("MmCopyMemory", 5, Contract::at_most(Irql::APC), copy_memory);
    ddi.function(
        "MmGetPhysicalMemoryRanges",
        0,
        Contract::exactly(Irql::PASSIVE),
        |k, _| memory_ranges(k),
    );
}

/// The physical address behind a virtual one, which is a program's or the system's; none when nothing is there.
pub(super) fn physical_address(k: &Kernel, va: Va) -> Option<Pa> {
    if !va.is_system() {
        let user = k.watch().user.borrow();
        let found = user.find_for(va, k.current_thread(), Irql::PASSIVE);
        return found.ok().map(|(pa, _)| pa);
    }
    if va - POOL_BASE < layout::POOL_LENGTH && !k.watch().pool.borrow().contains(va) {
        return None;
    }
    k.watch().space.borrow().translate(va, 1).map(|(pa, _)| pa)
}

/// Whether an access to the byte at `va` would cause no page fault. `paged`: pageable memory counts as being there. Driver Verifier
/// takes it away whenever the IRQL is raised.
fn is_valid(k: &Kernel, va: Va, paged: bool) -> bool {
    if !va.is_system() {
        let user = k.watch().user.borrow();
        return user.find_for(va, k.current_thread(), k.irql()).is_ok();
    }
    if va - POOL_BASE < layout::POOL_LENGTH {
        return k.watch().pool.borrow().check(va, 1, paged).is_ok();
    }
    k.watch().space.borrow().find(va).is_some()
}

/// `MmCopyMemory(TargetAddress, SourceAddress, NumberOfBytes, Flags, NumberOfBytesTransferred)`.
fn copy_memory(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    const PHYSICAL: u32 = 1;
    const VIRTUAL: u32 = 2;
    let (target, source, length, flags, transferred) = (a.va(0), a.u64(1), a.u64(2), a.u32(3), a.va(4));
    if flags != PHYSICAL && flags != VIRTUAL {
        return Ok(NtStatus::INVALID_PARAMETER_4);
    }
    let mut done = 0;
    while done < length {
        let at = source.wrapping_add(done);
        let in_page = (PAGE_SIZE - at % PAGE_SIZE).min(length - done);
        let from = if flags == PHYSICAL {
            let memory = physical::ranges().iter().any(|range| range.contains(&at));
            memory.then_some(Pa(at))
        } else {
            is_valid(k, Va(at), true).then(|| physical_address(k, Va(at))).flatten()
        };
        // I/O space is not copied from.
        let Some(from) = from.filter(|&pa| !is_device(pa)) else {
            break;
        };
        let mut bytes = vec![0; usize::try_from(in_page).expect("at most a page")];
        if !k.engine().borrow().try_read(from, &mut bytes) {
            bytes.fill(k.config().stale_byte);
        }
        k.write_bytes(target + done, &bytes)?;
        done += in_page;
    }
    k.write(transferred, done)?;
    Ok(if done == length {
        NtStatus::SUCCESS
    } else {
        NtStatus::INVALID_ADDRESS
    })
}

/// An array of `PHYSICAL_MEMORY_RANGE` that ends with zeroes, in nonpaged pool: the caller frees it.
fn memory_ranges(k: &Kernel) -> Outcome<Va> {
    const TAG: u32 = u32::from_le_bytes(*b"hPmM");
    const ENTRY: u64 = 16;
    let ranges = physical::ranges();
    let size = (ranges.len() as u64 + 1) * ENTRY;
    let array = k.allocate_pool(
        PoolKind::NonPagedNx,
        size,
        TAG,
        PoolOwner::Driver,
        "physical memory ranges",
    );
    for (index, range) in ranges.iter().enumerate() {
        let entry = array + index as u64 * ENTRY;
        k.write(entry, range.start)?;
        k.write(entry + 8_u64, range.end - range.start)?;
    }
    Ok(array)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ddi::testing::{buffer, call, call_at, clean, status};

    #[test]
    fn pool_is_valid_to_the_byte_and_where_it_is_not_paged_at_dispatch_level() {
        clean(|k| async move {
            let nonpaged = Va(call(&k, "ExAllocatePoolWithTag", &[512, 16, 0x31]).await?);
            let paged = Va(call(&k, "ExAllocatePoolWithTag", &[1, 16, 0x31]).await?);
            let valid = async |irql, va: Va| call_at(&k, irql, "MmIsAddressValid", &[va.get()]).await;
            assert_eq!(valid(Irql::PASSIVE, nonpaged + 15_u64).await?, 1);
            assert_eq!(valid(Irql::PASSIVE, paged).await?, 1);
            assert_eq!(valid(Irql::DISPATCH, paged).await?, 0);
            assert_eq!(valid(Irql::DISPATCH, nonpaged).await?, 1);
            assert_eq!(valid(Irql::PASSIVE, nonpaged + 17_u64).await?, 0);
            for nowhere in [Va::NULL, Va(0x1234_5678), Va(0xFFFF_FFFF_0000_0000)] {
                assert_eq!(valid(Irql::PASSIVE, nowhere).await?, 0);
            }
            let name = "MmIsNonPagedSystemAddressValid";
            assert_eq!(call(&k, name, &[paged.get()]).await?, 0);
            assert_eq!(call(&k, name, &[nonpaged.get()]).await?, 1);
            call(&k, "ExFreePool", &[nonpaged.get()]).await?;
            assert_eq!(valid(Irql::PASSIVE, nonpaged).await?, 0, "it was freed");
            Ok(())
        });
    }

    #[test]
    fn physical_addresses_lead_to_virtual_ones_and_back() {
        clean(|k| async move {
            let va = buffer(&k, 64)? + 8_u64;
            let physical = call(&k, "MmGetPhysicalAddress", &[va.get()]).await?;
            assert_ne!(physical, 0);
            assert_eq!(call(&k, "MmGetVirtualForPhysical", &[physical]).await?, va.get());
            assert_eq!(call(&k, "MmGetPhysicalAddress", &[0x1000]).await?, 0);
            assert_eq!(call(&k, "MmGetVirtualForPhysical", &[0x1000]).await?, 0);
            Ok(())
        });
    }

    #[test]
    fn memory_is_copied_as_far_as_it_is_there() {
        const PHYSICAL: u64 = 1;
        const VIRTUAL: u64 = 2;
        clean(|k| async move {
            let (target, done) = (buffer(&k, 32)?, buffer(&k, 8)?);
            let source = Va(call(&k, "ExAllocatePoolWithTag", &[512, 0x1000, 0x31]).await?);
            k.write(source + 0xFF8_u64, 0x0102_0304_0506_0708_u64)?;
            let copy = async |from: u64, length: u64, flags: u64| {
                let arguments = [target.get(), from, length, flags, done.get()];
                let status = status(&k, "MmCopyMemory", &arguments).await?;
                Ok((status, k.read::<u64>(done)?))
            };
            let end = source.get() + 0xFF8;
            assert_eq!(copy(end, 8, VIRTUAL).await?, (NtStatus::SUCCESS, 8));
            assert_eq!(k.read::<u64>(target)?, 0x0102_0304_0506_0708);
            assert_eq!(copy(end, 16, VIRTUAL).await?, (NtStatus::INVALID_ADDRESS, 8));
            assert_eq!(copy(0x1000, 4, VIRTUAL).await?, (NtStatus::INVALID_ADDRESS, 0));
            let physical = call(&k, "MmGetPhysicalAddress", &[end]).await?;
            k.fill(target, 0, 8)?;
            assert_eq!(copy(physical, 4, PHYSICAL).await?, (NtStatus::SUCCESS, 4));
            assert_eq!(k.read::<u64>(target)?, 0x0506_0708);
            assert_eq!(
                copy(0x1234_0000, 4, PHYSICAL).await?.0,
                NtStatus::SUCCESS,
                "RAM that nobody uses"
            );
            assert_eq!(
                copy(0xFE00_0000, 4, PHYSICAL).await?,
                (NtStatus::INVALID_ADDRESS, 0),
                "I/O space"
            );
            assert_eq!(copy(end, 8, 3).await?.0, NtStatus::INVALID_PARAMETER_4);
            Ok(())
        });
    }

    #[test]
    fn the_physical_memory_ranges_hold_what_is_allocated() {
        clean(|k| async move {
            let ranges = Va(call(&k, "MmGetPhysicalMemoryRanges", &[]).await?);
            let physical = call(&k, "MmGetPhysicalAddress", &[ranges.get()]).await?;
            let mut entry = ranges;
            let mut found = false;
            while k.read::<u64>(entry + 8_u64)? != 0 {
                let (start, length): (u64, u64) = (k.read(entry)?, k.read(entry + 8_u64)?);
                found |= physical >= start && physical - start < length;
                entry = entry + 16_u64;
            }
            assert!(found);
            call(&k, "ExFreePool", &[ranges.get()]).await?;
            Ok(())
        });
    }
}
