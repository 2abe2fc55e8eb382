//! What drivers want to be called for when the system stops or its processors change: `KeRegisterBugCheckCallback`,
//! `KeRegisterBugCheckReasonCallback`, `KeRegisterNmiCallback`, `KeRegisterProcessorChangeCallback` and the routines that undo them.
//!
//! The machine ends at a bug check, has no non-maskable interrupts, and keeps its processors: registering is all that happens, but for
//! the processors that a driver asks to be told of at once.

use std::collections::BTreeSet;

use super::Irql;
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    ddi::{Contract, Registry},
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

/// The handles that drivers have.
#[derive(Debug, Default)]
struct Registrations(BTreeSet<Va>);

/// `BufferEmpty` and `BufferInserted` of a record's `State`.
const EMPTY: u8 = 0;
const INSERTED: u8 = 1;

/// Where a record keeps what it was registered with.
#[derive(Clone, Copy, Debug)]
struct Record {
    routine: usize,
    state: usize,
}

/// `KBUGCHECK_CALLBACK_RECORD`.
const PLAIN: Record = Record {
    routine: 0x10,
    state: 0x38,
};
const PLAIN_BUFFER: usize = 0x18;
const PLAIN_LENGTH: usize = 0x20;
const PLAIN_COMPONENT: usize = 0x28;
/// `KBUGCHECK_REASON_CALLBACK_RECORD`.
const WITH_REASON: Record = Record {
    routine: 0x10,
    state: 0x2C,
};
const REASON_COMPONENT: usize = 0x18;
const REASON: usize = 0x28;

/// Registers a record that `KeInitializeCallbackRecord` has emptied; says whether it was not registered.
fn insert(k: &Kernel, at: Va, record: Record, routine: Va) -> Outcome<bool> {
    if k.read::<u8>(at + record.state)? != EMPTY {
        return Ok(false);
    }
    k.write(at + record.routine, routine)?;
    k.write(at + record.state, INSERTED)?;
    Ok(true)
}

fn remove(k: &Kernel, at: Va, record: Record) -> Outcome<bool> {
    if k.read::<u8>(at + record.state)? != INSERTED {
        return Ok(false);
    }
    k.write(at + record.state, EMPTY)?;
    Ok(true)
}

/// A handle for a driver: an address that means nothing to it.
fn new_handle(k: &Kernel, what: &'static str) -> Outcome<Va> {
    let handle = k.allocate_system(0x20, what)?;
    k.state::<Registrations>().borrow_mut().0.insert(handle);
    Ok(handle)
}

fn drop_handle(k: &Kernel, routine: &str, handle: Va) -> Outcome<()> {
    if k.state::<Registrations>().borrow_mut().0.remove(&handle) {
        return k.free_system(handle);
    }
    Err(k.bugcheck(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [VerifierRule::CALLBACK.subcode, handle.get(), 0, 0],
        "callback-misused",
        format!("{routine} was given {handle}, which is no handle of a registered callback"),
    )))
}

/// `KE_PROCESSOR_CHANGE_NOTIFY_STATE`.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// `KeProcessorAddStartNotify`.
    Start = 0,
    /// `KeProcessorAddCompleteNotify`.
    Complete = 1,
    /// `KeProcessorAddFailureNotify`.
    Failure = 2,
}

/// Tells a callback of one processor: the status that it gives.
async fn tell(k: &Kernel, callback: Va, context: u64, change: Change, processor: u32) -> Outcome<NtStatus> {
    // KE_PROCESSOR_CHANGE_NOTIFY_CONTEXT: state, number, status, and the number again with its group; the status variable behind it.
    let block = k.allocate_system(0x18, "KE_PROCESSOR_CHANGE_NOTIFY_CONTEXT")?;
    k.write(block, change as u32)?;
    k.write(block + 4_u64, processor)?;
    k.write(block + 12_u64, processor << 16)?;
    let status = block + 0x10_u64;
    k.call(callback, &[context, block.get(), status.get()])
        .label("processor change callback")
        .await?;
    let answer = k.read(status)?;
    k.free_system(block)?;
    Ok(answer)
}

