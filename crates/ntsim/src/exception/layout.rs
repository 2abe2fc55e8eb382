//! The structures of an exception in guest memory: `EXCEPTION_RECORD`, `CONTEXT` and `DISPATCHER_CONTEXT`.

use ntlayout::{context, dispatcher_context as dispatcher, exception_record as record};

use super::{Exception, MAXIMUM_PARAMETERS};
use crate::{
    bugcheck::Outcome,
    image::{FrameRegisters, LanguageHandler, RuntimeFunction},
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

/// `CONTEXT_CONTROL | CONTEXT_INTEGER | CONTEXT_SEGMENTS | CONTEXT_FLOATING_POINT` of x64.
const CONTEXT_FLAGS: u32 = 0x10_000F;
/// The selectors of kernel-mode code and data.
const CODE_SELECTOR: u16 = 0x10;
const DATA_SELECTOR: u16 = 0x18;
const USER_DATA_SELECTOR: u16 = 0x2B;
const USER_TEB_SELECTOR: u16 = 0x53;
/// The default of mxcsr: all exceptions masked.
const MX_CSR: u32 = 0x1F80;

/// What a `CONTEXT` holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MachineState {
    pub registers: FrameRegisters,
    pub flags: u32,
}

/// Where guest memory holds the structures of an exception that is being dispatched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub record: Va,
    pub context: Va,
    pub dispatcher: Va,
    /// A second `CONTEXT`, for the dispatcher context.
    pub frame_context: Va,
}

impl Block {
    /// Bytes of a block.
    pub const SIZE: u64 = 0xB00;

    /// The block at `start`, which is aligned to 16 bytes.
    pub fn at(start: Va) -> Self {
        const CONTEXT_SPACE: usize = context::SIZE;
        const RECORD_SPACE: usize = record::SIZE.next_multiple_of(16);
        let context = start;
        let frame_context = context + CONTEXT_SPACE;
        let record = frame_context + CONTEXT_SPACE;
        Self {
            record,
            context,
            dispatcher: record + RECORD_SPACE,
            frame_context,
        }
    }
}

/// Writes an `EXCEPTION_RECORD`.
pub(super) fn write_record(k: &Kernel, at: Va, exception: &Exception) -> Outcome<()> {
    if let Some(original) = exception.record {
        let bytes = k.read_bytes(original, record::SIZE)?;
        k.write_bytes(at, &bytes)?;
        return k.write(at + record::EXCEPTION_ADDRESS, exception.address);
    }
    k.fill(at, 0, record::SIZE)?;
    k.write(at + record::EXCEPTION_CODE, exception.code)?;
    k.write(at + record::EXCEPTION_FLAGS, exception.flags)?;
    k.write(at + record::EXCEPTION_ADDRESS, exception.address)?;
    let parameters = &exception.parameters[..exception.parameters.len().min(MAXIMUM_PARAMETERS)];
    k.write(at + record::NUMBER_PARAMETERS, parameters.len() as u64)?;
    for (index, &parameter) in parameters.iter().enumerate() {
        k.write(at + record::EXCEPTION_INFORMATION + 8 * index, parameter)?;
    }
    Ok(())
}

/// `ExceptionCode` of the record at `at`.
pub(super) fn code_of(k: &Kernel, at: Va) -> Outcome<NtStatus> {
    k.read(at + record::EXCEPTION_CODE)
}

/// `ExceptionFlags` of the record at `at`.
pub(super) fn flags_of(k: &Kernel, at: Va) -> Outcome<u32> {
    k.read(at + record::EXCEPTION_FLAGS)
}

/// Sets `ExceptionFlags` of the record at `at`.
pub(super) fn set_flags(k: &Kernel, at: Va, flags: u32) -> Outcome<()> {
    k.write(at + record::EXCEPTION_FLAGS, flags)
}

/// Writes a `CONTEXT`.
pub(super) fn write_context(k: &Kernel, at: Va, state: &MachineState) -> Outcome<()> {
    let mut bytes = vec![0; context::SIZE];
    let mut put = |offset: usize, value: &[u8]| bytes[offset..offset + value.len()].copy_from_slice(value);
    put(context::CONTEXT_FLAGS, &CONTEXT_FLAGS.to_le_bytes());
    put(context::MX_CSR, &MX_CSR.to_le_bytes());
    let selectors = [
        CODE_SELECTOR,
        USER_DATA_SELECTOR,
        USER_DATA_SELECTOR,
        USER_TEB_SELECTOR,
        USER_DATA_SELECTOR,
        DATA_SELECTOR,
    ];
    for (index, selector) in selectors.into_iter().enumerate() {
        put(context::SEG_CS + 2 * index, &selector.to_le_bytes());
    }
    put(context::E_FLAGS, &state.flags.to_le_bytes());
    for (index, value) in state.registers.general.into_iter().enumerate() {
        put(context::RAX + 8 * index, &value.to_le_bytes());
    }
    put(context::RIP, &state.registers.rip.to_le_bytes());
    for (index, value) in state.registers.vector.into_iter().enumerate() {
        put(context::XMM0 + 16 * index, &value.to_le_bytes());
    }
    k.write_bytes(at, &bytes)
}

/// Reads a `CONTEXT`.
pub(super) fn read_context(k: &Kernel, at: Va) -> Outcome<MachineState> {
    let bytes = k.read_bytes(at, context::SIZE)?;
    let word = |offset: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[offset + byte]));
    let vector = |index: usize| {
        let at = context::XMM0 + 16 * index;
        u128::from(word(at + 8)) << 64 | u128::from(word(at))
    };
    Ok(MachineState {
        registers: FrameRegisters {
            rip: word(context::RIP),
            general: std::array::from_fn(|index| word(context::RAX + 8 * index)),
            vector: std::array::from_fn(vector),
        },
        flags: (word(context::E_FLAGS) & 0xFFFF_FFFF) as u32,
    })
}

/// The frame that a language-specific handler is called for.
#[derive(Clone, Copy, Debug)]
pub(super) struct HandledFrame {
    pub control_pc: Va,
    pub image_base: Va,
    pub function: RuntimeFunction,
    pub establisher: Va,
    pub handler: LanguageHandler,
    pub target_ip: Va,
    pub scope_index: u32,
}

/// Writes a `DISPATCHER_CONTEXT`.
pub(super) fn write_dispatcher(k: &Kernel, at: Va, frame: &HandledFrame, context: Va) -> Outcome<()> {
    let fields = [
        (dispatcher::CONTROL_PC, frame.control_pc),
        (dispatcher::IMAGE_BASE, frame.image_base),
        (
            dispatcher::FUNCTION_ENTRY,
            frame.image_base + u64::from(frame.function.entry),
        ),
        (dispatcher::ESTABLISHER_FRAME, frame.establisher),
        (dispatcher::TARGET_IP, frame.target_ip),
        (dispatcher::CONTEXT_RECORD, context),
        (
            dispatcher::LANGUAGE_HANDLER,
            frame.image_base + u64::from(frame.handler.routine),
        ),
        (
            dispatcher::HANDLER_DATA,
            frame.image_base + u64::from(frame.handler.data),
        ),
        (dispatcher::HISTORY_TABLE, Va::NULL),
    ];
    for (offset, value) in fields {
        k.write(at + offset, value)?;
    }
    k.write(at + dispatcher::SCOPE_INDEX, u64::from(frame.scope_index))
}
