//! IRPs that drivers make and send.

use iced_x86::code_asm::dword_ptr;
use ntlayout::io_status_block;

use super::*;
use crate::ke::{
    self,
    event::{self, EventType},
};

/// `SL_INVOKE_ON_CANCEL | SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR`.
const ALWAYS: u8 = 0xE0;
/// The function that frees the IRP and keeps it from going on.
const FREE: usize = HELPER + 1;

/// Completes by inverting; function [`HELPER`] is a completion routine that keeps the IRP.
fn program() -> Program {
    driver_with(invert, |f| answer(f, NtStatus::MORE_PROCESSING_REQUIRED))
        .import(&["IoFreeIrp"])
        .function(|f| {
            f.asm.mov(rcx, rdx).unwrap();
            f.call("IoFreeIrp");
            answer(f, NtStatus::MORE_PROCESSING_REQUIRED);
        })
}

/// Like [`program`], but requests stay pending until somebody completes them.
fn slow_program() -> Program {
    driver(|f| {
        mark_pending(f);
        f.load(rax, at_pending().get());
        f.asm.mov(qword_ptr(rax), rbx).unwrap();
        answer(f, NtStatus::PENDING);
    })
}

/// Where the slow driver keeps the request.
fn at_pending() -> Va {
    Program::data() + 0x40_usize
}

async fn call(k: &Kernel, name: &str, arguments: &[u64]) -> Outcome<u64> {
    k.call(k.routine_address(name), arguments).await
}

/// What the driver has beside its request: an event, an I/O status block, an input of `[1, 2, 3, 4]`, room for as much output.
struct Memory {
    event: Va,
    io_status_block: Va,
    input: Va,
    output: Va,
}

impl Memory {
    fn new(k: &Kernel) -> Outcome<Self> {
        let start = k.allocate_system(0x100, "driver's memory")?;
        event::initialize(k, start, EventType::Notification, false)?;
        k.write_bytes(start + 0x40_usize, &[1, 2, 3, 4])?;
        Ok(Self {
            event: start,
            io_status_block: start + 0x20_usize,
            input: start + 0x40_usize,
            output: start + 0x60_usize,
        })
    }

    fn told(&self, k: &Kernel) -> Outcome<bool> {
        Ok(event::state(k, self.event)? != 0)
    }

    /// `IoBuildDeviceIoControlRequest`.
    async fn build(&self, k: &Kernel, code: u32, device: Va) -> Outcome<Va> {
        let (input, output) = (self.input.get(), self.output.get());
        let (event, block) = (self.event.get(), self.io_status_block.get());
        let arguments = [code.into(), device.get(), input, 4, output, 4, 0, event, block];
        Ok(Va(call(k, "IoBuildDeviceIoControlRequest", &arguments).await?))
    }
}

async fn send(k: &Kernel, device: Va, irp: Va) -> Outcome<NtStatus> {
    let status = call(k, "IofCallDriver", &[device.get(), irp.get()]).await?;
    Ok(NtStatus((status & 0xFFFF_FFFF) as u32))
}

/// Runs `script` with the driver's device, on which no rule may be broken.
fn clean<F>(program: &Program, script: impl FnOnce(Kernel, Va, Va) -> F + 'static)
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let machine = run(program, 1, |k, pdo, _| async move {
        let fdo = device::top_of_stack(&k, pdo)?;
        script(k, pdo, fdo).await
    });
    let report = machine.crash_report(None);
    assert!(report.is_none(), "{}", report.unwrap_or_default());
}

/// The rule that `script` breaks.
fn broken<F>(program: &Program, script: impl FnOnce(Kernel, Va, Va) -> F + 'static) -> &'static str
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let machine = run(program, 1, |k, pdo, _| async move {
        let fdo = device::top_of_stack(&k, pdo)?;
        script(k, pdo, fdo).await
    });
    let crash = machine.kernel().crash().expect("a rule is broken");
    crash.bugcheck.rule
}

