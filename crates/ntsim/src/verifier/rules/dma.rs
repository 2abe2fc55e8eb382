//! Driver Verifier's DMA checking.

super::rules! { DmaChecking, "devtest/dma-verification";
    "adapter-channel-allocated-twice" Stops "Wait for the first AllocateAdapterChannel to be freed.";
    "adapter-channel-double-free" Stops "Free an adapter channel once.";
    "adapter-channel-leak" Stops "Free the adapter channel before the adapter is put.";
    "common-buffer-double-free" Stops "Free a common buffer once.";
    "common-buffer-leak" Stops "Free all common buffers before the adapter is put.";
    "common-buffer-mismatch" Stops "Free a common buffer with the length and addresses of its allocation.";
    "dma-adapter-leak" Stops "Call PutDmaAdapter when the device stops.";
    "dma-adapter-null" Stops "Check what IoGetDmaAdapter gave.";
    "dma-adapter-use-after-put" Stops "Use an adapter before PutDmaAdapter only.";
    "dma-beyond-mdl" Stops "Map no more bytes than the MDL describes.";
    "dma-buffer-not-locked" Stops "Lock a buffer's pages before its transfer.";
    "dma-flushed-too-much" Stops "Flush as many bytes as were mapped.";
    "dma-flushed-unmapped" Stops "Flush what is mapped, once.";
    "dma-into-foreign-memory" Stops "Give the device logical addresses that the DMA adapter made, never physical ones.";
    "dma-into-freed-memory" Stops "Stop the device's transfers before their memory goes.";
    "dma-mapped-twice" Stops "Flush a range before it is mapped again.";
    "dma-outside-mapping" Stops "Program the device with the address and length that were mapped.";
    "dma-outside-mdl" Stops "Give the address that MmGetMdlVirtualAddress gives, plus an offset within the MDL.";
    "dma-overrun" Stops "Program the device with no more bytes than were mapped.";
    "dma-while-stopped" Stops "Stop the device's transfers before the device is stopped or removed.";
    "dma-wrong-direction" Stops "Map a transfer for the direction in which the device moves data.";
    "dma-zero-length" Stops "Do not map a transfer of no bytes.";
    "map-registers-double-free" Stops "Free map registers once, as many as were allocated.";
    "map-registers-exceeded" Stops "Map no more pages than map registers were allocated.";
    "map-registers-freed-mapped" Stops "Flush the adapter buffers before the map registers are freed.";
    "map-registers-leak" Stops "Free map registers before the adapter is put.";
    "scatter-gather-list-double-free" Stops "Put a scatter/gather list once.";
    "scatter-gather-list-leak" Stops "Put every scatter/gather list before the adapter.";
}
