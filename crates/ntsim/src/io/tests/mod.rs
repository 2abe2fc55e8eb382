//! The I/O manager's rules, on drivers of a few instructions.

mod announcements;
mod bounds;
mod bus;
mod bus_interface;
mod cancel;
mod completion;
mod csq;
mod devices;
mod direct;
mod driver_irps;
mod interrupt;
mod named;
mod plug_and_play;
mod pool_mdl;
mod power;
mod remove_lock;
mod requests;
mod start_io;
mod work_item;
mod zw;

use std::{cell::RefCell, future::Future, rc::Rc};

use iced_x86::code_asm::{byte_ptr, dword_ptr, eax, edx, qword_ptr, rax, rbx, rcx, rdx};
use ntlayout::{driver_object, guid, io_stack_location as stack, irp as layout, unicode_string};

use super::{
    device,
    device_interface::{self, Guid},
    driver,
    irp::Major,
    pnp::{self, DeviceState},
};
use crate::{
    bugcheck::{BugCheckCode as Code, Outcome},
    bus::Placement,
    ddi::Args,
    devices::{Edu, EduProfile},
    kernel::Kernel,
    machine::{
        Machine,
        testing::{Function, Program},
    },
    mm::Va,
    sched::{RunEnd, ThreadSpec},
    status::NtStatus,
    user::{Completion, FILE_READ_DATA, FILE_WRITE_DATA, Handle},
};

/// `CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800, METHOD_BUFFERED, FILE_READ_DATA | FILE_WRITE_DATA)`.
const BUFFERED: u32 = 0x0022_E000;
const CLASS: [u8; guid::SIZE] = [7; guid::SIZE];

/// The function that answers create, cleanup and close.
const SUCCEED: usize = 0;
/// The function that passes PnP IRPs down.
const PASS_DOWN: usize = 1;
/// The function under test: it answers device-control requests.
const CONTROL: usize = 2;
/// A further function of a test's own.
const HELPER: usize = 3;

/// Where the driver keeps the device below it.
fn lower_device() -> Va {
    Program::data()
}

/// Sets `IoStatus` of the IRP in `rbx`.
fn set_status(f: &mut Function<'_>, status: NtStatus, information: u32) {
    f.asm.mov(dword_ptr(rbx + layout::IO_STATUS), status.0).unwrap();
    let field = qword_ptr(rbx + layout::IO_STATUS_INFORMATION);
    f.asm.mov(field, i32::try_from(information).unwrap()).unwrap();
}

/// Completes the IRP in `rbx`.
fn complete(f: &mut Function<'_>) {
    f.asm.mov(rcx, rbx).unwrap();
    f.asm.xor(edx, edx).unwrap();
    f.call("IofCompleteRequest");
}

/// Marks the IRP in `rbx` pending.
fn mark_pending(f: &mut Function<'_>) {
    f.asm.mov(rax, qword_ptr(rbx + layout::CURRENT_STACK_LOCATION)).unwrap();
    f.asm.or(byte_ptr(rax + stack::CONTROL), 1).unwrap();
}

/// The value to return.
fn answer(f: &mut Function<'_>, status: NtStatus) {
    f.asm.mov(eax, status.0).unwrap();
}

