//! What kind of system this is, to the memory manager: `MmQuerySystemSize`, `MmIsThisAnNtAsSystem`, and the limits of the address
//! space that it exports.

use super::{SYSTEM_RANGE_START, USER_PROBE_ADDRESS};
use crate::ddi::{Contract, Registry};

/// `MmLargeSystem`: what a machine with more than a few hundred megabytes is.
const LARGE: u32 = 2;

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    ddi.function("MmQuerySystemSize", 0, Contract::ANY, |_, _| Ok(LARGE));
    ddi.function("MmIsThisAnNtAsSystem", 0, Contract::ANY, |_, _| Ok(false));
    let variables = [
        ("MmSystemRangeStart", SYSTEM_RANGE_START),
        ("MmUserProbeAddress", USER_PROBE_ADDRESS),
        ("MmHighestUserAddress", USER_PROBE_ADDRESS - 1_u64),
    ];
    for (name, value) in variables {
        ddi.data(name, 8, move |k, at| k.write(at, value));
    }
}

#[cfg(test)]
mod tests {
    use iced_x86::code_asm::{qword_ptr, rax, rcx};

    use crate::{
        ddi::testing::{call, clean},
        machine::testing::Program,
        sched::{RunEnd, ThreadSpec},
    };

    #[test]
    fn the_system_is_a_large_workstation() {
        clean(|k| async move {
            assert_eq!(call(&k, "MmQuerySystemSize", &[]).await?, 2);
            assert_eq!(call(&k, "MmIsThisAnNtAsSystem", &[]).await?, 0);
            Ok(())
        });
    }

    #[test]
    fn the_limits_of_the_address_space_are_variables() {
        let names = ["MmSystemRangeStart", "MmUserProbeAddress", "MmHighestUserAddress"];
        let program = Program::default().import(&names).function(move |f| {
            for (index, name) in names.into_iter().enumerate() {
                f.load(rax, f.slot(name).get());
                f.asm.mov(rax, qword_ptr(rax)).unwrap();
                f.asm.mov(rax, qword_ptr(rax)).unwrap();
                f.load(rcx, (Program::data() + index * 8).get());
                f.asm.mov(qword_ptr(rcx), rax).unwrap();
            }
        });
        let machine = program.machine(1);
        machine.spawn(ThreadSpec::system("test"), |k| async move {
            k.call(Program::address(0), &[]).await
        });
        assert_eq!(machine.run(), RunEnd::Idle);
        let read = |index: usize| machine.kernel().read::<u64>(Program::data() + index * 8).unwrap();
        assert_eq!(read(0), 0xFFFF_8000_0000_0000);
        assert_eq!(read(1), 0x7FFF_FFFF_0000);
        assert_eq!(read(2), 0x7FFF_FFFE_FFFF);
    }
}
