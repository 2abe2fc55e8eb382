//! What the loader sets up for the checks that compilers put into an image: stack cookies (`/GS`) and Control Flow Guard.

use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome},
    cpu::Gpr,
    ddi::{Contract, Registry},
    image::Image,
    kernel::{Kernel, stream},
    machine::imports,
    mm::{Va, layout},
    sched::{Frame, Random},
};

/// The cookie that an image is linked with: the loader replaces it, and leaves any other alone.
const DEFAULT_COOKIE: u64 = 0x2B99_2DDF_A232;
/// A cookie's upper 16 bits are zero, so that no string function copies all of it.
const COOKIE_BITS: u64 = 0xFFFF_FFFF_FFFF;

const CHECK: &str = "_guard_check_icall";
const DISPATCH: &str = "_guard_dispatch_icall";

/// Adds the routines that guarded images call.
pub(crate) fn register(ddi: &mut Registry) {
    ddi.function(CHECK, 1, Contract::ANY, |k, a| {
        check(k, a.va(0))?;
        // The check leaves every register as it is.
        Ok(guest_register(k, Gpr::Rax))
    });
    ddi.function(DISPATCH, 0, Contract::ANY, |k, _| {
        let target = guest_register(k, Gpr::Rax);
        check(k, Va(target))?;
        // The target returns to the caller of this routine. Returning to an address that lies on top of the stack is a jump there.
        let stack_pointer = Va(guest_register(k, Gpr::Rsp)) - 8_u64;
        k.write(stack_pointer, target)?;
        k.with_activity(|activity| {
            if let Some(Frame::Guest(guest)) = activity.frames.last_mut() {
                guest.registers.set(Gpr::Rsp, stack_pointer.get());
            }
        });
        Ok(target)
    });
}

fn guest_register(k: &Kernel, register: Gpr) -> u64 {
    let value = k.with_activity(|activity| activity.guest().map(|guest| guest.registers.get(register)));
    value.flatten().unwrap_or(0)
}

/// The targets of indirect calls are functions of the kernel's and those that an image names; an image that names none may be called
/// anywhere.
fn check(k: &Kernel, target: Va) -> Outcome<()> {
    const GUARD_ICALL_CHECK_FAILURE: u64 = 0xA;
    let (exports, length) = k.watch().exports.get();
    if imports::is_unmodelled(target) || (target - exports < length && target != layout::EXPORTS) {
        return Ok(());
    }
    let guarded = {
        let code = k.watch().code.borrow();
        code.at(target).filter(|code| !code.unloaded).map(|code| {
            let rva = code.rva(target).unwrap_or(0);
            let targets = code.image.load_config().guarded_targets.as_ref();
            targets.is_none_or(|targets| targets.binary_search(&rva).is_ok())
        })
    };
    if guarded == Some(true) {
        return Ok(());
    }
    Err(k.bugcheck(BugCheck::new(
        Code::KERNEL_SECURITY_CHECK_FAILURE,
        [GUARD_ICALL_CHECK_FAILURE, 0, 0, 0],
        "guard-check",
        format!("an indirect call goes to {target}, which Control Flow Guard does not know as the start of a function"),
    )))
}

/// The generator of the machine's cookies.
#[derive(Default)]
struct Cookies(Option<Random>);

/// Sets up `image` for the checks in it; `memory` is the image as it will lie at its base.
pub(super) fn set_up(k: &Kernel, image: &Image, memory: &mut [u8]) {
    let config = image.load_config();
    if let Some(place) = config.cookie {
        let slot = &mut memory[place as usize..place as usize + 8];
        if slot == DEFAULT_COOKIE.to_le_bytes() {
            slot.copy_from_slice(&fresh_cookie(k).to_le_bytes());
        }
    }
    let pointers = [(config.guard_check, CHECK), (config.guard_dispatch, DISPATCH)];
    for (place, routine) in pointers {
        if let (Some(place), Some((index, _))) = (place, k.registry().find(routine)) {
            let address = Registry::address(index);
            memory[place as usize..place as usize + 8].copy_from_slice(&address.get().to_le_bytes());
        }
    }
}

fn fresh_cookie(k: &Kernel) -> u64 {
    let cookies = k.state::<Cookies>();
    let mut cookies = cookies.borrow_mut();
    let random = cookies
        .0
        .get_or_insert_with(|| Random::new(k.config().seed, stream::COOKIES));
    loop {
        let cookie = random.below(u64::MAX) & COOKIE_BITS;
        if cookie != 0 && cookie != DEFAULT_COOKIE {
            return cookie;
        }
    }
}