/// A driver whose function [`CONTROL`] is `control`, with the IRP in `rbx`, and [`HELPER`] is `helper`.
fn driver_with(control: impl Fn(&mut Function<'_>) + 'static, helper: impl Fn(&mut Function<'_>) + 'static) -> Program {
    let imports = ["IofCompleteRequest", "IofCallDriver", "IoReleaseCancelSpinLock"];
    Program::default()
        .import(&imports)
        .function(|f| {
            f.asm.mov(rbx, rdx).unwrap();
            set_status(f, NtStatus::SUCCESS, 0);
            complete(f);
            answer(f, NtStatus::SUCCESS);
        })
        .function(|f| {
            f.asm.inc(byte_ptr(rdx + layout::CURRENT_LOCATION)).unwrap();
            let location = qword_ptr(rdx + layout::CURRENT_STACK_LOCATION);
            f.asm.add(location, i32::try_from(stack::SIZE).unwrap()).unwrap();
            f.load(rax, lower_device().get());
            f.asm.mov(rcx, qword_ptr(rax)).unwrap();
            f.call("IofCallDriver");
        })
        .function(move |f| {
            f.asm.mov(rbx, rdx).unwrap();
            control(f);
        })
        .function(helper)
}

fn driver(control: impl Fn(&mut Function<'_>) + 'static) -> Program {
    driver_with(control, |_| {})
}

/// Puts the driver's device on the bus driver's and starts it; the link to open it by.
async fn start(k: &Kernel, slot: crate::bus::Slot) -> Outcome<(Va, String)> {
    let nowhere = driver::LoadedImage {
        base: Va::NULL,
        size: 0,
        entry: Va::NULL,
    };
    let object = driver::create(k, "test", nowhere)?;
    let routines = [
        (Major::CREATE, SUCCEED),
        (Major::CLEANUP, SUCCEED),
        (Major::CLOSE, SUCCEED),
        (Major::PNP, PASS_DOWN),
        (Major::READ, CONTROL),
        (Major::WRITE, CONTROL),
        (Major::DEVICE_CONTROL, CONTROL),
    ];
    for (major, function) in routines {
        let entry = object + driver_object::MAJOR_FUNCTION + usize::from(major.0) * 8;
        k.write(entry, Program::address(function))?;
    }
    let pdo = pnp::enumerate(k, slot)?;
    let fdo = device::create(
        k,
        device::Spec {
            driver: object,
            extension_size: 16,
            name: None,
            device_type: 0x22,
            characteristics: 0,
            exclusive: false,
        },
    )?
    .expect("it has no name");
    let lower = device::attach(k, fdo, pdo)?;
    k.write(lower_device(), lower)?;
    k.write(fdo + ntlayout::device_object::FLAGS, device::DO_POWER_PAGABLE)?;
    pnp::manager::set_state(k, pdo, DeviceState::Added);
    assert_eq!(pnp::start_device(k, pdo).await?, NtStatus::SUCCESS);

    let class = k.allocate_system(guid::SIZE, "GUID")?;
    k.write_bytes(class, &CLASS)?;
    let string = k.allocate_system(unicode_string::SIZE, "UNICODE_STRING")?;
    let arguments = [pdo.get(), class.get(), 0, string.get()];
    device_interface::register_interface(k, &Args::of(&arguments))?;
    device_interface::set_state(k, &Args::of(&[string.get(), 1]))?;
    let links = crate::user::device_interfaces(k, Guid(CLASS));
    Ok((pdo, links[0].clone()))
}

/// Runs `script` on a machine with `program`'s device started.
fn run<F>(program: &Program, seed: u64, script: impl FnOnce(Kernel, Va, String) -> F + 'static) -> Machine
where
    F: Future<Output = Outcome<()>> + 'static,
{
    run_placed(program, seed, Placement::default(), script)
}

/// The same, with the device plugged in otherwise.
fn run_placed<F>(
    program: &Program,
    seed: u64,
    placement: Placement,
    script: impl FnOnce(Kernel, Va, String) -> F + 'static,
) -> Machine
where
    F: Future<Output = Outcome<()>> + 'static,
{
    run_on(program.machine(seed), placement, script)
}

/// Runs `script` on a machine with its driver's device plugged in and started.
fn run_on<F>(
    mut machine: Machine,
    placement: Placement,
    script: impl FnOnce(Kernel, Va, String) -> F + 'static,
) -> Machine
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let device = Box::new(Edu::new(EduProfile::default()));
    let slot = machine.plug_with(device, placement).unwrap();
    machine.spawn(ThreadSpec::system("test"), move |k| async move {
        let (pdo, link) = start(&k, slot).await?;
        script(k, pdo, link).await
    });
    // What it ended with is for the caller to look at.
    let _: RunEnd = machine.run();
    machine
}

async fn open(k: &Kernel, link: &str) -> Outcome<Handle> {
    Ok(Handle::open(k, link, FILE_READ_DATA | FILE_WRITE_DATA)
        .await?
        .expect("the open succeeds"))
}

/// Sends one request and closes the handle; how the request ended.
fn request(program: &Program, code: u32, input: &[u8], output_length: usize) -> Completion {
    let result = Rc::new(RefCell::new(None));
    let (seen, input) = (result.clone(), input.to_vec());
    let machine = run(program, 1, move |k, _, link| async move {
        let handle = open(&k, &link).await?;
        let request = handle.device_io_control(&k, code, &input, output_length).await?;
        *seen.borrow_mut() = Some(request.wait(&k).await?);
        handle.close(&k).await
    });
    assert_clean(&machine);
    result.take().expect("the request ended")
}

/// No rule was broken.
#[track_caller]
fn assert_clean(machine: &Machine) {
    if let Some(report) = machine.crash_report(None) {
        panic!("{report}");
    }
}

/// What a request to a driver that breaks a rule ends the run with: the code, its first parameter, and the rule.
fn crash_of(program: &Program) -> (Code, u64, &'static str) {
    let machine = run(program, 1, |k, _, link| async move {
        let handle = open(&k, &link).await?;
        let request = handle.device_io_control(&k, BUFFERED, &[1, 2, 3, 4], 4).await?;
        request.wait(&k).await?;
        handle.close(&k).await
    });
    let crash = machine.kernel().crash().expect("a rule is broken");
    (crash.bugcheck.code, crash.bugcheck.parameters[0], crash.bugcheck.rule)
}

const IO_MANAGER: Code = Code::DRIVER_VERIFIER_IOMANAGER_VIOLATION;

/// Inverts the first four bytes of the system buffer and returns them.
fn invert(f: &mut Function<'_>) {
    f.asm.mov(rax, qword_ptr(rbx + layout::SYSTEM_BUFFER)).unwrap();
    f.asm.not(dword_ptr(rax)).unwrap();
    set_status(f, NtStatus::SUCCESS, 4);
    complete(f);
    answer(f, NtStatus::SUCCESS);
}

/// Pends the request with the function [`HELPER`] as its cancel routine.
fn pend_cancellable(f: &mut Function<'_>) {
    mark_pending(f);
    f.load(rax, Program::address(HELPER).get());
    f.asm.mov(qword_ptr(rbx + layout::CANCEL_ROUTINE), rax).unwrap();
    answer(f, NtStatus::PENDING);
}

/// A cancel routine up to the point where it completes the IRP in `rbx`.
fn release_cancel_lock(f: &mut Function<'_>) {
    f.asm.mov(rbx, rdx).unwrap();
    f.asm.movzx(eax, byte_ptr(rbx + layout::CANCEL_IRQL)).unwrap();
    f.asm.mov(rcx, rax).unwrap();
    f.call("IoReleaseCancelSpinLock");
}
