//! Access control lists.

use super::place;
use crate::{
    mm::Va,
    rtl::testing::{buffer, run, status},
    se::sid::Sid,
    status::NtStatus,
};

#[test]
fn entries_are_added_found_and_deleted() {
    run(|k| async move {
        // The header, and two entries of eight bytes and an identifier of twelve.
        let list = buffer(&k, 48)?;
        assert_eq!(
            status(&k, "RtlCreateAcl", &[list, 7, 2]).await?,
            NtStatus::BUFFER_TOO_SMALL
        );
        assert_eq!(
            status(&k, "RtlCreateAcl", &[list, 48, 9]).await?,
            NtStatus::INVALID_PARAMETER
        );
        assert_eq!(status(&k, "RtlCreateAcl", &[list, 50, 2]).await?, NtStatus::SUCCESS);
        assert_eq!(k.read_bytes(Va(list), 8)?, [2, 0, 48, 0, 0, 0, 0, 0]);
        let system = place(&k, &Sid::new(5, &[18]))?;
        let everyone = place(&k, &Sid::new(1, &[0]))?;
        let add = async |mask, sid| status(&k, "RtlAddAccessAllowedAce", &[list, 2, mask, sid]).await;
        assert_eq!(add(0x10, system).await?, NtStatus::SUCCESS);
        let with_flags = status(&k, "RtlAddAccessAllowedAceEx", &[list, 2, 3, 0x20, everyone]).await?;
        assert_eq!(with_flags, NtStatus::SUCCESS);
        assert_eq!(add(1, system).await?, NtStatus::ALLOTTED_SPACE_EXCEEDED);
        assert_eq!(add(1, list).await?, NtStatus::INVALID_SID);
        let bad_flags = status(&k, "RtlAddAccessAllowedAceEx", &[list, 2, 0x40, 1, system]).await?;
        assert_eq!(bad_flags, NtStatus::INVALID_PARAMETER);
        let newer = status(&k, "RtlAddAccessAllowedAce", &[list, 5, 1, system]).await?;
        assert_eq!(newer, NtStatus::REVISION_MISMATCH);

        let entry = buffer(&k, 8)?;
        assert_eq!(status(&k, "RtlGetAce", &[list, 1, entry]).await?, NtStatus::SUCCESS);
        let second: u64 = k.read(Va(entry))?;
        assert_eq!(
            (second, k.read_bytes(Va(second), 8)?),
            (list + 28, vec![0, 3, 20, 0, 0x20, 0, 0, 0])
        );
        assert_eq!(
            status(&k, "RtlGetAce", &[list, 2, entry]).await?,
            NtStatus::INVALID_PARAMETER
        );
        assert_eq!(status(&k, "RtlDeleteAce", &[list, 0]).await?, NtStatus::SUCCESS);
        assert_eq!(status(&k, "RtlGetAce", &[list, 0, entry]).await?, NtStatus::SUCCESS);
        assert_eq!(k.read::<u32>(Va(list) + 12_u64)?, 0x20, "the second one has moved up");
        assert_eq!(
            status(&k, "RtlDeleteAce", &[list, 1]).await?,
            NtStatus::INVALID_PARAMETER
        );

        // An entry of the caller's own, before the one that is there.
        let own = buffer(&k, 20)?;
        k.write_bytes(Va(own), &[1, 0, 20, 0, 7, 0, 0, 0])?;
        k.write_bytes(Va(own) + 8_u64, Sid::new(1, &[0]).bytes())?;
        assert_eq!(
            status(&k, "RtlAddAce", &[list, 2, 0, own, 20]).await?,
            NtStatus::SUCCESS
        );
        assert_eq!(k.read_bytes(Va(list) + 8_u64, 8)?, [1, 0, 20, 0, 7, 0, 0, 0]);
        assert_eq!(k.read::<u16>(Va(list) + 4_u64)?, 2);
        assert_eq!(
            status(&k, "RtlAddAce", &[list, 2, 0, own, 20]).await?,
            NtStatus::BUFFER_TOO_SMALL
        );
        assert_eq!(
            status(&k, "RtlAddAce", &[list, 2, 0, own, 19]).await?,
            NtStatus::INVALID_PARAMETER
        );
        assert_eq!(status(&k, "RtlDeleteAce", &[list, 0]).await?, NtStatus::SUCCESS);
        let denied = status(&k, "RtlAddAccessDeniedAce", &[list, 2, 5, everyone]).await?;
        assert_eq!((denied, k.read::<u8>(Va(list) + 28_u64)?), (NtStatus::SUCCESS, 1));
        Ok(())
    });
}
