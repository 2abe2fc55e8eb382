//! How many processors there are and what they are called: `KeQueryActiveProcessors`, `KeQueryMaximumProcessorCount`,
//! `KeQueryActiveGroupCount`, `KeQueryGroupAffinity`, `KeGetProcessorNumberFromIndex`, `KeGetProcessorIndexFromNumber`,
//! `KeNumberProcessors` and their relatives.
//!
//! The machine has one processor group and one NUMA node. No processor is added or removed.

use ntlayout::group_affinity;

use super::{Irql, affinity};
use crate::{
    bugcheck::{Outcome, VerifierRule},
    ddi::{Contract, Registry},
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

/// `INVALID_PROCESSOR_INDEX`.
const INVALID_PROCESSOR_INDEX: u32 = u32::MAX;
/// `ALL_PROCESSOR_GROUPS`.
const ALL_PROCESSOR_GROUPS: u16 = 0xFFFF;

/// Offset of `Number` in `PROCESSOR_NUMBER`; `Group` comes first, and a reserved byte last.
const NUMBER: usize = 2;
/// Offset of that byte.
const RESERVED: usize = 3;

fn count(k: &Kernel) -> u32 {
    u32::try_from(k.config().processors).expect("few processors")
}

fn count_of_group(k: &Kernel, group: u16) -> u32 {
    if matches!(group, 0 | ALL_PROCESSOR_GROUPS) {
        count(k)
    } else {
        0
    }
}

/// The processor that a `PROCESSOR_NUMBER` names.
///
/// # Errors
/// When it cannot be read.
pub(super) fn index_of(k: &Kernel, number: Va) -> Outcome<Option<u32>> {
    let group: u16 = k.read(number)?;
    let index = u32::from(k.read::<u8>(number + NUMBER)?);
    let reserved: u8 = k.read(number + RESERVED)?;
    Ok((group == 0 && reserved == 0 && index < count(k)).then_some(index))
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    let any = Contract::ANY;
    let apc = Contract::at_most(Irql::APC).by_rule(VerifierRule::IRQL_KE_APC_LTE_1);
    ddi.function("KeQueryActiveProcessors", 0, apc, |k, _| Ok(affinity::all(k)));
    ddi.function("KeQueryMaximumProcessorCount", 0, any, |k, _| Ok(count(k)));
    ddi.function("KeQueryMaximumProcessorCountEx", 1, any, |k, a| {
        Ok(count_of_group(k, a.u16(0)))
    });
    ddi.function("KeQueryActiveProcessorCountEx", 1, any, |k, a| {
        Ok(count_of_group(k, a.u16(0)))
    });
    for name in ["KeQueryActiveGroupCount", "KeQueryMaximumGroupCount"] {
        ddi.function(name, 0, any, |_, _| Ok(1_u32));
    }
    ddi.function("KeQueryGroupAffinity", 1, any, |k, a| {
        Ok(if a.u16(0) == 0 { affinity::all(k) } else { 0 })
    });
    ddi.function("KeGetProcessorNumberFromIndex", 2, any, |k, a| {
        let (index, number) = (a.u32(0), a.va(1));
        if index >= count(k) {
            return Ok(NtStatus::INVALID_PARAMETER);
        }
        k.write(number, index << 16)?;
        Ok(NtStatus::SUCCESS)
    });
    ddi.function("KeGetProcessorIndexFromNumber", 1, any, |k, a| {
        Ok(index_of(k, a.va(0))?.unwrap_or(INVALID_PROCESSOR_INDEX))
    });
    for name in ["KeGetCurrentNodeNumber", "KeQueryHighestNodeNumber"] {
        ddi.function(name, 0, any, |_, _| Ok(0_u32));
    }
    ddi.function("KeQueryNodeActiveAffinity", 3, any, |k, a| {
        let (node, affinity, number) = (a.u16(0), a.va(1), a.va(2));
        let (mask, processors) = if node == 0 {
            (affinity::all(k), count(k))
        } else {
            (0, 0)
        };
        if !affinity.is_null() {
            k.fill(affinity, 0, group_affinity::SIZE)?;
            k.write(affinity + group_affinity::MASK, mask)?;
        }
        if !number.is_null() {
            k.write(number, processors & 0xFFFF)?;
        }
        Ok(())
    });
    ddi.data("KeNumberProcessors", 8, |k, va| k.write(va, count(k)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::testing::{
        Program,
        script::{export, idle, memory, run},
    };

    #[test]
    fn two_processors_are_counted_and_named() {
        run(&idle(), 1, |k| async move {
            for (name, argument, expected) in [
                ("KeQueryActiveProcessors", 0, 3),
                ("KeQueryMaximumProcessorCount", 0, 2),
                ("KeQueryMaximumProcessorCountEx", 0xFFFF, 2),
                ("KeQueryActiveProcessorCountEx", 0, 2),
                ("KeQueryActiveProcessorCountEx", 1, 0),
                ("KeQueryActiveGroupCount", 0, 1),
                ("KeQueryMaximumGroupCount", 0, 1),
                ("KeQueryGroupAffinity", 0, 3),
                ("KeQueryGroupAffinity", 1, 0),
                ("KeGetCurrentNodeNumber", 0, 0),
                ("KeQueryHighestNodeNumber", 0, 0),
            ] {
                assert_eq!(export(&k, name, &[argument]).await?, expected, "{name}({argument})");
            }
            Ok(())
        });
    }

    #[test]
    fn numbers_and_indexes_are_each_others() {
        run(&idle(), 1, |k| async move {
            let number = memory(&k, 4)?;
            assert_eq!(
                export(&k, "KeGetProcessorNumberFromIndex", &[1, number.get()]).await?,
                0
            );
            assert_eq!(k.read::<u32>(number)?, 1 << 16);
            assert_eq!(export(&k, "KeGetProcessorIndexFromNumber", &[number.get()]).await?, 1);
            let status = export(&k, "KeGetProcessorNumberFromIndex", &[2, number.get()]).await?;
            assert_eq!(status, 0xC000_000D);
            k.write(number, 1_u32)?;
            let index = export(&k, "KeGetProcessorIndexFromNumber", &[number.get()]).await?;
            assert_eq!(index, u64::from(INVALID_PROCESSOR_INDEX), "there is one group");
            let (affinity, count) = (memory(&k, 16)?, memory(&k, 4)?);
            export(&k, "KeQueryNodeActiveAffinity", &[0, affinity.get(), count.get()]).await?;
            assert_eq!((k.read::<u64>(affinity)?, k.read::<u16>(count)?), (3, 2));
            Ok(())
        });
    }

    #[test]
    fn the_number_of_processors_is_a_variable_as_well() {
        use iced_x86::code_asm::{al, byte_ptr, eax, rax};
        let program = Program::default().import(&["KeNumberProcessors"]).function(|f| {
            let slot = f.slot("KeNumberProcessors");
            f.load(rax, slot.get());
            f.asm.mov(rax, iced_x86::code_asm::qword_ptr(rax)).unwrap();
            f.asm.mov(al, byte_ptr(rax)).unwrap();
            f.asm.and(eax, 0xFF).unwrap();
        });
        run(&program, 1, |k| async move {
            assert_eq!(k.call(Program::address(0), &[]).await?, 2);
            Ok(())
        });
    }
}
