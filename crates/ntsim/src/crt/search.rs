//! `qsort` and `bsearch`, whose comparison is a routine of the driver's.

use super::unit::size;
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    kernel::Kernel,
    mm::Va,
};

pub(super) fn register(ddi: &mut Registry) {
    ddi.flow("qsort", 4, Contract::ANY, |k, a| async move { sort(&k, &a).await });
    ddi.flow("bsearch", 5, Contract::ANY, |k, a| async move { search(&k, &a).await });
}

/// The driver's comparison of two elements: negative, zero or positive.
async fn compare(k: &Kernel, routine: Va, first: Va, second: Va) -> Outcome<i32> {
    let returned = k.call(routine, &[first.get(), second.get()]).label("compare").await?;
    Ok(((returned & 0xFFFF_FFFF) as u32).cast_signed())
}

/// `qsort(base, num, width, compare)`: a heap sort in place, as the driver's comparison sees the array's own elements. The order of equal
/// elements is not defined.
async fn sort(k: &Kernel, a: &Args) -> Outcome<()> {
    let (base, count, width, routine) = (a.va(0), size(a.u64(1)), size(a.u64(2)), a.va(3));
    if count < 2 || width == 0 {
        return Ok(());
    }
    let element = |index: usize| base + index.wrapping_mul(width);
    let swap = |first: usize, second: usize| -> Outcome<()> {
        let one = k.read_bytes(element(first), width)?;
        let other = k.read_bytes(element(second), width)?;
        k.write_bytes(element(first), &other)?;
        k.write_bytes(element(second), &one)
    };
    let sift = async |from: usize, end: usize| -> Outcome<()> {
        let mut parent = from;
        loop {
            let mut child = 2 * parent + 1;
            if child >= end {
                return Ok(());
            }
            if child + 1 < end && compare(k, routine, element(child), element(child + 1)).await? < 0 {
                child += 1;
            }
            if compare(k, routine, element(parent), element(child)).await? >= 0 {
                return Ok(());
            }
            swap(parent, child)?;
            parent = child;
        }
    };
    for from in (0..count / 2).rev() {
        sift(from, count).await?;
    }
    for end in (1..count).rev() {
        swap(0, end)?;
        sift(0, end).await?;
    }
    Ok(())
}

/// `bsearch(key, base, num, width, compare)`.
async fn search(k: &Kernel, a: &Args) -> Outcome<Va> {
    let (key, base, width, routine) = (a.va(0), a.va(1), size(a.u64(3)), a.va(4));
    let (mut start, mut end) = (0, size(a.u64(2)));
    while start < end {
        let middle = start + (end - start) / 2;
        let element = base + middle.wrapping_mul(width);
        match compare(k, routine, key, element).await? {
            0 => return Ok(element),
            order if order < 0 => end = middle,
            _ => start = middle + 1,
        }
    }
    Ok(Va::NULL)
}