#[test]
fn a_built_request_is_ended_by_the_io_manager() {
    clean(&program(), |k, _, fdo| async move {
        let memory = Memory::new(&k)?;
        let irp = memory.build(&k, BUFFERED, fdo).await?;
        assert_eq!(send(&k, fdo, irp).await?, NtStatus::SUCCESS);
        assert!(memory.told(&k)?);
        assert_eq!(k.read_bytes(memory.output, 4)?, [!1, !2, !3, !4]);
        assert_eq!(k.read::<u64>(memory.io_status_block + io_status_block::INFORMATION)?, 4);
        let left = super::super::leftovers(&k);
        assert!(!left.iter().any(|what| what.to_string().contains("IRP")), "{left:?}");
        Ok(())
    });
}

#[test]
fn a_request_of_the_drivers_own_needs_a_status_only() {
    use ntlayout::device_capabilities as capabilities;

    for seed in 1..=20 {
        let machine = run(&program(), seed, |k, pdo, _| async move {
            let memory = Memory::new(&k)?;
            let asked = k.allocate_system(capabilities::SIZE, "DEVICE_CAPABILITIES")?;
            k.write(asked + capabilities::SIZE_FIELD, 64_u16)?;
            k.write(asked + capabilities::VERSION, 1_u16)?;
            let (event, block) = (memory.event.get(), memory.io_status_block.get());
            let arguments = [Major::PNP.0.into(), pdo.get(), 0, 0, 0, event, block];
            let irp = Va(call(&k, "IoBuildSynchronousFsdRequest", &arguments).await?);
            let location = super::super::irp::next_location(&k, irp)?;
            k.write(location + stack::MINOR_FUNCTION, pnp::Minor::QUERY_CAPABILITIES.0)?;
            k.write(location + stack::CAPABILITIES, asked)?;
            assert_eq!(k.read::<u64>(irp + layout::IO_STATUS)?, 0);
            k.write(irp + layout::IO_STATUS, NtStatus::NOT_SUPPORTED)?;
            if send(&k, pdo, irp).await? == NtStatus::PENDING {
                ke::wait::for_single_object(&k, memory.event, ke::wait::Timeout::Never).await?;
            }
            let information: u64 = k.read(memory.io_status_block + io_status_block::INFORMATION)?;
            assert_eq!(information, 0);
            Ok(())
        });
        assert_clean(&machine);
    }
}

/// The event is set when the request has ended, and then the status block counts.
#[test]
fn a_built_request_that_pends_is_waited_for() {
    clean(&slow_program(), |k, _, fdo| async move {
        let memory = Memory::new(&k)?;
        let irp = memory.build(&k, BUFFERED, fdo).await?;
        assert_eq!(send(&k, fdo, irp).await?, NtStatus::PENDING);
        assert!(!memory.told(&k)?);
        k.spawn(ThreadSpec::system("lower driver"), move |k| async move {
            let irp: Va = k.read(at_pending())?;
            k.write(irp + layout::IO_STATUS, NtStatus::IO_DEVICE_ERROR)?;
            k.write(irp + layout::IO_STATUS_INFORMATION, 0_u64)?;
            call(&k, "IofCompleteRequest", &[irp.get(), 0]).await
        });
        ke::wait::for_single_object(&k, memory.event, ke::wait::Timeout::Never).await?;
        let status: NtStatus = k.read(memory.io_status_block)?;
        assert_eq!(status, NtStatus::IO_DEVICE_ERROR);
        Ok(())
    });
}

/// The bus driver knows no device control: the caller has the status, and nobody sets the event.
#[test]
fn a_request_that_fails_at_once_sets_no_event() {
    clean(&program(), |k, pdo, _| async move {
        let memory = Memory::new(&k)?;
        let irp = memory.build(&k, BUFFERED, pdo).await?;
        assert_eq!(send(&k, pdo, irp).await?, NtStatus::INVALID_DEVICE_REQUEST);
        assert!(!memory.told(&k)?);
        assert_eq!(k.read_bytes(memory.output, 4)?, [0; 4]);
        Ok(())
    });
}

