//! `rdrand` and `rdseed`: random numbers that the machine's seed decides.

use iced_x86::Instruction;

use super::{super::execute::with_guest, operand};
use crate::{
    bugcheck::Outcome,
    kernel::{Kernel, stream},
    sched::Random,
};

/// The processor's random number generator.
#[derive(Default)]
struct Generator(Option<Random>);

/// Draws a number of the destination's width. The carry flag says that there was one; the other arithmetic flags are cleared.
#[expect(clippy::unnecessary_wraps, reason = "carried out like the other instructions")]
pub(super) fn draw(k: &Kernel, instruction: &Instruction) -> Outcome<()> {
    const CARRY: u64 = 1;
    const ARITHMETIC: u64 = 0x8D5;
    let generator = k.state::<Generator>();
    let mut generator = generator.borrow_mut();
    let random = generator
        .0
        .get_or_insert_with(|| Random::new(k.config().seed, stream::PROCESSOR));
    let value = random.below(1 << 32) << 32 | random.below(1 << 32);
    with_guest(k, |guest| {
        operand::set_register(guest, instruction.op0_register(), value);
        let flags = guest.flags() & !ARITHMETIC | CARRY;
        guest.set_flags(flags);
    });
    Ok(())
}
