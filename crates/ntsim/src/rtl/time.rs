//! Calendar time: `RtlTimeToTimeFields`, `RtlTimeFieldsToTime`, `RtlTimeToSecondsSince1970` and the like.
//!
//! System time counts units of 100 ns from the start of the year 1601. The machine's time zone is UTC.

use ntlayout::time_fields as fields;

use crate::{
    bugcheck::Outcome,
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

/// Units of system time in a millisecond, a second and a day.
const MILLISECOND: u64 = 10_000;
const SECOND: u64 = 1000 * MILLISECOND;
const DAY: u64 = 86_400 * SECOND;

/// Seconds from 1601 to 1970.
const TO_1970: u64 = 11_644_473_600;
/// Seconds from 1601 to 1980.
const TO_1980: u64 = 11_960_006_400;

/// The first of January 1601 was a Monday; a week begins with Sunday.
const FIRST_WEEKDAY: u64 = 1;

/// Days in the cycle of the Gregorian calendar: 400 years.
const CYCLE: u64 = 146_097;

/// The first and the last year that there is a time for.
const YEARS: std::ops::RangeInclusive<i16> = 1601..=30827;

pub(super) fn register(ddi: &mut Registry) {
    let any = Contract::ANY;
    ddi.function("RtlTimeToTimeFields", 2, any, |k, a| {
        let time: u64 = k.read(a.va(0))?;
        let (year, month, day) = date(time / DAY);
        let weekday = (time / DAY + FIRST_WEEKDAY) % 7;
        write_fields(k, a.va(1), [year, month, day], time % DAY, weekday)
    });
    ddi.function("RtlTimeToElapsedTimeFields", 2, any, |k, a| {
        let time: u64 = k.read(a.va(0))?;
        write_fields(k, a.va(1), [0, 0, time / DAY], time % DAY, 0)
    });
    ddi.function("RtlTimeFieldsToTime", 2, any, |k, a| {
        let time = read_fields(k, a.va(0))?;
        if let Some(time) = time {
            k.write(a.va(1), time)?;
        }
        Ok(time.is_some())
    });
    let apc = Contract::at_most(Irql::APC);
    for (name, start) in [
        ("RtlTimeToSecondsSince1970", TO_1970),
        ("RtlTimeToSecondsSince1980", TO_1980),
    ] {
        ddi.function(name, 2, apc, move |k, a| {
            let seconds = k.read::<u64>(a.va(0))? / SECOND;
            let since = seconds
                .checked_sub(start)
                .and_then(|seconds| u32::try_from(seconds).ok());
            if let Some(seconds) = since {
                k.write(a.va(1), seconds)?;
            }
            Ok(since.is_some())
        });
    }
    for (name, start) in [
        ("RtlSecondsSince1970ToTime", TO_1970),
        ("RtlSecondsSince1980ToTime", TO_1980),
    ] {
        ddi.function(name, 2, apc, move |k, a| {
            k.write(a.va(1), (u64::from(a.u32(0)) + start) * SECOND)
        });
    }
    for name in ["RtlSystemTimeToLocalTime", "RtlLocalTimeToSystemTime"] {
        ddi.function(name, 2, apc, |k, a| {
            let time: u64 = k.read(a.va(0))?;
            k.write(a.va(1), time)?;
            Ok(NtStatus::SUCCESS)
        });
    }
}

/// Year, month and day of the day with a number, counted from the start of 1601, which starts a cycle of the calendar.
///
/// The year is taken to begin in March, so that the day that leap years add is its last.
fn date(days: u64) -> (u64, u64, u64) {
    // There are 306 days from the first of March 1600 to the start of 1601.
    let days = days + 306;
    let (cycle, day) = (days / CYCLE, days % CYCLE);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (1600 + 400 * cycle + year + next_year, month, day_of_month)
}

/// The number of a day, counted from the start of 1601.
fn day_number(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 {
        (year - 1600, month - 3)
    } else {
        (year - 1601, month + 9)
    };
    let (cycle, year) = (year / 400, year % 400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    CYCLE * cycle + 365 * year + year / 4 - year / 100 + day_of_year - 306
}

/// Writes a `TIME_FIELDS`: a date, the units of a day, and the weekday. The fields are short numbers: what is larger is cut off.
fn write_fields(k: &Kernel, at: Va, [year, month, day]: [u64; 3], time: u64, weekday: u64) -> Outcome<()> {
    let values = [
        (fields::YEAR, year),
        (fields::MONTH, month),
        (fields::DAY, day),
        (fields::HOUR, time / (3600 * SECOND)),
        (fields::MINUTE, time / (60 * SECOND) % 60),
        (fields::SECOND, time / SECOND % 60),
        (fields::MILLISECONDS, time / MILLISECOND % 1000),
        (fields::WEEKDAY, weekday),
    ];
    for (field, value) in values {
        k.write(at + field, (value & 0xFFFF) as u16)?;
    }
    Ok(())
}

/// The time that a `TIME_FIELDS` means, whatever its weekday; none when a field is out of range.
fn read_fields(k: &Kernel, at: Va) -> Outcome<Option<u64>> {
    let field = |offset: usize| k.read::<i16>(at + offset);
    let (year, month, day) = (field(fields::YEAR)?, field(fields::MONTH)?, field(fields::DAY)?);
    let (hour, minute) = (field(fields::HOUR)?, field(fields::MINUTE)?);
    let (second, milliseconds) = (field(fields::SECOND)?, field(fields::MILLISECONDS)?);
    let in_range = YEARS.contains(&year)
        && (1..=12).contains(&month)
        && day >= 1
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second)
        && (0..1000).contains(&milliseconds);
    if !in_range {
        return Ok(None);
    }
    let positive = |number: i16| u64::from(number.unsigned_abs());
    let number = day_number(positive(year), positive(month), positive(day));
    if date(number) != (positive(year), positive(month), positive(day)) {
        return Ok(None);
    }
    let seconds = (positive(hour) * 60 + positive(minute)) * 60 + positive(second);
    Ok(Some(
        number * DAY + seconds * SECOND + positive(milliseconds) * MILLISECOND,
    ))
}