/// `METHOD_OUT_DIRECT`: the output buffer itself, by an MDL, which the I/O manager unlocks and frees.
#[test]
fn a_direct_request_has_its_output_buffer_locked() {
    let program = driver(|f| {
        f.asm.mov(rax, qword_ptr(rbx + layout::MDL_ADDRESS)).unwrap();
        f.asm.mov(eax, dword_ptr(rax + ntlayout::mdl::BYTE_COUNT)).unwrap();
        f.asm.mov(dword_ptr(rbx + layout::IO_STATUS), eax).unwrap();
        f.asm.mov(qword_ptr(rbx + layout::IO_STATUS_INFORMATION), 0).unwrap();
        complete(f);
        answer(f, NtStatus(4));
    });
    clean(&program, |k, _, fdo| async move {
        let memory = Memory::new(&k)?;
        let before = k.driver_allocations().len();
        let irp = memory.build(&k, BUFFERED | 2, fdo).await?;
        assert_eq!(send(&k, fdo, irp).await?, NtStatus(4), "the MDL's length");
        assert_eq!(k.driver_allocations().len(), before);
        Ok(())
    });
}

#[test]
fn a_built_request_is_not_the_drivers_to_free() {
    let rule = broken(&program(), |k, _, fdo| async move {
        let irp = Memory::new(&k)?.build(&k, BUFFERED, fdo).await?;
        call(&k, "IoFreeIrp", &[irp.get()]).await.map(|_| ())
    });
    assert_eq!(rule, "free-irp-of-thread");
}

#[test]
fn a_built_request_that_is_never_sent_is_left_behind() {
    clean(&program(), |k, _, fdo| async move {
        Memory::new(&k)?.build(&k, BUFFERED, fdo).await?;
        let left = super::super::leftovers(&k);
        assert!(left[0].to_string().contains("never completed"), "{left:?}");
        Ok(())
    });
}

/// A driver's own IRP for a device-control request, with a completion routine.
async fn own_irp(k: &Kernel, device: Va, routine: Option<usize>) -> Outcome<Va> {
    let stack_size: u8 = k.read(device + ntlayout::device_object::STACK_SIZE)?;
    let irp = Va(call(k, "IoAllocateIrp", &[stack_size.into(), 0]).await?);
    describe(k, irp, routine)?;
    Ok(irp)
}

/// Fills in the first stack location.
fn describe(k: &Kernel, irp: Va, routine: Option<usize>) -> Outcome<()> {
    let location = super::super::irp::next_location(k, irp)?;
    k.write(location + stack::MAJOR_FUNCTION, Major::DEVICE_CONTROL.0)?;
    k.write(irp + layout::SYSTEM_BUFFER, Memory::new(k)?.input)?;
    if let Some(routine) = routine {
        k.write(location + stack::CONTROL, ALWAYS)?;
        k.write(location + stack::COMPLETION_ROUTINE, Program::address(routine))?;
    }
    Ok(())
}

#[test]
fn a_drivers_own_irp_comes_back_is_used_again_and_freed() {
    clean(&program(), |k, _, fdo| async move {
        let irp = own_irp(&k, fdo, Some(HELPER)).await?;
        for next in [HELPER, FREE] {
            assert_eq!(send(&k, fdo, irp).await?, NtStatus::SUCCESS);
            assert_eq!(k.read::<u64>(irp + layout::IO_STATUS_INFORMATION)?, 4);
            let status = u64::from(NtStatus::UNSUCCESSFUL.0);
            call(&k, "IoReuseIrp", &[irp.get(), status]).await?;
            assert_eq!(k.read::<NtStatus>(irp + layout::IO_STATUS)?, NtStatus::UNSUCCESSFUL);
            describe(&k, irp, Some(next))?;
        }
        let left = super::super::leftovers(&k);
        assert!(left[0].to_string().contains("never freed"), "{left:?}");
        assert_eq!(send(&k, fdo, irp).await?, NtStatus::SUCCESS);
        assert_eq!(
            k.io().borrow().irps.live().count(),
            0,
            "its completion routine has freed it"
        );
        Ok(())
    });
}

#[test]
fn a_drivers_own_irp_does_not_go_past_the_driver() {
    let rule = broken(&program(), |k, _, fdo| async move {
        let irp = own_irp(&k, fdo, None).await?;
        send(&k, fdo, irp).await.map(|_| ())
    });
    assert_eq!(rule, "irp-not-reclaimed");
}

