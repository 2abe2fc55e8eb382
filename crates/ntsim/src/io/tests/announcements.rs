//! What drivers are told: PnP notification, shutdown, reinitialization; and IRPs that the I/O manager forwards for them.

use iced_x86::code_asm::r8d;

use super::*;
use crate::{
    ddi::testing::{buffer, call, status},
    io::{notification, pnp::Removal, shutdown},
    kernel::Kernel,
};

const INTERFACES: u64 = 2;
const TARGET: u64 = 3;

/// Where the callback counts, keeps the event's first field, and the status that it returns.
fn counted() -> Va {
    Program::data() + 32_u64
}

/// A callback `(NotificationStructure, Context)`: counts, and keeps what it was told.
fn callback(f: &mut Function<'_>) {
    f.load(rax, counted().get());
    f.asm.inc(dword_ptr(rax)).unwrap();
    f.asm.mov(edx, dword_ptr(rcx + 4)).unwrap();
    f.asm.mov(dword_ptr(rax + 4), edx).unwrap();
    f.asm.mov(eax, dword_ptr(rax + 8)).unwrap();
}

fn told(k: &Kernel) -> (u32, u32) {
    (k.read(counted()).unwrap(), k.read(counted() + 4_u64).unwrap())
}

async fn register(k: &Kernel, category: u64, flags: u64, data: Va) -> Outcome<Va> {
    let entry = buffer(k, 8)?;
    let routine = Program::address(HELPER).get();
    let arguments = [category, flags, data.get(), 0, routine, 0x77, entry.get()];
    let registered = status(k, "IoRegisterPlugPlayNotification", &arguments).await?;
    assert_eq!(registered, NtStatus::SUCCESS);
    k.read(entry)
}

#[test]
fn interfaces_are_told_when_they_come_and_go() {
    let program = driver_with(invert, callback);
    let machine = run(&program, 1, |k, _, link| async move {
        let class = buffer(&k, guid::SIZE)?;
        k.write_bytes(class, &CLASS)?;
        let silent = register(&k, INTERFACES, 0, class).await?;
        assert_eq!(told(&k).0, 0, "those that are there are not told");
        let entry = register(&k, INTERFACES, 1, class).await?;
        assert_eq!(told(&k), (1, 0xCB3A_4004), "unless they are asked for");
        assert_eq!(notification::leftovers(&k).len(), 2);
        status(&k, "IoUnregisterPlugPlayNotification", &[silent.get()]).await?;

        let string = crate::ddi::testing::counted(&k, &link)?;
        status(&k, "IoSetDeviceInterfaceState", &[string.get(), 0]).await?;
        k.delay(1_000_000).await?;
        assert_eq!(told(&k), (2, 0xCB3A_4005));
        let gone = status(&k, "IoUnregisterPlugPlayNotificationEx", &[entry.get()]).await?;
        assert_eq!(gone, NtStatus::SUCCESS);
        status(&k, "IoSetDeviceInterfaceState", &[string.get(), 1]).await?;
        k.delay(1_000_000).await?;
        assert_eq!(told(&k).0, 2);
        assert_eq!(notification::leftovers(&k), []);
        status(&k, "IoUnregisterPlugPlayNotificationEx", &[entry.get()]).await?;
        Ok(())
    });
    let crash = machine.kernel().crash().expect("a rule is broken");
    assert_eq!(crash.bugcheck.rule, "notification-not-registered");
}

#[test]
fn a_driver_that_uses_a_device_can_refuse_its_removal() {
    let program = driver_with(invert, callback);
    let machine = run(&program, 1, |k, pdo, _| async move {
        let file = buffer(&k, ntlayout::file_object::SIZE)?;
        k.write(file + ntlayout::file_object::DEVICE_OBJECT, pdo)?;
        let entry = register(&k, TARGET, 0, file).await?;
        k.write(counted() + 8_u64, NtStatus::UNSUCCESSFUL)?;
        let removal = pnp::remove_device(&k, pdo).await?;
        assert_eq!(removal, Removal::RefusedByDriver(NtStatus::UNSUCCESSFUL));
        assert_eq!(told(&k), (2, 0xCB3A_4007), "asked, and told that it stays");
        k.write(counted() + 8_u64, 0_u32)?;
        assert_eq!(pnp::query_remove_device(&k, pdo).await?, NtStatus::SUCCESS);
        assert_eq!(told(&k), (3, 0xCB3A_4006));
        pnp::cancel_remove_device(&k, pdo).await?;
        status(&k, "IoUnregisterPlugPlayNotificationEx", &[entry.get()]).await?;
        Ok(())
    });
    assert_clean(&machine);
}

