//! Callback objects.

use iced_x86::code_asm::{qword_ptr, r8, rax, rcx, rdx};
use ntlayout::object_attributes as attributes;

use crate::{
    bugcheck::Outcome,
    kernel::Kernel,
    machine::testing::{
        Program,
        script::{beside, crash, export, memory, run},
    },
    mm::Va,
    rtl::unicode_string,
    status::NtStatus,
};

fn object_attributes(k: &Kernel, name: &str) -> Outcome<Va> {
    let (block, string) = (memory(k, attributes::SIZE)?, memory(k, ntlayout::unicode_string::SIZE)?);
    k.fill(block, 0, attributes::SIZE)?;
    k.write(block + attributes::LENGTH, u32::try_from(attributes::SIZE).unwrap())?;
    k.write(block + attributes::ATTRIBUTES, 0x250_u32)?;
    if !name.is_empty() {
        unicode_string::write_new(k, string, name)?;
        k.write(block + attributes::OBJECT_NAME, string)?;
    }
    Ok(block)
}

async fn create(k: &Kernel, name: &str, create: bool, multiple: bool) -> Outcome<Result<Va, NtStatus>> {
    let (variable, block) = (memory(k, 8)?, object_attributes(k, name)?);
    let arguments = [variable.get(), block.get(), u64::from(create), u64::from(multiple)];
    let status = NtStatus(u32::try_from(export(k, "ExCreateCallback", &arguments).await?).unwrap());
    Ok(if status.is_success() {
        Ok(k.read(variable)?)
    } else {
        Err(status)
    })
}

/// Adds both arguments to what the context points to, and one to the number behind it.
fn adding() -> Program {
    Program::default().function(|f| {
        f.asm.add(rdx, r8).unwrap();
        f.asm.add(qword_ptr(rcx), rdx).unwrap();
        f.asm.inc(qword_ptr(rcx + 8)).unwrap();
        f.asm.xor(rax, rax).unwrap();
    })
}

const NAME: &str = "\\Callback\\Test";

#[test]
fn everybody_who_has_registered_is_called() {
    run(&adding(), 1, |k| async move {
        let object = create(&k, NAME, true, true).await?.unwrap();
        assert_eq!(create(&k, &NAME.to_uppercase(), false, false).await?, Ok(object));
        let sums = memory(&k, 32)?;
        k.fill(sums, 0, 32)?;
        let routine = Program::address(0).get();
        let first = export(&k, "ExRegisterCallback", &[object.get(), routine, sums.get()]).await?;
        let second = export(&k, "ExRegisterCallback", &[object.get(), routine, sums.get() + 16]).await?;
        export(&k, "ExNotifyCallback", &[object.get(), 3, 4]).await?;
        export(&k, "ExUnregisterCallback", &[first]).await?;
        export(&k, "KfRaiseIrql", &[2]).await?;
        export(&k, "ExNotifyCallback", &[object.get(), 10, 20]).await?;
        export(&k, "KeLowerIrql", &[0]).await?;
        export(&k, "ExUnregisterCallback", &[second]).await?;
        export(&k, "ExNotifyCallback", &[object.get(), 100, 0]).await?;
        let found: Vec<u64> = (0..4_u64).map(|index| k.read(sums + index * 8).unwrap()).collect();
        assert_eq!(found, [7, 1, 37, 2]);
        for _ in 0..2 {
            export(&k, "ObfDereferenceObject", &[object.get()]).await?;
        }
        Ok(())
    });
}

#[test]
fn an_object_can_be_for_one_routine_only_and_needs_a_name() {
    run(&adding(), 1, |k| async move {
        assert_eq!(create(&k, "", true, true).await?, Err(NtStatus::UNSUCCESSFUL));
        assert_eq!(
            create(&k, NAME, false, true).await?,
            Err(NtStatus::OBJECT_NAME_NOT_FOUND)
        );
        let object = create(&k, NAME, true, false).await?.unwrap();
        let arguments = [object.get(), Program::address(0).get(), Program::data().get()];
        let handle = export(&k, "ExRegisterCallback", &arguments).await?;
        assert_ne!(handle, 0);
        assert_eq!(export(&k, "ExRegisterCallback", &arguments).await?, 0);
        export(&k, "ExUnregisterCallback", &[handle]).await.map(|_| ())
    });
}

#[test]
fn the_systems_objects_are_there() {
    run(&adding(), 1, |k| async move {
        let object = create(&k, "\\Callback\\PowerState", false, false).await?.unwrap();
        let sums = memory(&k, 16)?;
        k.fill(sums, 0, 16)?;
        let arguments = [object.get(), Program::address(0).get(), sums.get()];
        let handle = export(&k, "ExRegisterCallback", &arguments).await?;
        super::notify_system(&k, "\\Callback\\PowerState", [3, 1]).await?;
        assert_eq!(k.read::<u64>(sums)?, 4);
        export(&k, "ExUnregisterCallback", &[handle]).await.map(|_| ())
    });
}

#[test]
fn unregistering_waits_for_the_call_that_is_under_way() {
    let program = Program::default().import(&["KeDelayExecutionThread"]).function(|f| {
        f.load(rax, Program::data().get());
        f.asm.mov(qword_ptr(rax), -10_000).unwrap();
        f.arguments(&[0, 0, Program::data().get()]);
        f.call("KeDelayExecutionThread");
        f.load(rax, Program::data().get());
        f.asm.mov(qword_ptr(rax + 8), 1).unwrap();
    });
    for seed in 0..10 {
        run(&program, seed, |k| async move {
            let object = create(&k, NAME, true, true).await?.unwrap();
            let handle = export(&k, "ExRegisterCallback", &[object.get(), Program::address(0).get(), 0]).await?;
            let notifier = beside(&k, "notifier", move |k| async move {
                export(&k, "ExNotifyCallback", &[object.get(), 0, 0]).await.map(|_| ())
            });
            k.delay(100_000).await?;
            export(&k, "ExUnregisterCallback", &[handle]).await?;
            assert_eq!(k.read::<u64>(Program::data() + 8_u64)?, 1, "the routine has returned");
            k.join(notifier).await
        });
    }
}

#[test]
fn a_registration_goes_once() {
    let bugcheck = crash(|k| async move { export(&k, "ExUnregisterCallback", &[0x1000]).await.map(|_| ()) });
    assert_eq!(bugcheck.rule, "callback-misused");
}
