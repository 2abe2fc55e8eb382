//! Memory that processor and device share.

use super::*;
use crate::mm::PAGE_SIZE;

/// The logical address of a buffer of `length` bytes for a device that drives `width` bits.
fn logical_of(dma: DmaSupport, width: u32, length: u32) -> Option<u64> {
    run(dma, move |bench| async move {
        let (adapter, _) = bench.adapter_for(Described { width, ..EDU })?;
        let (va, logical) = bench.common_buffer(adapter, length)?;
        Ok((!va.is_null()).then_some(logical))
    })
}

#[test]
fn a_buffer_starts_a_page_and_has_another_address_for_the_device() {
    run(DmaSupport::Low, |bench| async move {
        let adapter = bench.adapter()?;
        let (va, logical) = bench.common_buffer(adapter, 4096)?;
        let (physical, _) = bench.k.watch().space.borrow().translate(va, 4096).unwrap();
        assert_eq!((va.page(), logical % PAGE_SIZE), (va, 0));
        assert_ne!(physical.0, logical);
        assert!(logical + 4096 <= 1 << 28);
        let (other, _) = bench.common_buffer(adapter, 8)?;
        assert_eq!(other.page(), other);
        Ok(())
    });
}

#[test]
fn the_configuration_says_where_buffers_lie() {
    assert_eq!(logical_of(DmaSupport::High, 28, 4096), Some(0x0FFF_F000));
    assert_eq!(logical_of(DmaSupport::High, 28, 4097), Some(0x0FFF_E000));
    assert_eq!(logical_of(DmaSupport::AboveWidth, 28, 4096), Some(0x1000_0000));
    assert_eq!(logical_of(DmaSupport::NoCommonBuffers, 28, 4096), None);
    assert_eq!(
        logical_of(DmaSupport::Low, 24, 16 << 20),
        None,
        "there is no room so low"
    );
    for width in [32, 64] {
        assert!(logical_of(DmaSupport::Low, width, 1 << 20).is_some());
        assert!(logical_of(DmaSupport::High, width, 1 << 20).is_some());
    }
}

#[test]
fn older_descriptions_have_their_own_widths() {
    const PCI: usize = layout::INTERFACE_TYPE;
    let widths = [
        (0, &[layout::MASTER][..], 24),
        (2, &[layout::MASTER, layout::DMA_32_BIT_ADDRESSES], 32),
        (1, &[layout::MASTER, layout::DMA_64_BIT_ADDRESSES], 46),
        (2, &[layout::MASTER, layout::SCATTER_GATHER], 24),
        // The width bits are ignored from version 3 on.
        (3, &[layout::MASTER, layout::DMA_64_BIT_ADDRESSES], 28),
    ];
    for (version, flags, width) in widths {
        let end = run(DmaSupport::High, move |bench| async move {
            let (adapter, _) = bench.adapter_for(Described { version, flags, ..EDU })?;
            let (_, logical) = bench.common_buffer(adapter, 4096)?;
            Ok(logical + 4096)
        });
        assert_eq!(end, 1 << width, "version {version}");
    }
    let scatter_gather = run(DmaSupport::High, |bench| async move {
        let description = bench.k.allocate_system(layout::SIZE, "DEVICE_DESCRIPTION")?;
        bench.k.write(description + layout::MASTER, 0x0101_u16)?;
        bench.k.write(description + PCI, 5_u32)?;
        let read = description::read(&bench.k, description)?;
        Ok(read.unwrap().width)
    });
    assert_eq!(scatter_gather, 32, "PCI's scatter/gather devices drive 32 bits");
}

#[test]
fn a_maximum_address_is_one_more_limit() {
    let allocate = |dma, maximum: Option<u64>| {
        run(dma, move |bench| async move {
            let adapter = bench.adapter()?;
            let (limit, logical) = (bench.variable()?, bench.variable()?);
            bench.k.write(limit, maximum.unwrap_or(0))?;
            let limit = maximum.map_or(0, |_| limit.get());
            let arguments = [adapter.get(), limit, 4096, logical.get(), 1, 0];
            let va = Va(bench.call("AllocateCommonBufferEx", &arguments)?);
            let logical: u64 = bench.k.read(logical)?;
            Ok((!va.is_null()).then_some(logical))
        })
    };
    assert_eq!(allocate(DmaSupport::High, None), Some(0x0FFF_F000));
    assert_eq!(allocate(DmaSupport::High, Some(0x00FF_FFFF)), Some(0x00FF_F000));
    assert_eq!(allocate(DmaSupport::High, Some(0x00FF_FFFE)), Some(0x00FF_E000));
    assert_eq!(allocate(DmaSupport::Low, Some(0xFFF)), None);
}

#[test]
fn a_buffer_ends_where_it_was_asked_to() {
    let overrun = crash_of(|bench| async move {
        let adapter = bench.adapter()?;
        let (va, _) = bench.common_buffer(adapter, 4095)?;
        bench.k.write(va + 4094_u64, 1_u8)?;
        bench.k.write(va + 4095_u64, 1_u8)
    });
    assert_eq!(overrun.2, "pool-overrun");
    let freed = crash_of(|bench| async move {
        let adapter = bench.adapter()?;
        let (va, logical) = bench.common_buffer(adapter, 4095)?;
        bench.free(adapter, 4095, logical, va)?;
        bench.put(adapter)?;
        bench.k.read::<u8>(va).map(drop)
    });
    assert_eq!(freed.2, "pool-use-after-free");
}

#[test]
fn misused_buffers_end_the_run() {
    let twice = crash_of(|bench| async move {
        let adapter = bench.adapter()?;
        let (va, logical) = bench.common_buffer(adapter, 8)?;
        bench.free(adapter, 8, logical, va)?;
        bench.free(adapter, 8, logical, va).map(drop)
    });
    assert_eq!(twice, (DMA, 0x03, "common-buffer-double-free"));
    let left = crash_of(|bench| async move {
        let adapter = bench.adapter()?;
        bench.common_buffer(adapter, 8)?;
        bench.put(adapter).map(drop)
    });
    assert_eq!(left, (DMA, 0x07, "common-buffer-leak"));
    for (length, logical) in [(7, 0), (8, 1)] {
        let other = crash_of(move |bench| async move {
            let adapter = bench.adapter()?;
            let (va, right) = bench.common_buffer(adapter, 8)?;
            bench.free(adapter, length, right + logical, va).map(drop)
        });
        assert_eq!(other.2, "common-buffer-mismatch");
    }
}
