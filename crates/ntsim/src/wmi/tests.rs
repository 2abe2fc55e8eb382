//! A driver that provides WMI data, by the library.

use std::{cell::RefCell, rc::Rc};

use iced_x86::code_asm::{dword_ptr, eax, qword_ptr, r8, r8d, r9, r9d, rax, rcx, rdx, rsp};
use ntlayout::{driver_object, io_stack_location as stack, irp as irp_layout, wmilib_context as context, wnode};

use super::*;
use crate::{
    bugcheck::Outcome,
    ddi::testing::{buffer, call, clean, counted, status as call_status},
    io::{
        self, device,
        device_interface::Guid,
        driver,
        irp::{self, Major},
    },
    kernel::Kernel,
    machine::testing::{Function, Program},
    mm::Va,
    sched::{Mode, RunEnd, ThreadSpec},
    status::NtStatus,
};

const BLOCK: [u8; 16] = [0x42; 16];

const DISPATCH: usize = 0;
const QUERY_REGINFO: usize = 1;
const QUERY_DATA: usize = 2;
const CONTROL: usize = 3;

/// `WMILIB_CONTEXT`, the disposition, and what was seen.
fn library() -> Va {
    Program::data()
}

fn disposition() -> Va {
    Program::data() + 0x40_u64
}

fn registry_path() -> Va {
    Program::data() + 0x48_u64
}

fn control_seen() -> Va {
    Program::data() + 0x50_u64
}

/// `(DeviceObject, Irp)`: hands the request to the library, and completes what it has not.
fn dispatch(f: &mut Function<'_>) {
    let mut end = f.asm.create_label();
    f.asm.mov(qword_ptr(rsp + 0x38), rdx).unwrap();
    f.asm.mov(r8, rdx).unwrap();
    f.asm.mov(rdx, rcx).unwrap();
    f.load(rcx, library().get());
    f.load(r9, disposition().get());
    f.call("WmiSystemControl");
    f.load(rcx, disposition().get());
    f.asm.cmp(dword_ptr(rcx), 1).unwrap();
    f.asm.jne(end).unwrap();
    f.asm.mov(rcx, qword_ptr(rsp + 0x38)).unwrap();
    f.asm.mov(eax, dword_ptr(rcx + irp_layout::IO_STATUS)).unwrap();
    f.load(rdx, control_seen().get());
    f.asm.mov(dword_ptr(rdx + 8), eax).unwrap();
    f.asm.xor(eax, eax).unwrap();
    f.asm.mov(rdx, rax).unwrap();
    f.call("IofCompleteRequest");
    f.load(rdx, control_seen().get());
    f.asm.mov(eax, dword_ptr(rdx + 8)).unwrap();
    f.asm.set_label(&mut end).unwrap();
    f.asm.nop().unwrap();
}

/// `DpWmiQueryReginfo(DeviceObject, RegFlags, InstanceName, RegistryPath, MofResourceName, Pdo)`: no names.
fn query_reginfo(f: &mut Function<'_>) {
    f.load(rax, registry_path().get());
    f.asm.mov(rax, qword_ptr(rax)).unwrap();
    f.asm.mov(qword_ptr(r9), rax).unwrap();
    f.asm.mov(dword_ptr(rdx), 0x08).unwrap();
    f.asm.xor(eax, eax).unwrap();
}

