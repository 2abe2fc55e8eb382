//! The security of objects, and the sequence that wdmsec.lib goes through in a driver that calls `IoCreateDeviceSecure`.

use super::protecting;
use crate::{
    cm,
    io::driver,
    machine::testing::Program,
    mm::Va,
    ob::handle::{self, OBJ_KERNEL_HANDLE},
    rtl::testing::{buffer, call, int, run, status},
    sched::ThreadSpec,
    se::{
        exports,
        sid::Sid,
        token::{administrators, local_system},
    },
    status::NtStatus,
};

const KEY: &str = "\\Registry\\Machine\\Software\\test";

#[test]
fn the_well_known_identifiers_are_in_the_exported_structure() {
    run(|k| async move {
        let structure = exports::structure(&k)?;
        // SeLoadDriverPrivilege, SeWorldSid, SeLocalSystemSid, SeAliasAdminsSid, SeNetworkServiceSid, SeOwnerRightsSid.
        assert_eq!(k.read::<u64>(structure + 8_u64 * 8)?, 10);
        for (field, expected) in [
            (24_u64, Sid::new(1, &[0])),
            (33, local_system()),
            (34, administrators()),
            (49, Sid::new(5, &[20])),
            (64, Sid::new(3, &[4])),
        ] {
            assert_eq!(
                Sid::read(&k, k.read(structure + 8 * field)?)?,
                Some(expected),
                "field {field}"
            );
        }
        Ok(())
    });
}

#[test]
fn an_objects_security_is_replaced_part_by_part() {
    run(|k| async move {
        cm::create_key(&k, KEY);
        let key = handle::open(&k, cm::canonical(KEY), 0, OBJ_KERNEL_HANDLE);
        let descriptor = protecting(&k, &[(local_system(), 7)]).await?;
        let set =
            async |handle, information| status(&k, "ZwSetSecurityObject", &[handle, information, descriptor]).await;
        assert_eq!(set(key.0, 4).await?, NtStatus::SUCCESS);
        assert_eq!(set(key.0, 1).await?, NtStatus::INVALID_OWNER, "it has none");
        assert_eq!(set(0x1230, 4).await?, NtStatus::INVALID_HANDLE);
        let (to, needed) = (buffer(&k, 256)?, buffer(&k, 4)?);
        let query = async |information, room| {
            status(&k, "ZwQuerySecurityObject", &[key.0, information, to, room, needed]).await
        };
        assert_eq!(query(4, 0).await?, NtStatus::BUFFER_TOO_SMALL);
        assert_eq!(k.read::<u32>(Va(needed))?, 20 + 28);
        assert_eq!(query(4, 48).await?, NtStatus::SUCCESS);
        assert_eq!(k.read::<u32>(Va(to) + 32_u64)?, 7, "the mask of the entry that was set");
        assert_eq!(query(1, 256).await?, NtStatus::SUCCESS);
        assert_eq!(
            Sid::read(&k, Va(to) + 20_u64)?,
            Some(administrators()),
            "the owner is the default's"
        );
        call(&k, "ZwClose", &[key.0]).await?;
        Ok(())
    });
}

#[test]
fn the_security_of_an_object_is_read_by_its_address() {
    run(|k| async move {
        let object = buffer(&k, 16)?;
        let (output, allocated) = (buffer(&k, 8)?, buffer(&k, 8)?);
        assert_eq!(
            status(&k, "ObGetObjectSecurity", &[object, output, allocated]).await?,
            NtStatus::SUCCESS
        );
        let descriptor: u64 = k.read(Va(output))?;
        assert_eq!(int(&k, "RtlValidSecurityDescriptor", &[descriptor]).await?, 1);
        let was_allocated = u64::from(k.read::<u8>(Va(allocated))?);
        call(&k, "ObReleaseObjectSecurity", &[descriptor, was_allocated]).await?;
        assert!(k.driver_allocations().is_empty());
        Ok(())
    });
}

