//! `ReadFile`, `WriteFile` and `IOCTL_EDU_DMA_ECHO`: the data, in and out of the device by DMA.

use edu::{
    dma::BUFFER_USABLE,
    ioctl::{IOCTL_EDU_DMA_ECHO, MAX_ECHO},
};
use ntsim::{
    NtStatus, Outcome, cm,
    hal::DmaSupport,
    io::pnp,
    po::{self, SystemState},
    sched::{Random, ThreadSpec},
    trace::Counter,
    user::{Completion, Request},
};
use scenarios::{
    boot::{Pc, Run, Setup},
    image::customdpc,
    program::Program,
    seeds,
};

/// How long the device takes for a piece, nanoseconds.
const PIECE: u64 = 100_000_000;

/// Bytes of which any two stretches differ.
fn data(length: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed, 0);
    (0..length).map(|_| u8::try_from(random.below(256)).unwrap()).collect()
}

/// Waits for a request that must succeed.
async fn succeeded(pc: &Pc, request: Request) -> Outcome<Completion> {
    let done = request.wait(&pc.k).await?;
    assert_eq!(done.status, NtStatus::SUCCESS);
    Ok(done)
}

async fn write(program: &Program, offset: i64, bytes: &[u8]) -> Outcome<()> {
    let request = program.write(offset, bytes).await?;
    let done = succeeded(&program.pc, request).await?;
    assert_eq!(done.information, bytes.len() as u64, "all of it");
    Ok(())
}

async fn read(program: &Program, offset: i64, length: usize) -> Outcome<Vec<u8>> {
    let request = program.read(offset, length).await?;
    Ok(succeeded(&program.pc, request).await?.output)
}

async fn echo(program: &Program, bytes: &[u8]) -> Outcome<()> {
    let request = program.echo(bytes).await?;
    let done = succeeded(&program.pc, request).await?;
    assert!(done.output == bytes, "{} bytes came back changed", bytes.len());
    Ok(())
}

#[test]
fn an_echo_is_what_was_sent() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        for length in [1, 7, 8, 9, 4094, 4095, 4096, 8190, 8191, 20_000] {
            echo(&program, &data(length, length as u64)).await?;
        }
        program.close().await
    });
    let _ = run.clean();
}

/// 257 pieces, there and back.
#[test]
fn an_echo_of_a_mebibyte_takes_51_seconds_of_the_device() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        let before = pc.k.now();
        echo(&program, &data(MAX_ECHO, 1)).await?;
        let pieces = 2 * MAX_ECHO.div_ceil(BUFFER_USABLE) as u64;
        let took = pc.k.now() - before;
        // The device's clock ticks in milliseconds, so the first piece is shorter than the others.
        let shortest = pieces * PIECE - 1_000_000;
        assert!((shortest..pieces * PIECE * 101 / 100).contains(&took), "{took} ns");
        program.close().await
    });
    let _ = run.clean();
}

#[test]
fn an_echo_that_cannot_be_is_refused() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        let code = IOCTL_EDU_DMA_ECHO.raw();
        for (input, output, expected) in [
            (0, 16, NtStatus::INVALID_PARAMETER),
            (0, 0, NtStatus::INVALID_PARAMETER),
            (MAX_ECHO + 1, MAX_ECHO + 1, NtStatus::INVALID_PARAMETER),
            (MAX_ECHO + 1, 0, NtStatus::INVALID_PARAMETER),
            (16, 15, NtStatus::BUFFER_TOO_SMALL),
            (16, 0, NtStatus::BUFFER_TOO_SMALL),
        ] {
            let done = program.call(code, &vec![1; input], output).await?;
            assert_eq!(
                (done.status, done.information),
                (expected, 0),
                "{input} in, {output} out"
            );
        }
        let done = program.call(code, &[1, 2, 3], 100).await?;
        assert_eq!(
            (done.status, done.output),
            (NtStatus::SUCCESS, vec![1, 2, 3]),
            "no byte more than came in"
        );
        program.close().await
    });
    let _ = run.clean();
}

#[test]
fn what_is_written_is_read_at_every_edge() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        let mut device = data(BUFFER_USABLE, 5);
        write(&program, 0, &device).await?;
        assert!(read(&program, 0, BUFFER_USABLE).await? == device, "all of it");
        for (offset, length) in [
            (0, 1),
            (1, 1),
            (4094, 1),
            (4000, 95),
            (8, 8),
            (3, 13),
            (0, 4094),
            (1, 4094),
        ] {
            let piece = data(length, offset as u64);
            device[offset..offset + length].copy_from_slice(&piece);
            let at = i64::try_from(offset).unwrap();
            write(&program, at, &piece).await?;
            assert!(read(&program, at, length).await? == piece, "{length} at {offset}");
        }
        assert!(read(&program, 0, BUFFER_USABLE).await? == device, "and nothing else");
        program.close().await
    });
    let _ = run.clean();
}

