//! Tokens, privileges and access checks, on behalf of the system and of a program.

use ntlayout::{access_state, privilege_set, security_subject_context as context};

use super::{place_bytes, protecting};
use crate::{
    bugcheck::Outcome,
    kernel::{Config, Kernel},
    machine::Machine,
    mm::Va,
    rtl::testing::{buffer, call, counted_text, int, run, status},
    sched::ThreadSpec,
    se::{
        sid::Sid,
        token::{administrators, everyone, local_system, set_program_is_administrator},
    },
    status::NtStatus,
};

/// Runs a script in a program's thread.
fn run_program<F>(administrator: bool, script: impl FnOnce(Kernel) -> F + 'static)
where
    F: std::future::Future<Output = Outcome<()>> + 'static,
{
    let machine = Machine::new(Config::default()).unwrap();
    set_program_is_administrator(machine.kernel(), administrator);
    machine.spawn(ThreadSpec::user("program"), script);
    let _ = machine.run();
    let report = machine.crash_report(None);
    assert!(report.is_none(), "{}", report.unwrap_or_default());
}

/// The context of the current thread.
async fn subject(k: &Kernel) -> Outcome<u64> {
    let at = buffer(k, context::SIZE)?;
    call(k, "SeCaptureSubjectContext", &[at]).await?;
    call(k, "SeLockSubjectContext", &[at]).await?;
    Ok(at)
}

/// `SeAccessCheck` in a mode: whether it was granted, what was, and the status.
async fn check(k: &Kernel, descriptor: u64, desired: u64, mode: u64) -> Outcome<(i32, u32, NtStatus)> {
    let subject = subject(k).await?;
    let mapping = place_bytes(k, &[1_u32, 2, 4, 0x1F_01FF].map(u32::to_le_bytes).concat())?;
    let answers = Va(buffer(k, 16)?);
    let (granted, answer) = (answers.get(), answers.get() + 8);
    let arguments = [descriptor, subject, 1, desired, 0, 0, mapping, mode, granted, answer];
    let allowed = int(k, "SeAccessCheck", &arguments).await?;
    call(k, "SeUnlockSubjectContext", &[subject]).await?;
    call(k, "SeReleaseSubjectContext", &[subject]).await?;
    Ok((allowed, k.read(Va(granted))?, k.read(Va(answer))?))
}

#[test]
fn access_is_what_the_list_says_of_the_token() {
    const READ: u64 = 0x8000_0000;
    const MAXIMUM: u64 = 0x0200_0000;
    run_program(false, |k| async move {
        let denied = (0, 0, NtStatus::ACCESS_DENIED);
        let system_only = protecting(&k, &[(local_system(), 0x1000_0000)]).await?;
        assert_eq!(check(&k, system_only, READ, 1).await?, denied);
        assert_eq!(check(&k, system_only, READ, 0).await?.0, 1, "kernel mode may");
        let all_read = protecting(&k, &[(everyone(), 0x8000_0000), (administrators(), 0x1000_0000)]).await?;
        assert_eq!(check(&k, all_read, READ, 1).await?, (1, 1, NtStatus::SUCCESS));
        assert_eq!(check(&k, all_read, READ | 2, 1).await?, denied);
        assert_eq!(check(&k, all_read, MAXIMUM, 1).await?, (1, 1, NtStatus::SUCCESS));
        assert_eq!(check(&k, 0, READ, 1).await?, denied, "no descriptor");
        assert_eq!(check(&k, all_read, 0, 1).await?, denied, "nothing asked for");
        let security = check(&k, all_read, 0x0100_0000, 1).await?;
        assert_eq!(security.2, NtStatus::PRIVILEGE_NOT_HELD);
        let unprotected = buffer(&k, 40)?;
        call(&k, "RtlCreateSecurityDescriptor", &[unprotected, 1]).await?;
        assert_eq!(check(&k, unprotected, 0x2, 1).await?, (1, 2, NtStatus::SUCCESS));
        Ok(())
    });
    run_program(true, |k| async move {
        let descriptor = protecting(&k, &[(administrators(), 0x1000_0000)]).await?;
        assert_eq!(check(&k, descriptor, 0x3, 1).await?, (1, 3, NtStatus::SUCCESS));
        Ok(())
    });
}

#[test]
fn an_entry_that_denies_comes_before_one_that_allows() {
    run_program(false, |k| async move {
        let descriptor = protecting(&k, &[(everyone(), 2), (everyone(), 3)]).await?;
        assert_eq!(check(&k, descriptor, 3, 1).await?.0, 1);
        // The first entry's type: ACCESS_DENIED_ACE_TYPE.
        let list: u64 = k.read(Va(descriptor) + 32_u64)?;
        k.write(Va(list) + 8_u64, 1_u8)?;
        assert_eq!(check(&k, descriptor, 3, 1).await?.0, 0);
        assert_eq!(check(&k, descriptor, 1, 1).await?, (1, 1, NtStatus::SUCCESS));
        Ok(())
    });
}

#[test]
fn tokens_tell_who_they_are_of() {
    async fn token(k: &Kernel) -> Outcome<u64> {
        let subject = subject(k).await?;
        k.read(Va(subject) + context::PRIMARY_TOKEN)
    }
    run(|k| async move {
        let system = token(&k).await?;
        assert_eq!(int(&k, "SeTokenIsAdmin", &[system]).await?, 1);
        assert_eq!(int(&k, "SeTokenIsRestricted", &[system]).await?, 0);
        assert_eq!(int(&k, "SeTokenIsWriteRestricted", &[system]).await?, 0);
        assert_eq!(int(&k, "SeTokenType", &[system]).await?, 1);
        assert_eq!(int(&k, "SeTokenImpersonationLevel", &[system]).await?, 0);
        let answer = buffer(&k, 8)?;
        call(&k, "SeQueryAuthenticationIdToken", &[system, answer]).await?;
        assert_eq!(k.read::<u64>(Va(answer))?, 0x3E7);
        call(&k, "SeQuerySessionIdToken", &[system, answer]).await?;
        assert_eq!(k.read::<u32>(Va(answer))?, 0);
        let query = async |class| status(&k, "SeQueryInformationToken", &[system, class, answer]).await;
        assert_eq!(query(1).await?, NtStatus::SUCCESS);
        let user: u64 = k.read(Va(answer))?;
        assert_eq!(Sid::read(&k, k.read(Va(user))?)?, Some(local_system()));
        call(&k, "ExFreePool", &[user]).await?;
        for class in [2, 3, 4, 5, 8, 20] {
            assert_eq!(query(class).await?, NtStatus::SUCCESS, "class {class}");
            let information = k.read::<u64>(Va(answer))?;
            assert!(k.read::<u32>(Va(information))? > 0);
            call(&k, "ExFreePool", &[information]).await?;
        }
        assert_eq!(query(12).await?, NtStatus::SUCCESS);
        assert_eq!(query(25).await?, NtStatus::SUCCESS);
        assert_eq!(k.read::<u32>(Va(answer))?, 0x4000, "the system's integrity level");
        assert_eq!(query(99).await?, NtStatus::INVALID_INFO_CLASS);
        let path = buffer(&k, 16)?;
        assert_eq!(
            status(&k, "RtlFormatCurrentUserKeyPath", &[path]).await?,
            NtStatus::SUCCESS
        );
        assert_eq!(counted_text(&k, path)?, "\\REGISTRY\\USER\\S-1-5-18");
        call(&k, "RtlFreeUnicodeString", &[path]).await?;
        assert!(k.driver_allocations().is_empty());
        Ok(())
    });
    run_program(false, |k| async move {
        let program = token(&k).await?;
        assert_eq!(int(&k, "SeTokenIsAdmin", &[program]).await?, 0);
        Ok(())
    });
    run_program(true, |k| async move {
        let program = token(&k).await?;
        assert_eq!(int(&k, "SeTokenIsAdmin", &[program]).await?, 1);
        Ok(())
    });
}

#[test]
fn privileges_are_checked_in_user_mode() {
    const CHANGE_NOTIFY: u64 = 23;
    const LOAD_DRIVER: u64 = 10;
    run_program(true, |k| async move {
        let single = async |luid, mode| int(&k, "SeSinglePrivilegeCheck", &[luid, mode]).await;
        assert_eq!(single(CHANGE_NOTIFY, 1).await?, 1);
        assert_eq!(single(LOAD_DRIVER, 1).await?, 0, "held, but not enabled");
        assert_eq!(single(LOAD_DRIVER, 0).await?, 1, "kernel mode has all");
        let set = Va(buffer(&k, 32)?);
        k.write(set + privilege_set::PRIVILEGE_COUNT, 2_u32)?;
        for (index, luid) in [CHANGE_NOTIFY, LOAD_DRIVER].into_iter().enumerate() {
            k.write(set + 8_u64 + 12 * index, luid)?;
            k.write(set + 16_u64 + 12 * index, 0_u32)?;
        }
        let subject = subject(&k).await?;
        for (control, expected) in [(0_u32, 1), (1, 0)] {
            k.write(set + privilege_set::CONTROL, control)?;
            assert_eq!(int(&k, "SePrivilegeCheck", &[set.get(), subject, 1]).await?, expected);
        }
        assert_eq!(k.read::<u32>(set + 16_u64)?, 0x8000_0000, "used for access");
        assert_eq!(int(&k, "SePrivilegeCheck", &[set.get(), subject, 0]).await?, 1);
        Ok(())
    });
}

#[test]
fn an_access_state_begins_with_nothing_granted() {
    run(|k| async move {
        let (state, auxiliary) = (Va(buffer(&k, access_state::SIZE)?), Va(buffer(&k, 0xE0)?));
        let mapping = place_bytes(&k, &[1_u32, 2, 4, 7].map(u32::to_le_bytes).concat())?;
        let arguments = [state.get(), auxiliary.get(), 0x8000_0010, mapping];
        assert_eq!(status(&k, "SeCreateAccessState", &arguments).await?, NtStatus::SUCCESS);
        assert_eq!(k.read::<u32>(state + access_state::REMAINING_DESIRED_ACCESS)?, 0x11);
        assert_eq!(k.read::<u32>(state + access_state::PREVIOUSLY_GRANTED_ACCESS)?, 0);
        assert_eq!(k.read::<Va>(state + access_state::AUX_DATA)?, auxiliary);
        let subject = state + access_state::SUBJECT_SECURITY_CONTEXT;
        assert!(!k.read::<Va>(subject + context::PRIMARY_TOKEN)?.is_null());
        let other = place_bytes(&k, &[9; 16])?;
        call(&k, "SeSetAccessStateGenericMapping", &[state.get(), other]).await?;
        assert_eq!(k.read_bytes(auxiliary + 8_u64, 16)?, [9; 16]);
        call(&k, "SeDeleteAccessState", &[state.get()]).await?;
        assert!(k.read::<Va>(subject + context::PRIMARY_TOKEN)?.is_null());
        Ok(())
    });
}
