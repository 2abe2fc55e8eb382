//! How transfers end that do not end by themselves: cancelled, their handle closed, the device taken out.

use ntsim::{
    NtStatus,
    bus::Device,
    io::pnp,
    trace::{Event, Record},
};
use scenarios::{
    boot::{Run, Setup},
    program::Program,
    seeds,
    windows::{Window, Windows},
};

/// How long the device takes for a piece, nanoseconds.
const PIECE: u64 = 100_000_000;

#[test]
fn a_queued_transfer_is_cancelled_at_once() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        let first = program.write(0, &[1; 8]).await?;
        let second = program.write(0, &[2; 8]).await?;
        let third = program.read(0, 8).await?;
        assert_eq!(program.cancel_request(&second).await?, NtStatus::SUCCESS);
        let ended = second.result().expect("at once");
        assert_eq!((ended.status, ended.information), (NtStatus::CANCELLED, 0));
        assert_eq!(first.wait(&pc.k).await?.status, NtStatus::SUCCESS);
        assert_eq!(third.wait(&pc.k).await?.output, [1; 8], "the second was not written");
        program.close().await
    });
    let _ = run.clean();
}

/// The device goes on with its piece, from and to memory that nothing else uses meanwhile.
#[test]
fn a_piece_whose_request_is_cancelled_harms_nobody() {
    for seed in seeds::up_to(20) {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            let fill = program.write(0, &[7; 8]).await?;
            assert_eq!(fill.wait(&pc.k).await?.status, NtStatus::SUCCESS);
            let cancelled = program.read(0, 8).await?;
            pc.k.delay(PIECE / 2).await?;
            let next = program.write(0, &[9; 8]).await?;
            assert_eq!(program.cancel_request(&cancelled).await?, NtStatus::SUCCESS);
            assert_eq!(cancelled.result().map(|ended| ended.status), Some(NtStatus::CANCELLED));
            assert_eq!(
                cancelled.buffer().expect("its memory").contents(),
                [0; 8],
                "nothing comes any more"
            );
            let before = pc.k.now();
            assert_eq!(next.wait(&pc.k).await?.status, NtStatus::SUCCESS);
            assert!(pc.k.now() - before >= PIECE * 5 / 4, "it waited for the device");
            let read = program.read(0, 8).await?;
            assert_eq!(read.wait(&pc.k).await?.output, [9; 8]);
            program.close().await
        });
        let _ = run.clean();
    }
}

/// A request whose handle is closed while the DPC is between two of its pieces ends at once, and not after all its pieces.
#[test]
fn a_handle_closed_between_two_pieces_ends_its_transfer() {
    let mut hits = 0;
    for seed in seeds::up_to(20) {
        let run = Run::started(Setup::seed(seed), async move |pc| {
            let (closed, kept) = (Program::open(&pc).await?, Program::open(&pc).await?);
            // The first transfer tells which queue is theirs.
            let first = kept.write(0, &[1; 8]).await?;
            assert_eq!(first.wait(&pc.k).await?.status, NtStatus::SUCCESS);
            let long = closed.echo(&vec![3; 30_000]).await?;
            let waiting = kept.write(0, &[1; 8]).await?;
            let irp = long.irp().expect("it is under way");
            let end = pc
                .with_device(|device| device.next_event())
                .expect("a piece is under way");
            pc.k.delay(end.saturating_sub(pc.k.now() + 1_000)).await?;
            let (mut windows, mut read) = (Windows::default(), 0);
            loop {
                {
                    let trace = pc.k.recorded();
                    for record in &trace.records()[read..] {
                        windows.read(&record.event);
                    }
                    read = trace.records().len();
                }
                if windows.window(irp) != Some(Window::InFlight) {
                    break;
                }
                pc.k.delay(20).await?;
            }
            pc.k.delay(20 * seed).await?;
            closed.close().await?;
            let before = pc.k.now();
            assert_eq!(long.wait(&pc.k).await?.status, NtStatus::CANCELLED);
            assert!(
                pc.k.now() - before < PIECE / 2,
                "it waited for {} ns",
                pc.k.now() - before
            );
            assert_eq!(
                waiting.wait(&pc.k).await?.status,
                NtStatus::SUCCESS,
                "that is of another handle"
            );
            let counted = kept.statistics().await?.transfer;
            assert_eq!((counted.completed, counted.cancelled, counted.failed), (2, 1, 0));
            kept.close().await
        });
        hits += u64::from(closed_between_pieces(run.clean().records()));
    }
    assert!(hits >= 3, "the window was hit {hits} times");
}

