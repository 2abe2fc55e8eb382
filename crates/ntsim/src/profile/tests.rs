//! Profiles of small assembled drivers.

use std::{cell::RefCell, rc::Rc};

use iced_x86::code_asm::{cr8, qword_ptr, rax, rcx, rdi, rdx, rsi};

use super::Slice;
use crate::{
    ke::Irql,
    machine::testing::{Program, script},
};

/// The instructions around a test function's body: its frame is set up and taken down, and it returns.
const AROUND: usize = 3;

/// What the function at `index` of `program` executes.
fn profile(program: &Program, index: usize, seed: u64) -> Vec<Slice> {
    let slices = Rc::new(RefCell::new(Vec::new()));
    let found = slices.clone();
    let _ = script::run(program, seed, move |k| async move {
        k.start_profile();
        let _ = k.call(Program::address(index), &[]).label("test").await?;
        *found.borrow_mut() = k.end_profile();
        Ok(())
    });
    slices.take()
}

fn instructions(slices: &[Slice]) -> usize {
    slices.iter().map(|slice| slice.executed.len()).sum()
}

/// The emulator asks before each round, and once more at the end; the scheduler may break off between two.
#[test]
fn a_repeated_string_instruction_is_one() {
    let program = Program::default().function(|f| {
        f.load(rcx, 40_u64);
        f.load(rsi, Program::data().get());
        f.load(rdi, (Program::data() + 64_u64).get());
        f.asm.rep().movsb().unwrap();
        f.asm.mov(rcx, rdi).unwrap();
    });
    for seed in 1..=30 {
        assert_eq!(instructions(&profile(&program, 0, seed)), AROUND + 5, "seed {seed}");
    }
}

#[test]
fn a_string_instruction_that_repeats_nothing_is_one() {
    let program = Program::default().function(|f| {
        f.load(rcx, 0_u64);
        f.asm.rep().movsb().unwrap();
    });
    assert_eq!(instructions(&profile(&program, 0, 1)), AROUND + 2);
}

#[test]
fn an_instruction_that_the_model_carries_out_counts() {
    let program = Program::default().function(|f| {
        f.asm.mov(rax, cr8).unwrap();
        f.asm.rdtsc().unwrap();
    });
    assert_eq!(instructions(&profile(&program, 0, 1)), AROUND + 2);
}

#[test]
fn a_slice_says_whose_it_is_and_at_which_level() {
    let program = Program::default()
        .import(&["KeAcquireSpinLockRaiseToDpc", "KeReleaseSpinLock"])
        .function(|f| {
            f.arguments(&[Program::data().get()]);
            f.call("KeAcquireSpinLockRaiseToDpc");
            f.asm.mov(rdx, rax).unwrap();
            f.load(rcx, Program::data().get());
            f.call("KeReleaseSpinLock");
        });
    let slices = profile(&program, 0, 1);
    let of = |held: usize| slices.iter().filter(move |slice| slice.locks.len() == held);
    assert!(
        slices
            .iter()
            .all(|slice| slice.label == "test" && slice.routine == Program::address(0))
    );
    assert!(of(1).all(|slice| slice.irql == Irql::DISPATCH && slice.locks == [Program::data()]));
    assert!(of(0).all(|slice| slice.irql == Irql::PASSIVE));
    let under: usize = of(1).map(|slice| slice.executed.len()).sum();
    assert_eq!(under, 4, "from the first routine's return to the second one's call");
    assert_eq!(of(1).map(|slice| slice.raised).max(), Some(4));
    // The frame, and the return address of a call.
    let deepest = slices.iter().map(|slice| slice.stack).max();
    assert_eq!(deepest, Some(0x28 + 8 + 8));
}

/// Wherever in its page the memory lies, also where the code lies in its own.
#[test]
fn a_store_is_executed_once() {
    let program = Program::default().function(|f| {
        f.asm.lock().inc(qword_ptr(rcx)).unwrap();
        f.asm.mov(qword_ptr(rcx), rdx).unwrap();
    });
    let counts = Rc::new(RefCell::new(Vec::new()));
    let counted = counts.clone();
    let _ = script::run(&program, 1, move |k| async move {
        let memory = script::memory(&k, 0x1000)?;
        for offset in (0..0x1000_u64).step_by(8) {
            k.start_profile();
            let _ = k
                .call(Program::address(0), &[(memory + offset).get()])
                .label("test")
                .await?;
            counted.borrow_mut().push((offset, instructions(&k.end_profile())));
        }
        Ok(())
    });
    let wrong: Vec<_> = counts
        .take()
        .into_iter()
        .filter(|&(_, count)| count != AROUND + 2)
        .collect();
    assert_eq!(wrong, []);
}
