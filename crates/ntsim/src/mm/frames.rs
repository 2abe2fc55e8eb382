//! Page frames for the memory of programs: taken and given back one by one, and kept while they are locked.

use std::collections::{BTreeMap, VecDeque};

use super::{PAGE_SIZE, Pa};

/// Frames that are added at a time: 1 MiB.
pub(super) const FRAMES_PER_CHUNK: u64 = 256;

/// Neighbours in a program's memory lie this many frames apart in a chunk: a buffer of several pages is not contiguous, as it is
/// not on a machine that has run for a while. Odd, so that every frame of a chunk gets its turn.
const STRIDE: u64 = 77;

/// What keeps a frame from being free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Use {
    mapped: bool,
    locks: u32,
}

/// The frames of the memory of programs.
#[derive(Debug, Default)]
pub(super) struct Frames {
    chunks: Vec<Pa>,
    free: VecDeque<Pa>,
    used: BTreeMap<Pa, Use>,
}

impl Frames {
    /// Adds the [`FRAMES_PER_CHUNK`] frames from `start` on.
    pub(super) fn add_chunk(&mut self, start: Pa) {
        self.chunks.push(start);
        let order = (0..FRAMES_PER_CHUNK).map(|index| index * STRIDE % FRAMES_PER_CHUNK);
        self.free.extend(order.map(|index| start + index * PAGE_SIZE));
    }

    /// Whether a frame is one of these, free or not.
    pub(super) fn contains(&self, frame: Pa) -> bool {
        let within = |&start: &Pa| frame - start < FRAMES_PER_CHUNK * PAGE_SIZE;
        self.chunks.iter().any(within)
    }

    /// Whether a frame is one of these that nobody has taken, or has any more.
    pub(super) fn is_free(&self, frame: Pa) -> bool {
        self.contains(frame) && !self.used.contains_key(&frame)
    }

    /// How many are free.
    pub(super) fn free(&self) -> usize {
        self.free.len()
    }

    /// Takes a free frame to be mapped. Its contents are whatever was there.
    pub(super) fn take(&mut self) -> Option<Pa> {
        let frame = self.free.pop_front()?;
        let in_use = Use { mapped: true, locks: 0 };
        self.used.insert(frame, in_use);
        Some(frame)
    }

    /// The mapping of a frame is gone. Says whether the frame is free now.
    pub(super) fn unmap(&mut self, frame: Pa) -> bool {
        self.change(frame, |in_use| in_use.mapped = false)
    }

    /// Locks a frame once more. Says whether it is one of these.
    pub(super) fn lock(&mut self, frame: Pa) -> bool {
        let found = self.used.get_mut(&frame);
        found.map(|in_use| in_use.locks += 1).is_some()
    }

    /// Undoes one [`lock`](Self::lock). Says whether the frame is free now.
    pub(super) fn unlock(&mut self, frame: Pa) -> bool {
        self.change(frame, |in_use| in_use.locks -= 1)
    }

    /// How often a frame is locked; none when it is free, or not one of these.
    pub(super) fn locks(&self, frame: Pa) -> Option<u32> {
        self.used.get(&frame).map(|in_use| in_use.locks)
    }

    fn change(&mut self, frame: Pa, change: impl FnOnce(&mut Use)) -> bool {
        let Some(in_use) = self.used.get_mut(&frame) else {
            return false;
        };
        change(in_use);
        let free = *in_use == Use::default();
        if free {
            self.used.remove(&frame);
            self.free.push_back(frame);
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_of_a_chunk_is_handed_out_once_and_neighbours_lie_apart() {
        let mut frames = Frames::default();
        frames.add_chunk(Pa(0x10_0000));
        let mut taken: Vec<Pa> = std::iter::from_fn(|| frames.take()).collect();
        assert!(taken.windows(2).all(|pair| pair[1] != pair[0] + PAGE_SIZE));
        taken.sort();
        taken.dedup();
        assert_eq!(taken.len() as u64, FRAMES_PER_CHUNK);
    }

    #[test]
    fn a_locked_frame_outlives_its_mapping() {
        let mut frames = Frames::default();
        frames.add_chunk(Pa(0));
        let frame = frames.take().unwrap();
        assert!(frames.lock(frame) && frames.lock(frame));
        assert!(!frames.unmap(frame));
        assert!(!frames.unlock(frame));
        assert_eq!(frames.locks(frame), Some(1));
        assert!(frames.unlock(frame), "nothing needs it any more");
        assert_eq!((frames.locks(frame), frames.lock(frame)), (None, false));
    }
}