/// Whether a request was between two pieces when the first handle was closed.
fn closed_between_pieces(records: &[Record]) -> bool {
    let is_cleanup = |record: &Record| {
        matches!(
            &record.event,
            Event::IrpCreated {
                what: "IRP_MJ_CLEANUP",
                ..
            }
        )
    };
    let until = records.iter().position(is_cleanup).expect("a handle was closed");
    let windows = Windows::of(&records[..until]);
    let between = [Window::InterruptToDpc, Window::BetweenPieces];
    windows.any_in(&between)
}

/// It ends with the piece under way at the latest, and often before.
#[test]
fn a_long_echo_is_cancelled_anywhere() {
    for seed in seeds::up_to(30) {
        let run = Run::started(Setup::seed(seed), async move |pc| {
            let program = Program::open(&pc).await?;
            let long = program.echo(&vec![3; 100_000]).await?;
            // In all parts of a piece: some of them when its interrupt comes.
            pc.k.delay(PIECE * (seed % 5) + PIECE - 2_000 + 500 * seed).await?;
            assert_eq!(program.cancel_request(&long).await?, NtStatus::SUCCESS);
            let ended = long.wait(&pc.k).await?;
            assert_eq!((ended.status, ended.information), (NtStatus::CANCELLED, 0));
            let next = program.echo(&[4; 16]).await?;
            assert_eq!(next.wait(&pc.k).await?.output, [4; 16]);
            let counted = program.statistics().await?.transfer;
            assert_eq!((counted.completed, counted.cancelled, counted.failed), (1, 1, 0));
            program.close().await
        });
        let _ = run.clean();
    }
}

#[test]
fn closing_a_handle_cancels_its_transfers_and_no_others() {
    for seed in seeds::up_to(10) {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let (closed, kept) = (Program::open(&pc).await?, Program::open(&pc).await?);
            let in_flight = closed.echo(&[1; 9000]).await?;
            let of_kept = kept.echo(&[2; 9000]).await?;
            let queued = closed.read(0, 10).await?;
            pc.k.delay(PIECE / 3).await?;
            closed.close().await?;
            for request in [in_flight, queued] {
                assert_eq!(request.wait(&pc.k).await?.status, NtStatus::CANCELLED);
            }
            assert_eq!(of_kept.wait(&pc.k).await?.output, [2; 9000]);
            kept.close().await
        });
        let _ = run.clean();
    }
}

/// The common buffer stays until the device cannot write to it any more: it moves a piece while it is taken out.
#[test]
fn surprise_removal_ends_every_transfer() {
    for seed in seeds::up_to(20) {
        let run = Run::started(Setup::seed(seed), async move |pc| {
            let program = Program::open(&pc).await?;
            let requests = [
                program.echo(&[1; 9000]).await?,
                program.read(0, 100).await?,
                program.write(0, &[1; 100]).await?,
            ];
            pc.k.delay(PIECE - 1_000 + 100 * seed).await?;
            pnp::surprise_remove(&pc.k, pc.pdo).await?;
            for request in requests {
                let ended = request.wait(&pc.k).await?;
                assert_eq!((ended.status, ended.information), (NtStatus::DEVICE_REMOVED, 0));
            }
            let late = program.read(0, 1).await?;
            assert_eq!(late.wait(&pc.k).await?.status, NtStatus::DEVICE_REMOVED);
            pc.k.delay(2 * PIECE).await?;
            program.close().await
        });
        let _ = run.clean();
    }
}

/// Nothing is left running when the driver says that the device can go.
#[test]
fn removal_after_a_cancelled_piece_waits_for_the_device() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        let request = program.read(0, 100).await?;
        pc.k.delay(PIECE / 2).await?;
        program.close().await?;
        assert_eq!(request.wait(&pc.k).await?.status, NtStatus::CANCELLED);
        let before = pc.k.now();
        assert_eq!(pnp::remove_device(&pc.k, pc.pdo).await?, pnp::Removal::Done);
        assert!(pc.k.now() - before >= PIECE / 3, "the device moved bytes still");
        Ok(())
    });
    let _ = run.clean();
}

/// The memory can go when nothing moves any more, and so can the adapter: before the drivers below learn that the device goes.
#[test]
fn the_adapter_of_an_idle_device_is_put_before_the_drivers_below_remove_it() {
    for by_surprise in [false, true] {
        let run = Run::started(Setup::seed(1), async move |pc| {
            let program = Program::open(&pc).await?;
            assert_eq!(program.read(0, 100).await?.wait(&pc.k).await?.status, NtStatus::SUCCESS);
            if by_surprise {
                pnp::surprise_remove(&pc.k, pc.pdo).await?;
                program.close().await?;
                return pnp::wait_for_removal(&pc.k, pc.pdo).await;
            }
            program.close().await?;
            assert_eq!(pnp::remove_device(&pc.k, pc.pdo).await?, pnp::Removal::Done);
            Ok(())
        });
        let trace = run.clean();
        let last = |wanted: &str| {
            let is_call = |event: &Event| matches!(event, Event::Called { routine, .. } if *routine == wanted);
            trace.records().iter().rposition(|record| is_call(&record.event))
        };
        assert!(last("PutDmaAdapter").is_some());
        assert!(
            last("PutDmaAdapter") < last("IofCallDriver"),
            "by surprise: {by_surprise}"
        );
    }
}