#[test]
fn an_irp_that_a_lower_driver_has_is_left_alone() {
    for routine in ["IoFreeIrp", "IoReuseIrp"] {
        let rule = broken(&slow_program(), move |k, _, fdo| async move {
            let irp = own_irp(&k, fdo, Some(HELPER)).await?;
            assert_eq!(send(&k, fdo, irp).await?, NtStatus::PENDING);
            call(&k, routine, &[irp.get(), 0]).await.map(|_| ())
        });
        assert_eq!(rule, "irp-under-way");
    }
}

#[test]
fn only_what_was_allocated_is_freed_and_used_again() {
    let twice = broken(&program(), |k, _, fdo| async move {
        let irp = own_irp(&k, fdo, None).await?;
        call(&k, "IoFreeIrp", &[irp.get()]).await?;
        call(&k, "IoFreeIrp", &[irp.get()]).await.map(|_| ())
    });
    assert_eq!(twice, "pool-use-after-free");
    let built = broken(&program(), |k, _, fdo| async move {
        let irp = Memory::new(&k)?.build(&k, BUFFERED, fdo).await?;
        call(&k, "IoReuseIrp", &[irp.get(), 0]).await.map(|_| ())
    });
    assert_eq!(built, "irp-not-reusable");
    let initialized = broken(&program(), |k, _, _| async move {
        let irp = k.allocate_system(0x200, "driver's memory")?;
        call(&k, "IoInitializeIrp", &[irp.get(), 0x200, 2]).await?;
        call(&k, "IoFreeIrp", &[irp.get()]).await.map(|_| ())
    });
    assert_eq!(initialized, "free-irp-without-irp");
}

#[test]
fn an_irp_in_the_drivers_memory_goes_with_it() {
    clean(&program(), |k, _, fdo| async move {
        let irp = k.allocate_system(0x400, "driver's memory")?;
        let stack_size: u8 = k.read(fdo + ntlayout::device_object::STACK_SIZE)?;
        call(&k, "IoInitializeIrp", &[irp.get(), 0x400, stack_size.into()]).await?;
        describe(&k, irp, Some(HELPER))?;
        assert_eq!(send(&k, fdo, irp).await?, NtStatus::SUCCESS);
        crate::ex::pool::check_idle(&k, irp, 0x400)?;
        assert_eq!(k.io().borrow().irps.live().count(), 0);
        Ok(())
    });
    let too_small = broken(&program(), |k, _, _| async move {
        let irp = k.allocate_system(0x400, "driver's memory")?;
        call(&k, "IoInitializeIrp", &[irp.get(), 0x100, 2]).await.map(|_| ())
    });
    assert_eq!(too_small, "irp-too-small");
}

/// `DO_BUFFERED_IO`: an asynchronous write has a copy of the data, which the driver frees together with the IRP.
#[test]
fn an_asynchronous_request_is_the_drivers_to_end() {
    clean(&program(), |k, _, fdo| async move {
        let flags: u32 = k.read(fdo + ntlayout::device_object::FLAGS)?;
        k.write(fdo + ntlayout::device_object::FLAGS, flags | device::DO_BUFFERED_IO)?;
        let memory = Memory::new(&k)?;
        k.write(memory.output, 9_i64)?;
        let write = u64::from(Major::WRITE.0);
        let (buffer, offset) = (memory.input.get(), memory.output.get());
        let arguments = [write, fdo.get(), buffer, 4, offset, memory.io_status_block.get()];
        let before = k.driver_allocations().len();
        let irp = Va(call(&k, "IoBuildAsynchronousFsdRequest", &arguments).await?);
        let location = super::super::irp::next_location(&k, irp)?;
        assert_eq!(k.read::<u8>(location + stack::MAJOR_FUNCTION)?, Major::WRITE.0);
        assert_eq!(k.read::<i64>(location + stack::READ_WRITE_BYTE_OFFSET)?, 9);
        let system_buffer: Va = k.read(irp + layout::SYSTEM_BUFFER)?;
        assert_eq!(k.read_bytes(system_buffer, 4)?, [1, 2, 3, 4]);
        assert_eq!(k.driver_allocations().len(), before + 1);
        k.free_system(system_buffer)?;
        call(&k, "IoFreeIrp", &[irp.get()]).await.map(|_| ())
    });
}
