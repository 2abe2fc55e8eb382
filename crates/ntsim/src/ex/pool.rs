//! Pool as drivers ask for it: `ExAllocatePool2`, `ExFreePool`, `ExFreePoolWithTag`; older and newer routines are in `legacy`.

pub(super) mod legacy;

use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted, Outcome},
    ddi::{Contract, Registry},
    ex::executable_pool,
    io,
    ke::{Irql, device_queue, dpc, spin_lock, timer, wait},
    kernel::Kernel,
    mm::{PoolKind, PoolOwner, Va, pool::FreeError},
    verifier::lock_order,
};

const POOL_FLAG_UNINITIALIZED: u64 = 0x2;
const POOL_FLAG_NON_PAGED: u64 = 0x40;
const POOL_FLAG_NON_PAGED_EXECUTE: u64 = 0x80;
const POOL_FLAG_PAGED: u64 = 0x100;

const ZERO_BYTES: u64 = 0x00;
const PAGED_ABOVE_APC: u64 = 0x01;
const NONPAGED_ABOVE_DISPATCH: u64 = 0x02;
const NOT_ALLOCATED: u64 = 0x10;
const PAGED_FREED_ABOVE_APC: u64 = 0x11;
const NONPAGED_FREED_ABOVE_DISPATCH: u64 = 0x12;
const FREED_TWICE: u64 = 0x13;

fn violation(parameters: [u64; 4], rule: &'static str, message: String) -> BugCheck {
    BugCheck::new(Code::DRIVER_VERIFIER_DETECTED_VIOLATION, parameters, rule, message)
}

fn verifier(k: &Kernel, parameters: [u64; 4], rule: &'static str, message: String) -> Halted {
    k.bugcheck(violation(parameters, rule, message))
}

pub(super) fn allocate(k: &Kernel, kind: PoolKind, size: u64, tag: u32, zeroed: bool) -> Outcome<Va> {
    let irql = k.irql();
    let level = u64::from(irql.0);
    let (subcode, highest) = match kind {
        PoolKind::Paged => (PAGED_ABOVE_APC, Irql::APC),
        PoolKind::NonPagedNx => (NONPAGED_ABOVE_DISPATCH, Irql::DISPATCH),
    };
    if irql > highest {
        k.verify(violation(
            [subcode, level, kind.pool_type(), size],
            "irql-contract",
            format!("{size} bytes of {kind:?} pool were asked for at {irql}"),
        ))?;
    }
    if size == 0 {
        k.verify(violation(
            [ZERO_BYTES, level, kind.pool_type(), 0],
            "pool-zero-bytes",
            "zero bytes of pool were asked for".to_owned(),
        ))?;
    }
    if !k.has_pool(size) {
        return Ok(Va::NULL);
    }
    let start = k.allocate_pool(kind, size, tag, PoolOwner::Driver, "pool");
    if !zeroed {
        let length = usize::try_from(size).expect("the allocation fits the host");
        k.fill(start, k.config().stale_byte, length)?;
    }
    Ok(start)
}

fn without_tag(k: &Kernel, kind: PoolKind, size: u64) -> Halted {
    const TAG_OF_ZERO: u64 = 0x9B;
    k.bugcheck(BugCheck::new(
        Code::BAD_POOL_CALLER,
        [TAG_OF_ZERO, kind.pool_type(), size, k.caller().get()],
        "pool-without-tag",
        format!("{size} bytes of pool were asked for with a tag of 0"),
    ))
}

/// `ExFreePoolWithTag`, or `ExFreePool` without a tag.
///
/// # Errors
/// When the memory cannot be freed, or something in it is still in use.
pub(crate) fn free(k: &Kernel, start: Va, tag: Option<u32>) -> Outcome<()> {
    let found = k.watch().pool.borrow().find(start).cloned();
    if let Some(block) = found.filter(|block| block.freed_at.is_none()) {
        let irql = k.irql();
        let (subcode, highest) = match block.kind {
            PoolKind::Paged => (PAGED_FREED_ABOVE_APC, Irql::APC),
            PoolKind::NonPagedNx => (NONPAGED_FREED_ABOVE_DISPATCH, Irql::DISPATCH),
        };
        if irql > highest {
            k.verify(violation(
                [subcode, u64::from(irql.0), block.kind.pool_type(), start.get()],
                "irql-contract",
                format!("pool at {start} was freed at {irql}"),
            ))?;
        }
        if let Some(wrong) = tag.filter(|&tag| tag != 0 && tag != block.tag) {
            const WRONG_TAG: u64 = 0x0A;
            return Err(k.bugcheck(BugCheck::new(
                Code::BAD_POOL_CALLER,
                [WRONG_TAG, start.get(), u64::from(block.tag), u64::from(wrong)],
                "pool-wrong-tag",
                format!(
                    "pool at {start} with the tag {:#x} was freed with the tag {wrong:#x}",
                    block.tag
                ),
            )));
        }
        check_idle(k, start, block.size)?;
    }
    match k.try_free_pool(start) {
        Ok(_) => Ok(()),
        Err(error) => Err(k.bugcheck(bad_free(k, start, &error))),
    }
}