/// `IRP_MN_REMOVE_DEVICE` may be a long time in coming: a program that has the device open keeps it away.
#[test]
fn a_surprise_removed_device_keeps_no_adapter() {
    for is_there in [false, true] {
        let run = Run::started(Setup::seed(1), async move |pc| {
            let count = |routine: &str| pc.k.recorded().counters.calls().get(routine).copied().unwrap_or(0);
            let program = Program::open(&pc).await?;
            assert_eq!(program.read(0, 100).await?.wait(&pc.k).await?.status, NtStatus::SUCCESS);
            assert_eq!([count("FreeCommonBuffer"), count("PutDmaAdapter")], [0; 2]);
            if is_there {
                pnp::surprise_remove_present(&pc.k, pc.pdo).await?;
            } else {
                pnp::surprise_remove(&pc.k, pc.pdo).await?;
            }
            let given_back = [count("FreeCommonBuffer"), count("PutDmaAdapter")];
            assert_eq!(given_back, [1; 2], "the device is there: {is_there}");
            program.close().await
        });
        let _ = run.clean();
    }
}

/// The raised cause says that a transfer is finished; the device says that it is not.
#[test]
fn a_spurious_dma_interrupt_finishes_nothing() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        let fill = program.write(0, &[5; 8]).await?;
        assert_eq!(fill.wait(&pc.k).await?.status, NtStatus::SUCCESS);
        let request = program.read(0, 8).await?;
        for _ in 0..5 {
            pc.k.delay(PIECE / 10).await?;
            pc.with_device(|device| device.raise(0x100));
            pc.k.delay(1_000_000).await?;
            assert_eq!(request.result(), None, "the device moves bytes still");
        }
        assert_eq!(request.wait(&pc.k).await?.output, [5; 8]);
        program.close().await
    });
    let _ = run.clean();
}

/// A device that never finishes is given up: its memory stays until the bus driver has taken the bus from it. It cannot be started again, for
/// it might finish then.
#[test]
fn a_device_that_never_finishes_can_be_stopped() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        pc.with_device(|device| device.faults_mut().dma_stuck = true);
        let request = program.read(0, 100).await?;
        let queued = program.read(0, 100).await?;
        pc.k.delay(PIECE / 2).await?;
        assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
        assert_eq!(request.wait(&pc.k).await?.status, NtStatus::IO_TIMEOUT);
        pnp::stop_device(&pc.k, pc.pdo).await?;
        assert_eq!(queued.result(), None, "it waits");
        let status = pnp::start_device(&pc.k, pc.pdo).await?;
        assert_eq!(status, NtStatus::DEVICE_HARDWARE_ERROR);
        pnp::surprise_remove(&pc.k, pc.pdo).await?;
        assert_eq!(queued.wait(&pc.k).await?.status, NtStatus::DEVICE_REMOVED);
        program.close().await
    });
    let _ = run.clean();
}

#[test]
fn a_device_that_never_finishes_can_be_removed() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        pc.with_device(|device| device.faults_mut().dma_stuck = true);
        let request = program.write(0, &[1; 100]).await?;
        pc.k.delay(PIECE / 2).await?;
        program.close().await?;
        assert_eq!(request.wait(&pc.k).await?.status, NtStatus::CANCELLED);
        assert_eq!(pnp::remove_device(&pc.k, pc.pdo).await?, pnp::Removal::Done);
        Ok(())
    });
    let _ = run.clean();
}

/// The device answers nothing any more and does not interrupt, but finishes what it was told: into memory that is still its own.
#[test]
fn a_device_that_falls_silent_is_taken_out() {
    for seed in seeds::up_to(10) {
        let run = Run::started(Setup::seed(seed), async move |pc| {
            let program = Program::open(&pc).await?;
            let request = program.echo(&[1; 9000]).await?;
            pc.k.delay(PIECE / 2).await?;
            pc.with_device(|device| {
                device.faults_mut().dead = true;
                device.faults_mut().lose_dma_interrupts = 1;
            });
            pc.k.delay(PIECE * (seed % 3)).await?;
            pnp::surprise_remove(&pc.k, pc.pdo).await?;
            let ended = request.wait(&pc.k).await?;
            assert_eq!((ended.status, ended.information), (NtStatus::DEVICE_REMOVED, 0));
            pc.k.delay(2 * PIECE).await?;
            program.close().await
        });
        let _ = run.clean();
    }
}