/// As of a file that cannot grow.
#[test]
fn the_end_of_the_buffer() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        let device = data(BUFFER_USABLE, 6);
        write(&program, 0, &device).await?;

        for (offset, length, expected) in [(0, 4096, 4095), (4094, 2, 1), (4000, 1 << 20, 95)] {
            let offset_in_buffer = usize::try_from(offset).unwrap();
            assert!(
                read(&program, offset, length).await? == device[offset_in_buffer..][..expected],
                "{length} at {offset}"
            );
        }
        for offset in [4095, 4096, 1 << 40, i64::MAX] {
            let done = program.read(offset, 1).await?.wait(&pc.k).await?;
            assert_eq!((done.status, done.information), (NtStatus::END_OF_FILE, 0), "{offset}");
        }
        for (offset, length) in [(0, 4096), (4094, 2), (4095, 1), (1 << 40, 1), (i64::MAX, 1)] {
            let done = program.write(offset, &vec![0xEE; length]).await?.wait(&pc.k).await?;
            assert_eq!((done.status, done.information), (NtStatus::DISK_FULL, 0), "{offset}");
        }
        for offset in [0, 4094, 4095, i64::MAX] {
            let done = program.read(offset, 0).await?.wait(&pc.k).await?;
            assert_eq!((done.status, done.information), (NtStatus::SUCCESS, 0), "{offset}");
            let done = program.write(offset, &[]).await?.wait(&pc.k).await?;
            assert_eq!((done.status, done.information), (NtStatus::SUCCESS, 0), "{offset}");
        }
        let done = program.write(-1, &[1]).await?.wait(&pc.k).await?;
        assert_eq!(done.status, NtStatus::INVALID_PARAMETER, "there is no end to append to");
        assert!(read(&program, 0, BUFFER_USABLE).await? == device, "nothing was written");
        program.close().await
    });
    let _ = run.clean();
}

/// What the driver wants of the device: four register writes to start a piece, two accesses in the ISR, one read to see that it is finished.
#[test]
fn a_piece_costs_seven_register_accesses() {
    let count = |pieces: usize| {
        let run = Run::started(Setup::seed(1), async move |pc| {
            let program = Program::open(&pc).await?;
            for _ in 0..pieces {
                write(&program, 0, &[1, 2, 3]).await?;
            }
            program.close().await
        });
        let _ = run.clean();
        run.count(Counter::RegisterReads) + run.count(Counter::RegisterWrites)
    };
    assert_eq!(count(5) - count(4), 7);
}

/// Several programs at a time, with the other queues busy: each write is one piece, so what is read is one of the writes.
#[test]
fn readers_and_writers_share_the_device() {
    for seed in seeds::up_to(20) {
        let run = Run::started(Setup::seed(seed), async move |pc| {
            let mut threads = Vec::new();
            for writer in 0..3_u8 {
                let pc_of_thread = pc.clone();
                threads.push(
                    pc.k.spawn(ThreadSpec::user(format!("writer {writer}")), move |_| async move {
                        let program = Program::open(&pc_of_thread).await?;
                        write(&program, 0, &[writer; 100]).await?;
                        let seen = read(&program, 0, 100).await?;
                        assert!(
                            seen.iter().all(|byte| *byte == seen[0]),
                            "a read between two halves of a write"
                        );
                        let computation = program.factorial(u32::from(writer)).await?;
                        let bytes = data(5000, writer.into());
                        let sent = program.echo(&bytes).await?;
                        assert_eq!(computation.wait().await?, NtStatus::SUCCESS);
                        assert!(
                            succeeded(&pc_of_thread, sent).await?.output == bytes,
                            "an echo of another's"
                        );
                        program.close().await
                    }),
                );
            }
            for thread in threads {
                pc.k.join(thread).await?;
            }
            Ok(())
        });
        let _ = run.clean();
    }
}

/// What a program does to its own memory while a request is under way harms nobody but itself.
#[test]
fn a_program_changes_its_memory_meanwhile() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        let bytes = data(10_000, 8);
        let request = program.echo(&bytes).await?;
        for _ in 0..6 {
            pc.k.delay(PIECE / 2).await?;
            request.buffer().expect("its output").write(0, &vec![0x55; bytes.len()]);
            request.input().expect("its input").write(0, &vec![0xAA; bytes.len()]);
        }
        let done = request.wait(&pc.k).await?;
        assert_eq!((done.status, done.information), (NtStatus::SUCCESS, 10_000));
        assert!(done.output[8190..] == bytes[8190..], "what came last is as it was sent");

        let request = program.write(0, &[0x11; 64]).await?;
        request.buffer().expect("its data").write(0, &[0x22; 64]);
        succeeded(&pc, request).await?;
        let seen = read(&program, 0, 64).await?;
        assert!(seen.iter().all(|byte| [0x11, 0x22].contains(byte)), "{seen:x?}");
        program.close().await
    });
    let _ = run.clean();
}

