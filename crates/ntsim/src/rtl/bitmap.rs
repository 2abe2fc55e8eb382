//! `RTL_BITMAP`: `RtlInitializeBitMap`, `RtlSetBits`, `RtlFindClearBitsAndSet`, `RtlFindLongestRunClear` and the like.
//!
//! The routines do not check that bits lie in the bitmap: setting one beyond writes the memory there.

use ntlayout::rtl_bitmap::{BUFFER, SIZE_OF_BIT_MAP};

use super::counted::read_bytes;
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    kernel::Kernel,
    mm::Va,
};

/// What the searches return when there is no such range.
const NOT_FOUND: u32 = u32::MAX;

/// A bitmap's header.
#[derive(Clone, Copy)]
struct Bitmap {
    size: u32,
    buffer: Va,
}

impl Bitmap {
    fn of(k: &Kernel, a: &Args) -> Outcome<Self> {
        Ok(Self {
            size: k.read(a.va(0) + SIZE_OF_BIT_MAP)?,
            buffer: k.read(a.va(0) + BUFFER)?,
        })
    }

    fn byte(&self, index: u32) -> Va {
        self.buffer + u64::from(index / 8)
    }

    fn test(&self, k: &Kernel, index: u32) -> Outcome<bool> {
        Ok(k.read::<u8>(self.byte(index))? >> (index % 8) & 1 == 1)
    }

    fn set(&self, k: &Kernel, start: u32, count: u32, value: bool) -> Outcome<()> {
        for index in start..start.saturating_add(count) {
            let byte: u8 = k.read(self.byte(index))?;
            let bit = 1 << (index % 8);
            k.write(self.byte(index), if value { byte | bit } else { byte & !bit })?;
        }
        Ok(())
    }

    /// All of the words that the bitmap takes.
    fn fill(&self, k: &Kernel, byte: u8) -> Outcome<()> {
        let bytes = usize::try_from(self.size.div_ceil(32)).expect("32 bits fit") * 4;
        k.fill(self.buffer, byte, bytes)
    }

    /// All of its bits.
    fn bits(&self, k: &Kernel) -> Outcome<Vec<bool>> {
        let size = usize::try_from(self.size).expect("32 bits fit");
        let bytes = read_bytes(k, self.buffer, size.div_ceil(8))?;
        let bit = |index: usize| bytes[index / 8] >> (index % 8) & 1 == 1;
        Ok((0..size).map(bit).collect())
    }

