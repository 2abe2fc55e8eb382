//! What a device reads and writes, and what it must not.

use super::*;

#[test]
fn bytes_go_through_the_device_and_come_back() {
    run(DmaSupport::Low, |bench| async move {
        let adapter = bench.adapter()?;
        let (va, logical) = bench.common_buffer(adapter, 4095)?;
        let sent: Vec<u8> = (0..4095_u32).map(|i| (i % 251) as u8).collect();
        bench.k.write_bytes(va, &sent)?;
        bench.device_reads(logical, 4095).await?;
        bench.k.fill(va, 0, 4095)?;
        bench.device_writes(logical, 4095).await?;
        assert_eq!(bench.k.read_bytes(va, 4095)?, sent);
        bench.free(adapter, 4095, logical, va)?;
        bench.put(adapter)?;
        Ok(())
    });
}

/// What a device's access ends the run with that has a buffer of 16 bytes.
fn accessing<F>(script: impl FnOnce(Bench, Va, u64) -> F + 'static) -> (Code, u64, &'static str)
where
    F: Future<Output = Outcome<()>> + 'static,
{
    crash_of(|bench| async move {
        let adapter = bench.adapter()?;
        let (va, logical) = bench.common_buffer(adapter, 16)?;
        bench.k.bus().borrow_mut().function_mut(bench.slot).set_enabled(true);
        script(bench, va, logical).await
    })
}

#[test]
fn a_device_that_leaves_its_memory_ends_the_run() {
    let past = accessing(|bench, _, logical| async move { bench.device_writes(logical, 17).await });
    assert_eq!(past, (DMA, 0x26, "dma-overrun"));
    let outside = accessing(|bench, _, logical| async move { bench.device_reads(logical - 4, 4).await });
    assert_eq!(outside, (DMA, 0x26, "dma-outside-mapping"));
    let physical = accessing(|bench, va, _| async move {
        let (physical, _) = bench.k.watch().space.borrow().translate(va, 16).unwrap();
        bench.device_reads(physical.0 & 0x0FFF_FFFF, 16).await
    });
    assert_eq!(physical, (DMA, 0x26, "dma-outside-mapping"));
    let masked = accessing(|bench, _, logical| async move { bench.device_reads(1 << 28 | logical, 16).await });
    assert_eq!(masked, (Code::MANUALLY_INITIATED_CRASH, 0, "device"));
}

#[test]
fn a_device_that_accesses_freed_memory_ends_the_run() {
    let machine = run_with(DmaSupport::Low, |bench| async move {
        let adapter = bench.adapter()?;
        let (va, logical) = bench.common_buffer(adapter, 16)?;
        bench.k.bus().borrow_mut().function_mut(bench.slot).set_enabled(true);
        bench.start_copy(0x4_0000, logical, 16, 3);
        bench.free(adapter, 16, logical, va)?;
        bench.k.delay(200_000_000).await
    });
    let crash = machine.kernel().crash().unwrap();
    let bugcheck = &crash.bugcheck;
    assert_eq!((bugcheck.code, bugcheck.rule), (DMA, "dma-into-freed-memory"));
    let pdo = bugcheck.parameters[1];
    assert_eq!(bugcheck.parameters, [0x26, pdo, 0x10_0000, 2]);
    assert_ne!(pdo, 0, "it names the device");
    assert!(bugcheck.message.contains("edu: DMA write of 16 bytes"), "{bugcheck}");
}

#[test]
fn a_device_must_not_be_stopped_amid_a_transfer() {
    let stopped = accessing(|bench, _, logical| async move {
        bench.start_copy(0x4_0000, logical, 16, 3);
        bench.k.bus().borrow_mut().function_mut(bench.slot).set_enabled(false);
        bench.k.delay(200_000_000).await
    });
    assert_eq!(stopped, (DMA, 0x26, "dma-while-stopped"));
}

#[test]
fn what_a_given_up_device_does_is_lost() {
    run(DmaSupport::Low, |bench| async move {
        let adapter = bench.adapter()?;
        let (va, logical) = bench.common_buffer(adapter, 16)?;
        bench.k.bus().borrow_mut().function_mut(bench.slot).set_enabled(true);
        bench.start_copy(0x4_0000, logical, 16, 3);
        bench.k.bus().borrow_mut().function_mut(bench.slot).give_up();
        let before = bench.k.read_bytes(va, 16)?;
        bench.k.delay(200_000_000).await?;
        assert_eq!(bench.k.read_bytes(va, 16)?, before);
        Ok(())
    });
}

#[test]
fn memory_of_another_device_is_out_of_reach() {
    let foreign = accessing(|mut bench, _, logical| async move {
        let other = bench
            .k
            .bus()
            .borrow_mut()
            .plug(Box::new(Edu::new(EduProfile::default())));
        bench.slot = other;
        bench.device_reads(logical, 16).await
    });
    assert_eq!(foreign, (DMA, 0x26, "dma-into-foreign-memory"));
}
