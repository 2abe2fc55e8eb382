//! `rand` and `srand`.

use crate::ddi::{Contract, Registry};

/// The generator's state, one for the whole system. A program that never calls `srand` gets the numbers of `srand(1)`.
struct Sequence(u32);

impl Default for Sequence {
    fn default() -> Self {
        Self(1)
    }
}

impl Sequence {
    /// The linear congruential generator of Microsoft's run-time library: 15 bits.
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(214_013).wrapping_add(2_531_011);
        self.0 >> 16 & 0x7FFF
    }
}

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("rand", 0, Contract::ANY, |k, _| {
        Ok(k.state::<Sequence>().borrow_mut().next())
    });
    ddi.function("srand", 1, Contract::ANY, |k, a| {
        *k.state::<Sequence>().borrow_mut() = Sequence(a.u32(0));
        Ok(())
    });
}
