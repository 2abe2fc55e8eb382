//! Security descriptors of both forms.

use super::{place, protecting};
use crate::{
    mm::Va,
    rtl::testing::{buffer, call, int, run, status},
    se::sid::Sid,
    status::NtStatus,
};

#[test]
fn the_parts_of_a_descriptor_are_set_and_read() {
    run(|k| async move {
        let descriptor = buffer(&k, 40)?;
        let create = "RtlCreateSecurityDescriptor";
        assert_eq!(status(&k, create, &[descriptor, 2]).await?, NtStatus::UNKNOWN_REVISION);
        assert_eq!(status(&k, create, &[descriptor, 1]).await?, NtStatus::SUCCESS);
        let answers = buffer(&k, 24)?;
        let (present, part, defaulted) = (answers, answers + 8, answers + 16);
        let flags = || {
            Ok((
                k.read::<u8>(Va(present))?,
                k.read::<u64>(Va(part))?,
                k.read::<u8>(Va(defaulted))?,
            ))
        };
        for (set, get) in [
            ("RtlSetDaclSecurityDescriptor", "RtlGetDaclSecurityDescriptor"),
            ("RtlSetSaclSecurityDescriptor", "RtlGetSaclSecurityDescriptor"),
        ] {
            assert_eq!(
                status(&k, get, &[descriptor, present, part, defaulted]).await?,
                NtStatus::SUCCESS
            );
            assert_eq!(k.read::<u8>(Va(present))?, 0);
            assert_eq!(status(&k, set, &[descriptor, 1, 0x1234, 1]).await?, NtStatus::SUCCESS);
            call(&k, get, &[descriptor, present, part, defaulted]).await?;
            assert_eq!(flags()?, (1, 0x1234, 1), "{get}");
            assert_eq!(status(&k, set, &[descriptor, 0, 0, 0]).await?, NtStatus::SUCCESS);
            call(&k, get, &[descriptor, present, part, defaulted]).await?;
            assert_eq!(k.read::<u8>(Va(present))?, 0);
        }
        let sid = place(&k, &Sid::new(5, &[18]))?;
        for (set, get) in [
            ("RtlSetOwnerSecurityDescriptor", "RtlGetOwnerSecurityDescriptor"),
            ("RtlSetGroupSecurityDescriptor", "RtlGetGroupSecurityDescriptor"),
        ] {
            assert_eq!(status(&k, set, &[descriptor, sid, 1]).await?, NtStatus::SUCCESS);
            assert_eq!(
                status(&k, get, &[descriptor, part, defaulted]).await?,
                NtStatus::SUCCESS
            );
            assert_eq!((k.read::<u64>(Va(part))?, k.read::<u8>(Va(defaulted))?), (sid, 1));
        }
        assert_eq!(int(&k, "RtlValidSecurityDescriptor", &[descriptor]).await?, 1);
        assert_eq!(
            int(&k, "RtlLengthSecurityDescriptor", &[descriptor]).await?,
            40 + 12 + 12
        );
        k.write(Va(sid), 9_u8)?;
        assert_eq!(int(&k, "RtlValidSecurityDescriptor", &[descriptor]).await?, 0);
        Ok(())
    });
}

