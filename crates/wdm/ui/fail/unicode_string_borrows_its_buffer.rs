//! A UnicodeString does not outlive the buffer that it describes.
#![no_std]

use wdm::{UnicodeString, unicode_string};

pub fn name() -> Option<UnicodeString<'static>> {
    let units = [0x61_u16, 0x62];
    let local = UnicodeString::new(&units);
    let _ = local;
    UnicodeString::new(&units) //~ E0515
}
