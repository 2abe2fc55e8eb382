//! Each instruction that the machine carries out, in small assembled drivers.

use std::{cell::Cell, rc::Rc};

use iced_x86::code_asm::{
    al, ax, cr0, cr3, cr4, dr7, dword_ptr, dx, eax, ecx, edx, qword_ptr, r8, r8d, rax, rbx, rcx, rdi, rdx, rsi, xmm0,
    xmm1, xmm2,
};

use crate::{
    bus::{BarRequest, BusContext, BusMaster, Device, DeviceFault, PciIdentity, Slot, Width},
    kernel::Config,
    machine::{
        Machine,
        testing::{Function, Program},
    },
    sched::{RunEnd, ThreadSpec},
    trace::Counter,
};

fn run(machine: &Machine) -> (RunEnd, Option<u64>) {
    let result = Rc::new(Cell::new(None));
    let reply = result.clone();
    machine.spawn(ThreadSpec::system("test"), move |k| async move {
        reply.set(Some(k.call(Program::address(0), &[]).label("test").await?));
        Ok(0_u64)
    });
    (machine.run(), result.get())
}

fn value_of(body: impl Fn(&mut Function<'_>) + 'static) -> u64 {
    let machine = Program::default().function(body).machine(1);
    let (end, value) = run(&machine);
    assert_eq!(end, RunEnd::Idle, "{:?}", machine.crash_report(None));
    value.unwrap()
}

/// The message with which the run ends at what is not modelled.
fn refusal_of(body: impl Fn(&mut Function<'_>) + 'static) -> String {
    let machine = Program::default().function(body).machine(1);
    assert_eq!(run(&machine).0, RunEnd::Crashed);
    let crash = machine.kernel().crash().unwrap();
    assert!(crash.bugcheck.is_not_modelled(), "{:?}", crash.bugcheck);
    crash.bugcheck.message.clone()
}

#[test]
fn control_registers_read_as_those_of_a_64_bit_system_and_take_back_what_they_hold() {
    let value = value_of(|f| {
        f.asm.mov(rax, cr0).unwrap();
        f.asm.mov(cr0, rax).unwrap();
        f.asm.mov(rcx, cr4).unwrap();
        f.asm.mov(cr4, rcx).unwrap();
        f.asm.mov(rcx, cr3).unwrap();
        f.asm.mov(cr3, rcx).unwrap();
        f.asm.mov(rcx, dr7).unwrap();
        f.asm.mov(dr7, rcx).unwrap();
    });
    assert_eq!(value, 0x8005_0033);
}

#[test]
fn write_protection_cannot_be_switched_off() {
    let message = refusal_of(|f| {
        f.asm.mov(rax, cr0).unwrap();
        f.asm.and(eax, 0xFFFE_FFFF_u32.cast_signed()).unwrap();
        f.asm.mov(cr0, rax).unwrap();
    });
    assert!(message.contains("mov with cr0"), "{message}");
}

#[test]
fn model_specific_registers_are_read_or_named() {
    let read = |register: u32| {
        move |f: &mut Function<'_>| {
            f.asm.mov(ecx, register).unwrap();
            f.asm.rdmsr().unwrap();
            f.asm.shl(rdx, 32).unwrap();
            f.asm.or(rax, rdx).unwrap();
        }
    };
    assert_eq!(value_of(read(0xC000_0080)), 0xD01);
    assert_eq!(value_of(read(0x1B)) & !0x100, 0xFEE0_0800);
    assert!(value_of(read(0xC000_0101)) >= 0xFFFF_8000_0000_0000, "gs");
    let message = refusal_of(read(0x1234));
    assert!(message.contains("rdmsr of the register 0x1234"), "{message}");
    let message = refusal_of(|f| {
        f.asm.mov(ecx, 0x1B).unwrap();
        f.asm.wrmsr().unwrap();
    });
    assert!(message.contains("wrmsr"), "{message}");
}

#[test]
fn random_numbers_are_those_of_the_seed() {
    let draw = |seed| {
        let program = Program::default().function(|f| {
            f.asm.rdrand(rax).unwrap();
            f.asm.rdseed(ecx).unwrap();
            f.asm.setc(iced_x86::code_asm::cl).unwrap();
            f.asm.movzx(ecx, iced_x86::code_asm::cl).unwrap();
            f.asm.xor(rax, rcx).unwrap();
        });
        run(&program.machine(seed)).1.unwrap()
    };
    assert_eq!(draw(3), draw(3));
    assert_ne!(draw(3), draw(4));
}

#[test]
fn cpuid_promises_no_avx_and_xgetbv_agrees() {
    let features = value_of(|f| {
        f.asm.mov(eax, 1).unwrap();
        f.asm.xor(ecx, ecx).unwrap();
        f.asm.push(rbx).unwrap();
        f.asm.cpuid().unwrap();
        f.asm.pop(rbx).unwrap();
        f.asm.mov(eax, ecx).unwrap();
    });
    assert_eq!(features >> 28 & 1, 0, "AVX");
    assert_eq!(features >> 27 & 1, 1, "OSXSAVE");
    let state = value_of(|f| {
        f.asm.xor(ecx, ecx).unwrap();
        f.asm.xgetbv().unwrap();
    });
    assert_eq!(state, 3);
}

#[test]
fn avx_is_named_wherever_it_is_met() {
    let message = refusal_of(|f| f.asm.vpaddd(xmm0, xmm1, xmm2).unwrap());
    assert!(message.contains("vpaddd"), "{message}");
}

#[test]
fn instructions_in_data_are_found_when_they_run() {
    // `rdmsr` hides in the operand of a move; sub rsp, 0x28 has 4 bytes, so that it is 5 bytes on.
    let machine = Program::default()
        .function(|f| {
            f.load(rcx, 0x1234_u64);
            f.load(rax, Program::address(1).get() + 5);
            f.asm.jmp(rax).unwrap();
        })
        .function(|f| f.asm.db(&[0xB8, 0x0F, 0x32, 0x90, 0x90]).unwrap())
        .machine(1);
    assert_eq!(run(&machine).0, RunEnd::Crashed);
    let crash = machine.kernel().crash().unwrap();
    assert!(
        crash.bugcheck.message.contains("rdmsr of the register 0x1234"),
        "{:?}",
        crash.bugcheck
    );
}

#[test]
fn system_instructions_without_a_model_are_named() {
    type Body = fn(&mut Function<'_>);
    let bodies: [(&str, Body); 6] = [
        ("swapgs", |f| f.asm.swapgs().unwrap()),
        ("sidt", |f| f.asm.sidt(qword_ptr(rcx)).unwrap()),
        ("lidt", |f| f.asm.lidt(qword_ptr(rcx)).unwrap()),
        ("sysretq", |f| f.asm.sysretq().unwrap()),
        ("vmxoff", |f| f.asm.vmxoff().unwrap()),
        ("hlt", |f| {
            f.asm.cli().unwrap();
            f.asm.hlt().unwrap();
        }),
    ];
    for (name, body) in bodies {
        let message = refusal_of(body);
        assert!(message.contains(name), "{message}");
    }
    assert_eq!(
        value_of(|f| {
            f.asm.mov(eax, 7).unwrap();
            f.asm.hlt().unwrap();
            f.asm.wbinvd().unwrap();
            f.asm.invlpg(dword_ptr(rcx)).unwrap();
        }),
        7
    );
}

#[test]
fn the_interrupt_flag_is_seen_by_pushf_and_obeyed() {
    let flags = value_of(|f| {
        f.asm.cli().unwrap();
        f.asm.pushfq().unwrap();
        f.asm.pop(rax).unwrap();
        f.asm.sti().unwrap();
        f.asm.pushfq().unwrap();
        f.asm.pop(rcx).unwrap();
        f.asm.shl(rcx, 32).unwrap();
        f.asm.or(rax, rcx).unwrap();
    });
    assert_eq!(flags >> 9 & 1, 0, "after cli");
    assert_eq!(flags >> 41 & 1, 1, "after sti");
}

/// A device with memory behind BAR 0 and eight ports behind BAR 1, each of which holds what was written to it.
#[derive(Debug, Default)]
struct Ports([u8; 8]);

impl Device for Ports {
    fn name(&self) -> &'static str {
        "ports"
    }

    fn identity(&self) -> PciIdentity {
        PciIdentity {
            vendor: 0x1234,
            device: 0x5678,
            revision: 1,
            class: 0x07_0002,
            subsystem_vendor: 0,
            subsystem: 0,
        }
    }

    fn bars(&self) -> &[BarRequest] {
        &[BarRequest { size: 0x1000 }, BarRequest { size: 8 }]
    }

    fn is_port_bar(&self, bar: usize) -> bool {
        bar == 1
    }

    fn has_interrupt_pin(&self) -> bool {
        false
    }

    fn read(&mut self, _: &mut BusContext<'_>, bar: usize, offset: u64, width: Width) -> Result<u64, DeviceFault> {
        assert_eq!(bar, 1);
        let start = usize::try_from(offset).unwrap();
        let bytes = self.0[start..].iter().take(usize::try_from(width.bytes()).unwrap());
        Ok(bytes.rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    fn write(
        &mut self,
        _: &mut BusContext<'_>,
        bar: usize,
        offset: u64,
        width: Width,
        value: u64,
    ) -> Result<(), DeviceFault> {
        assert_eq!(bar, 1);
        for index in 0..usize::try_from(width.bytes()).unwrap() {
            self.0[usize::try_from(offset).unwrap() + index] = value.to_le_bytes()[index];
        }
        Ok(())
    }

    fn next_event(&self) -> Option<u64> {
        None
    }

    fn advance(&mut self, _: &mut BusContext<'_>, _: &mut dyn BusMaster) -> Result<(), DeviceFault> {
        Ok(())
    }

    fn line_asserted(&self) -> bool {
        false
    }

    fn message_capability(&self) -> u16 {
        0
    }

    fn set_message_signalled(&mut self, _: bool) {}

    fn take_messages(&mut self) -> Vec<u32> {
        Vec::new()
    }

    fn reset(&mut self) {
        self.0 = [0; 8];
    }
}

/// A machine with a device with ports, which decodes them.
fn machine_with_ports(body: impl Fn(&mut Function<'_>) + 'static) -> (Machine, Slot) {
    let program = Program::default().function(body);
    let mut machine = Machine::new(Config::default()).unwrap();
    let slot = machine.plug(Box::new(Ports::default())).unwrap();
    machine.load(&program.image()).unwrap();
    machine.kernel().bus().borrow_mut().function_mut(slot).set_enabled(true);
    (machine, slot)
}

#[test]
fn ports_of_a_device_are_reached_in_all_widths() {
    let (machine, _) = machine_with_ports(|f| {
        f.asm.mov(edx, 0xC000).unwrap();
        f.asm.mov(eax, 0x0403_0201).unwrap();
        f.asm.out(dx, eax).unwrap();
        f.asm.add(edx, 4).unwrap();
        f.asm.mov(eax, 0x0605).unwrap();
        f.asm.out(dx, ax).unwrap();
        f.asm.add(edx, 2).unwrap();
        f.asm.mov(eax, 0x07).unwrap();
        f.asm.out(dx, al).unwrap();
        f.asm.mov(edx, 0xC003).unwrap();
        f.asm.xor(eax, eax).unwrap();
        f.asm.in_(eax, dx).unwrap();
    });
    let (end, value) = run(&machine);
    assert_eq!((end, value), (RunEnd::Idle, Some(0x0706_0504)));
    assert_eq!(machine.kernel().recorded().counters.get(Counter::RegisterWrites), 3);
}

#[test]
fn string_forms_move_memory_to_a_port_and_back() {
    let data = Program::data() + 8_u64;
    let (machine, _) = machine_with_ports(move |f| {
        f.load(rsi, data.get());
        f.asm.mov(dword_ptr(rsi), 0x4433_2211).unwrap();
        f.asm.mov(ecx, 4).unwrap();
        f.asm.mov(edx, 0xC001).unwrap();
        f.asm.rep().outsb().unwrap();
        f.asm.mov(rax, rsi).unwrap();
        f.load(rdi, data.get() + 16);
        f.asm.mov(ecx, 2).unwrap();
        f.asm.rep().insb().unwrap();
        f.asm.add(rax, rcx).unwrap();
    });
    let (end, value) = run(&machine);
    assert_eq!((end, value), (RunEnd::Idle, Some(data.get() + 4)));
    assert_eq!(
        machine.kernel().read::<u16>(data + 16_u64),
        Ok(0x4444),
        "the last byte written, twice"
    );
}

#[test]
fn configuration_space_is_reached_by_its_ports() {
    let (machine, slot) = machine_with_ports(|f| {
        f.asm.mov(edx, 0xCF8).unwrap();
        f.asm.mov(eax, 0x8000_1800_u32).unwrap();
        f.asm.out(dx, eax).unwrap();
        f.asm.mov(edx, 0xCFC).unwrap();
        f.asm.in_(eax, dx).unwrap();
        f.asm.mov(r8d, eax).unwrap();
        f.asm.mov(edx, 0xCF8).unwrap();
        f.asm.mov(eax, 0x8000_1814_u32).unwrap();
        f.asm.out(dx, eax).unwrap();
        f.asm.mov(edx, 0xCFC).unwrap();
        f.asm.in_(eax, dx).unwrap();
        f.asm.shl(rax, 32).unwrap();
        f.asm.or(rax, r8).unwrap();
    });
    assert_eq!(slot, Slot(3));
    let value = run(&machine).1.unwrap();
    assert_eq!(value, 0x0000_C001_5678_1234, "the second BAR and the identity");
}

#[test]
fn a_port_that_is_no_devices_is_named() {
    let message = refusal_of(|f| {
        f.asm.mov(al, 0_i32).unwrap();
        f.asm.out(0x80_i32, al).unwrap();
    });
    assert!(message.contains("port 0x80"), "{message}");
}

#[test]
fn dpcs_and_other_threads_are_held_off_while_the_flag_is_clear() {
    // A second thread would run as soon as the processor is given up; between cli and sti it never is.
    let program = Program::default()
        .function(|f| {
            f.asm.cli().unwrap();
            f.load(rcx, Program::data().get() + 8);
            f.asm.mov(dword_ptr(rcx), 1).unwrap();
            for _ in 0..30 {
                f.asm.pause().unwrap();
            }
            f.asm.mov(dword_ptr(rcx), 0).unwrap();
            f.asm.sti().unwrap();
        })
        .function(|f| {
            f.load(rcx, Program::data().get() + 8);
            f.asm.mov(eax, dword_ptr(rcx)).unwrap();
            f.asm.or(dword_ptr(rcx + 8), eax).unwrap();
        });
    for seed in 0..40 {
        let machine = program.machine_of(Config {
            seed,
            processors: 1,
            ..Config::default()
        });
        for function in 0..2 {
            machine.spawn(ThreadSpec::system("test"), move |k| async move {
                k.call(Program::address(function), &[]).label("test").await
            });
        }
        assert_eq!(machine.run(), RunEnd::Idle, "{:?}", machine.crash_report(None));
        assert_eq!(
            machine.kernel().read::<u32>(Program::data() + 16_u64),
            Ok(0),
            "seed {seed}"
        );
    }
}
