//! Bytes: `memchr`, `memcpy_s`, `memmove_s`.

use super::unit::size;
use crate::{
    bugcheck::Outcome,
    crt::secure::{EINVAL, ERANGE},
    ddi::{Args, Contract, Registry},
    kernel::Kernel,
    mm::Va,
};

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("memchr", 3, Contract::ANY, |k, a| {
        for index in 0..size(a.u64(2)) {
            if k.read::<u8>(a.va(0) + index)? == a.u8(1) {
                return Ok(a.va(0) + index);
            }
        }
        Ok(Va::NULL)
    });
    ddi.function("memcpy_s", 4, Contract::ANY, |k, a| copy(k, a, true));
    ddi.function("memmove_s", 4, Contract::ANY, |k, a| copy(k, a, false));
}

/// `memcpy_s(dest, destSize, src, count)`: what does not fit is not copied; `memcpy_s` clears the destination then.
fn copy(k: &Kernel, a: &Args, clears: bool) -> Outcome<i32> {
    let (to, room, from, count) = (a.va(0), a.u64(1), a.va(2), a.u64(3));
    if count == 0 {
        return Ok(0);
    }
    if to.is_null() {
        return Ok(EINVAL);
    }
    if from.is_null() || room < count {
        if clears {
            k.fill(to, 0, size(room))?;
        }
        return Ok(if from.is_null() { EINVAL } else { ERANGE });
    }
    let bytes = k.read_bytes(from, size(count))?;
    k.write_bytes(to, &bytes)?;
    Ok(0)
}
