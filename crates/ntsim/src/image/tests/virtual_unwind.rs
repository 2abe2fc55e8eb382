use super::*;
use crate::image::synthetic::{ImageBuilder, TEXT};

const STACK: u64 = 0x8000;
const RBX: usize = 3;
const RBP: usize = 5;

/// Undoes the frame at `offset` in `code`, whose stack's words, from rsp up, are `stack`.
fn unwind(
    code: &[u8],
    info: &[u8],
    offset: u32,
    stack: &[u64],
    prepare: impl FnOnce(&mut FrameRegisters),
) -> (FrameRegisters, UnwoundFrame) {
    let end = TEXT + u32::try_from(code.len()).unwrap();
    let bytes = ImageBuilder::new(code).function(TEXT, end, info).build();
    let image = Image::parse("t.sys", &bytes).unwrap();
    let mut registers = FrameRegisters::default();
    registers.general[RSP] = STACK;
    prepare(&mut registers);
    let mut read = |va: u64| stack.get(usize::try_from((va - STACK) / 8).ok()?).copied();
    let function = image.runtime_function(TEXT + offset).unwrap();
    let frame = image
        .virtual_unwind(function, TEXT + offset, &mut registers, &mut read)
        .unwrap();
    (registers, frame)
}

/// Version 1 with both handler flags: prologue of 5, `sub rsp, 0x20` at 5, `push rbx` at 1; the handler is at 0x1234.
const INFO_WITH_HANDLER: [u8; 12] = [0x19, 5, 2, 0, 5, 0x32, 1, 0x30, 0x34, 0x12, 0, 0];

#[test]
fn a_jump_within_the_function_is_no_epilogue() {
    // push rbx; sub rsp, 0x20; jmp to the nop behind it; nop; add rsp, 0x20; pop rbx; ret.
    let code = [
        0x53, 0x48, 0x83, 0xEC, 0x20, 0xEB, 0, 0x90, 0x48, 0x83, 0xC4, 0x20, 0x5B, 0xC3,
    ];
    let (registers, frame) = unwind(&code, &INFO_WITH_HANDLER, 5, &[0, 0, 0, 0, 7, 0x1234], |_| {});
    assert_eq!((registers.rip, registers.general[RBX]), (0x1234, 7));
    assert_eq!(registers.rsp(), STACK + 0x30);
    assert_eq!(frame.establisher, STACK);
    let handler = frame.handler.unwrap();
    assert_eq!(handler.routine, 0x1234);
    assert!(handler.exception && handler.unwind);
}

#[test]
fn a_jump_out_of_the_function_ends_an_epilogue() {
    // push rbx; sub rsp, 0x20; add rsp, 0x20; pop rbx; jmp far away.
    let code = [
        0x53, 0x48, 0x83, 0xEC, 0x20, 0x48, 0x83, 0xC4, 0x20, 0x5B, 0xE9, 0, 0x10, 0, 0,
    ];
    let (registers, frame) = unwind(&code, &INFO_WITH_HANDLER, 9, &[7, 0x1234], |_| {});
    assert_eq!((registers.rip, registers.general[RBX]), (0x1234, 7));
    assert_eq!(frame.handler, None, "an epilogue has no handler");
}

#[test]
fn the_handler_follows_an_even_number_of_codes() {
    // sub rsp, 0x28; nop; …: one code, whose place is followed by an empty one.
    let code = [0x48, 0x83, 0xEC, 0x28, 0x90, 0x90, 0x90, 0x90];
    let info = [0x19, 4, 1, 0, 4, 0x42, 0, 0, 0x34, 0x12, 0, 0];
    let (_, frame) = unwind(&code, &info, 5, &[0, 0, 0, 0, 0, 0x1234], |_| {});
    let handler = frame.handler.unwrap();
    assert_eq!(handler.routine, 0x1234);
    // One entry of the exception directory comes before the information.
    assert_eq!(handler.data, 0x4000 + 12 + 12);
}

#[test]
fn a_prologue_has_no_handler() {
    let code = [0x53, 0x48, 0x83, 0xEC, 0x20, 0x90, 0x48, 0x83, 0xC4, 0x20, 0x5B, 0xC3];
    let (registers, frame) = unwind(&code, &INFO_WITH_HANDLER, 1, &[7, 0x1234], |_| {});
    assert_eq!((registers.rip, registers.general[RBX]), (0x1234, 7));
    assert_eq!(frame.handler, None);
}

