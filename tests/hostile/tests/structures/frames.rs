//! The frame allocator against a list of which frames are in use.
use crate::Steps;
use crate::memory::frames::{self, Block, FRAME, MAX_ORDER};
use crate::memory::{SIZE, words};

/// Free memory at the start; what lies between was the bundle's, and joins later.
const REGIONS: [(usize, usize); 3] = [
    (0x10_3000, 0x60_5000),
    (0x70_0000, 0x120_0000),
    (0x120_1000, 0x17f_d000),
];
const BUNDLE: (usize, usize) = (0x60_5000, 0x70_0000);
const FRAMES: usize = SIZE / FRAME;

struct Model {
    free: [bool; FRAMES],
    /// Blocks as they were given: address, order.
    blocks: Vec<(usize, usize)>,
    /// Single frames: address, references.
    singles: Vec<(usize, u32)>,
}

impl Model {
    fn new() -> Self {
        let mut free = [false; FRAMES];
        for (from, to) in REGIONS {
            free[from / FRAME..to / FRAME].fill(true);
        }
        // The allocator's own notes: 16 bytes a frame, at the beginning.
        let notes = (FRAMES * 16).div_ceil(FRAME);
        free[REGIONS[0].0 / FRAME..][..notes].fill(false);
        Self {
            free,
            blocks: Vec::new(),
            singles: Vec::new(),
        }
    }

    fn count(&self) -> usize {
        self.free.iter().filter(|&&free| free).count()
    }

    /// Whether a block of this order could be had.
    fn has(&self, order: usize) -> bool {
        self.free
            .chunks_exact(1 << order)
            .any(|chunk| chunk.iter().all(|&free| free))
    }

    fn mark(&mut self, phys: usize, order: usize, free: bool) {
        for frame in &mut self.free[phys / FRAME..][..1 << order] {
            assert_eq!(*frame, !free, "given twice");
            *frame = free;
        }
    }

    /// Notes what an allocation gave, and leaves traces there.
    fn given(&mut self, block: Option<Block>, order: usize) {
        let Some(Block { phys, zero }) = block else {
            return;
        };
        assert!(
            phys.is_multiple_of(FRAME << order),
            "not aligned to its size"
        );
        self.mark(phys, order, false);
        let contents = words(phys, FRAME << order);
        assert!(
            !zero || contents.iter().all(|&word| word == 0),
            "said to be zero"
        );
        contents
            .iter_mut()
            .step_by(FRAME / 8 - 3)
            .for_each(|word| *word = !0);
        self.blocks.push((phys, order));
    }

    fn alloc(&mut self, order: usize) -> bool {
        let block = frames::alloc(order);
        assert_eq!(block.is_some(), self.has(order), "order {order}");
        self.given(block, order);
        block.is_some()
    }

    fn free(&mut self, index: usize) {
        let (phys, order) = self.blocks.swap_remove(index);
        self.mark(phys, order, true);
        // SAFETY: a block that was given and is not used any more.
        unsafe { frames::free(phys, order) };
    }

    fn release(&mut self, index: usize) {
        let (phys, references) = &mut self.singles[index];
        assert_eq!(frames::references(*phys), *references);
        // SAFETY: one of the references that the model holds.
        unsafe { frames::release(*phys) };
        *references -= 1;
        if *references == 0 {
            let (phys, _) = self.singles.swap_remove(index);
            self.mark(phys, 0, true);
        }
    }

    fn step(&mut self, steps: &mut Steps) {
        let order = steps.below(MAX_ORDER + 1);
        let block = steps.below(self.blocks.len().max(1));
        let single = steps.below(self.singles.len().max(1));
        match steps.below(10) {
            0..=2 => drop(self.alloc(order)),
            3 => drop(self.alloc(0)),
            4 => {
                let spare = self.count() >= frames::reserve() + (1 << order);
                let block = frames::alloc_spare(order);
                assert_eq!(block.is_some(), spare && self.has(order));
                self.given(block, order);
            }
            5 => {
                let possible = self.has(order);
                let phys = frames::alloc_zeroed(order);
                assert_eq!(phys.is_some(), possible);
                self.given(phys.map(|phys| Block { phys, zero: true }), order);
            }
            6 | 7 if !self.blocks.is_empty() => self.free(block),
            8 if !self.blocks.is_empty() => {
                let (phys, order) = self.blocks.swap_remove(block);
                // SAFETY: the model's block.
                unsafe { frames::split_block(phys, order) };
                self.singles
                    .extend((0..1 << order).map(|index| (phys + index * FRAME, 1)));
            }
            9 if !self.singles.is_empty() && steps.below(4) == 0 => {
                // SAFETY: the model holds a reference.
                unsafe { frames::retain(self.singles[single].0) };
                self.singles[single].1 += 1;
            }
            _ if !self.singles.is_empty() => self.release(single),
            _ => {}
        }
        assert_eq!(frames::counts().0, self.count());
    }

    /// Gives all back; then blocks as large as ever can be had.
    fn finish(&mut self) {
        while !self.singles.is_empty() {
            self.release(self.singles.len() - 1);
        }
        while !self.blocks.is_empty() {
            self.free(self.blocks.len() - 1);
        }
        while self.alloc(MAX_ORDER) {}
        while !self.blocks.is_empty() {
            self.free(self.blocks.len() - 1);
        }
    }
}

#[test]
fn frames_are_given_once_and_join_again() {
    frames::init(&REGIONS, SIZE, 0);
    let mut model = Model::new();
    let mut steps = Steps::new(1);
    // Few steps at first: most memory was never used then.
    for (round, length) in [20, 60, 2000, 6000, 100, 6000].into_iter().enumerate() {
        for _ in 0..length {
            model.step(&mut steps);
        }
        if round == 1 {
            let count = (BUNDLE.1 - BUNDLE.0) / FRAME;
            for index in 0..count {
                // SAFETY: nobody uses the bundle's frames otherwise.
                assert!(unsafe { frames::adopt(BUNDLE.0 + index * FRAME) });
            }
            model
                .singles
                .extend((0..count).map(|index| (BUNDLE.0 + index * FRAME, 1)));
        }
        model.finish();
    }
    assert!(
        model.free[BUNDLE.0 / FRAME],
        "the bundle's frames have joined"
    );
}
