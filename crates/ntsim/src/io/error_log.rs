//! The system's error log: `IoAllocateErrorLogEntry`, `IoWriteErrorLogEntry`, `IoFreeErrorLogEntry`. What is written shows in the trace.

use std::collections::BTreeSet;

use ntlayout::io_error_log_packet as layout;

use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    leftovers::Leftover,
    mm::Va,
    rtl::unicode_string,
    trace::Event,
};

/// `ERROR_LOG_MAXIMUM_SIZE`.
const MAXIMUM_SIZE: usize = 0xF0;

/// Entries that were neither written nor freed.
#[derive(Debug, Default)]
struct Entries(BTreeSet<Va>);

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.function("IoAllocateErrorLogEntry", 2, contract, |k, a| {
        let size = usize::from(a.u8(1));
        if !(layout::SIZE..=MAXIMUM_SIZE).contains(&size) {
            return Ok(Va::NULL);
        }
        let entry = k.allocate_system(size, "an entry of the error log")?;
        k.note_made(entry);
        k.state::<Entries>().borrow_mut().0.insert(entry);
        Ok(entry)
    });
    ddi.function("IoWriteErrorLogEntry", 1, contract, |k, a| {
        let entry = take(k, a.va(0), "IoWriteErrorLogEntry")?;
        let code: u32 = k.read(entry + layout::ERROR_CODE)?;
        let unique: u32 = k.read(entry + layout::UNIQUE_ERROR_VALUE)?;
        let status: u32 = k.read(entry + layout::FINAL_STATUS)?;
        let mut message =
            format!("error log: code {code:#010x}, unique value {unique:#x}, final status {status:#010x}");
        for text in strings(k, entry)? {
            message.extend([", \"", &text, "\""]);
        }
        k.trace(Event::Note(message));
        k.free_system(entry)
    });
    ddi.function("IoFreeErrorLogEntry", 1, contract, |k, a| {
        let entry = take(k, a.va(0), "IoFreeErrorLogEntry")?;
        k.free_system(entry)
    });
}

/// The insertion strings of an entry, one behind the other.
fn strings(k: &Kernel, entry: Va) -> Outcome<Vec<String>> {
    let count: u16 = k.read(entry + layout::NUMBER_OF_STRINGS)?;
    let offset: u16 = k.read(entry + layout::STRING_OFFSET)?;
    let mut at = entry + u64::from(offset);
    let mut texts = Vec::new();
    for _ in 0..count {
        let text = unicode_string::read_terminated(k, at)?;
        at = at + (text.encode_utf16().count() + 1) * 2;
        texts.push(text);
    }
    Ok(texts)
}

/// Takes an entry that is being written or freed off the books.
fn take(k: &Kernel, entry: Va, routine: &str) -> Outcome<Va> {
    if k.state::<Entries>().borrow_mut().0.remove(&entry) {
        k.note_freed(entry);
        return Ok(entry);
    }
    Err(k.bugcheck(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [VerifierRule::ERROR_LOG.subcode, entry.get(), 0, 0],
        "error-log-entry",
        format!("{routine} was given {entry}, which is no entry of the error log, or none any more"),
    )))
}

/// The entries that are left.
pub(super) fn leftovers(k: &Kernel) -> Vec<Leftover> {
    let state = k.state::<Entries>();
    let state = state.borrow();
    let left = state.0.iter();
    left.map(|&entry| {
        let what = format!("the entry {entry} of the error log was neither written nor freed");
        Leftover::new(entry, what)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ddi::testing::{bugcheck_of, call, call_at, clean};

    async fn allocate(k: &Kernel, size: u64) -> Outcome<Va> {
        call(k, "IoAllocateErrorLogEntry", &[0, size]).await.map(Va)
    }

    #[test]
    fn an_entry_has_a_least_and_a_greatest_size() {
        clean(|k| async move {
            assert_eq!(allocate(&k, 47).await?, Va::NULL);
            assert_eq!(allocate(&k, 0xF1).await?, Va::NULL);
            let entry = allocate(&k, 0xF0).await?;
            assert_eq!(k.read_bytes(entry, 0xF0)?, [0; 0xF0]);
            assert_eq!(leftovers(&k).len(), 1);
            call_at(&k, Irql::DISPATCH, "IoFreeErrorLogEntry", &[entry.get()]).await?;
            assert_eq!(leftovers(&k), []);
            Ok(())
        });
    }

    #[test]
    fn what_is_written_shows_in_the_trace() {
        clean(|k| async move {
            let entry = allocate(&k, 80).await?;
            k.write(entry + layout::ERROR_CODE, 0xC004_0001_u32)?;
            k.write(entry + layout::NUMBER_OF_STRINGS, 1_u16)?;
            k.write(entry + layout::STRING_OFFSET, 48_u16)?;
            k.write_bytes(entry + 48_u64, b"e\0d\0u\0\0\0")?;
            call_at(&k, Irql::DISPATCH, "IoWriteErrorLogEntry", &[entry.get()]).await?;
            let trace = k.recorded();
            let written = trace.records().iter().any(|record| {
                matches!(&record.event, Event::Note(text) if text.contains("0xc0040001") && text.contains("\"edu\""))
            });
            assert!(written);
            Ok(())
        });
    }

    #[test]
    fn an_entry_goes_when_it_is_written() {
        let twice = bugcheck_of(|k| async move {
            let entry = allocate(&k, 48).await?;
            call(&k, "IoWriteErrorLogEntry", &[entry.get()]).await?;
            call(&k, "IoFreeErrorLogEntry", &[entry.get()]).await?;
            Ok(())
        });
        assert_eq!(twice.2, "error-log-entry");
        let touched = bugcheck_of(|k| async move {
            let entry = allocate(&k, 48).await?;
            call(&k, "IoWriteErrorLogEntry", &[entry.get()]).await?;
            k.write(entry, 1_u8)
        });
        assert_eq!(touched.2, "pool-use-after-free");
    }
}