/// `KeRegisterProcessorChangeCallback`: null when the callback refuses a processor.
async fn register_processors(k: &Kernel, callback: Va, context: u64, flags: u32) -> Outcome<Va> {
    const ADD_EXISTING: u32 = 1;
    if flags & ADD_EXISTING != 0 {
        let processors = u32::try_from(k.config().processors).expect("few processors");
        for processor in 0..processors {
            let answer = tell(k, callback, context, Change::Start, processor).await?;
            if !answer.is_success() {
                for told in 0..=processor {
                    tell(k, callback, context, Change::Failure, told).await?;
                }
                return Ok(Va::NULL);
            }
        }
        for processor in 0..processors {
            tell(k, callback, context, Change::Complete, processor).await?;
        }
    }
    new_handle(k, "processor change callback")
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    let any = Contract::ANY;
    ddi.function("KeRegisterBugCheckCallback", 5, any, |k, a| {
        let record = a.va(0);
        let inserted = insert(k, record, PLAIN, a.va(1))?;
        if inserted {
            k.write(record + PLAIN_BUFFER, a.va(2))?;
            k.write(record + PLAIN_LENGTH, a.u32(3))?;
            k.write(record + PLAIN_COMPONENT, a.va(4))?;
        }
        Ok(inserted)
    });
    ddi.function("KeDeregisterBugCheckCallback", 1, any, |k, a| remove(k, a.va(0), PLAIN));
    ddi.function("KeRegisterBugCheckReasonCallback", 4, any, |k, a| {
        let record = a.va(0);
        let inserted = insert(k, record, WITH_REASON, a.va(1))?;
        if inserted {
            k.write(record + REASON, a.u32(2))?;
            k.write(record + REASON_COMPONENT, a.va(3))?;
        }
        Ok(inserted)
    });
    ddi.function("KeDeregisterBugCheckReasonCallback", 1, any, |k, a| {
        remove(k, a.va(0), WITH_REASON)
    });
    let apc = Contract::at_most(Irql::APC).by_rule(VerifierRule::IRQL_KE_APC_LTE_2);
    ddi.function("KeRegisterNmiCallback", 2, apc, |k, _| new_handle(k, "NMI callback"));
    ddi.function("KeDeregisterNmiCallback", 1, apc, |k, a| {
        if !k.state::<Registrations>().borrow().0.contains(&a.va(0)) {
            return Ok(NtStatus::INVALID_HANDLE);
        }
        drop_handle(k, "KeDeregisterNmiCallback", a.va(0))?;
        Ok(NtStatus::SUCCESS)
    });
    let passive = Contract::at_most(Irql::APC);
    ddi.flow("KeRegisterProcessorChangeCallback", 3, passive, |k, a| async move {
        register_processors(&k, a.va(0), a.u64(1), a.u32(2)).await
    });
    ddi.function("KeDeregisterProcessorChangeCallback", 1, passive, |k, a| {
        drop_handle(k, "KeDeregisterProcessorChangeCallback", a.va(0))
    });
}

#[cfg(test)]
mod tests {
    use iced_x86::code_asm::{dword_ptr, eax, qword_ptr, rax, rcx, rdx};

    use super::*;
    use crate::machine::testing::{
        Program,
        script::{crash, export, idle, memory, run},
    };

    #[test]
    fn records_are_registered_once() {
        run(&idle(), 1, |k| async move {
            let record = memory(&k, 0x40)?;
            for [registers, deregisters] in [
                ["KeRegisterBugCheckCallback", "KeDeregisterBugCheckCallback"],
                ["KeRegisterBugCheckReasonCallback", "KeDeregisterBugCheckReasonCallback"],
            ] {
                k.fill(record, 0, 0x40)?;
                assert_eq!(export(&k, registers, &[record.get(), 1, 2, 3, 4]).await?, 1);
                assert_eq!(export(&k, registers, &[record.get(), 1, 2, 3, 4]).await?, 0);
                assert_eq!(k.read::<u64>(record + PLAIN.routine)?, 1);
                assert_eq!(export(&k, deregisters, &[record.get()]).await?, 1);
                assert_eq!(export(&k, deregisters, &[record.get()]).await?, 0);
            }
            let handle = export(&k, "KeRegisterNmiCallback", &[1, 2]).await?;
            assert_eq!(export(&k, "KeDeregisterNmiCallback", &[handle]).await?, 0);
            assert_eq!(export(&k, "KeDeregisterNmiCallback", &[handle]).await?, 0xC000_0008);
            Ok(())
        });
    }

    /// Counts in its context by state, and refuses the second processor if the context says so.
    fn counting() -> Program {
        Program::default().function(|f| {
            let mut fine = f.asm.create_label();
            f.asm.mov(eax, dword_ptr(rdx)).unwrap();
            f.asm.inc(qword_ptr(rcx + rax * 8)).unwrap();
            f.asm.mov(eax, dword_ptr(rdx + 4)).unwrap();
            f.asm.cmp(rax, qword_ptr(rcx + 24)).unwrap();
            f.asm.jne(fine).unwrap();
            f.asm
                .mov(dword_ptr(iced_x86::code_asm::r8), 0xC000_0001_u32.cast_signed())
                .unwrap();
            f.asm.set_label(&mut fine).unwrap();
        })
    }

    #[test]
    fn a_driver_is_told_of_the_processors_that_there_are() {
        run(&counting(), 1, |k| async move {
            let context = memory(&k, 32)?;
            for (refused, counts) in [(9_u64, [2, 2, 0]), (1, [2, 0, 2])] {
                k.fill(context, 0, 24)?;
                k.write(context + 24_u64, refused)?;
                let arguments = [Program::address(0).get(), context.get(), 1];
                let handle = export(&k, "KeRegisterProcessorChangeCallback", &arguments).await?;
                assert_eq!(handle == 0, refused == 1);
                for (state, count) in counts.into_iter().enumerate() {
                    assert_eq!(k.read::<u64>(context + state * 8)?, count, "{state}");
                }
                if handle != 0 {
                    export(&k, "KeDeregisterProcessorChangeCallback", &[handle]).await?;
                }
            }
            Ok(())
        });
    }

    #[test]
    fn a_handle_is_given_back_once() {
        let bugcheck = crash(|k| async move {
            export(&k, "KeDeregisterProcessorChangeCallback", &[0x1000])
                .await
                .map(|_| ())
        });
        assert_eq!(bugcheck.rule, "callback-misused");
    }
}
