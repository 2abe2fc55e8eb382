//! Reads, writes and direct requests: which buffer reaches the driver how, and what misuse of an MDL ends the run with.

use iced_x86::code_asm::{al, bl, r8, r8d, r9, r9d, rsi, rsp};
use ntlayout::{device_object, mdl};

use super::*;
use crate::{
    kernel::Config,
    mm::{self, UserRange},
    user::{Buffer, Position, Request},
    verifier::Settings,
};

const IN_DIRECT: u32 = BUFFERED | 1;
const OUT_DIRECT: u32 = BUFFERED | 2;
const NEITHER: u32 = BUFFERED | 3;

/// `NormalPagePriority | MdlMappingNoExecute`.
const PRIORITY: u32 = 0x4000_0010;
/// `NormalPagePriority | MdlMappingNoExecute | MdlMappingNoWrite`.
const READ_ONLY: u32 = 0xC000_0010;

const MDL_IMPORTS: [&str; 9] = [
    "MmMapLockedPagesSpecifyCache",
    "MmUnmapLockedPages",
    "MmProbeAndLockPages",
    "MmUnlockPages",
    "MmBuildMdlForNonPagedPool",
    "IoAllocateMdl",
    "IoFreeMdl",
    "IoBuildPartialMdl",
    "KeRaiseIrqlToDpcLevel",
];

