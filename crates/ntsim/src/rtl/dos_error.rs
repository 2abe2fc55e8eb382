//! `RtlNtStatusToDosError`: the error of the Win32 interface that a status becomes.
//!
//! The table has the statuses that drivers meet. The run stops at any other one, rather than to give a wrong error.

use super::counted::APC;
use crate::{ddi::Registry, status::NtStatus};

/// Status and error.
const ERRORS: [(u32, u32); 89] = [
    (0x0000_0000, 0),
    (0x0000_0103, 997),
    (0x8000_0002, 998),
    (0x8000_0005, 234),
    (0x8000_0006, 18),
    (0x8000_001A, 259),
    (0xC000_0001, 31),
    (0xC000_0002, 1),
    (0xC000_0003, 87),
    (0xC000_0004, 24),
    (0xC000_0005, 998),
    (0xC000_0008, 6),
    (0xC000_000B, 87),
    (0xC000_000D, 87),
    (0xC000_000E, 2),
    (0xC000_000F, 2),
    (0xC000_0010, 1),
    (0xC000_0011, 38),
    (0xC000_0012, 34),
    (0xC000_0013, 21),
    (0xC000_0015, 27),
    (0xC000_0016, 234),
    (0xC000_0017, 8),
    (0xC000_0018, 487),
    (0xC000_0019, 487),
    (0xC000_001E, 5),
    (0xC000_0022, 5),
    (0xC000_0023, 122),
    (0xC000_0024, 6),
    (0xC000_002A, 158),
    (0xC000_0030, 87),
    (0xC000_0033, 123),
    (0xC000_0034, 2),
    (0xC000_0035, 183),
    (0xC000_0039, 161),
    (0xC000_003A, 3),
    (0xC000_003B, 161),
    (0xC000_003E, 23),
    (0xC000_0040, 8),
    (0xC000_0041, 5),
    (0xC000_0043, 32),
    (0xC000_0044, 1816),
    (0xC000_0045, 87),
    (0xC000_0046, 288),
    (0xC000_0054, 33),
    (0xC000_0055, 33),
    (0xC000_0056, 5),
    (0xC000_0058, 1305),
    (0xC000_0059, 1306),
    (0xC000_005A, 1307),
    (0xC000_0061, 1314),
    (0xC000_0077, 1336),
    (0xC000_0078, 1337),
    (0xC000_0079, 1338),
    (0xC000_007F, 112),
    (0xC000_0098, 1006),
    (0xC000_0099, 1344),
    (0xC000_009A, 1450),
    (0xC000_009C, 23),
    (0xC000_009D, 1167),
    (0xC000_00A2, 19),
    (0xC000_00A3, 21),
    (0xC000_00AC, 231),
    (0xC000_00B5, 121),
    (0xC000_00BA, 5),
    (0xC000_00BB, 50),
    (0xC000_00BD, 52),
    (0xC000_00E5, 1359),
    (0xC000_00EF, 87),
    (0xC000_00F0, 87),
    (0xC000_00F1, 87),
    (0xC000_00F2, 87),
    (0xC000_0101, 145),
    (0xC000_0103, 267),
    (0xC000_0106, 206),
    (0xC000_0107, 2401),
    (0xC000_0120, 995),
    (0xC000_0121, 5),
    (0xC000_0128, 6),
    (0xC000_0135, 126),
    (0xC000_017C, 1018),
    (0xC000_0181, 1021),
    (0xC000_0184, 22),
    (0xC000_0185, 1117),
    (0xC000_0206, 1784),
    (0xC000_0225, 1168),
    (0xC000_022D, 1237),
    (0xC000_02B6, 1617),
    (0xC000_0483, 483),
];

pub(super) fn register(ddi: &mut Registry) {
    for name in ["RtlNtStatusToDosError", "RtlNtStatusToDosErrorNoTeb"] {
        ddi.function(name, 1, APC, move |k, a| {
            let status = NtStatus(a.u32(0));
            let unknown = || k.not_modelled(format!("{name} was given {status}, whose error is not modelled"));
            error_of(status).ok_or_else(unknown)
        });
    }
}

/// The error of a status. A status with the customer bit stays as it is; one of the Win32 facility holds its error.
fn error_of(status: NtStatus) -> Option<u32> {
    const CUSTOMER: u32 = 0x2000_0000;
    const FROM_WIN32: u32 = 0xC007_0000;
    if status.0 & CUSTOMER != 0 {
        return Some(status.0);
    }
    if status.0 & 0xFFFF_0000 == FROM_WIN32 {
        return Some(status.0 & 0xFFFF);
    }
    let known = ERRORS.iter().find(|&&(known, _)| known == status.0);
    known.map(|&(_, error)| error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table is searched by hand when it is extended: it is sorted, and has no status twice.
    #[test]
    fn the_table_is_sorted() {
        assert!(ERRORS.is_sorted_by(|one, other| one.0 < other.0));
    }
}
