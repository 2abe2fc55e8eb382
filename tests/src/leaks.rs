//! Whether programs are given bytes that nobody meant them to have.
//!
//! A run depends on its seed and on nothing else, but for one thing: what memory holds that nobody has written to. So a script
//! that is run twice, over two different stale bytes, must show its program the same, byte for byte. Where it does not, the
//! driver has given away memory that it never wrote, or acted on it.

use std::{cell::RefCell, future::Future, rc::Rc};

use ntsim::{
    NtStatus, Outcome,
    machine::DriverImage,
    mm::Va,
    user::{Buffer, Request},
};

use crate::boot::{Pc, Run, Setup};

/// The stale bytes of the two runs: they have no bit in common.
const STALE: [u8; 2] = [0x5A, 0xA5];

/// What a program has seen of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What it asked for.
    pub asked: String,
    /// How that ended.
    pub status: NtStatus,
    /// `IoStatus.Information`.
    pub information: u64,
    /// All of its buffer, where the driver may write to the program's own; else the output that was made of it.
    pub buffer: Vec<u8>,
}

/// A request that is about to be made.
#[derive(Debug)]
pub struct Question {
    asked: String,
    buffer: Option<Buffer>,
    before: Vec<u8>,
}

impl Question {
    /// What is asked for, in words, and the program's memory that the driver may write to, unless it is made for the request.
    #[must_use]
    pub fn new(asked: String, buffer: Option<Buffer>) -> Self {
        let before = buffer.as_ref().map_or_else(Vec::new, Buffer::contents);
        Self { asked, buffer, before }
    }
}

/// What a program has seen, in order.
#[derive(Clone, Debug, Default)]
pub struct Log(Rc<RefCell<Vec<Seen>>>);

impl Log {
    /// Waits for a request and notes how it ended.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    ///
    /// # Panics
    /// When it put the address of something in the kernel into the program's memory.
    pub async fn answer(&self, pc: &Pc, question: Question, request: &Request) -> Outcome<()> {
        let done = request.wait(&pc.k).await?;
        let Question { asked, buffer, before } = question;
        let buffer = buffer.map_or(done.output, |buffer| buffer.contents());
        let given = kernel_address(pc, &buffer).filter(|address| !holds(&before, *address));
        assert_eq!(given, None, "{asked} gives a kernel address away");
        self.0.borrow_mut().push(Seen {
            asked,
            status: done.status,
            information: done.information,
            buffer,
        });
        Ok(())
    }

    /// All of it.
    #[must_use]
    pub fn take(&self) -> Vec<Seen> {
        self.0.take()
    }
}

/// An address of the kernel's that `bytes` hold, if any.
fn kernel_address(pc: &Pc, bytes: &[u8]) -> Option<Va> {
    // The top of a canonical kernel address: found first, since most bytes are not part of one.
    const TOP: u8 = 0xFF;
    let mut ends = (7..bytes.len()).filter(|&end| bytes[end] == TOP && bytes[end - 1] == TOP);
    ends.find_map(|end| {
        let word = bytes[end - 7..=end].try_into().expect("8 bytes");
        let va = Va(u64::from_le_bytes(word));
        (va.is_system() && pc.k.peek(va).is_some()).then_some(va)
    })
}

fn holds(bytes: &[u8], address: Va) -> bool {
    bytes.windows(8).any(|word| word == address.get().to_le_bytes())
}

/// Runs `script` twice, over different stale bytes, and compares what it has seen; what that was. The script starts the device.
///
/// # Panics
/// When a run breaks a rule, or the two differ.
pub fn no_stale_bytes<F>(
    image: &Rc<DriverImage>,
    setup: &Setup,
    script: impl Fn(Pc, Log) -> F + Clone + 'static,
) -> Vec<Seen>
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let [first, second] = STALE.map(|stale_byte| {
        let mut setup = setup.clone();
        setup.config.stale_byte = stale_byte;
        let (log, script) = (Log::default(), script.clone());
        let notes = log.clone();
        let run = Run::of(image, setup, move |pc| script(pc, notes));
        drop(run.clean());
        log.take()
    });
    let difference = first.iter().zip(&second).position(|(first, second)| first != second);
    if let Some(index) = difference {
        let seed = setup.config.seed;
        let (first, second) = (&first[index], &second[index]);
        panic!("seed {seed}, request {index}: what the program sees depends on stale memory:\n{first:?}\n{second:?}");
    }
    assert_eq!(first.len(), second.len(), "stale memory decides how many requests end");
    first
}
