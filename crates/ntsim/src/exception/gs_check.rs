//! The handlers of functions with a stack cookie: `__GSHandlerCheck` and `__GSHandlerCheck_SEH`.
//!
//! Before anything else is done for such a frame, they compare its cookie with the image's: a frame that was overrun must not be
//! believed. MSVC links them into each driver; the kernel exports them as well.

use ntlayout::dispatcher_context as dispatcher;

use super::{dispatch::disposition, specific_handler};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome},
    ddi::{Args, Contract, Registry},
    kernel::Kernel,
    machine::guard,
    mm::Va,
};

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    ddi.function("__GSHandlerCheck", 4, Contract::ANY, |k, a| {
        let data: Va = k.read(a.va(3) + dispatcher::HANDLER_DATA)?;
        check(k, a.va(1), a.va(3), data)?;
        Ok(disposition::CONTINUE_SEARCH)
    });
    ddi.function("__GSHandlerCheckCommon", 3, Contract::ANY, |k, a| {
        check(k, a.va(0), a.va(1), a.va(2))
    });
    ddi.flow("__GSHandlerCheck_SEH", 4, Contract::ANY, |k, a: Args| async move {
        const KINDS: u32 = 3;
        let (frame, dispatch) = (a.va(1), a.va(3));
        // The scope table comes first, then the cookie's place.
        let table: Va = k.read(dispatch + dispatcher::HANDLER_DATA)?;
        let scopes: u32 = k.read(table)?;
        let data = table + 4_u64 + 16 * u64::from(scopes);
        check(&k, frame, dispatch, data)?;
        let kinds: u32 = k.read(data)?;
        if kinds & KINDS == 0 {
            return Ok(disposition::CONTINUE_SEARCH);
        }
        specific_handler::handle(&k, a.va(0), frame, a.va(2), dispatch).await
    });
}

/// Checks the cookie of the frame at `frame`, whose place `data` gives.
fn check(k: &Kernel, frame: Va, dispatch: Va, data: Va) -> Outcome<()> {
    /// The lowest bits of the offset are flags: has an exception handler, has a termination handler, is aligned.
    const FLAGS: u32 = 7;
    const ALIGNED: u32 = 4;
    let word: u32 = k.read(data)?;
    let offset = i64::from((word & !FLAGS).cast_signed());
    let mut base = frame;
    if word & ALIGNED != 0 {
        let (aligned_base, alignment): (i32, i32) = (k.read(data + 4_u64)?, k.read(data + 8_u64)?);
        let moved = frame.get().wrapping_add_signed(aligned_base.into());
        base = Va(moved & i64::from(alignment).wrapping_neg().cast_unsigned());
    }
    let stored: u64 = k.read(Va(base.get().wrapping_add_signed(offset)))?;
    let cookie = stored ^ cookie_base(k, frame, dispatch)?.get();
    let image: Va = k.read(dispatch + dispatcher::IMAGE_BASE)?;
    let Some(expected) = guard::cookie_of(k, image)? else {
        return Ok(());
    };
    if cookie == expected {
        return Ok(());
    }
    Err(k.bugcheck(BugCheck::new(
        Code::DRIVER_OVERRAN_STACK_BUFFER,
        [cookie, expected, !expected, 0],
        "stack-cookie",
        format!("the stack cookie of the frame at {frame} is {cookie:#x} instead of {expected:#x}: a buffer on the stack was overrun"),
    )))
}

/// What the cookie of a frame is mixed with: the frame's address, from the frame register where there is one.
fn cookie_base(k: &Kernel, frame: Va, dispatch: Va) -> Outcome<Va> {
    let image: Va = k.read(dispatch + dispatcher::IMAGE_BASE)?;
    let entry: Va = k.read(dispatch + dispatcher::FUNCTION_ENTRY)?;
    let unwind_info: u32 = k.read(entry + 8_u64)?;
    let frame_register: u8 = k.read(image + u64::from(unwind_info) + 3_u64)?;
    Ok(frame + u64::from(frame_register & 0xF0))
}
