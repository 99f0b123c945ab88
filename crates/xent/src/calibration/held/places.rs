//! Where things lie, by their hash.

/// The upper half of a slot.
const TAG: u64 = 0xffff_ffff_0000_0000;
/// Slots at first.
const LEAST: usize = 1 << 10;

/// Indices by the hash of what lies there: open addressing with linear probing, at most half full.
///
/// A slot has a part of the hash in its upper half and the index, counted from 1, in its lower; 0 is a free one.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    slots: Vec<u64>,
    used: usize,
}

impl Places {
    /// The index of what has this hash and is the one looked for, or else a free slot for it. There must be
    /// [room](Self::has_room).
    #[inline(always)]
    pub fn find(&self, hash: u64, is_it: impl Fn(usize) -> bool) -> Result<usize, usize> {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return Err(at);
            }
            let index = slot as u32 as usize - 1;
            if slot & TAG == tag(hash) && is_it(index) {
                return Ok(index);
            }
            at = (at + 1) & mask;
        }
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

    /// Forgets all and puts the things of these hashes, all different, in their places, with room for as many again.
    pub fn rebuild(&mut self, hashes: impl ExactSizeIterator<Item = u64>) {
        let wanted = (hashes.len() * 4).next_power_of_two().max(LEAST);
        self.slots.clear();
        self.slots.resize(wanted, 0);
        self.used = 0;
        for (index, hash) in hashes.enumerate() {
            if let Err(slot) = self.find(hash, |_| false) {
                self.fill(slot, hash, index);
            }
        }
    }
}

/// Bits of a hash that neither choose the slot nor are the first ones, which are 0 in a sample.
#[inline(always)]
fn tag(hash: u64) -> u64 {
    (hash << 12) & TAG
}
