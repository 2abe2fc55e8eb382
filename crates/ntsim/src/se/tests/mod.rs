//! Security through its exports.

mod access;
mod descriptors;
mod lists;
mod objects;

use super::{assign::list_of, sid::Sid};
use crate::{
    bugcheck::Outcome,
    kernel::Kernel,
    mm::Va,
    rtl::testing::{buffer, call, counted_text, int, room, run, status},
    status::NtStatus,
};

/// An identifier in memory.
fn place(k: &Kernel, sid: &Sid) -> Outcome<u64> {
    let at = buffer(k, sid.bytes().len())?;
    k.write_bytes(Va(at), sid.bytes())?;
    Ok(at)
}

/// Bytes in memory.
fn place_bytes(k: &Kernel, bytes: &[u8]) -> Outcome<u64> {
    let at = buffer(k, bytes.len())?;
    k.write_bytes(Va(at), bytes)?;
    Ok(at)
}

/// An absolute descriptor with a list of who is allowed what.
async fn protecting(k: &Kernel, entries: &[(Sid, u32)]) -> Outcome<u64> {
    let descriptor = buffer(k, 40)?;
    call(k, "RtlCreateSecurityDescriptor", &[descriptor, 1]).await?;
    let list = place_bytes(k, &list_of(entries))?;
    call(k, "RtlSetDaclSecurityDescriptor", &[descriptor, 1, list, 0]).await?;
    Ok(descriptor)
}

#[test]
fn an_identifier_is_built_measured_and_copied() {
    run(|k| async move {
        assert_eq!(int(&k, "RtlLengthRequiredSid", &[2]).await?, 16);
        let (sid, authority) = (buffer(&k, 16)?, place_bytes(&k, &[0, 0, 0, 0, 0, 5])?);
        assert_eq!(
            status(&k, "RtlInitializeSid", &[sid, authority, 16]).await?,
            NtStatus::INVALID_PARAMETER
        );
        assert_eq!(
            status(&k, "RtlInitializeSid", &[sid, authority, 2]).await?,
            NtStatus::SUCCESS
        );
        for (index, part) in [(0, 32_u32), (1, 544)] {
            let at = call(&k, "RtlSubAuthoritySid", &[sid, index]).await?;
            k.write(Va(at), part)?;
        }
        assert_eq!(int(&k, "RtlLengthSid", &[sid]).await?, 16);
        let count = call(&k, "RtlSubAuthorityCountSid", &[sid]).await?;
        assert_eq!(k.read::<u8>(Va(count))?, 2);
        let at = call(&k, "RtlIdentifierAuthoritySid", &[sid]).await?;
        assert_eq!(k.read_bytes(Va(at), 6)?, [0, 0, 0, 0, 0, 5]);
        let text = room(&k, 64)?;
        assert_eq!(
            status(&k, "RtlConvertSidToUnicodeString", &[text, sid, 0]).await?,
            NtStatus::SUCCESS
        );
        assert_eq!(counted_text(&k, text)?, "S-1-5-32-544");
        let small = room(&k, 4)?;
        let refused = status(&k, "RtlConvertSidToUnicodeString", &[small, sid, 0]).await?;
        assert_eq!(refused, NtStatus::BUFFER_OVERFLOW);
        assert_eq!(
            status(&k, "RtlConvertSidToUnicodeString", &[text, sid, 1]).await?,
            NtStatus::SUCCESS
        );
        call(&k, "RtlFreeUnicodeString", &[text]).await?;

        let copy = buffer(&k, 16)?;
        assert_eq!(
            status(&k, "RtlCopySid", &[15, copy, sid]).await?,
            NtStatus::BUFFER_TOO_SMALL
        );
        assert_eq!(status(&k, "RtlCopySid", &[16, copy, sid]).await?, NtStatus::SUCCESS);
        assert_eq!(int(&k, "RtlEqualSid", &[copy, sid]).await?, 1);
        let users = place(&k, &Sid::new(5, &[32, 545]))?;
        assert_eq!(int(&k, "RtlEqualSid", &[copy, users]).await?, 0);
        assert_eq!(int(&k, "RtlEqualPrefixSid", &[copy, users]).await?, 1);
        assert_eq!(int(&k, "RtlValidSid", &[sid]).await?, 1);
        k.write(Va(sid), 2_u8)?;
        assert_eq!(int(&k, "RtlValidSid", &[sid]).await?, 0);
        assert_eq!(
            status(&k, "RtlConvertSidToUnicodeString", &[text, sid, 0]).await?,
            NtStatus::INVALID_SID
        );
        let other = buffer(&k, 16)?;
        assert_eq!(
            status(&k, "RtlInitializeSidEx", &[other, authority, 2, 32, 544]).await?,
            NtStatus::SUCCESS
        );
        assert_eq!(int(&k, "RtlEqualSid", &[copy, other]).await?, 1);
        Ok(())
    });
}

#[test]
fn generic_rights_become_specific_ones() {
    run(|k| async move {
        let (access, mapping) = (Va(buffer(&k, 4)?), Va(buffer(&k, 16)?));
        for (index, right) in [0x1_u32, 0x2, 0x4, 0xF].into_iter().enumerate() {
            k.write(mapping + 4 * index, right)?;
        }
        k.write(access, 0xC000_0100_u32)?;
        call(&k, "RtlMapGenericMask", &[access.get(), mapping.get()]).await?;
        assert_eq!(k.read::<u32>(access)?, 0x103);
        for (name, granted, desired, expected) in [
            ("RtlAreAllAccessesGranted", 3, 1, 1),
            ("RtlAreAllAccessesGranted", 1, 3, 0),
            ("RtlAreAnyAccessesGranted", 1, 3, 1),
            ("RtlAreAnyAccessesGranted", 4, 3, 0),
        ] {
            assert_eq!(int(&k, name, &[granted, desired]).await?, expected, "{name}");
        }
        Ok(())
    });
}
