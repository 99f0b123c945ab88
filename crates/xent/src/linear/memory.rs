//! Scratch memory: what there is, and how many rows and classes at a time fit into it.

use super::tile::{Softmax, TILE};
use crate::gemm::{self, Packed};
use crate::view::ViewMut;

/// Memory that calls work in. Reused, it is allocated once.
#[derive(Debug, Default)]
pub struct Workspace {
    pub(super) product: gemm::Workspace,
    /// Inputs, or weights in the second sweep.
    pub(super) packed: Packed,
    /// Inputs once more, where logits are kept.
    pub(super) inputs: Packed,
    pub(super) tile: Vec<f32>,
    pub(super) kept: Vec<f32>,
}

/// What a sweep takes of a [`Workspace`], in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Needs {
    pub(super) packed: usize,
    pub(super) inputs: usize,
    pub(super) tile: usize,
    pub(super) kept: usize,
    /// Left factor that a product copies.
    pub(super) left: usize,
}

impl Workspace {
    /// An empty workspace; the first call allocates.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes it holds.
    pub fn bytes(&self) -> usize {
        let own = self.tile.capacity() + self.kept.capacity();
        4 * own + self.product.bytes() + self.packed.bytes() + self.inputs.bytes()
    }

    /// Gives back what another sweep has left behind, if with it there would be more than `scratch`
    /// bytes.
    pub(super) fn make_room(&mut self, needs: &Needs, scratch: usize) {
        let Needs { packed, inputs, tile, kept, left } = *needs;
        let held = [
            (self.packed.bytes(), packed),
            (self.inputs.bytes(), inputs),
            (4 * self.tile.capacity(), tile),
            (4 * self.kept.capacity(), kept),
            (self.product.left_bytes(), left),
        ];
        // Copies begin at a cache line.
        let much = held.map(|(bytes, need)| bytes > 4 * need + 256);
        let most: usize = held.iter().map(|&(bytes, need)| bytes.max(4 * need)).sum();
        if most + RIGHT > scratch {
            for (held, memory) in [(much[0], &mut self.packed), (much[1], &mut self.inputs)] {
                if held {
                    *memory = Packed::default();
                }
            }
            for (held, memory) in [(much[2], &mut self.tile), (much[3], &mut self.kept)] {
                if held {
                    *memory = Vec::new();
                }
            }
            if much[4] {
                self.product = gemm::Workspace::new();
            }
        }
    }
}

/// Rows of a block of the second sweep.
pub(super) const SECOND_ROWS: usize = 384;
/// Bytes that products copy right factors to.
const RIGHT: usize = 4 * 384 * 256;

/// With fewer rows at a time, reading the weights and their gradient takes longer than a fourth product would.
const FEWEST: usize = 36;

/// Rows whose logits are kept from the first sweep to the second, if enough fit.
pub(super) fn kept_rows(scratch: usize, n: usize, v: usize, d: usize) -> Option<usize> {
    // Logits, inputs copied for two products, a tile and its copy.
    let row = 4 * (v + d + d.next_multiple_of(32) + 2 * TILE) + size_of::<Softmax>();
    // Zeros that copies of the inputs and of a tile end in.
    let padding = 4 * 11 * (d + TILE);
    let most = (scratch.saturating_sub(RIGHT + padding) / row).min(1020) / 3 * 3;
    if most >= n {
        Some(n.max(1))
    } else if most >= FEWEST {
        Some(n.div_ceil(n.div_ceil(most)).next_multiple_of(3))
    } else {
        None
    }
}

/// Rows of the first sweep at a time: inputs copied, a tile and its copy.
pub(super) fn first_rows(scratch: usize, d: usize) -> usize {
    let row = 4 * (d + 2 * TILE);
    (scratch.saturating_sub(RIGHT) / row).clamp(96, 1020) / 12 * 12
}

/// Classes of the second sweep at a time: weights copied, a tile, inputs or the tile copied.
pub(super) fn second_classes(scratch: usize, d: usize) -> usize {
    let copy = 4 * SECOND_ROWS * d.clamp(1024, gemm::DEEP);
    let class = 4 * (d + SECOND_ROWS);
    (scratch.saturating_sub(RIGHT + copy) / class).clamp(128, 1024) / 64 * 64
}

/// At least `len` numbers.
pub(super) fn room(memory: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if memory.len() < len {
        // What was there is given back first.
        *memory = Vec::new();
        memory.resize(len, 0.0);
    }
    &mut memory[..len]
}

/// Part of scratch memory as an array.
pub(super) fn dense(
    memory: &mut [f32],
    rows: usize,
    cols: usize,
    stride: usize,
) -> ViewMut<'_, f32> {
    ViewMut::strided(memory, rows, cols, stride, 1)
        .expect("scratch has the room that it was made for")
}