/// An echo goes on where it was. A piece that was on its way there is sent again: the device may have forgotten it.
#[test]
fn an_echo_survives_a_stop() {
    for after in [0, PIECE / 2, PIECE * 3 / 2, PIECE * 5 / 2, PIECE * 7 / 2] {
        let run = Run::started(Setup::seed(after), async move |pc| {
            let program = Program::open(&pc).await?;
            let bytes = data(10_000, after);
            let request = program.echo(&bytes).await?;
            pc.k.delay(after).await?;
            assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
            pnp::stop_device(&pc.k, pc.pdo).await?;
            pc.k.delay(3 * PIECE).await?;
            assert_eq!(request.result(), None, "it waits");
            pc.start().await?;
            assert!(succeeded(&pc, request).await?.output == bytes, "it came back changed");
            program.close().await
        });
        let _ = run.clean();
    }
}

#[test]
fn transfers_are_counted() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        write(&program, 0, &[1; 10]).await?;
        let _ = read(&program, 0, 10).await?;
        echo(&program, &[2; 5000]).await?;
        let counted = program.statistics().await?.transfer;
        assert_eq!((counted.completed, counted.cancelled, counted.failed), (3, 0, 0));
        assert_eq!(counted.dpcs_run, 6, "one a piece");
        program.close().await
    });
    let _ = run.clean();
}

#[test]
fn a_buffer_with_the_highest_addresses_that_the_device_drives_will_do() {
    let mut setup = Setup::seed(1);
    setup.config.dma = DmaSupport::High;
    let run = Run::started(setup, async |pc| {
        let program = Program::open(&pc).await?;
        echo(&program, &data(5000, 1)).await?;
        program.close().await
    });
    let _ = run.clean();
}

/// The device would leave out the upper bits of an address, and write to memory that is somebody else's.
#[test]
fn without_memory_that_the_device_reaches_it_does_not_start() {
    for support in [
        DmaSupport::AboveWidth,
        DmaSupport::NoCommonBuffers,
        DmaSupport::NoAdapters,
    ] {
        let mut setup = Setup::seed(1);
        setup.config.dma = support;
        let run = Run::of(&customdpc(), setup, async |pc: Pc| {
            let status = pnp::start_device(&pc.k, pc.pdo).await?;
            assert_eq!(status, NtStatus::INSUFFICIENT_RESOURCES);
            Ok(())
        });
        let _ = run.clean();
    }
}

/// Found in review: a write of several pieces went on where it was, though the device had forgotten the first ones in its sleep.
#[test]
fn a_write_that_meets_a_sleep_is_written_whole() {
    for after in [PIECE / 2, PIECE * 3 / 2, PIECE * 5 / 2] {
        let run = Run::of(&customdpc(), Setup::seed(1), async move |pc: Pc| {
            cm::set_device_value(&pc.k, pc.pdo, "MaxTransferSize", cm::Value::Dword(100));
            pc.start().await?;
            let program = Program::open(&pc).await?;
            let bytes = data(500, after);
            let request = program.write(0, &bytes).await?;
            pc.k.delay(after).await?;
            assert!(po::sleep(&pc.k, SystemState::S3).await?.is_ok());
            po::wake(&pc.k).await?;
            assert_eq!(succeeded(&pc, request).await?.information, 500);
            assert!(read(&program, 0, 500).await? == bytes, "some of it is lost");
            program.close().await
        });
        let _ = run.clean();
    }
}

/// The device's buffer has 4095 bytes to be read. Found in review: as many pages were mapped as the program offered.
#[test]
fn no_more_of_a_large_buffer_is_mapped_than_the_device_fills() {
    const LARGE: usize = 1 << 20;
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        let bytes = data(BUFFER_USABLE, 1);
        write(&program, 0, &bytes).await?;
        let mapped = || pc.k.recorded().counters.get(Counter::MdlPagesMapped);
        let before = mapped();
        assert!(read(&program, 0, LARGE).await? == bytes);
        let for_read = mapped() - before;
        assert!(for_read <= 2, "{for_read} pages were mapped for 4095 bytes");

        let before = mapped();
        let done = program.call(IOCTL_EDU_DMA_ECHO.raw(), &[7; 100], LARGE).await?;
        assert_eq!((done.status, done.output), (NtStatus::SUCCESS, vec![7; 100]));
        let for_echo = mapped() - before;
        assert!(for_echo <= 2, "{for_echo} pages were mapped for 100 bytes");
        program.close().await
    });
    let _ = run.clean();
}