    /// Whether so many bits from `start` on lie in the bitmap and have the value. Of no bits that is not true.
    fn are(&self, k: &Kernel, start: u32, count: u32, value: bool) -> Outcome<bool> {
        let inside = start.checked_add(count).is_some_and(|end| end <= self.size);
        if !inside || count == 0 {
            return Ok(false);
        }
        for index in start..start + count {
            if self.test(k, index)? != value {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The start of a range of `count` bits with the value, from the hint on and then from the beginning.
    fn find(&self, k: &Kernel, count: u32, hint: u32, value: bool) -> Outcome<u32> {
        let bits = self.bits(k)?;
        let count = usize::try_from(count).expect("32 bits fit");
        let hint = if hint < self.size { hint } else { 0 };
        if count == 0 {
            return Ok(hint);
        }
        let hint = usize::try_from(hint).expect("32 bits fit");
        let starts = |start: &usize| {
            bits.get(*start..*start + count)
                .is_some_and(|range| range.iter().all(|&bit| bit == value))
        };
        let found = (hint..bits.len()).find(starts).or_else(|| (0..hint).find(starts));
        Ok(found.map_or(NOT_FOUND, number))
    }

    /// The ranges of clear bits, as start and length.
    fn clear_runs(&self, k: &Kernel) -> Outcome<Vec<(u32, u32)>> {
        let mut runs = Vec::new();
        let mut start = 0;
        for run in self.bits(k)?.chunk_by(|one, other| one == other) {
            if !run[0] {
                runs.push((start, number(run.len())));
            }
            start += number(run.len());
        }
        Ok(runs)
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("a bitmap has fewer than 2^32 bits")
}

pub(super) fn register(ddi: &mut Registry) {
    let any = Contract::ANY;
    ddi.function("RtlInitializeBitMap", 3, any, |k, a| {
        k.write(a.va(0) + SIZE_OF_BIT_MAP, a.u32(2))?;
        k.write(a.va(0) + BUFFER, a.va(1))
    });
    for (name, value) in [("RtlClearBit", false), ("RtlSetBit", true)] {
        ddi.function(name, 2, any, move |k, a| Bitmap::of(k, a)?.set(k, a.u32(1), 1, value));
    }
    for (name, value) in [("RtlClearBits", false), ("RtlSetBits", true)] {
        ddi.function(name, 3, any, move |k, a| {
            Bitmap::of(k, a)?.set(k, a.u32(1), a.u32(2), value)
        });
    }
    ddi.function("RtlTestBit", 2, any, |k, a| Bitmap::of(k, a)?.test(k, a.u32(1)));
    ddi.function("RtlClearAllBits", 1, any, |k, a| Bitmap::of(k, a)?.fill(k, 0));
    ddi.function("RtlSetAllBits", 1, any, |k, a| Bitmap::of(k, a)?.fill(k, 0xFF));
    for (name, value) in [("RtlAreBitsClear", false), ("RtlAreBitsSet", true)] {
        ddi.function(name, 3, any, move |k, a| {
            Bitmap::of(k, a)?.are(k, a.u32(1), a.u32(2), value)
        });
    }
    for (name, value) in [("RtlFindClearBits", false), ("RtlFindSetBits", true)] {
        ddi.function(name, 3, any, move |k, a| {
            Bitmap::of(k, a)?.find(k, a.u32(1), a.u32(2), value)
        });
    }
    for (name, value) in [("RtlFindClearBitsAndSet", false), ("RtlFindSetBitsAndClear", true)] {
        ddi.function(name, 3, any, move |k, a| {
            let bitmap = Bitmap::of(k, a)?;
            let found = bitmap.find(k, a.u32(1), a.u32(2), value)?;
            if found != NOT_FOUND {
                bitmap.set(k, found, a.u32(1), !value)?;
            }
            Ok(found)
        });
    }
    for (name, value) in [("RtlNumberOfClearBits", false), ("RtlNumberOfSetBits", true)] {
        ddi.function(name, 1, any, move |k, a| {
            let bits = Bitmap::of(k, a)?.bits(k)?;
            Ok(number(bits.into_iter().filter(|&bit| bit == value).count()))
        });
    }
    ddi.function("RtlNumberOfSetBitsUlongPtr", 1, any, |_, a| Ok(a.u64(0).count_ones()));
    register_runs(ddi);
}

fn register_runs(ddi: &mut Registry) {
    let any = Contract::ANY;
    ddi.function("RtlFindClearRuns", 4, any, find_runs);
    ddi.function("RtlFindLongestRunClear", 2, any, |k, a| {
        let runs = Bitmap::of(k, a)?.clear_runs(k)?;
        // The first of the longest ones.
        let longest = runs.into_iter().rev().max_by_key(|&(_, length)| length);
        report(k, a.va(1), longest)
    });
    ddi.function("RtlFindFirstRunClear", 2, any, |k, a| {
        let runs = Bitmap::of(k, a)?.clear_runs(k)?;
        report(k, a.va(1), runs.first().copied())
    });
    ddi.function("RtlFindNextForwardRunClear", 3, any, |k, a| {
        let from = a.u32(1);
        let runs = Bitmap::of(k, a)?.clear_runs(k)?;
        let next = runs.into_iter().find(|&(start, length)| start + length > from);
        let clipped = next.map(|(start, length)| {
            let skipped = from.saturating_sub(start);
            (start + skipped, length - skipped)
        });
        report(k, a.va(2), clipped)
    });
    ddi.function("RtlFindLastBackwardRunClear", 3, any, |k, a| {
        let from = a.u32(1);
        let runs = Bitmap::of(k, a)?.clear_runs(k)?;
        let last = runs.into_iter().rfind(|&(start, _)| start <= from);
        let clipped = last.map(|(start, length)| (start, length.min((from - start).saturating_add(1))));
        report(k, a.va(2), clipped)
    });
}

/// Stores where a run starts, and returns its length; of none both are 0.
fn report(k: &Kernel, to: Va, run: Option<(u32, u32)>) -> Outcome<u32> {
    let (start, length) = run.unwrap_or((0, 0));
    k.write(to, start)?;
    Ok(length)
}

/// `RtlFindClearRuns(BitMapHeader, RunArray, SizeOfRunArray, LocateLongestRuns)`: the first runs, or the longest in decreasing order.
fn find_runs(k: &Kernel, a: &Args) -> Outcome<u32> {
    const RUN_SIZE: usize = 8;
    let mut runs = Bitmap::of(k, a)?.clear_runs(k)?;
    if a.bool(3) {
        runs.sort_by_key(|&(_, length)| std::cmp::Reverse(length));
    }
    runs.truncate(usize::try_from(a.u32(2)).expect("32 bits fit"));
    for (index, &(start, length)) in runs.iter().enumerate() {
        let to = a.va(1) + index * RUN_SIZE;
        k.write(to, start)?;
        k.write(to + 4_u64, length)?;
    }
    Ok(number(runs.len()))
}