#[test]
fn a_new_objects_security_is_its_creators() {
    run(|k| async move {
        let subject = buffer(&k, 32)?;
        call(&k, "SeCaptureSubjectContext", &[subject]).await?;
        let new = buffer(&k, 8)?;
        let explicit = protecting(&k, &[(local_system(), 7)]).await?;
        let assign = async |explicit| status(&k, "SeAssignSecurity", &[0, explicit, new, 0, subject, 0, 1]).await;
        for explicit in [0, explicit] {
            assert_eq!(assign(explicit).await?, NtStatus::SUCCESS);
            let descriptor: u64 = k.read(Va(new))?;
            // Owner, group and list are there.
            assert_eq!(
                int(&k, "RtlValidRelativeSecurityDescriptor", &[descriptor, 256, 7]).await?,
                1
            );
            assert_eq!(status(&k, "SeDeassignSecurity", &[new]).await?, NtStatus::SUCCESS);
            assert_eq!(k.read::<u64>(Va(new))?, 0);
        }
        assert!(k.driver_allocations().is_empty());
        Ok(())
    });
}

/// wdmsec.lib builds the descriptor of an SDDL string, sets it on the device by a handle, and frees it.
#[test]
fn a_device_gets_the_descriptor_that_wdmsec_builds() {
    let machine = Program::default().function(|_| {}).machine(1);
    machine.spawn(ThreadSpec::system("test"), |k| async move {
        let system = k.read::<u64>(exports::structure(&k)? + 33_u64 * 8)?;
        let length = call(&k, "RtlLengthSid", &[system]).await?;
        let list = buffer(&k, 64)?;
        call(&k, "RtlCreateAcl", &[list, 8 + 8 + length, 2]).await?;
        let added = status(&k, "RtlAddAccessAllowedAce", &[list, 2, 0x1000_0000, system]).await?;
        assert_eq!(added, NtStatus::SUCCESS);
        let descriptor = buffer(&k, 40)?;
        call(&k, "RtlCreateSecurityDescriptor", &[descriptor, 1]).await?;
        call(&k, "RtlSetDaclSecurityDescriptor", &[descriptor, 1, list, 0]).await?;
        let size = Va(buffer(&k, 4)?);
        k.write(size, 0_u32)?;
        call(&k, "RtlAbsoluteToSelfRelativeSD", &[descriptor, 0, size.get()]).await?;
        let relative = buffer(&k, usize::try_from(k.read::<u32>(size)?).unwrap())?;
        let flat = status(&k, "RtlAbsoluteToSelfRelativeSD", &[descriptor, relative, size.get()]).await?;
        assert_eq!(flat, NtStatus::SUCCESS);
        let captured = buffer(&k, 8)?;
        call(&k, "SeCaptureSecurityDescriptor", &[relative, 0, 1, 1, captured]).await?;
        let copy: u64 = k.read(Va(captured))?;

        let driver = driver::create(&k, "test", k.driver_image())?;
        let variable = buffer(&k, 8)?;
        let arguments = [driver.get(), 0, 0, 0x22, 0, 0, variable];
        assert_eq!(status(&k, "IoCreateDevice", &arguments).await?, NtStatus::SUCCESS);
        let device: Va = k.read(Va(variable))?;
        let handle = buffer(&k, 8)?;
        // WRITE_DAC, in kernel mode.
        let arguments = [device.get(), u64::from(OBJ_KERNEL_HANDLE), 0, 0x0004_0000, 0, 0, handle];
        assert_eq!(
            status(&k, "ObOpenObjectByPointer", &arguments).await?,
            NtStatus::SUCCESS
        );
        let handle: u64 = k.read(Va(handle))?;
        assert_eq!(
            status(&k, "ZwSetSecurityObject", &[handle, 4, copy]).await?,
            NtStatus::SUCCESS
        );
        call(&k, "ZwClose", &[handle]).await?;
        call(&k, "ExFreePool", &[copy]).await?;
        let answers = buffer(&k, 16)?;
        call(&k, "ObGetObjectSecurity", &[device.get(), answers, answers + 8]).await?;
        let set: u64 = k.read(Va(answers))?;
        let parts = buffer(&k, 24)?;
        call(&k, "RtlGetDaclSecurityDescriptor", &[set, parts, parts + 8, parts + 16]).await?;
        let entry: u64 = k.read::<u64>(Va(parts) + 8_u64)? + 8;
        assert_eq!(Sid::read(&k, Va(entry) + 8_u64)?, Some(local_system()));
        call(&k, "ObReleaseObjectSecurity", &[set, 1]).await?;
        Ok(())
    });
    let _ = machine.run();
    let report = machine.crash_report(None);
    assert!(report.is_none(), "{}", report.unwrap_or_default());
}
