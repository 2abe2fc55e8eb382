//! Which bug check a bad memory access is.

use super::{
    PAGE_SIZE, Pa, Va, layout, pageable,
    pool::{POOL_BASE, PoolFault},
    user_space,
};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome},
    cpu::Access,
    exception,
    ke::Irql,
    kernel::Kernel,
    machine::imports,
    status::NtStatus,
};

/// Checks an access of the model's on a driver's behalf, and says where the memory is and how many of the bytes lie there in one
/// piece.
pub(crate) fn check_access(k: &Kernel, va: Va, length: usize, write: bool) -> Outcome<(Pa, usize)> {
    let access = if write { Access::Write } else { Access::Read };
    if !va.is_system() {
        return check_user_access(k, va, length, access);
    }
    if imports::is_unmodelled(va) {
        return Err(k.bugcheck(imports::unmodelled(k, va, access)));
    }
    let translation = k.watch().space.borrow().translate_prefix(va);
    let Some((pa, protection, available)) = translation else {
        return Err(exception::fault(k, page_fault(k, va, access, k.caller())));
    };
    if super::is_device(pa) {
        return Err(k.bugcheck(BugCheck::new(
            Code::MANUALLY_INITIATED_CRASH,
            [va.get(), 0, 0, 0],
            "system-buffer-in-device-memory",
            format!("the system was given device memory at {va} where it needs a buffer"),
        )));
    }
    if write && !protection.write {
        return Err(k.bugcheck(page_fault(k, va, access, k.caller())));
    }
    if k.watch().code.borrow().is_paged(va) && k.irql() >= Irql::DISPATCH {
        return Err(k.bugcheck(pageable::touched(k, va, access, k.caller(), false)));
    }
    let length = within_piece(length, available);
    if let Some(in_pool) = pool_address(pa) {
        let paged_allowed = k.irql() < Irql::DISPATCH;
        let checked = k.watch().pool.borrow().check(in_pool, length as u64, paged_allowed);
        if let Err(fault) = checked {
            return Err(k.bugcheck(pool_fault(k, in_pool, access, &fault, k.caller())));
        }
    }
    Ok((pa, length))
}

/// Where in pool a physical address is, wherever else it is mapped.
fn pool_address(pa: Pa) -> Option<Va> {
    let offset = pa - layout::POOL_PHYSICAL;
    (offset < layout::POOL_LENGTH).then(|| POOL_BASE + offset)
}

fn check_user_access(k: &Kernel, va: Va, length: usize, access: Access) -> Outcome<(Pa, usize)> {
    let write = access == Access::Write;
    let (found, probed) = {
        let user = k.watch().user.borrow();
        let thread = k.current_thread();
        (user.find_for(va, thread, k.irql()), user.is_probed(va, thread, write))
    };
    match found {
        Ok((pa, protection)) if probed && (!write || protection.write) => {
            Ok((pa, within_piece(length, PAGE_SIZE - u64::from(va.offset_in_page()))))
        }
        _ => Err(exception::fault(k, page_fault(k, va, access, k.caller()))),
    }
}

fn within_piece(length: usize, available: u64) -> usize {
    usize::try_from(available).map_or(length, |available| length.min(available))
}

/// The bug check for pool that was touched where or when it must not be.
pub(crate) fn pool_fault(k: &Kernel, va: Va, access: Access, fault: &PoolFault, pc: Va) -> BugCheck {
    let verb = access.verb();
    let operation = u64::from(access == Access::Write);
    let special = |code, rule, message| BugCheck::new(code, [va.get(), operation, pc.get(), 0], rule, message);
    match fault {
        PoolFault::Freed(block) => special(
            Code::DRIVER_PAGE_FAULT_IN_FREED_SPECIAL_POOL,
            "pool-use-after-free",
            format!(
                "{va} was {verb} at {pc}, but it is {} of the {} bytes at {} that were freed at {}",
                within(va, block.start, block.size),
                block.size,
                block.start,
                block.freed_at.unwrap_or(Va::NULL)
            ),
        ),
        PoolFault::Outside(Some(block)) => special(
            Code::DRIVER_PAGE_FAULT_BEYOND_END_OF_ALLOCATION,
            "pool-overrun",
            format!(
                "{va} was {verb} at {pc}, but it is {}; the nearest allocation below is the {} bytes at {}",
                within(va, block.start, block.size),
                block.size,
                block.start
            ),
        ),
        PoolFault::Outside(None) => special(
            Code::DRIVER_PAGE_FAULT_BEYOND_END_OF_ALLOCATION,
            "pool-overrun",
            format!("{va} was {verb} at {pc}, but no pool allocation lies there"),
        ),
        PoolFault::Paged(block) => BugCheck::new(
            Code::DRIVER_IRQL_NOT_LESS_OR_EQUAL,
            [va.get(), u64::from(k.irql().0), operation, pc.get()],
            "paged-pool-at-dispatch",
            format!(
                "{va} in paged pool ({} bytes at {}) was {verb} at {}",
                block.size,
                block.start,
                k.irql()
            ),
        ),
    }
}

fn within(va: Va, start: Va, size: u64) -> String {
    let offset = va - start;
    if offset < size {
        format!("byte {offset}")
    } else {
        format!("{} past the end", offset - size)
    }
}

