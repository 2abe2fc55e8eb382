//! How often what happened.

use std::collections::BTreeMap;

macro_rules! counters {
    ($($variant:ident $text:literal;)*) => {
        /// Something that is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Counter {
            $(
                #[doc = $text]
                $variant,
            )*
        }

        impl Counter {
            /// All of them, in the order they are shown.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// What is counted, in words.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

counters! {
    InterruptsDelivered "interrupts delivered";
    InterruptsClaimed "interrupts claimed";
    DpcsQueued "DPCs queued";
    DpcsCoalesced "DPCs coalesced";
    DpcsRun "DPCs run";
    DpcsRemoved "DPCs removed";
    IrpsCreated "IRPs created";
    IrpsCompleted "IRPs completed";
    IrpsCancelled "IRPs cancelled";
    RegisterReads "register reads";
    RegisterWrites "register writes";
    DmaReads "DMA reads";
    DmaWrites "DMA writes";
    MdlPagesMapped "pages of MDLs mapped";
    PoolAllocations "pool allocations";
    FallibleCalls "calls that can fail";
    Instructions "instructions";
    Steps "scheduler steps";
}

/// The counts of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    counts: BTreeMap<Counter, u64>,
    calls: BTreeMap<&'static str, u64>,
}

impl Counters {
    pub(crate) fn add(&mut self, counter: Counter, amount: u64) {
        *self.counts.entry(counter).or_default() += amount;
    }

    pub(crate) fn add_call(&mut self, routine: &'static str) {
        *self.calls.entry(routine).or_default() += 1;
    }

    /// How often.
    #[must_use]
    pub fn get(&self, counter: Counter) -> u64 {
        self.counts.get(&counter).copied().unwrap_or(0)
    }

    /// How often the driver called each kernel routine, by name.
    #[must_use]
    pub fn calls(&self) -> &BTreeMap<&'static str, u64> {
        &self.calls
    }
}