/// Memory that is being freed must hold nothing that the system still uses.
///
/// # Errors
/// When a queued DPC, a timer that is set, an entry of a device queue, or an object that a thread waits for lies in it, or a work item
/// that was not uninitialized.
pub fn check_idle(k: &Kernel, start: Va, length: u64) -> Outcome<()> {
    const DPC_OBJECT: u64 = 1;
    let end = (start + length).get();
    spin_lock::check_freed(k, start, length)?;
    lock_order::freed(k, start, length);
    if let Some(dpc) = dpc::queued_within(k, start, length) {
        return Err(k.bugcheck(BugCheck::new(
            Code::TIMER_OR_DPC_INVALID,
            [DPC_OBJECT, dpc.get(), start.get(), end],
            "queued-dpc-freed",
            format!("memory at {start} is freed, but the DPC at {dpc} in it is queued"),
        )));
    }
    if let Some(found) = timer::needed_within(k, start, length) {
        return Err(found.freed(k, start, length));
    }
    if let Some((entry, queue)) = device_queue::queued_within(k, start, length) {
        let subcode = crate::bugcheck::VerifierRule::OBJECT_IN_USE.subcode;
        return Err(verifier(
            k,
            [subcode, entry.get(), start.get(), end],
            "queued-entry-freed",
            format!("memory at {start} is freed, but the entry at {entry} in it is in the device queue {queue}"),
        ));
    }
    if let Some(object) = wait::waited_within(k, start, length) {
        return Err(verifier(
            k,
            [
                crate::bugcheck::VerifierRule::OBJECT_IN_USE.subcode,
                object.get(),
                start.get(),
                end,
            ],
            "waited-object-freed",
            format!("memory at {start} is freed, but a thread waits for the object at {object} in it"),
        ));
    }
    super::resource::memory_freed(k, start, length)?;
    super::lookaside::memory_freed(k, start, length)?;
    io::memory_freed(k, start, length)
}

/// What an attempt to free what is not allocated is.
#[must_use]
pub fn bad_free(k: &Kernel, start: Va, error: &FreeError) -> BugCheck {
    let code = Code::DRIVER_VERIFIER_DETECTED_VIOLATION;
    match error {
        FreeError::NotAllocated => BugCheck::new(
            code,
            [NOT_ALLOCATED, start.get(), 0, 0],
            "pool-bad-free",
            format!("{start} was freed, where no allocation starts"),
        ),
        FreeError::AlreadyFreed(block) => BugCheck::new(
            code,
            [FREED_TWICE, 0, start.get(), 0],
            "pool-double-free",
            format!(
                "the {} bytes at {start} were freed at {}, but were freed before at {}",
                block.size,
                k.caller(),
                block.freed_at.unwrap_or(Va::NULL)
            ),
        ),
    }
}

/// Adds this component's exports. The IRQL contracts are checked here, since Driver Verifier has a code for each.
pub(super) fn register(ddi: &mut Registry) {
    ddi.function("ExAllocatePool2", 3, Contract::ANY, |k, args| {
        let (flags, size, tag) = (args.u64(0), args.u64(1), args.u32(2));
        legacy::allocate_by_flags(k, flags, size, tag)
    });
    ddi.function("ExFreePool", 1, Contract::ANY, |k, args| free(k, args.va(0), None));
    ddi.function("ExFreePoolWithTag", 2, Contract::ANY, |k, args| {
        free(k, args.va(0), Some(args.u32(1)))
    });
    legacy::register(ddi);
}