#[test]
fn a_registered_device_is_sent_a_shutdown_request() {
    let machine = run(&driver(invert), 1, |k, pdo, _| async move {
        let fdo = device::top_of_stack(&k, pdo)?;
        let driver: Va = k.read(fdo + ntlayout::device_object::DRIVER_OBJECT)?;
        let entry = driver + driver_object::MAJOR_FUNCTION + usize::from(Major::SHUTDOWN.0) * 8;
        k.write(entry, Program::address(SUCCEED))?;
        for name in [
            "IoRegisterShutdownNotification",
            "IoRegisterLastChanceShutdownNotification",
        ] {
            assert_eq!(status(&k, name, &[fdo.get()]).await?, NtStatus::SUCCESS);
        }
        let flags: u32 = k.read(fdo + ntlayout::device_object::FLAGS)?;
        assert_eq!(flags & 0x800, 0x800);
        shutdown::tell(&k).await?;
        let sent = |k: &Kernel| {
            let trace = k.recorded();
            let told = trace.records().iter().filter(|record| {
                matches!(&record.event, crate::trace::Event::Note(text) if text.contains("IRP_MJ_SHUTDOWN sent"))
            });
            told.count()
        };
        assert_eq!(sent(&k), 2);
        status(&k, "IoRegisterShutdownNotification", &[fdo.get()]).await?;
        call(&k, "IoUnregisterShutdownNotification", &[fdo.get()]).await?;
        shutdown::tell(&k).await?;
        assert_eq!(sent(&k), 2);
        Ok(())
    });
    assert_clean(&machine);
}

#[test]
fn a_driver_is_reinitialized_as_often_as_it_asks() {
    let program = driver_with(invert, |f| {
        f.load(rax, counted().get());
        f.asm.mov(dword_ptr(rax), r8d).unwrap();
    });
    let machine = run(&program, 1, |k, pdo, _| async move {
        let fdo = device::top_of_stack(&k, pdo)?;
        let driver: Va = k.read(fdo + ntlayout::device_object::DRIVER_OBJECT)?;
        let routine = Program::address(HELPER).get();
        for name in [
            "IoRegisterBootDriverReinitialization",
            "IoRegisterDriverReinitialization",
        ] {
            call(&k, name, &[driver.get(), routine, 5]).await?;
        }
        crate::io::reinitialize::call(&k, driver).await?;
        assert_eq!(k.read::<u32>(counted())?, 2, "the second call says so");
        crate::io::reinitialize::call(&k, driver).await?;
        assert_eq!(k.read::<u32>(counted())?, 2, "once for each registration");
        Ok(())
    });
    assert_clean(&machine);
}

#[test]
fn an_irp_is_forwarded_and_comes_back() {
    for seed in 1..=10 {
        // The driver forwards its PnP requests and completes them itself.
        let program = driver_with(invert, |f| {
            f.asm.mov(rbx, rdx).unwrap();
            f.load(rax, lower_device().get());
            f.asm.mov(rcx, qword_ptr(rax)).unwrap();
            f.call("IoForwardIrpSynchronously");
            f.load(rcx, counted().get());
            f.asm.mov(dword_ptr(rcx), eax).unwrap();
            f.asm.mov(eax, dword_ptr(rbx + layout::IO_STATUS)).unwrap();
            f.asm.mov(dword_ptr(rcx + 4), eax).unwrap();
            complete(f);
            f.load(rcx, counted().get());
            f.asm.mov(eax, dword_ptr(rcx + 4)).unwrap();
        })
        .import(&["IoForwardIrpSynchronously"]);
        let machine = run(&program, seed, |k, pdo, _| async move {
            let fdo = device::top_of_stack(&k, pdo)?;
            let driver: Va = k.read(fdo + ntlayout::device_object::DRIVER_OBJECT)?;
            let entry = driver + driver_object::MAJOR_FUNCTION + usize::from(Major::PNP.0) * 8;
            k.write(entry, Program::address(HELPER))?;
            let answer = pnp::query(&k, pdo, pnp::Minor::QUERY_BUS_INFORMATION, [0; 4]).await?;
            assert_eq!(answer.status, NtStatus::SUCCESS);
            assert_eq!(k.read::<u8>(counted())?, 1);
            k.free_system(Va(answer.information))
        });
        assert_clean(&machine);
    }
}