fn mdl_driver(control: impl Fn(&mut Function<'_>) + 'static) -> Program {
    driver(control).import(&MDL_IMPORTS)
}

/// Maps the MDL in `rcx`; the address is in `rax`.
fn map(f: &mut Function<'_>, priority: u32) {
    // The fifth and sixth arguments lie above the home slots, in the frame that the prologue made.
    f.asm.sub(rsp, 0x10).unwrap();
    f.asm.xor(edx, edx).unwrap();
    f.asm.mov(r8d, 1).unwrap();
    f.asm.xor(r9d, r9d).unwrap();
    f.asm.mov(dword_ptr(rsp + 0x20), 0).unwrap();
    f.asm
        .mov(dword_ptr(rsp + 0x28), i32::from_ne_bytes(priority.to_ne_bytes()))
        .unwrap();
    f.call("MmMapLockedPagesSpecifyCache");
    f.asm.add(rsp, 0x10).unwrap();
}

/// The IRP's MDL is in `rsi`; `MmGetSystemAddressForMdlSafe` of it in `rax`.
fn map_irp(f: &mut Function<'_>, priority: u32) {
    f.asm.mov(rsi, qword_ptr(rbx + layout::MDL_ADDRESS)).unwrap();
    f.asm.mov(rcx, rsi).unwrap();
    map(f, priority);
}

fn succeed(f: &mut Function<'_>, information: u32) {
    set_status(f, NtStatus::SUCCESS, information);
    complete(f);
    answer(f, NtStatus::SUCCESS);
}

/// How a request ended, and what its buffer holds then.
#[derive(Debug)]
struct Seen {
    completion: Completion,
    buffer: Vec<u8>,
}

/// Runs one request of `send` on a driver whose device has `flags`.
fn one<F>(program: &Program, flags: u32, send: impl FnOnce(Kernel, Handle) -> F + 'static) -> Result<Seen, Crashed>
where
    F: Future<Output = Outcome<Request>> + 'static,
{
    one_of(program, flags, Config::default(), send)
}

/// The bug check's code, its first parameter, and the rule.
type Crashed = (Code, u64, &'static str);

fn one_of<F>(
    program: &Program,
    flags: u32,
    config: Config,
    send: impl FnOnce(Kernel, Handle) -> F + 'static,
) -> Result<Seen, Crashed>
where
    F: Future<Output = Outcome<Request>> + 'static,
{
    let result = Rc::new(RefCell::new(None));
    let seen = result.clone();
    let machine = run_on(
        program.machine_of(config),
        Placement::default(),
        move |k, pdo, link| async move {
            let top = device::top_of_stack(&k, pdo)?;
            let before: u32 = k.read(top + device_object::FLAGS)?;
            k.write(top + device_object::FLAGS, before | flags)?;
            let handle = open(&k, &link).await?;
            let request = send(k.clone(), handle.clone()).await?;
            let completion = request.wait(&k).await?;
            let buffer = request.buffer().map_or_else(Vec::new, Buffer::contents);
            *seen.borrow_mut() = Some(Seen { completion, buffer });
            drop(request);
            handle.close(&k).await
        },
    );
    if let Some(crash) = machine.kernel().crash() {
        return Err((crash.bugcheck.code, crash.bugcheck.parameters[0], crash.bugcheck.rule));
    }
    Ok(result.take().expect("the request ended"))
}

fn crash_of_direct(control: impl Fn(&mut Function<'_>) + 'static) -> Crashed {
    let sent = one(&mdl_driver(control), 0, |k, handle| async move {
        handle.device_io_control(&k, OUT_DIRECT, &[], 16).await
    });
    sent.expect_err("a rule is broken")
}

/// Adds 1 to the first byte of the request's direct buffer.
fn touch(f: &mut Function<'_>) {
    map_irp(f, PRIORITY);
    f.asm.inc(byte_ptr(rax)).unwrap();
    succeed(f, 1);
}

#[test]
fn a_direct_request_writes_the_programs_own_pages_at_another_address() {
    let program = mdl_driver(|f| {
        map_irp(f, PRIORITY);
        // The mapping keeps the offset into the page, and is not the user's address.
        f.asm.mov(rcx, qword_ptr(rsi + mdl::START_VA)).unwrap();
        f.asm.mov(r8, rax).unwrap();
        f.asm.sub(r8, rcx).unwrap();
        f.asm.mov(qword_ptr(rax), rcx).unwrap();
        f.asm.mov(qword_ptr(rax + 8), rax).unwrap();
        succeed(f, 16);
    });
    let sent = one(&program, 0, |k, handle| async move {
        let buffer = Buffer::at(&k, 0xFF8, 16);
        let request = handle
            .device_io_control_with(&k, OUT_DIRECT, UserRange::NONE, buffer.range())
            .await?;
        assert_eq!(request.wait(&k).await?.information, 16);
        let words: Vec<u64> = buffer
            .contents()
            .chunks(8)
            .map(|word| u64::from_le_bytes(word.try_into().unwrap()))
            .collect();
        assert_eq!(
            words[0],
            buffer.range().address.page().get(),
            "StartVa is the user's page"
        );
        assert!(Va(words[1]).is_system());
        assert_eq!(Va(words[1]).offset_in_page(), 0xFF8);
        Ok(request)
    });
    assert!(sent.is_ok(), "{:?}", sent.err());
}

#[test]
fn the_first_buffer_of_a_direct_request_is_copied_the_second_is_not() {
    let program = mdl_driver(|f| {
        map_irp(f, READ_ONLY);
        f.asm.mov(al, byte_ptr(rax)).unwrap();
        f.asm.mov(rcx, qword_ptr(rbx + layout::SYSTEM_BUFFER)).unwrap();
        f.asm.add(al, byte_ptr(rcx)).unwrap();
        f.asm.movzx(eax, al).unwrap();
        f.asm.mov(qword_ptr(rbx + layout::IO_STATUS_INFORMATION), rax).unwrap();
        f.asm.mov(dword_ptr(rbx + layout::IO_STATUS), 0).unwrap();
        complete(f);
        answer(f, NtStatus::SUCCESS);
    });
    let sent = one(&program, 0, |k, handle| async move {
        let (first, second) = (Buffer::holding(&k, &[3]), Buffer::holding(&k, &[4]));
        second.make_read_only();
        handle
            .device_io_control_with(&k, IN_DIRECT, first.range(), second.range())
            .await
    });
    assert_eq!(sent.expect("no rule is broken").completion.information, 7);
}

#[test]
fn a_buffer_that_may_not_be_written_to_is_refused_before_the_driver_sees_it() {
    let refused = |code, writable_needed| {
        let sent = one(&mdl_driver(touch), 0, move |k, handle| async move {
            let buffer = Buffer::new(&k, 16);
            buffer.make_read_only();
            handle
                .device_io_control_with(&k, code, UserRange::NONE, buffer.range())
                .await
        });
        let status = sent.expect("no rule is broken").completion.status;
        assert_eq!(status == NtStatus::ACCESS_VIOLATION, writable_needed, "{status}");
    };
    refused(OUT_DIRECT, true);
    refused(BUFFERED, true);
}

#[test]
fn pointers_to_nowhere_are_refused() {
    for (code, input, output) in [
        (BUFFERED, true, false),
        (BUFFERED, false, true),
        (IN_DIRECT, true, false),
        (IN_DIRECT, false, true),
        (OUT_DIRECT, false, true),
    ] {
        for address in [
            Va(0x10),
            Va(0x7FFF_FFFE_FFF8),
            Va(0xFFFF_9000_0000_0000),
            Va(u64::MAX - 4),
        ] {
            let sent = one(&mdl_driver(touch), 0, move |k, handle| async move {
                let nowhere = UserRange { address, length: 32 };
                let here = Buffer::new(&k, 32);
                let [input, output] = [input, output].map(|bad| if bad { nowhere } else { here.range() });
                handle.device_io_control_with(&k, code, input, output).await
            });
            let status = sent.expect("no rule is broken").completion.status;
            assert_eq!(status, NtStatus::ACCESS_VIOLATION, "{code:#x}, {address}");
        }
    }
}

#[test]
fn reads_and_writes_follow_the_devices_flags() {
    let of_irp = |field: usize| {
        driver(move |f| {
            f.asm.mov(rax, qword_ptr(rbx + field)).unwrap();
            f.asm.mov(qword_ptr(rbx + layout::IO_STATUS_INFORMATION), rax).unwrap();
            f.asm.mov(dword_ptr(rbx + layout::IO_STATUS), 0x4000_0000).unwrap();
            complete(f);
            f.asm.mov(eax, 0x4000_0000).unwrap();
        })
    };
    let field = |field, flags, length: usize, write| {
        let sent = one(&of_irp(field), flags, move |k, handle| async move {
            if write {
                handle.write_file(&k, &vec![1; length], Position::default()).await
            } else {
                handle.read_file(&k, length, Position::default()).await
            }
        });
        Va(sent.expect("no rule is broken").completion.information)
    };
    for write in [false, true] {
        assert!(field(layout::MDL_ADDRESS, device::DO_DIRECT_IO, 8, write).is_system());
        assert!(
            field(layout::MDL_ADDRESS, device::DO_DIRECT_IO, 0, write).is_null(),
            "no bytes, no MDL"
        );
        assert!(field(layout::MDL_ADDRESS, 0, 8, write).is_null());
        assert!(field(layout::SYSTEM_BUFFER, 0, 8, write).is_null());
        let user = field(layout::USER_BUFFER, 0, 8, write);
        assert!(!user.is_null() && !user.is_system());
    }
    assert!(field(layout::SYSTEM_BUFFER, device::DO_BUFFERED_IO, 8, true).is_system());
    assert!(field(layout::SYSTEM_BUFFER, device::DO_BUFFERED_IO, 0, true).is_null());
}

#[test]
fn a_buffered_read_gives_what_information_says() {
    let program = driver(|f| {
        f.asm.mov(rax, qword_ptr(rbx + layout::SYSTEM_BUFFER)).unwrap();
        f.asm.mov(dword_ptr(rax), 0x0403_0201).unwrap();
        succeed(f, 3);
    });
    let sent = one(&program, device::DO_BUFFERED_IO, |k, handle| async move {
        handle.read_file(&k, 8, Position::default()).await
    });
    let seen = sent.expect("no rule is broken");
    assert_eq!(seen.completion.output, [1, 2, 3]);
    assert_eq!(seen.buffer, [1, 2, 3, 0, 0, 0, 0, 0]);
}

#[test]
fn the_position_of_a_read_reaches_the_driver_and_is_checked() {
    let program = driver(|f| {
        f.asm.mov(rax, qword_ptr(rbx + layout::CURRENT_STACK_LOCATION)).unwrap();
        f.asm.mov(rcx, qword_ptr(rax + stack::READ_WRITE_BYTE_OFFSET)).unwrap();
        f.asm.mov(edx, dword_ptr(rax + stack::READ_WRITE_KEY)).unwrap();
        f.asm.shl(rdx, 16).unwrap();
        f.asm.add(rcx, rdx).unwrap();
        f.asm.mov(edx, dword_ptr(rax + stack::READ_WRITE_LENGTH)).unwrap();
        f.asm.add(rcx, rdx).unwrap();
        f.asm.mov(qword_ptr(rbx + layout::IO_STATUS_INFORMATION), rcx).unwrap();
        f.asm.mov(dword_ptr(rbx + layout::IO_STATUS), 0).unwrap();
        complete(f);
        answer(f, NtStatus::SUCCESS);
    });
    let read = |offset, write| {
        let sent = one(&program, device::DO_DIRECT_IO, move |k, handle| async move {
            let at = Position { offset, key: 2 };
            if write {
                handle.write_file(&k, &[0; 5], at).await
            } else {
                handle.read_file(&k, 5, at).await
            }
        });
        let completion = sent.expect("no rule is broken").completion;
        (completion.status, completion.information)
    };
    assert_eq!(read(0x300, false), (NtStatus::SUCCESS, 0x2_0305));
    assert_eq!(read(-1, false), (NtStatus::INVALID_PARAMETER, 0));
    assert_eq!(
        read(-1, true),
        (NtStatus::SUCCESS, 0x2_0004),
        "FILE_WRITE_TO_END_OF_FILE"
    );
    assert_eq!(read(-2, true), (NtStatus::INVALID_PARAMETER, 0));
}

#[test]
fn reads_and_writes_need_their_access_rights() {
    let machine = run(&driver(|f| succeed(f, 0)), 1, |k, _, link| async move {
        for (access, may_read, may_write) in [(FILE_READ_DATA, true, false), (FILE_WRITE_DATA, false, true)] {
            let handle = Handle::open(&k, &link, access).await?.unwrap();
            let read = handle.read_file(&k, 1, Position::default()).await?.wait(&k).await?;
            let write = handle.write_file(&k, &[1], Position::default()).await?.wait(&k).await?;
            assert_eq!(read.status != NtStatus::ACCESS_DENIED, may_read);
            assert_eq!(write.status != NtStatus::ACCESS_DENIED, may_write);
            handle.close(&k).await?;
        }
        Ok(())
    });
    assert!(
        machine.kernel().crash().is_none(),
        "{}",
        machine.crash_report(None).unwrap()
    );
}

/// Pends the IRP in `rbx` and keeps it where the driver's data is.
fn pend(f: &mut Function<'_>) {
    mark_pending(f);
    f.load(rax, (Program::data() + 0x40_u64).get());
    f.asm.mov(qword_ptr(rax), rbx).unwrap();
    answer(f, NtStatus::PENDING);
}

#[test]
fn a_program_may_change_the_buffer_while_the_request_is_under_way() {
    // The first request is pended, the second one completes it with the first byte of its buffer.
    let program = mdl_driver(|f| {
        f.load(rax, (Program::data() + 0x40_u64).get());
        f.asm.mov(rcx, qword_ptr(rax)).unwrap();
        f.asm.test(rcx, rcx).unwrap();
        let mut second = f.asm.create_label();
        let mut end = f.asm.create_label();
        f.asm.jne(second).unwrap();
        pend(f);
        f.asm.jmp(end).unwrap();
        f.asm.set_label(&mut second).unwrap();
        succeed(f, 0);
        f.load(rax, (Program::data() + 0x40_u64).get());
        f.asm.mov(rbx, qword_ptr(rax)).unwrap();
        map_irp(f, PRIORITY);
        f.asm.movzx(eax, byte_ptr(rax)).unwrap();
        f.asm.mov(qword_ptr(rbx + layout::IO_STATUS_INFORMATION), rax).unwrap();
        f.asm.mov(dword_ptr(rbx + layout::IO_STATUS), 0).unwrap();
        complete(f);
        answer(f, NtStatus::SUCCESS);
        f.asm.set_label(&mut end).unwrap();
    });
    let sent = one(&program, device::DO_DIRECT_IO, |k, handle| async move {
        let request = handle.device_io_control(&k, OUT_DIRECT, &[], 0x2000).await?;
        request.buffer().unwrap().write(0, &[9]);
        handle.device_io_control(&k, BUFFERED, &[], 0).await?.wait(&k).await?;
        Ok(request)
    });
    assert_eq!(sent.expect("no rule is broken").completion.information, 9);
}

#[test]
fn the_mapping_goes_with_the_request() {
    let crash = crash_of_direct(|f| {
        map_irp(f, PRIORITY);
        f.asm.mov(rsi, rax).unwrap();
        succeed(f, 0);
        f.asm.mov(bl, byte_ptr(rsi)).unwrap();
    });
    assert_eq!(
        (crash.0, crash.2),
        (Code::PAGE_FAULT_IN_NONPAGED_AREA, "unmapped-memory")
    );
}

#[test]
fn a_read_only_mapping_cannot_be_written() {
    let crash = crash_of_direct(|f| {
        map_irp(f, READ_ONLY);
        f.asm.mov(byte_ptr(rax), 1).unwrap();
        succeed(f, 0);
    });
    assert_eq!(
        (crash.0, crash.2),
        (Code::ATTEMPTED_WRITE_TO_READONLY_MEMORY, "write-read-only")
    );
}

const VERIFIER: Code = Code::DRIVER_VERIFIER_DETECTED_VIOLATION;

/// Maps the request's buffer without `MdlMappingNoExecute`.
fn map_executable(verifier: Settings) -> Result<Seen, Crashed> {
    let program = mdl_driver(|f| {
        map_irp(f, 0x10);
        succeed(f, 0);
    });
    let config = Config {
        verifier,
        ..Config::default()
    };
    one_of(&program, 0, config, |k, handle| async move {
        handle.device_io_control(&k, OUT_DIRECT, &[], 16).await
    })
}

#[test]
fn an_executable_mapping_is_a_violation_by_the_code_integrity_checks_only() {
    let crash = map_executable(Settings::ALL).expect_err("a rule is broken");
    assert_eq!(crash, (VERIFIER, 0x2002, "executable-mapping"));
    assert!(map_executable(Settings::STANDARD).is_ok());
    let allowed = Settings::ALL.allow("executable-mapping").unwrap();
    assert!(map_executable(allowed).is_ok());
}

#[test]
fn mapping_twice_is_a_violation() {
    let crash = crash_of_direct(|f| {
        map_irp(f, PRIORITY);
        map_irp(f, PRIORITY);
        succeed(f, 0);
    });
    assert_eq!(crash, (VERIFIER, 0xB2, "mdl-mapped-twice"));
}

#[test]
fn a_mapping_can_fail_where_it_is_asked_for() {
    let program = mdl_driver(|f| {
        map_irp(f, PRIORITY);
        f.asm.mov(qword_ptr(rbx + layout::IO_STATUS_INFORMATION), rax).unwrap();
        f.asm.mov(dword_ptr(rbx + layout::IO_STATUS), 0).unwrap();
        complete(f);
        answer(f, NtStatus::SUCCESS);
    });
    let config = Config {
        failing_mappings: 100,
        ..Config::default()
    };
    let sent = one_of(&program, 0, config, |k, handle| async move {
        handle.device_io_control(&k, OUT_DIRECT, &[], 16).await
    });
    assert_eq!(sent.expect("no rule is broken").completion.information, 0);
}

/// Calls a routine with the MDL in `rsi` alone.
fn with_mdl(f: &mut Function<'_>, routine: &str) {
    f.asm.mov(rcx, rsi).unwrap();
    f.call(routine);
}

#[test]
fn unlocking_what_is_not_locked_is_a_violation() {
    // The driver takes the request's own MDL away from the I/O manager, which unlocks it again.
    let crash = crash_of_direct(|f| {
        f.asm.mov(rsi, qword_ptr(rbx + layout::MDL_ADDRESS)).unwrap();
        with_mdl(f, "MmUnlockPages");
        succeed(f, 0);
    });
    assert_eq!(crash, (VERIFIER, 0x7C, "mdl-unlocked-twice"));
}

#[test]
fn freeing_what_is_locked_is_a_violation() {
    let crash = crash_of_direct(|f| {
        f.asm.mov(rsi, qword_ptr(rbx + layout::MDL_ADDRESS)).unwrap();
        with_mdl(f, "IoFreeMdl");
        succeed(f, 0);
    });
    assert_eq!(crash.0, Code::DRIVER_LEFT_LOCKED_PAGES_IN_PROCESS);
}

#[test]
fn freeing_what_is_mapped_is_a_violation() {
    let crash = crash_of_direct(|f| {
        map_irp(f, PRIORITY);
        with_mdl(f, "IoFreeMdl");
        succeed(f, 0);
    });
    assert_eq!(crash, (VERIFIER, 0xB8, "mdl-freed-mapped"));
}

#[test]
fn unmapping_twice_is_a_violation() {
    let crash = crash_of_direct(|f| {
        map_irp(f, PRIORITY);
        f.load(r9, (Program::data() + 0x40_u64).get());
        f.asm.mov(qword_ptr(r9), rax).unwrap();
        for _ in 0..2 {
            f.load(r9, (Program::data() + 0x40_u64).get());
            f.asm.mov(rcx, qword_ptr(r9)).unwrap();
            f.asm.mov(rdx, rsi).unwrap();
            f.call("MmUnmapLockedPages");
        }
        succeed(f, 0);
    });
    assert_eq!((crash.0, crash.2), (VERIFIER, "mdl-not-mapped"));
}

/// `IoAllocateMdl` of 8 bytes at the address in a field of the IRP; the MDL is in `rsi`.
fn own_mdl(f: &mut Function<'_>, field: usize) {
    f.asm.mov(rcx, qword_ptr(rbx + field)).unwrap();
    f.asm.mov(edx, 8).unwrap();
    f.asm.xor(r8d, r8d).unwrap();
    f.asm.xor(r9d, r9d).unwrap();
    f.asm.sub(rsp, 0x10).unwrap();
    f.asm.mov(qword_ptr(rsp + 0x20), 0).unwrap();
    f.call("IoAllocateMdl");
    f.asm.add(rsp, 0x10).unwrap();
    f.asm.mov(rsi, rax).unwrap();
}

/// `MmProbeAndLockPages(rsi, UserMode, IoWriteAccess)`.
fn lock(f: &mut Function<'_>) {
    f.asm.mov(rcx, rsi).unwrap();
    f.asm.mov(edx, 1).unwrap();
    f.asm.mov(r8d, 1).unwrap();
    f.call("MmProbeAndLockPages");
}

fn neither(control: impl Fn(&mut Function<'_>) + 'static) -> Result<Seen, Crashed> {
    one(&mdl_driver(control), 0, |k, handle| async move {
        handle.device_io_control(&k, NEITHER, &[5], 8).await
    })
}

/// The address in `rcx` is probed for 4 bytes.
fn probe(f: &mut Function<'_>, routine: &str) {
    f.asm.mov(edx, 4).unwrap();
    f.asm.mov(r8d, 1).unwrap();
    f.call(routine);
}

/// Copies what it increases by 1 from the input to the output; the output is probed by `routine`, if by any.
fn increment(f: &mut Function<'_>, routine: Option<&str>) {
    f.asm.mov(rax, qword_ptr(rbx + layout::CURRENT_STACK_LOCATION)).unwrap();
    f.asm.mov(rsi, qword_ptr(rax + stack::TYPE3_INPUT_BUFFER)).unwrap();
    f.asm.mov(rcx, rsi).unwrap();
    probe(f, "ProbeForRead");
    if let Some(routine) = routine {
        f.asm.mov(rcx, qword_ptr(rbx + layout::USER_BUFFER)).unwrap();
        probe(f, routine);
    }
    f.asm.mov(rcx, qword_ptr(rbx + layout::USER_BUFFER)).unwrap();
    f.asm.mov(al, byte_ptr(rsi)).unwrap();
    f.asm.inc(al).unwrap();
    f.asm.mov(byte_ptr(rcx), al).unwrap();
    succeed(f, 1);
}

/// A driver that does [`increment`] for a `METHOD_NEITHER` request.
fn incremented(routine: Option<&'static str>) -> Result<Seen, Crashed> {
    let program = driver(move |f| increment(f, routine)).import(&["ProbeForRead", "ProbeForWrite"]);
    one(&program, 0, |k, handle| async move {
        handle.device_io_control(&k, NEITHER, &[5], 8).await
    })
}

#[test]
fn a_neither_request_gives_addresses_that_are_good_in_the_requesting_thread() {
    let seen = incremented(Some("ProbeForWrite"));
    assert_eq!(seen.expect("no rule is broken").completion.output, [6]);
}

#[test]
fn an_address_of_the_programs_is_probed_before_it_is_used() {
    for routine in [None, Some("ProbeForRead")] {
        let rule = incremented(routine).err().map(|(_, _, rule)| rule);
        assert_eq!(rule, Some("user-memory-not-probed"), "{routine:?}");
    }
}

#[test]
fn user_memory_is_not_there_at_dispatch_level() {
    let crash = neither(|f| {
        f.call("KeRaiseIrqlToDpcLevel");
        f.asm.mov(rcx, qword_ptr(rbx + layout::USER_BUFFER)).unwrap();
        f.asm.mov(al, byte_ptr(rcx)).unwrap();
    });
    assert_eq!(
        crash.err(),
        Some((
            Code::DRIVER_IRQL_NOT_LESS_OR_EQUAL,
            mm::layout::USER.get() + 0x2000,
            "user-memory-at-dispatch"
        ))
    );
}

#[test]
fn user_memory_is_not_there_in_another_thread() {
    let program = mdl_driver(|f| {
        f.load(rax, (Program::data() + 0x40_u64).get());
        f.asm.mov(rcx, qword_ptr(rax)).unwrap();
        f.asm.test(rcx, rcx).unwrap();
        let mut second = f.asm.create_label();
        let mut end = f.asm.create_label();
        f.asm.jne(second).unwrap();
        pend(f);
        f.asm.jmp(end).unwrap();
        f.asm.set_label(&mut second).unwrap();
        f.asm.mov(rax, qword_ptr(rcx + layout::USER_BUFFER)).unwrap();
        f.asm.mov(al, byte_ptr(rax)).unwrap();
        f.asm.set_label(&mut end).unwrap();
    });
    let crash = one(&program, 0, |k, handle| async move {
        let request = handle.device_io_control(&k, NEITHER, &[], 8).await?;
        let (other, of_other) = (k.clone(), handle.clone());
        k.spawn(ThreadSpec::user("another program"), move |_| async move {
            of_other.device_io_control(&other, NEITHER, &[], 8).await.map(|_| ())
        });
        Ok(request)
    });
    let crash = crash.expect_err("a rule is broken");
    assert_eq!((crash.0, crash.2), (Code::KMODE_EXCEPTION_NOT_HANDLED, "user-memory"));
}

#[test]
fn a_driver_may_lock_the_pages_of_a_neither_request_itself() {
    let seen = neither(|f| {
        own_mdl(f, layout::USER_BUFFER);
        lock(f);
        f.asm.mov(rcx, rsi).unwrap();
        map(f, PRIORITY);
        f.asm.mov(byte_ptr(rax + 1), 7).unwrap();
        with_mdl(f, "MmUnlockPages");
        with_mdl(f, "IoFreeMdl");
        succeed(f, 2);
    });
    assert_eq!(seen.expect("no rule is broken").completion.output, [0, 7]);
}

#[test]
fn pages_that_a_driver_leaves_locked_are_found_when_the_program_ends() {
    let crash = neither(|f| {
        own_mdl(f, layout::USER_BUFFER);
        lock(f);
        succeed(f, 0);
    });
    let crash = crash.expect_err("a rule is broken");
    assert_eq!(
        (crash.0, crash.2),
        (Code::DRIVER_LEFT_LOCKED_PAGES_IN_PROCESS, "pages-left-locked")
    );
}

#[test]
fn locking_twice_is_a_violation() {
    let crash = neither(|f| {
        own_mdl(f, layout::USER_BUFFER);
        lock(f);
        lock(f);
    });
    assert_eq!(crash.err(), Some((VERIFIER, 0xB0, "mdl-locked-twice")));
}

#[test]
fn a_probe_that_fails_is_an_exception_that_nothing_handles() {
    let program = mdl_driver(|f| {
        own_mdl(f, layout::USER_BUFFER);
        lock(f);
    });
    let crash = one(&program, 0, |k, handle| async move {
        let nowhere = UserRange {
            address: Va(0x1000),
            length: 8,
        };
        handle
            .device_io_control_with(&k, NEITHER, UserRange::NONE, nowhere)
            .await
    });
    let violation = u64::from(NtStatus::ACCESS_VIOLATION.0);
    assert_eq!(
        crash.err(),
        Some((Code::KMODE_EXCEPTION_NOT_HANDLED, violation, "unhandled-exception"))
    );
}

/// A buffered request of 8 bytes whose system buffer the driver makes an MDL of.
fn of_system_buffer(then: impl Fn(&mut Function<'_>) + 'static) -> Result<Seen, Crashed> {
    let program = mdl_driver(move |f| {
        own_mdl(f, layout::SYSTEM_BUFFER);
        with_mdl(f, "MmBuildMdlForNonPagedPool");
        then(f);
    });
    one(&program, 0, |k, handle| async move {
        handle
            .device_io_control(&k, BUFFERED, &[1, 2, 3, 4, 5, 6, 7, 8], 8)
            .await
    })
}

#[test]
fn nonpaged_pool_is_mapped_where_it_is_and_never_unlocked() {
    let seen = of_system_buffer(|f| {
        f.asm.mov(rax, qword_ptr(rsi + mdl::MAPPED_SYSTEM_VA)).unwrap();
        f.asm.inc(byte_ptr(rax)).unwrap();
        with_mdl(f, "IoFreeMdl");
        succeed(f, 1);
    });
    assert_eq!(seen.expect("no rule is broken").completion.output, [2]);
    let crash = of_system_buffer(|f| with_mdl(f, "MmUnlockPages"));
    assert_eq!(crash.err(), Some((VERIFIER, 0x7D, "mdl-unlocked-nonpaged")));
}

#[test]
fn a_partial_mdl_describes_a_part_and_its_mapping_goes_with_it() {
    let program = mdl_driver(|f| {
        // A target for the last two bytes of the request's buffer, which cross a page.
        own_mdl(f, layout::USER_BUFFER);
        f.asm.mov(rcx, qword_ptr(rbx + layout::MDL_ADDRESS)).unwrap();
        f.asm.mov(rdx, rsi).unwrap();
        f.asm.mov(r8, qword_ptr(rbx + layout::USER_BUFFER)).unwrap();
        f.asm.add(r8, 1).unwrap();
        f.asm.mov(r9d, 2).unwrap();
        f.call("IoBuildPartialMdl");
        f.asm.mov(rcx, rsi).unwrap();
        map(f, PRIORITY);
        f.asm.mov(dword_ptr(rax), 0x0807).unwrap();
        with_mdl(f, "IoFreeMdl");
        succeed(f, 8);
    });
    let sent = one(&program, 0, |k, handle| async move {
        let buffer = Buffer::at(&k, 0xFFE, 8);
        let request = handle
            .device_io_control_with(&k, OUT_DIRECT, UserRange::NONE, buffer.range())
            .await?;
        request.wait(&k).await?;
        assert_eq!(buffer.contents()[..4], [0, 7, 8, 0]);
        Ok(request)
    });
    assert!(sent.is_ok(), "{:?}", sent.err());
}

#[test]
fn a_partial_mdl_must_be_a_part() {
    let crash = crash_of_direct(|f| {
        own_mdl(f, layout::USER_BUFFER);
        f.asm.mov(rcx, qword_ptr(rbx + layout::MDL_ADDRESS)).unwrap();
        f.asm.mov(rdx, rsi).unwrap();
        f.asm.mov(r8, qword_ptr(rbx + layout::USER_BUFFER)).unwrap();
        f.asm.add(r8, 9).unwrap();
        f.asm.mov(r9d, 8).unwrap();
        f.call("IoBuildPartialMdl");
    });
    assert_eq!((crash.0, crash.2), (Code::INVALID_MDL_RANGE, "mdl-range"));
}