/// `DpWmiQueryDataBlock(DeviceObject, Irp, GuidIndex, InstanceIndex, InstanceCount, InstanceLengthArray, BufferAvail, Buffer)`: four bytes.
fn query_data(f: &mut Function<'_>) {
    let [mut small, mut end] = [(); 2].map(|()| f.asm.create_label());
    // The arguments behind the fourth lie above the frame and the return address.
    f.asm.mov(rax, qword_ptr(rsp + 0x28 + 8 + 0x30)).unwrap();
    f.asm.cmp(rax, 4).unwrap();
    f.asm.jb(small).unwrap();
    f.asm.mov(rax, qword_ptr(rsp + 0x28 + 8 + 0x28)).unwrap();
    f.asm.mov(dword_ptr(rax), 4).unwrap();
    f.asm.mov(rax, qword_ptr(rsp + 0x28 + 8 + 0x38)).unwrap();
    f.asm.mov(dword_ptr(rax), 0x1234).unwrap();
    f.asm.xor(r8d, r8d).unwrap();
    f.asm.jmp(end).unwrap();
    f.asm.set_label(&mut small).unwrap();
    f.asm.mov(r8d, NtStatus::BUFFER_TOO_SMALL.0).unwrap();
    f.asm.set_label(&mut end).unwrap();
    f.asm.mov(r9d, 4).unwrap();
    f.asm.mov(dword_ptr(rsp + 0x20), 0).unwrap();
    f.call("WmiCompleteRequest");
}

/// `DpWmiFunctionControl(DeviceObject, Irp, GuidIndex, Function, Enable)`.
fn function_control(f: &mut Function<'_>) {
    f.load(rax, control_seen().get());
    f.asm.mov(dword_ptr(rax), r9d).unwrap();
    f.asm.mov(r8d, dword_ptr(rsp + 0x28 + 8 + 0x20)).unwrap();
    f.asm.mov(dword_ptr(rax + 4), r8d).unwrap();
    f.asm.xor(r8d, r8d).unwrap();
    f.asm.xor(r9d, r9d).unwrap();
    f.asm.mov(dword_ptr(rsp + 0x20), 0).unwrap();
    f.call("WmiCompleteRequest");
}

/// Runs `script` with the driver's device.
fn run<F>(script: impl FnOnce(Kernel, Va) -> F + 'static)
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let program = Program::default()
        .import(&["WmiSystemControl", "WmiCompleteRequest", "IofCompleteRequest"])
        .function(dispatch)
        .function(query_reginfo)
        .function(query_data)
        .function(function_control);
    let machine = program.machine(1);
    let done = Rc::new(RefCell::new(false));
    let report = done.clone();
    machine.spawn(ThreadSpec::system("test"), move |k| async move {
        let device = provider(&k)?;
        script(k, device).await?;
        *report.borrow_mut() = true;
        Ok(())
    });
    let end = machine.run();
    if let Some(report) = machine.crash_report(None) {
        panic!("{report}");
    }
    assert_eq!((end, *done.borrow()), (RunEnd::Idle, true));
}

use std::future::Future;

fn provider(k: &Kernel) -> Outcome<Va> {
    let nowhere = driver::LoadedImage {
        base: Va::NULL,
        size: 0,
        entry: Va::NULL,
    };
    let object = driver::create(k, "test", nowhere)?;
    let entry = object + driver_object::MAJOR_FUNCTION + usize::from(Major::SYSTEM_CONTROL.0) * 8;
    k.write(entry, Program::address(DISPATCH))?;
    let spec = device::Spec {
        driver: object,
        extension_size: 0,
        name: None,
        device_type: 0x22,
        characteristics: 0,
        exclusive: false,
    };
    let device = device::create(k, spec)?.expect("it has no name");
    let (guid, list) = (buffer(k, 16)?, buffer(k, context::BLOCK_SIZE)?);
    k.write_bytes(guid, &BLOCK)?;
    k.write(list + context::BLOCK_GUID, guid)?;
    k.write(list + context::BLOCK_INSTANCE_COUNT, 1_u32)?;
    k.write(library() + context::GUID_COUNT, 1_u32)?;
    k.write(library() + context::GUID_LIST, list)?;
    k.write(library() + context::QUERY_WMI_REG_INFO, Program::address(QUERY_REGINFO))?;
    k.write(library() + context::QUERY_WMI_DATA_BLOCK, Program::address(QUERY_DATA))?;
    k.write(library() + context::WMI_FUNCTION_CONTROL, Program::address(CONTROL))?;
    k.write(registry_path(), counted(k, "\\Registry\\test")?)?;
    Ok(device)
}

