//! Calendar time.

use crate::{
    bugcheck::Outcome,
    kernel::Kernel,
    mm::Va,
    rtl::testing::{buffer, call, int, run, status},
    status::NtStatus,
};

/// 2024-02-29, 13:14:15.678, a Thursday.
const LEAP_DAY: u64 = 133_536_860_556_780_000;
const FIELDS: [i16; 8] = [2024, 2, 29, 13, 14, 15, 678, 4];

fn read(k: &Kernel, at: u64) -> Outcome<Vec<i16>> {
    (0..8_usize).map(|index| k.read(Va(at) + 2 * index)).collect()
}

#[test]
fn a_time_has_a_date_and_a_date_has_a_time() {
    run(|k| async move {
        let (time, fields) = (buffer(&k, 8)?, buffer(&k, 16)?);
        for (number, expected) in [
            (LEAP_DAY, FIELDS),
            (0, [1601, 1, 1, 0, 0, 0, 0, 1]),
            (125_911_584_000_000_000, [2000, 1, 1, 0, 0, 0, 0, 6]),
        ] {
            k.write(Va(time), number)?;
            call(&k, "RtlTimeToTimeFields", &[time, fields]).await?;
            assert_eq!(read(&k, fields)?, expected);
            k.write(Va(time), 1_u64)?;
            assert_eq!(int(&k, "RtlTimeFieldsToTime", &[fields, time]).await?, 1);
            assert_eq!(k.read::<u64>(Va(time))?, number);
        }
        // The thirtieth of February.
        k.write(Va(fields) + 2_u64, 2_u16)?;
        k.write(Va(fields) + 4_u64, 30_u16)?;
        assert_eq!(int(&k, "RtlTimeFieldsToTime", &[fields, time]).await?, 0);
        // 25 hours and a millisecond.
        k.write(Va(time), 25 * 36_000_000_000_u64 + 10_000)?;
        call(&k, "RtlTimeToElapsedTimeFields", &[time, fields]).await?;
        assert_eq!(read(&k, fields)?, [0, 0, 1, 1, 0, 0, 1, 0]);
        Ok(())
    });
}

#[test]
fn seconds_are_counted_from_1970_and_1980() {
    run(|k| async move {
        let (time, seconds) = (buffer(&k, 8)?, buffer(&k, 4)?);
        for (to, back, expected) in [
            (
                "RtlTimeToSecondsSince1970",
                "RtlSecondsSince1970ToTime",
                1_709_212_455_u32,
            ),
            ("RtlTimeToSecondsSince1980", "RtlSecondsSince1980ToTime", 1_393_679_655),
        ] {
            k.write(Va(time), LEAP_DAY)?;
            assert_eq!(int(&k, to, &[time, seconds]).await?, 1);
            assert_eq!(k.read::<u32>(Va(seconds))?, expected);
            call(&k, back, &[expected.into(), time]).await?;
            assert_eq!(k.read::<u64>(Va(time))?, LEAP_DAY - 6_780_000);
            k.write(Va(time), 5_u64)?;
            assert_eq!(int(&k, to, &[time, seconds]).await?, 0, "before that year");
        }
        let local = buffer(&k, 8)?;
        for name in ["RtlSystemTimeToLocalTime", "RtlLocalTimeToSystemTime"] {
            assert_eq!(status(&k, name, &[time, local]).await?, NtStatus::SUCCESS);
            assert_eq!(k.read::<u64>(Va(local))?, 5, "the time zone is UTC");
        }
        Ok(())
    });
}
