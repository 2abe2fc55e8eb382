//! The requests that the driver knows; the scenarios and the driver above include this file.

/// The control code of a request of an unknown device, which any handle may send.
const fn code(function: u32, method: u32) -> u32 {
    const FILE_DEVICE_UNKNOWN: u32 = 0x22;
    FILE_DEVICE_UNKNOWN << 16 | function << 2 | method
}

/// `METHOD_BUFFERED`: what the driver was asked so far, as four `u32`: CREATE, CLEANUP, CLOSE, READ.
pub const SEEN: u32 = code(0xA00, 0);
/// `METHOD_BUFFERED`: what two device objects look like, this driver's and the one on top of it: device type, flags and characteristics
/// of each, as six `u32`.
pub const LOOK: u32 = code(0xA01, 0);
/// `METHOD_BUFFERED`: completed with `STATUS_REPARSE`, a success that is not `STATUS_SUCCESS`.
pub const REPARSE: u32 = code(0xA02, 0);
/// With each transfer method: succeeds in the thread of the caller; in another one it fails, with `STATUS_INTERNAL_ERROR`, as it does for a driver that
/// takes a part of the input for an address of the caller's.
pub const IN_THREAD: [u32; 4] = [code(0xA03, 0), code(0xA03, 1), code(0xA03, 2), code(0xA03, 3)];
/// The same for the driver above to pass on later, from a DPC.
pub const IN_THREAD_LATER: [u32; 4] = [code(0xA04, 0), code(0xA04, 1), code(0xA04, 2), code(0xA04, 3)];
/// `METHOD_BUFFERED`: succeeds in every thread; for the driver above to vouch for, and to pass on later.
pub const VOUCHED_LATER: u32 = code(0xA08, 0);
/// `METHOD_BUFFERED`: the same for a driver above that vouches for nothing.
pub const UNKNOWN_LATER: u32 = code(0xA09, 0);
/// `METHOD_BUFFERED`: two `u32`: how many notifications of special files have come, and the flags of the device on top when the last one did.
pub const NOTIFIED: u32 = code(0xA07, 0);