/// Sends a WMI request with `at` as its buffer: how it ended.
async fn send(k: &Kernel, device: Va, provider: Va, minor: u8, at: Va, size: u32) -> Outcome<irp::IoStatus> {
    let spec = irp::Spec {
        major: Major::SYSTEM_CONTROL,
        minor,
        stack_size: 1,
        file: None,
        status: Some(NtStatus::NOT_SUPPORTED),
        mode: Mode::Kernel,
        finish: None,
    };
    let record = irp::allocate(k, spec)?;
    let location = irp::next_location(k, record.irp())?;
    k.write(location + stack::WMI_PROVIDER_ID, provider)?;
    k.write(location + stack::WMI_BUFFER_SIZE, size)?;
    k.write(location + stack::WMI_BUFFER, at)?;
    io::file::send_and_wait(k, device, &record).await
}

/// A buffer with a `WNODE_HEADER` for a block.
fn node(k: &Kernel, block: [u8; 16], size: usize) -> Outcome<Va> {
    let at = buffer(k, size)?;
    k.write_bytes(at + wnode::GUID, &block)?;
    k.write(at + wnode::FLAGS, 0x200_u32)?;
    Ok(at)
}

#[test]
fn a_provider_is_asked_what_it_provides() {
    run(|k, device| async move {
        let control = async |action: u64| call_status(&k, "IoWMIRegistrationControl", &[device.get(), action]).await;
        assert_eq!(control(2).await?, NtStatus::INVALID_PARAMETER, "it is not registered");
        assert_eq!(control(1).await?, NtStatus::SUCCESS);
        k.delay(10_000_000).await?;
        assert_eq!(registration::blocks(&k, device), [Guid(BLOCK)]);
        assert!(registration::is_provided(&k, Guid(BLOCK)));
        assert_eq!(control(2).await?, NtStatus::SUCCESS);
        assert!(!registration::is_provided(&k, Guid(BLOCK)));
        assert_eq!(control(9).await?, NtStatus::INVALID_PARAMETER);
        let callback = async |action: u64| {
            let arguments = [library().get(), 0x8001_0000 | action];
            call_status(&k, "IoWMIRegistrationControl", &arguments).await
        };
        assert_eq!(callback(1).await?, NtStatus::SUCCESS);
        assert_eq!(leftovers(&k).len(), 1);
        assert_eq!(callback(2).await?, NtStatus::SUCCESS);
        assert_eq!(callback(2).await?, NtStatus::INVALID_PARAMETER);
        assert_eq!(leftovers(&k), []);
        Ok(())
    });
}

#[test]
fn the_library_calls_the_routine_for_the_request() {
    run(|k, device| async move {
        let at = node(&k, BLOCK, 0x100)?;
        k.write(at + wnode::SINGLE_DATA_BLOCK_OFFSET, 0x48_u32)?;
        let answer = send(&k, device, device, minor::QUERY_SINGLE_INSTANCE, at, 0x100).await?;
        assert_eq!((answer.status, answer.information), (NtStatus::SUCCESS, 0x4C));
        assert_eq!(k.read::<u32>(at + 0x48_u64)?, 0x1234);
        assert_eq!(k.read::<u32>(at + wnode::SINGLE_SIZE_DATA_BLOCK)?, 4);

        let at = node(&k, BLOCK, 0x100)?;
        let answer = send(&k, device, device, minor::QUERY_ALL_DATA, at, 0x100).await?;
        assert_eq!(answer.status, NtStatus::SUCCESS);
        let offset: u32 = k.read(at + wnode::ALL_INSTANCES)?;
        assert_eq!(k.read::<u32>(at + wnode::ALL_INSTANCES + 4_u64)?, 4);
        assert_eq!(k.read::<u32>(at + u64::from(offset))?, 0x1234);

        let at = node(&k, BLOCK, 0x100)?;
        let answer = send(&k, device, device, minor::QUERY_ALL_DATA, at, 0x48).await?;
        assert_eq!(
            (answer.status, answer.information),
            (NtStatus::SUCCESS, wnode::TOO_SMALL_SIZE as u64)
        );
        assert_eq!(k.read::<u32>(at + wnode::SIZE_NEEDED)?, 0x4C);
        assert_eq!(k.read::<u32>(at + wnode::FLAGS)? & 0x20, 0x20);

        let answer = send(&k, device, device, minor::ENABLE_EVENTS, at, 0x100).await?;
        assert_eq!(answer.status, NtStatus::SUCCESS);
        assert_eq!(
            (k.read::<u32>(control_seen())?, k.read::<u8>(control_seen() + 4_u64)?),
            (0, 1)
        );
        Ok(())
    });
}

