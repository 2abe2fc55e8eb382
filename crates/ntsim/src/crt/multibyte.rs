//! From the code page to UTF-16 and back: `mbstowcs`, `wcstombs`, `mbtowc`, `wctomb`.

use super::unit::{Unit, at, read, size, write};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    rtl::code_page::{self, Conversion},
};

pub(super) fn register(ddi: &mut Registry) {
    // The tables of the code page are pageable.
    let passive = Contract::exactly(Irql::PASSIVE);
    ddi.function("mbstowcs", 3, passive, |k, a| {
        convert::<u8, u16>(k, a, u16::from_narrow)
    });
    ddi.function("wcstombs", 3, passive, |k, a| convert::<u16, u8>(k, a, u8::from_wide));
    ddi.function("mbtowc", 3, passive, |k, a| {
        if a.va(1).is_null() || a.u64(2) == 0 {
            return Ok(0);
        }
        let byte: u8 = k.read(a.va(1))?;
        if !a.va(0).is_null() {
            k.write(a.va(0), code_page::widen(byte))?;
        }
        Ok(i32::from(byte != 0))
    });
    ddi.function("wctomb", 2, passive, |k, a| {
        if a.va(0).is_null() {
            return Ok(0);
        }
        k.write(a.va(0), code_page::narrow(a.u16(1)))?;
        Ok(1)
    });
}

/// `mbstowcs(dest, source, count)`: the number of characters without the terminator, which is written when there is room.
fn convert<From: Unit, To: Unit>(k: &Kernel, a: &Args, convert: fn(&[From]) -> Vec<To>) -> Outcome<u64> {
    let (to, room) = (a.va(0), size(a.u64(2)));
    if to.is_null() {
        let text = convert(&read::<From>(k, a.va(1), usize::MAX)?);
        return Ok(text.len() as u64);
    }
    let text = convert(&read::<From>(k, a.va(1), room)?);
    let copied = text.len().min(room);
    write(k, to, &text[..copied])?;
    if copied < room {
        k.write(at::<To>(to, copied), To::ZERO)?;
    }
    Ok(copied as u64)
}