#[test]
fn a_frame_register_finds_the_frame_whatever_rsp_is() {
    // push rbp; sub rsp, 0x20; lea rbp, [rsp + 0x20]; nop; …
    let code = [0x55, 0x48, 0x83, 0xEC, 0x20, 0x48, 0x8D, 0x6C, 0x24, 0x20, 0x90, 0x90];
    let info = [0x01, 10, 3, 0x25, 10, 0x03, 5, 0x32, 1, 0x50, 0, 0];
    let stack = [0, 0, 0, 0, 0, 0, 9, 0x1234];
    // alloca has moved rsp down by 0x10.
    let (registers, frame) = unwind(&code, &info, 10, &stack, |registers| {
        registers.general[RBP] = STACK + 0x30;
    });
    assert_eq!((registers.rip, registers.general[RBP]), (0x1234, 9));
    assert_eq!(frame.establisher, STACK + 0x10);
}

#[test]
fn vector_registers_and_saved_registers_are_restored() {
    // A body of nops whose prologue stored rbx at rsp + 0x10 and xmm6 at rsp + 0x20, with 0x38 bytes of frame.
    let code = [0x90; 16];
    let info = [
        0x01, 8, 5, 0, // version, prologue, codes
        8, 0x68, 2, 0, // UWOP_SAVE_XMM128 xmm6 at 2 * 16
        6, 0x34, 2, 0, // UWOP_SAVE_NONVOL rbx at 2 * 8
        4, 0x62, 0, 0, // UWOP_ALLOC_SMALL 0x38
    ];
    let stack = [0, 0, 11, 0, 1, 2, 0, 0x1234];
    let (registers, _) = unwind(&code, &info, 9, &stack, |_| {});
    assert_eq!(registers.general[RBX], 11);
    assert_eq!(registers.vector[6], 2_u128 << 64 | 1);
    assert_eq!(registers.rip, 0x1234);
}

#[test]
fn chained_entries_are_undone_one_after_the_other() {
    // The fragment's own entry saves rbx; its chain names the function's entry, which allocates 0x28.
    let code = [0x90; 32];
    let primary = [0x01, 4, 1, 0, 4, 0x42, 0, 0];
    let build = |chained: [u32; 3]| {
        let mut fragment = vec![0x21, 0, 2, 0, 0, 0x34, 1, 0];
        for value in chained {
            fragment.extend_from_slice(&value.to_le_bytes());
        }
        let bytes = ImageBuilder::new(&code)
            .function(TEXT, TEXT + 16, &primary)
            .function(TEXT + 16, TEXT + 32, &fragment)
            .build();
        Image::parse("t.sys", &bytes).unwrap()
    };
    let draft = build([0; 3]);
    let function = draft.runtime_function(TEXT).unwrap();
    let image = build([function.begin, function.end, function.unwind_info]);
    let stack = [0, 11, 0, 0, 0, 0x1234];
    let mut read = |va: u64| stack.get(usize::try_from((va - STACK) / 8).ok()?).copied();
    let mut registers = FrameRegisters::default();
    registers.general[RSP] = STACK;
    let fragment = image.runtime_function(TEXT + 20).unwrap();
    image
        .virtual_unwind(fragment, TEXT + 20, &mut registers, &mut read)
        .unwrap();
    assert_eq!((registers.rip, registers.general[RBX]), (0x1234, 11));
    assert_eq!(registers.rsp(), STACK + 0x30);
}

#[test]
fn a_machine_frame_gives_rip_and_rsp() {
    let code = [0x90; 8];
    let info = [0x01, 0, 1, 0, 0, 0x0A, 0, 0];
    let (registers, _) = unwind(&code, &info, 4, &[0x1234, 0x10, 0x202, 0x9000, 0x18], |_| {});
    assert_eq!((registers.rip, registers.rsp()), (0x1234, 0x9000));
}

#[test]
fn wild_registers_and_malformed_information_are_survived() {
    let code = [0x90; 8];
    let info = [0x01, 0, 1, 5, 0, 0x03, 0, 0];
    let bytes = ImageBuilder::new(&code).function(TEXT, TEXT + 8, &info).build();
    let image = Image::parse("t.sys", &bytes).unwrap();
    for value in [0, 1, u64::MAX, u64::MAX - 7, 1 << 63] {
        let mut registers = FrameRegisters {
            rip: 0,
            general: [value; 16],
            vector: [0; 16],
        };
        let function = image.runtime_function(TEXT + 4).unwrap();
        let undone = image.virtual_unwind(function, TEXT + 4, &mut registers, &mut |_| Some(value));
        assert!(undone.is_some());
        // Information that does not exist.
        let wild = RuntimeFunction {
            unwind_info: 0xFFFF_FFF0,
            ..function
        };
        assert!(
            image
                .virtual_unwind(wild, TEXT + 4, &mut registers, &mut |_| None)
                .is_none()
        );
    }
}