#[test]
fn the_library_refuses_what_the_driver_does_not_have() {
    run(|k, device| async move {
        let at = node(&k, [1; 16], 0x100)?;
        let answer = send(&k, device, device, minor::QUERY_ALL_DATA, at, 0x100).await?;
        assert_eq!(answer.status, status::GUID_NOT_FOUND);
        let at = node(&k, BLOCK, 0x100)?;
        let answer = send(&k, device, device, minor::CHANGE_SINGLE_INSTANCE, at, 0x100).await?;
        assert_eq!(answer.status, status::READ_ONLY);
        let answer = send(&k, device, device, minor::EXECUTE_METHOD, at, 0x100).await?;
        assert_eq!(answer.status, NtStatus::INVALID_DEVICE_REQUEST);
        k.write(at + wnode::INSTANCE_INDEX, 1_u32)?;
        let answer = send(&k, device, device, minor::QUERY_SINGLE_INSTANCE, at, 0x100).await?;
        assert_eq!(answer.status, status::INSTANCE_NOT_FOUND);
        Ok(())
    });
}

#[test]
fn events_are_written_and_instances_numbered() {
    clean(|k| async move {
        assert_eq!(call(&k, "IoWMIDeviceObjectToProviderId", &[0x1000]).await?, 0x1000);
        let event = call(&k, "ExAllocatePoolWithTag", &[512, 64, 0x31]).await?;
        assert_eq!(call_status(&k, "IoWMIWriteEvent", &[event]).await?, NtStatus::SUCCESS);
        let data = call(&k, "ExAllocatePoolWithTag", &[512, 8, 0x31]).await?;
        let guid = buffer(&k, 16)?;
        let fired = call_status(&k, "WmiFireEvent", &[0, guid.get(), 0, 8, data]).await?;
        assert_eq!(fired, NtStatus::SUCCESS);
        assert_eq!(k.driver_allocations().len(), 0, "both are the system's now");

        let first = buffer(&k, 4)?;
        for expected in [0, 3] {
            call_status(&k, "IoWMIAllocateInstanceIds", &[guid.get(), 3, first.get()]).await?;
            assert_eq!(k.read::<u32>(first)?, expected);
        }
        let opened = call_status(&k, "IoWMIOpenBlock", &[guid.get(), 1, first.get()]).await?;
        assert_eq!(opened, status::GUID_NOT_FOUND);
        let (link, name) = (counted(&k, "\\??\\link")?, buffer(&k, 16)?);
        let suggest = async |combine: u64| {
            let arguments = [0, link.get(), combine, name.get()];
            call_status(&k, "IoWMISuggestInstanceName", &arguments).await
        };
        assert_eq!(suggest(1).await?, NtStatus::UNSUCCESSFUL, "it needs both");
        assert_eq!(suggest(0).await?, NtStatus::SUCCESS);
        assert_eq!(crate::rtl::unicode_string::read(&k, name)?, "\\??\\link");
        Ok(())
    });
}