#[test]
fn a_descriptor_goes_into_one_piece_and_back() {
    run(|k| async move {
        let descriptor = protecting(&k, &[(Sid::new(5, &[18]), 0x1234)]).await?;
        let owner = place(&k, &Sid::new(5, &[32, 544]))?;
        call(&k, "RtlSetOwnerSecurityDescriptor", &[descriptor, owner, 0]).await?;
        let length = Va(buffer(&k, 4)?);
        k.write(length, 0_u32)?;
        let flatten = async |to: u64| status(&k, "RtlAbsoluteToSelfRelativeSD", &[descriptor, to, length.get()]).await;
        assert_eq!(flatten(0).await?, NtStatus::BUFFER_TOO_SMALL);
        assert_eq!(k.read::<u32>(length)?, 20 + 28 + 16);
        let relative = buffer(&k, 64)?;
        assert_eq!(flatten(relative).await?, NtStatus::SUCCESS);
        assert_eq!(k.read::<u16>(Va(relative) + 2_u64)?, 0x8004);
        assert_eq!(int(&k, "RtlLengthSecurityDescriptor", &[relative]).await?, 64);
        let valid = "RtlValidRelativeSecurityDescriptor";
        assert_eq!(int(&k, valid, &[relative, 64, 0x5]).await?, 1);
        assert_eq!(int(&k, valid, &[relative, 64, 0x2]).await?, 0, "it has no group");
        assert_eq!(int(&k, valid, &[relative, 63, 0]).await?, 0, "it is longer");
        assert_eq!(int(&k, "SeValidSecurityDescriptor", &[64, relative]).await?, 1);
        assert_eq!(int(&k, "SeValidSecurityDescriptor", &[10, relative]).await?, 0);
        let twice = status(&k, "RtlAbsoluteToSelfRelativeSD", &[relative, relative, length.get()]).await?;
        assert_eq!(twice, NtStatus::BAD_DESCRIPTOR_FORMAT);
        let refused = status(&k, "RtlSetOwnerSecurityDescriptor", &[relative, owner, 0]).await?;
        assert_eq!(refused, NtStatus::INVALID_SECURITY_DESCR);

        let (absolute, parts, sizes) = (buffer(&k, 40)?, buffer(&k, 4 * 64)?, buffer(&k, 5 * 4)?);
        let mut arguments = vec![relative, absolute, sizes];
        for index in 0..4 {
            arguments.extend([parts + 64 * index, sizes + 4 + 4 * index]);
        }
        k.fill(Va(sizes), 0, 20)?;
        let convert = "RtlSelfRelativeToAbsoluteSD";
        assert_eq!(status(&k, convert, &arguments).await?, NtStatus::BUFFER_TOO_SMALL);
        let needed: Vec<u32> = (0..5_u64)
            .map(|index| k.read(Va(sizes) + 4 * index))
            .collect::<Result<_, _>>()?;
        assert_eq!(needed, [40, 28, 0, 16, 0], "the descriptor, DACL, SACL, owner, group");
        assert_eq!(status(&k, convert, &arguments).await?, NtStatus::SUCCESS);
        assert_eq!(k.read::<u64>(Va(absolute) + 8_u64)?, parts + 128, "the owner");
        assert_eq!(int(&k, "RtlEqualSid", &[owner, parts + 128]).await?, 1);
        let wrong = status(&k, convert, &[&[absolute], &arguments[1..]].concat()).await?;
        assert_eq!(wrong, NtStatus::BAD_DESCRIPTOR_FORMAT);
        Ok(())
    });
}

#[test]
fn a_captured_descriptor_is_a_copy_that_the_driver_frees() {
    run(|k| async move {
        let descriptor = protecting(&k, &[(Sid::new(1, &[0]), 1)]).await?;
        let output = buffer(&k, 8)?;
        let capture =
            async |forced| status(&k, "SeCaptureSecurityDescriptor", &[descriptor, 0, 1, forced, output]).await;
        assert_eq!(capture(0).await?, NtStatus::SUCCESS);
        assert_eq!(k.read::<u64>(Va(output))?, descriptor, "the kernel's is taken as it is");
        assert_eq!(capture(1).await?, NtStatus::SUCCESS);
        let copy: u64 = k.read(Va(output))?;
        assert_eq!(int(&k, "RtlValidRelativeSecurityDescriptor", &[copy, 48, 4]).await?, 1);
        assert_eq!(k.driver_allocations().len(), 1);
        call(&k, "SeReleaseSecurityDescriptor", &[copy, 0, 1]).await?;
        assert!(k.driver_allocations().is_empty());
        let relative = buffer(&k, 20)?;
        assert_eq!(
            status(&k, "RtlCreateSecurityDescriptorRelative", &[relative, 1]).await?,
            NtStatus::SUCCESS
        );
        assert_eq!(k.read::<u16>(Va(relative) + 2_u64)?, 0x8000);
        Ok(())
    });
}
