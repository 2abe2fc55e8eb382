//! Driver Verifier's DMA verification: what it stops with when a driver misuses a DMA adapter.
//!
//! Parameters are those that the bug check reference gives for `DRIVER_VERIFIER_DMA_VIOLATION` (0xE6).

use crate::{
    bugcheck::{BugCheck, BugCheckCode, Halted, Outcome},
    ke::Irql,
    kernel::Kernel,
};

/// A violation: parameter 1 of the bug check, with this machine's name of the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DmaRule {
    /// Parameter 1.
    pub code: u64,
    /// The rule's name in reports.
    pub name: &'static str,
}

macro_rules! dma_rules {
    ($($constant:ident = $code:literal $name:literal $doc:literal;)*) => {
        impl DmaRule {
            $(
                #[doc = $doc]
                pub const $constant: Self = Self { code: $code, name: $name };
            )*
        }
    };
}

dma_rules! {
    FLUSHED_TOO_MUCH = 0x00 "dma-flushed-too-much" "More bytes were flushed than were mapped.";
    COMMON_BUFFER_FREED_TWICE = 0x03 "common-buffer-double-free" "A common buffer was freed that is not allocated.";
    CHANNEL_FREED_TWICE = 0x04 "adapter-channel-double-free" "An adapter channel was freed that is not allocated.";
    MAP_REGISTERS_FREED_TWICE = 0x05 "map-registers-double-free" "Map registers were freed that are not allocated, or not as many.";
    LIST_FREED_TWICE = 0x06 "scatter-gather-list-double-free" "A scatter/gather list was put that is none.";
    COMMON_BUFFERS_LEFT = 0x07 "common-buffer-leak" "An adapter was put that still has common buffers.";
    CHANNEL_LEFT = 0x08 "adapter-channel-leak" "An adapter was put whose channel is allocated.";
    MAP_REGISTERS_LEFT = 0x09 "map-registers-leak" "An adapter was put that still has map registers.";
    LISTS_LEFT = 0x0A "scatter-gather-list-leak" "An adapter was put that still has scatter/gather lists.";
    TOO_MANY_CHANNELS = 0x0B "adapter-channel-allocated-twice" "A second adapter channel was allocated.";
    NOT_LOCKED = 0x0E "dma-buffer-not-locked" "A buffer was to be transferred that is not locked.";
    STILL_MAPPED = 0x10 "map-registers-freed-mapped" "Map registers were freed that are still mapped.";
    ADAPTER_NOT_PUT = 0x11 "dma-adapter-leak" "An adapter outlives the start of its device.";
    WRONG_IRQL = 0x13 "irql-contract" "A DMA routine was called at an improper IRQL.";
    OUT_OF_MAP_REGISTERS = 0x15 "map-registers-exceeded" "More pages were to be mapped than there are map registers.";
    ADAPTER_RELEASED = 0x18 "dma-adapter-use-after-put" "A DMA routine was given an adapter that was put, or that is none.";
    NULL_ADAPTER = 0x19 "dma-adapter-null" "A DMA routine was given a null adapter.";
    OUTSIDE_MDL = 0x1B "dma-outside-mdl" "An address is not within the bounds of the MDL that was given with it.";
    MAPPED_TWICE = 0x1D "dma-mapped-twice" "A range was mapped that is mapped already.";
    FLUSHED_UNMAPPED = 0x20 "dma-flushed-unmapped" "A range was flushed that is not mapped.";
    ZERO_LENGTH = 0x21 "dma-zero-length" "A range of no bytes was mapped.";
    BEYOND_MDL = 0x24 "dma-beyond-mdl" "More bytes were mapped than the MDL has.";
}

/// Stops the machine because `rule` is broken. `details` are parameters 2 to 4.
pub(super) fn violation(k: &Kernel, rule: DmaRule, details: [u64; 3], message: impl Into<String>) -> Halted {
    k.bugcheck(bugcheck(rule, details, message))
}

fn bugcheck(rule: DmaRule, details: [u64; 3], message: impl Into<String>) -> BugCheck {
    let [second, third, fourth] = details;
    BugCheck::new(
        BugCheckCode::DRIVER_VERIFIER_DMA_VIOLATION,
        [rule.code, second, third, fourth],
        rule.name,
        message,
    )
}

/// The IRQL that a DMA routine may be called at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallableAt {
    /// That one only.
    Exactly(Irql),
    /// That one and those below.
    AtMost(Irql),
}

impl CallableAt {
    /// Checks a call of `routine`.
    ///
    /// # Errors
    /// When the current IRQL is not one of them.
    pub(super) fn check(self, k: &Kernel, routine: &str) -> Outcome<()> {
        let irql = k.irql();
        let (kind, expected, allowed) = match self {
            Self::Exactly(expected) => (1, expected, irql == expected),
            Self::AtMost(expected) => (2, expected, irql <= expected),
        };
        if allowed {
            return Ok(());
        }
        let or_below = if kind == 1 { "" } else { " or below" };
        k.verify(bugcheck(
            DmaRule::WRONG_IRQL,
            [kind, expected.0.into(), irql.0.into()],
            format!("{routine} was called at {irql}, but may be called at {expected}{or_below} only"),
        ))
    }
}
