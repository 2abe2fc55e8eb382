//! `__chkstk`: touches the pages of a large frame one after the other, as a function does before it makes one.

use crate::{
    bugcheck::Outcome,
    cpu::Gpr,
    ddi::{Contract, Registry},
    kernel::Kernel,
    mm::PAGE_SIZE,
};

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    ddi.function("__chkstk", 0, Contract::ANY, |k, _| probe(k));
}

/// The frame's size is in rax, which stays as it is like every other register.
fn probe(k: &Kernel) -> Outcome<u64> {
    let registers = k.with_activity(|activity| {
        let guest = activity.guest()?;
        Some((guest.registers.get(Gpr::Rax), guest.registers.stack_pointer()))
    });
    let Some((size, stack_pointer)) = registers.flatten() else {
        return Ok(0);
    };
    // The return address is taken off before the frame is made.
    let lowest = (stack_pointer + 8_u64).get().saturating_sub(size);
    let mut page = stack_pointer.page();
    while page.get() > lowest {
        page = page - PAGE_SIZE;
        k.read::<u8>(page)?;
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use iced_x86::code_asm::{eax, qword_ptr, rax, rsp};

    use crate::{
        bugcheck::BugCheckCode as Code,
        machine::testing::Program,
        sched::{RunEnd, ThreadSpec},
    };

    /// Runs a function with a frame of `size` bytes, made as compilers make it.
    fn run(size: u32) -> (RunEnd, Option<Code>) {
        let program = Program::default().import(&["__chkstk"]).function(move |f| {
            let slot = f.slot("__chkstk");
            f.asm.mov(iced_x86::code_asm::r10, slot.get()).unwrap();
            f.asm.mov(eax, size).unwrap();
            f.asm.call(qword_ptr(iced_x86::code_asm::r10)).unwrap();
            f.asm.sub(rsp, rax).unwrap();
            f.asm.mov(qword_ptr(rsp), rax).unwrap();
            f.asm.add(rsp, rax).unwrap();
        });
        let machine = program.machine(1);
        machine.spawn(ThreadSpec::system("test"), |k| async move {
            k.call(Program::address(0), &[]).label("test").await
        });
        let end = machine.run();
        let code = machine.kernel().crash().map(|crash| crash.bugcheck.code);
        (end, code)
    }

    #[test]
    fn a_large_frame_is_probed_and_the_registers_stay() {
        assert_eq!(run(0x3000), (RunEnd::Idle, None));
    }

    #[test]
    fn a_frame_that_does_not_fit_is_a_double_fault() {
        assert_eq!(run(0x7000), (RunEnd::Crashed, Some(Code::UNEXPECTED_KERNEL_MODE_TRAP)));
    }
}
