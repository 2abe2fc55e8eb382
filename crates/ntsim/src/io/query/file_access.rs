//! How a file may be shared: `IoCheckShareAccess`, `IoSetShareAccess`, `IoUpdateShareAccess`, `IoRemoveShareAccess`, and
//! `IoGetFileObjectGenericMapping`.

use ntlayout::{file_object, share_access as layout};

use crate::{
    bugcheck::{Outcome, VerifierRule},
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

/// `FILE_READ_DATA | FILE_EXECUTE`.
const READS: u32 = 0x0001 | 0x0020;
/// `FILE_WRITE_DATA | FILE_APPEND_DATA`.
const WRITES: u32 = 0x0002 | 0x0004;
/// `DELETE`.
const DELETES: u32 = 0x0001_0000;
/// `FILE_SHARE_READ`, `FILE_SHARE_WRITE`, `FILE_SHARE_DELETE`.
const SHARES: [u32; 3] = [1, 2, 4];

/// `ReadAccess`, `WriteAccess`, `DeleteAccess` of a file object.
const ACCESS_FIELDS: [usize; 3] = [
    file_object::READ_ACCESS,
    file_object::WRITE_ACCESS,
    file_object::DELETE_ACCESS,
];
/// `SharedRead`, `SharedWrite`, `SharedDelete` of a file object.
const SHARE_FIELDS: [usize; 3] = [
    file_object::SHARED_READ,
    file_object::SHARED_WRITE,
    file_object::SHARED_DELETE,
];

/// `FILE_GENERIC_READ`, `FILE_GENERIC_WRITE`, `FILE_GENERIC_EXECUTE`, `FILE_ALL_ACCESS`.
const GENERIC_MAPPING: [u32; 4] = [0x0012_0089, 0x0012_0116, 0x0012_00A0, 0x001F_01FF];

/// The `GENERIC_MAPPING` that drivers are given.
#[derive(Debug, Default)]
struct Mapping(Option<Va>);

pub(super) fn register(ddi: &mut Registry) {
    let passive = Contract::exactly(Irql::PASSIVE);
    let contract = passive.by_rule(VerifierRule::IRQL_IO_PASSIVE_2);
    ddi.function("IoCheckShareAccess", 5, contract, check);
    let contract = passive.by_rule(VerifierRule::IRQL_IO_PASSIVE_5);
    ddi.function("IoSetShareAccess", 4, contract, |k, a| {
        let (wanted, shared) = note(k, a.u32(0), a.u32(1), a.va(2))?;
        let counts = a.va(3);
        // The first open: nothing is known of others.
        k.fill(counts, 0, layout::SIZE)?;
        count(k, counts, wanted, shared, 1)
    });
    ddi.function("IoUpdateShareAccess", 2, contract, |k, a| {
        let (wanted, shared) = noted(k, a.va(0))?;
        count(k, a.va(1), wanted, shared, 1)
    });
    ddi.function("IoRemoveShareAccess", 2, contract, |k, a| {
        let (wanted, shared) = noted(k, a.va(0))?;
        count(k, a.va(1), wanted, shared, u32::MAX)
    });
    ddi.function("IoGetFileObjectGenericMapping", 0, contract, |k, _| generic_mapping(k));
}

/// Notes in the file object how it is opened: which access, and what is shared.
fn note(k: &Kernel, access: u32, share: u32, file: Va) -> Outcome<([bool; 3], [bool; 3])> {
    let wanted = [READS, WRITES, DELETES].map(|bits| access & bits != 0);
    let opens = wanted.contains(&true);
    let shared = SHARES.map(|bit| opens && share & bit != 0);
    for index in 0..3 {
        k.write(file + ACCESS_FIELDS[index], u8::from(wanted[index]))?;
        if opens {
            k.write(file + SHARE_FIELDS[index], u8::from(shared[index]))?;
        }
    }
    Ok((wanted, shared))
}

/// What [`note`] has noted.
fn noted(k: &Kernel, file: Va) -> Outcome<([bool; 3], [bool; 3])> {
    let mut flags = [[false; 3]; 2];
    for (flags, fields) in flags.iter_mut().zip([ACCESS_FIELDS, SHARE_FIELDS]) {
        for (flag, field) in flags.iter_mut().zip(fields) {
            *flag = k.read::<u8>(file + field)? != 0;
        }
    }
    Ok((flags[0], flags[1]))
}

/// Adds `by`, which wraps, to the counts that an open with these flags has its part in. One without access has none.
fn count(k: &Kernel, counts: Va, wanted: [bool; 3], shared: [bool; 3], by: u32) -> Outcome<()> {
    if !wanted.contains(&true) {
        return Ok(());
    }
    let fields = [
        (layout::OPEN_COUNT, true),
        (layout::READERS, wanted[0]),
        (layout::WRITERS, wanted[1]),
        (layout::DELETERS, wanted[2]),
        (layout::SHARED_READ, shared[0]),
        (layout::SHARED_WRITE, shared[1]),
        (layout::SHARED_DELETE, shared[2]),
    ];
    for (field, counts_in) in fields {
        if counts_in {
            let before: u32 = k.read(counts + field)?;
            k.write(counts + field, before.wrapping_add(by))?;
        }
    }
    Ok(())
}

/// `IoCheckShareAccess(DesiredAccess, DesiredShareAccess, FileObject, ShareAccess, Update)`.
fn check(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let (counts, update) = (a.va(3), a.bool(4));
    let (wanted, shared) = note(k, a.u32(0), a.u32(1), a.va(2))?;
    if !wanted.contains(&true) {
        return Ok(NtStatus::SUCCESS);
    }
    let read = |field: usize| k.read::<u32>(counts + field);
    let opens = read(layout::OPEN_COUNT)?;
    let others = [read(layout::READERS)?, read(layout::WRITERS)?, read(layout::DELETERS)?];
    let they_share = [
        read(layout::SHARED_READ)?,
        read(layout::SHARED_WRITE)?,
        read(layout::SHARED_DELETE)?,
    ];
    // Everybody shares what is wanted now, and what the others do is shared now.
    let refused =
        (0..3).any(|index| (wanted[index] && they_share[index] < opens) || (others[index] != 0 && !shared[index]));
    if refused {
        return Ok(NtStatus::SHARING_VIOLATION);
    }
    if update {
        count(k, counts, wanted, shared, 1)?;
    }
    Ok(NtStatus::SUCCESS)
}

fn generic_mapping(k: &Kernel) -> Outcome<Va> {
    let state = k.state::<Mapping>();
    let known = state.borrow().0;
    if let Some(mapping) = known {
        return Ok(mapping);
    }
    let mapping = k.allocate_system(16, "GENERIC_MAPPING")?;
    for (index, mask) in GENERIC_MAPPING.into_iter().enumerate() {
        k.write(mapping + 4 * index, mask)?;
    }
    state.borrow_mut().0 = Some(mapping);
    Ok(mapping)
}
