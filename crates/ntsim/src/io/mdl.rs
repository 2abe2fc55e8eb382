//! `IoAllocateMdl`, `IoFreeMdl`, and what becomes of an IRP's MDLs when it is completed.

use std::collections::BTreeSet;

use ntlayout::{irp as layout, mdl as mdl_layout};

use crate::{
    bugcheck::Outcome,
    ddi::{Contract, Registry},
    ex::pool::bad_free,
    ke::Irql,
    kernel::Kernel,
    mm::{
        PAGE_SIZE, PoolKind, PoolOwner, UserRange, Va,
        mdl::{self, Locker, Operation},
        pool::FreeError,
    },
    sched::Mode,
    status::NtStatus,
};

/// The MDLs that `IoAllocateMdl` has made.
pub(super) type Mdls = BTreeSet<Va>;

/// `Mdl `, the tag that Windows gives the pool of MDLs.
const TAG: u32 = u32::from_le_bytes(*b"Mdl ");

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.function("IoAllocateMdl", 5, contract, |k, a| {
        let (va, length, secondary, irp) = (a.va(0), a.u32(1), a.bool(2), a.va(4));
        // "The maximum buffer size is 4 gigabytes - PAGE_SIZE".
        if u64::from(length) > (1 << 32) - PAGE_SIZE {
            return Ok(Va::NULL);
        }
        if !k.has_pool(mdl::size(va, length.into())) {
            return Ok(Va::NULL);
        }
        let list = allocate(k, va, length, PoolOwner::Driver)?;
        if !irp.is_null() {
            attach(k, irp, list, secondary)?;
        }
        Ok(list)
    });
    ddi.function("IoFreeMdl", 1, contract, |k, a| free(k, a.va(0)));
}

fn allocate(k: &Kernel, va: Va, length: u32, owner: PoolOwner) -> Outcome<Va> {
    let size = mdl::size(va, length.into());
    let list = k.allocate_pool(PoolKind::NonPagedNx, size, TAG, owner, "MDL");
    k.fill(
        list,
        k.config().stale_byte,
        usize::try_from(size).expect("an MDL fits the host"),
    )?;
    mdl::initialize(k, list, va, length)?;
    k.io().borrow_mut().mdls.insert(list);
    Ok(list)
}

/// Makes `list` the IRP's MDL, or the last one of its chain.
fn attach(k: &Kernel, irp: Va, list: Va, secondary: bool) -> Outcome<()> {
    let mut link = irp + layout::MDL_ADDRESS;
    if !secondary {
        return k.write(link, list);
    }
    for _ in 0..Kernel::MOST_ENTRIES {
        let next: Va = k.read(link)?;
        if next.is_null() {
            return k.write(link, list);
        }
        link = next + mdl_layout::NEXT;
    }
    Err(k.endless_list("the chain of MDLs of the IRP", irp))
}

/// `IoFreeMdl`. The mapping of a partial MDL goes with it.
fn free(k: &Kernel, list: Va) -> Outcome<()> {
    if !k.io().borrow().mdls.contains(&list) {
        let block = k.watch().pool.borrow().find(list).cloned();
        let error = match block.filter(|block| block.start == list && block.freed_at.is_some()) {
            Some(block) => FreeError::AlreadyFreed(block),
            None => FreeError::NotAllocated,
        };
        return Err(k.bugcheck(bad_free(k, list, &error)));
    }
    let flags: u16 = k.read(list + mdl_layout::MDL_FLAGS)?;
    if flags & mdl::PARTIAL != 0 {
        mdl::unmap_all(k, list)?;
    }
    mdl::check_idle(k, list)?;
    k.io().borrow_mut().mdls.remove(&list);
    k.free_system(list)
}

/// The MDL of a direct request: of a program's buffer, locked. The status where the buffer does not allow it.
pub(super) fn lock_buffer(k: &Kernel, buffer: UserRange, operation: Operation) -> Outcome<Result<Va, NtStatus>> {
    // A program may claim any length: the MDL is made for what is there.
    if let Err(status) = k.user_pages(buffer, operation == Operation::Write) {
        return Ok(Err(status));
    }
    let list = allocate(k, buffer.address, buffer.length, PoolOwner::System)?;
    lock(k, list, Mode::User, operation, Locker::IoManager)
}

/// The MDL of a driver's own direct request: of a buffer of its own, locked. When the driver has to end the request itself, the MDL is its to
/// unlock and free as well.
pub(super) fn lock_system_buffer(
    k: &Kernel,
    buffer: Va,
    length: u32,
    operation: Operation,
    ended_by_driver: bool,
) -> Outcome<Result<Va, NtStatus>> {
    let (owner, locker) = if ended_by_driver {
        (PoolOwner::Driver, Locker::Driver(k.caller()))
    } else {
        (PoolOwner::System, Locker::IoManager)
    };
    let list = allocate(k, buffer, length, owner)?;
    lock(k, list, Mode::Kernel, operation, locker)
}

fn lock(k: &Kernel, list: Va, mode: Mode, operation: Operation, by: Locker) -> Outcome<Result<Va, NtStatus>> {
    match mdl::lock(k, list, mode, operation, by)? {
        Ok(()) => Ok(Ok(list)),
        Err(status) => {
            free(k, list)?;
            Ok(Err(status))
        }
    }
}

/// The IRP has been completed by everyone: unlocks and frees its MDLs, whoever has attached them.
pub(super) fn release(k: &Kernel, irp: Va) -> Outcome<()> {
    let mut list: Va = k.read(irp + layout::MDL_ADDRESS)?;
    while !list.is_null() {
        let next: Va = k.read(list + mdl_layout::NEXT)?;
        mdl::unlock(k, list)?;
        free(k, list)?;
        list = next;
    }
    Ok(())
}