/// The stack cookie of the image at `base`, as its functions find it now; none when it has none.
///
/// # Errors
/// When the image's memory cannot be read.
pub(crate) fn cookie_of(k: &Kernel, base: Va) -> Outcome<Option<u64>> {
    let place = {
        let code = k.watch().code.borrow();
        code.based_at(base).and_then(|code| code.image.load_config().cookie)
    };
    place.map(|place| k.read(base + u64::from(place))).transpose()
}

#[cfg(test)]
mod tests {
    use iced_x86::code_asm::{qword_ptr, rax, rcx};

    use super::*;
    use crate::{
        image::synthetic::{DATA, Guards},
        machine::{
            Machine,
            testing::{Function, Program},
        },
        sched::{RunEnd, ThreadSpec},
    };

    /// Where the guarded image has its cookie and its two pointers.
    const GUARDS: Guards = Guards {
        cookie: DATA + 0x20,
        check: DATA + 0x28,
        dispatch: DATA + 0x30,
    };

    fn slot(rva: u32) -> Va {
        layout::DRIVER + u64::from(rva)
    }

    fn cookie(seed: u64, linked: u64) -> u64 {
        let program = Program::default().function(|_| {}).guarded(GUARDS, linked, &[0]);
        let machine = program.machine(seed);
        machine.kernel().read(slot(GUARDS.cookie)).unwrap()
    }

    #[test]
    fn the_cookie_is_random_as_the_seed_has_it() {
        assert_eq!(cookie(1, DEFAULT_COOKIE), cookie(1, DEFAULT_COOKIE));
        assert_ne!(cookie(1, DEFAULT_COOKIE), cookie(2, DEFAULT_COOKIE));
        assert_ne!(cookie(1, DEFAULT_COOKIE), DEFAULT_COOKIE);
        assert_eq!(cookie(1, DEFAULT_COOKIE) & !COOKIE_BITS, 0);
        assert_eq!(cookie(1, 0x1234), 0x1234, "a cookie of the driver's own stays");
    }

    fn run(machine: &Machine) -> (RunEnd, Option<u64>) {
        let result = std::rc::Rc::new(std::cell::Cell::new(None));
        let reply = result.clone();
        machine.spawn(ThreadSpec::system("test"), move |k| async move {
            reply.set(Some(k.call(Program::address(0), &[7]).label("test").await?));
            Ok(0_u64)
        });
        (machine.run(), result.get())
    }

    /// Calls `target` as a guarded image does: by dispatch, or by a check and a call.
    fn guarded_call(target: Va, dispatch: bool) -> Program {
        Program::default()
            .import(&["KeGetCurrentIrql"])
            .function(move |f: &mut Function<'_>| {
                if dispatch {
                    f.load(rax, slot(GUARDS.dispatch).get());
                    f.asm.mov(iced_x86::code_asm::r10, qword_ptr(rax)).unwrap();
                    f.load(rax, target.get());
                    f.asm.call(iced_x86::code_asm::r10).unwrap();
                } else {
                    f.load(rcx, target.get());
                    f.load(rax, slot(GUARDS.check).get());
                    f.asm.call(qword_ptr(rax)).unwrap();
                    f.asm.call(rcx).unwrap();
                }
            })
            .function(|f| f.asm.mov(iced_x86::code_asm::eax, 0x33).unwrap())
            .function(|f| f.asm.mov(iced_x86::code_asm::eax, 0x44).unwrap())
            .guarded(GUARDS, DEFAULT_COOKIE, &[0, 1])
    }

    #[test]
    fn a_function_of_the_table_is_called() {
        for dispatch in [false, true] {
            let machine = guarded_call(Program::address(1), dispatch).machine(1);
            assert_eq!(run(&machine), (RunEnd::Idle, Some(0x33)));
        }
    }

    #[test]
    fn anything_else_stops_the_machine() {
        let elsewhere = [
            Program::address(2),
            Program::address(1) + 4_u64,
            Va(0x1000),
            Program::data(),
        ];
        for target in elsewhere {
            for dispatch in [false, true] {
                let machine = guarded_call(target, dispatch).machine(1);
                assert_eq!(run(&machine).0, RunEnd::Crashed);
                let crash = machine.kernel().crash().unwrap();
                assert_eq!(crash.bugcheck.code, Code::KERNEL_SECURITY_CHECK_FAILURE);
                assert_eq!(crash.bugcheck.parameters[0], 0xA);
            }
        }
    }
}
