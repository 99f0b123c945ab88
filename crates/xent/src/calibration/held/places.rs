//! Where entries lie, by the hash of their prediction and their class.

use crate::simd;

/// The upper half of a slot.
const TAG: u64 = 0xffff_ffff_0000_0000;
/// Slots at first.
const LEAST: usize = 1 << 10;

/// Indices of entries: open addressing with linear probing, at most half full.
///
/// The entry of class c is looked for from slot `hash + c` on, so that the entries of a prediction lie side by side, mostly in one
/// line of memory. A slot has a part of the hash in its upper half and the index, counted from 1, in its lower; 0 is a free one.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    slots: Vec<u64>,
    used: usize,
}

impl Places {
    /// The index of the entry of this hash and class that is the one looked for, or else a free slot for it. There must be
    /// [room](Self::has_room).
    #[inline(always)]
    pub fn find(
        &self,
        (hash, class): (u64, u32),
        is_it: impl Fn(usize) -> bool,
    ) -> Result<usize, usize> {
        let mask = self.slots.len() - 1;
        let mut at = (hash as usize).wrapping_add(class as usize) & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return Err(at);
            }
            if slot & TAG == tag(hash) && is_it(index(slot)) {
                return Ok(index(slot));
            }
            at = (at + 1) & mask;
        }
    }

    /// Asks for the memory of a hash's slots.
    #[inline(always)]
    pub fn prefetch(&self, hash: u64) {
        simd::prefetch(&self.slots, hash as usize & self.slots.len().wrapping_sub(1));
    }

    /// The index of an entry of this hash, of any of `classes`, that is one of those looked for.
    #[inline(always)]
    pub fn find_any(
        &self,
        hash: u64,
        classes: usize,
        is_one: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let mask = self.slots.len() - 1;
        for step in 0..self.slots.len() {
            let slot = self.slots[(hash as usize).wrapping_add(step) & mask];
            if slot == 0 {
                // An entry of the last class is before the first free slot after its own.
                if step + 1 >= classes {
                    return None;
                }
            } else if slot & TAG == tag(hash) && is_one(index(slot)) {
                return Some(index(slot));
            }
        }
        None
    }

    /// Fills the slot that [`find`](Self::find) found free.
    #[inline(always)]
    pub fn fill(&mut self, slot: usize, hash: u64, index: usize) {
        self.slots[slot] = tag(hash) | (index as u64 + 1);
        self.used += 1;
    }

    /// Whether one more finds a place.
    #[inline(always)]
    pub fn has_room(&self) -> bool {
        self.used * 2 < self.slots.len()
    }

    /// Forgets all and puts the entries of these hashes and classes, all different, in their places, with room for as many again.
    pub fn rebuild(&mut self, entries: impl ExactSizeIterator<Item = (u64, u32)>) {
        self.slots.clear();
        self.slots.resize((entries.len() * 4).next_power_of_two().max(LEAST), 0);
        self.used = 0;
        for (index, entry) in entries.enumerate() {
            if let Err(slot) = self.find(entry, |_| false) {
                self.fill(slot, entry.0, index);
            }
        }
    }
}

#[inline(always)]
fn index(slot: u64) -> usize {
    slot as u32 as usize - 1
}

/// Bits of a hash that neither choose the slot nor are the first ones, which are 0 in a sample.
#[inline(always)]
fn tag(hash: u64) -> u64 {
    (hash << 12) & TAG
}