/// The bug check for an access that the address space does not allow.
pub(crate) fn page_fault(k: &Kernel, va: Va, access: Access, pc: Va) -> BugCheck {
    if imports::is_unmodelled(va) {
        return imports::unmodelled(k, va, access);
    }
    if va - POOL_BASE < layout::POOL_LENGTH {
        let checked = k.watch().pool.borrow().check(va, 1, true);
        if let Err(fault) = checked {
            return pool_fault(k, va, access, &fault, pc);
        }
    }
    if !va.is_system() && access != Access::Execute {
        let user = k.watch().user.borrow().find_for(va, k.current_thread(), k.irql());
        match user {
            Err(fault) if fault != user_space::UserFault::AccessViolation => {
                return user_space::bugcheck(k, va, access, fault, pc);
            }
            Ok((_, protection)) => {
                let write = access == Access::Write;
                let probed = k.watch().user.borrow().is_probed(va, k.current_thread(), write);
                let forbidden = write && !protection.write;
                let fault = if probed || forbidden {
                    user_space::UserFault::AccessViolation
                } else {
                    user_space::UserFault::NotProbed
                };
                return user_space::bugcheck(k, va, access, fault, pc);
            }
            Err(_) => {}
        }
    }
    let mapped = k.watch().space.borrow().find(va).map(|mapping| mapping.what.clone());
    match (access, mapped) {
        (Access::Execute, Some(what)) => {
            return BugCheck::new(
                Code::ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY,
                [va.get(), 0, 0, 0],
                "execute-no-execute",
                format!("{va} in {what} was executed"),
            );
        }
        (Access::Write, Some(what)) => {
            return BugCheck::new(
                Code::ATTEMPTED_WRITE_TO_READONLY_MEMORY,
                [va.get(), 0, 0, 0],
                "write-read-only",
                format!("{va} in {what} was written at {pc}"),
            );
        }
        _ => {}
    }
    if let Some(name) = unloaded(k, va) {
        return BugCheck::new(
            Code::DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS,
            [va.get(), u64::from(access == Access::Write), pc.get(), 0],
            "unloaded-image",
            format!("{va} in the unloaded driver {name} was {} at {pc}", access.verb()),
        );
    }
    if stack_overflow(k, va) {
        const DOUBLE_FAULT: u64 = 8;
        return BugCheck::new(
            Code::UNEXPECTED_KERNEL_MODE_TRAP,
            [DOUBLE_FAULT, 0, 0, 0],
            "stack-overflow",
            format!("the kernel stack overflowed: {va} was {} at {pc}", access.verb()),
        );
    }
    unmapped(k, va, access, pc)
}

/// The image that was at the address once and was unloaded.
fn unloaded(k: &Kernel, va: Va) -> Option<String> {
    let code = k.watch().code.borrow();
    let code = code.at(va).filter(|code| code.unloaded)?;
    Some(code.image.name().to_owned())
}

/// The section at the address that was there during initialization only, with its image's name.
fn discarded(k: &Kernel, va: Va) -> Option<String> {
    let code = k.watch().code.borrow();
    let code = code.at(va)?;
    let section = code
        .image
        .section_at(code.rva(va)?)
        .filter(|section| section.discardable)?;
    Some(format!("{} of {}", section.name, code.image.name()))
}

fn stack_overflow(k: &Kernel, va: Va) -> bool {
    k.with_activity(|activity| activity.stack.limit)
        .is_some_and(|limit| limit - va <= 2 * PAGE_SIZE)
}

fn unmapped(k: &Kernel, va: Va, access: Access, pc: Va) -> BugCheck {
    let irql = k.irql();
    let verb = access.verb();
    let what = if super::mdl::was_mapped(k, va) {
        "the pages of an MDL are not mapped any more".to_owned()
    } else if let Some(section) = discarded(k, va) {
        format!("the section {section} is discarded when DriverEntry has returned, and nothing is mapped any more")
    } else {
        "nothing is mapped".to_owned()
    };
    let message = format!("{what} at {va}, which was {verb} at {pc}, at {irql}");
    if irql >= Irql::DISPATCH {
        let operation = match access {
            Access::Read => 0,
            Access::Write => 1,
            Access::Execute => 8,
        };
        return BugCheck::new(
            Code::DRIVER_IRQL_NOT_LESS_OR_EQUAL,
            [va.get(), u64::from(irql.0), operation, pc.get()],
            "unmapped-memory",
            message,
        );
    }
    if va.is_system() {
        let operation = match access {
            Access::Read => 0,
            Access::Write => 2,
            Access::Execute => 0x10,
        };
        return BugCheck::new(
            Code::PAGE_FAULT_IN_NONPAGED_AREA,
            [va.get(), operation, pc.get(), 0],
            "unmapped-memory",
            message,
        );
    }
    let operation = match access {
        Access::Read => 0,
        Access::Write => 1,
        Access::Execute => 8,
    };
    BugCheck::new(
        Code::KMODE_EXCEPTION_NOT_HANDLED,
        [u64::from(NtStatus::ACCESS_VIOLATION.0), pc.get(), operation, va.get()],
        "unmapped-memory",
        message,
    )
}
