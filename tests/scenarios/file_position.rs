//! `ReadFile` and `WriteFile` without an `OVERLAPPED`: a synchronous handle has a position, and requests take turns.
//!
//! "NtReadFile": the position is behind what was transferred last, wherever that began; a request can begin where it is, or say where.

use std::{cell::RefCell, rc::Rc};

use edu::dma::BUFFER_USABLE;
use ntsim::{NtStatus, Outcome, sched::ThreadSpec};
use scenarios::{
    boot::{Pc, Run, Setup},
    program::Program,
    seeds,
};

/// Reads where the last request has ended: its status and the bytes.
async fn read_on(program: &Program, length: usize) -> Outcome<(NtStatus, Vec<u8>)> {
    let done = program.read_on(length).await?.wait(&program.pc.k).await?;
    Ok((done.status, done.output))
}

async fn written(program: &Program, bytes: &[u8]) -> Outcome<()> {
    let request = program.write_on(bytes).await?;
    assert_eq!(request.wait(&program.pc.k).await?.status, NtStatus::SUCCESS);
    Ok(())
}

/// Has the device's buffer hold the numbers from 0 on.
async fn fill(pc: &Pc, length: u8) -> Outcome<()> {
    let program = Program::open(pc).await?;
    let bytes: Vec<u8> = (0..length).collect();
    let request = program.write(0, &bytes).await?;
    assert_eq!(request.wait(&pc.k).await?.status, NtStatus::SUCCESS);
    program.close().await
}

#[test]
fn reads_and_writes_go_on_where_the_last_one_ended() {
    for seed in seeds::up_to(5) {
        let run = Run::started(Setup::seed(seed), async |pc| {
            fill(&pc, 100).await?;
            let program = Program::open_synchronous(&pc).await?;
            let success = |bytes: &[u8]| (NtStatus::SUCCESS, bytes.to_vec());
            assert_eq!(read_on(&program, 3).await?, success(&[0, 1, 2]));
            assert_eq!(read_on(&program, 3).await?, success(&[3, 4, 5]));
            written(&program, &[70, 71]).await?;
            assert_eq!(read_on(&program, 2).await?, success(&[8, 9]));
            // A request that says where it begins moves the position as well, and so does one of another handle not.
            let there = program.read(40, 2).await?.wait(&pc.k).await?;
            assert_eq!((there.status, there.output), success(&[40, 41]));
            let other = Program::open_synchronous(&pc).await?;
            assert_eq!(read_on(&other, 8).await?, success(&[0, 1, 2, 3, 4, 5, 70, 71]));
            other.close().await?;
            assert_eq!(read_on(&program, 1).await?, success(&[42]));
            program.close().await
        });
        let _ = run.clean();
    }
}

/// What fails transfers nothing, and moves nothing.
#[test]
fn the_end_of_the_buffer_is_met_once() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open_synchronous(&pc).await?;
        let end = i64::try_from(BUFFER_USABLE).expect("a page at most");
        let short = program.read(end - 2, 10).await?.wait(&pc.k).await?;
        assert_eq!((short.status, short.output.len()), (NtStatus::SUCCESS, 2));
        assert_eq!(read_on(&program, 10).await?, (NtStatus::END_OF_FILE, vec![]));
        let last = program.read(end - 1, 0).await?.wait(&pc.k).await?;
        assert_eq!((last.status, last.information), (NtStatus::SUCCESS, 0));
        let full = program.write_on(&[1, 2]).await?.wait(&pc.k).await?;
        assert_eq!(full.status, NtStatus::DISK_FULL);
        written(&program, &[3]).await?;
        assert_eq!(read_on(&program, 1).await?, (NtStatus::END_OF_FILE, vec![]));
        program.close().await
    });
    let _ = run.clean();
}

/// Two threads with one handle: no byte is read twice, none is left out.
#[test]
fn threads_with_one_handle_take_turns() {
    for seed in seeds::up_to(10) {
        let run = Run::started(Setup::seed(seed), async |pc| {
            fill(&pc, 64).await?;
            let program = Program::open_synchronous(&pc).await?;
            let seen = Rc::new(RefCell::new(Vec::new()));
            let readers = [(); 2].map(|()| {
                let (program, seen) = (program.clone(), seen.clone());
                pc.k.spawn(ThreadSpec::user("reader"), async move |_| {
                    for _ in 0..4 {
                        let (status, bytes) = read_on(&program, 8).await?;
                        assert_eq!(status, NtStatus::SUCCESS);
                        seen.borrow_mut().extend(bytes);
                    }
                    Ok(())
                })
            });
            for reader in readers {
                pc.k.join(reader).await?;
            }
            seen.borrow_mut().sort_unstable();
            assert!(seen.borrow().iter().copied().eq(0..64), "{seen:?}");
            program.close().await
        });
        let _ = run.clean();
    }
}
