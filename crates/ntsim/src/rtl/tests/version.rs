//! The version of the system, and images in memory.

use ntlayout::rtl_osversioninfoexw as layout;

use crate::{
    machine::testing::Program,
    mm::Va,
    rtl::testing::{buffer, call, int, run, status},
    sched::{RunEnd, ThreadSpec},
    status::NtStatus,
};

#[test]
fn the_version_is_told_as_far_as_the_structure_goes() {
    run(|k| async move {
        let info = Va(buffer(&k, layout::SIZE)?);
        k.write(info, u32::try_from(layout::SHORT_SIZE).unwrap())?;
        assert_eq!(status(&k, "RtlGetVersion", &[info.get()]).await?, NtStatus::SUCCESS);
        assert_eq!(k.read::<u32>(info + layout::MAJOR_VERSION)?, 10);
        assert_eq!(k.read::<u32>(info + layout::BUILD_NUMBER)?, 22_621);
        assert_eq!(k.read::<u8>(info + layout::PRODUCT_TYPE)?, b'#', "beyond the structure");
        k.write(info, u32::try_from(layout::SIZE).unwrap())?;
        call(&k, "RtlGetVersion", &[info.get()]).await?;
        assert_eq!(k.read::<u8>(info + layout::PRODUCT_TYPE)?, 1);

        let numbers = Va(buffer(&k, 12)?);
        let [major, minor, build] = [0_u64, 4, 8].map(|offset| (numbers + offset).get());
        assert_eq!(int(&k, "PsGetVersion", &[major, minor, build, 0]).await?, 0);
        assert_eq!((k.read::<u32>(Va(major))?, k.read::<u32>(Va(minor))?), (10, 0));
        assert_eq!(k.read::<u32>(Va(build))?, 22_621);
        Ok(())
    });
}

#[test]
fn versions_are_compared_as_the_conditions_say() {
    const MAJOR: u64 = 2;
    const MINOR: u64 = 1;
    const BUILD: u64 = 4;
    // The condition is at three bits for each bit of the type mask.
    const AT_MAJOR: u32 = 3;
    const AT_BUILD: u32 = 6;
    const GREATER_EQUAL: u64 = 3;
    const EQUAL: u64 = 1;
    run(|k| async move {
        let info = Va(buffer(&k, layout::SIZE)?);
        let verify = async |major: u32, minor: u32, build: u32, types: u64, conditions: u64| {
            k.write(info + layout::MAJOR_VERSION, major)?;
            k.write(info + layout::MINOR_VERSION, minor)?;
            k.write(info + layout::BUILD_NUMBER, build)?;
            status(&k, "RtlVerifyVersionInfo", &[info.get(), types, conditions]).await
        };
        let at_least = GREATER_EQUAL << AT_MAJOR | GREATER_EQUAL;
        assert_eq!(
            verify(6, 3, 0, MAJOR | MINOR, at_least).await?,
            NtStatus::SUCCESS,
            "6.3 is older"
        );
        assert_eq!(verify(10, 0, 0, MAJOR | MINOR, at_least).await?, NtStatus::SUCCESS);
        assert_eq!(
            verify(10, 1, 0, MAJOR | MINOR, at_least).await?,
            NtStatus::REVISION_MISMATCH
        );
        let build = EQUAL << AT_BUILD;
        assert_eq!(verify(0, 0, 22_621, BUILD, build).await?, NtStatus::SUCCESS);
        assert_eq!(verify(0, 0, 19_045, BUILD, build).await?, NtStatus::REVISION_MISMATCH);
        assert_eq!(verify(0, 0, 0, 0, build).await?, NtStatus::INVALID_PARAMETER);
        assert_eq!(
            verify(0, 0, 0, MAJOR, build).await?,
            NtStatus::INVALID_PARAMETER,
            "no condition"
        );
        for (name, version, expected) in [
            ("RtlIsNtDdiVersionAvailable", 0x0601_0000, 1),
            ("RtlIsNtDdiVersionAvailable", 0x0A00_0002, 1),
            ("RtlIsNtDdiVersionAvailable", 0x0B00_0000, 0),
            ("RtlIsServicePackVersionInstalled", 0x0A00_0000, 1),
            ("RtlIsServicePackVersionInstalled", 0x0501_0200, 0),
        ] {
            assert_eq!(int(&k, name, &[version]).await?, expected, "{name} {version:#x}");
        }
        assert_eq!(int(&k, "RtlGetNtGlobalFlags", &[]).await?, 0);
        Ok(())
    });
}

#[test]
fn an_images_headers_and_directories_are_found() {
    let program = Program::default().import(&["RtlImageNtHeader"]).function(|_| {});
    let machine = program.machine(1);
    machine.spawn(ThreadSpec::system("test"), |k| async move {
        let base = k.driver_image().base.get();
        let header = call(&k, "RtlImageNtHeader", &[base]).await?;
        assert_eq!(k.read::<u32>(Va(header))?, 0x4550);
        assert_eq!(call(&k, "RtlImageNtHeader", &[header]).await?, 0, "that is no image");
        let size = buffer(&k, 8)?;
        // IMAGE_DIRECTORY_ENTRY_IMPORT and IMAGE_DIRECTORY_ENTRY_RESOURCE.
        let imports = call(&k, "RtlImageDirectoryEntryToData", &[base, 1, 1, size]).await?;
        assert!(imports > base && k.read::<u32>(Va(size))? > 0);
        assert_eq!(call(&k, "RtlImageDirectoryEntryToData", &[base, 1, 2, size]).await?, 0);
        let routine = Program::address(0).get();
        assert_eq!(call(&k, "RtlPcToFileHeader", &[routine, size]).await?, base);
        assert_eq!(k.read::<u64>(Va(size))?, base);
        assert_eq!(
            call(&k, "RtlPcToFileHeader", &[size, size]).await?,
            0,
            "no image lies there"
        );
        Ok(())
    });
    assert_eq!(
        machine.run(),
        RunEnd::Idle,
        "{}",
        machine.crash_report(None).unwrap_or_default()
    );
}
