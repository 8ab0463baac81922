//! Frames as in rCore_tutorial: an Option<Frame>, which holds a physical address; the allocator is a segment tree.
#![no_std]
#![feature(default_alloc_error_handler)]
#![no_main]
extern crate alloc;
use alloc::boxed::Box;
use alloc::vec::Vec;
use buddy_system_allocator::LockedHeap;
use support::{power_off, tell};

#[global_allocator]
static HEAP_ALLOCATOR: LockedHeap<32> = LockedHeap::empty();
static mut HEAP_SPACE: [u8; 0x10000] = [0; 0x10000];

mod addr {
    #[derive(Clone, Copy)]
    pub struct PhysAddrSv39(u64);

    #[derive(Clone, Copy)]
    pub struct FrameWith<T>(T);
    pub type Frame = FrameWith<PhysAddrSv39>;

    impl Frame {
        pub fn of_ppn(ppn: usize) -> Self {
            FrameWith(PhysAddrSv39((ppn as u64) << 12))
        }

        pub fn number(&self) -> usize {
            (self.0 .0 >> 12) as usize
        }
    }
}

mod memory {
    use crate::addr::Frame;

    mod frame_allocator {
        const MOST: usize = 16;

        pub struct SegmentTreeAllocator {
            taken: [bool; 2 * MOST],
            leaves: usize,
            offset: usize,
        }

        impl SegmentTreeAllocator {
            pub fn init(&mut self, first: usize, end: usize) {
                self.leaves = (end - first).next_power_of_two();
                self.offset = first;
                for leaf in 0..self.leaves {
                    self.taken[self.leaves + leaf] = leaf >= end - first;
                }
                for node in (1..self.leaves).rev() {
                    self.join(node);
                }
            }

            fn join(&mut self, node: usize) {
                self.taken[node] = self.taken[2 * node] && self.taken[2 * node + 1];
            }

            fn set(&mut self, leaf: usize, taken: bool) {
                let mut node = leaf + self.leaves;
                self.taken[node] = taken;
                while node > 1 {
                    node /= 2;
                    self.join(node);
                }
            }

            pub fn alloc(&mut self) -> Option<usize> {
                if self.taken[1] {
                    return None;
                }
                let mut node = 1;
                while node < self.leaves {
                    node = if self.taken[2 * node] { 2 * node + 1 } else { 2 * node };
                }
                let leaf = node - self.leaves;
                self.set(leaf, true);
                Some(leaf + self.offset)
            }

            pub fn dealloc(&mut self, ppn: usize) {
                self.set(ppn - self.offset, false);
            }
        }

        pub static mut SEGMENT_TREE_ALLOCATOR: SegmentTreeAllocator =
            SegmentTreeAllocator { taken: [true; 2 * MOST], leaves: MOST, offset: 0 };
    }
    use frame_allocator::SEGMENT_TREE_ALLOCATOR as FRAME_ALLOCATOR;

    pub fn init(first: usize, end: usize) {
        unsafe { FRAME_ALLOCATOR.init(first, end) }
    }

    #[inline(never)] // as in the larger kernel, where it has many callers
    pub fn alloc_frame() -> Option<Frame> {
        unsafe { FRAME_ALLOCATOR.alloc() }.map(Frame::of_ppn)
    }

    #[inline(never)]
    pub fn dealloc_frame(frame: Frame) {
        unsafe { FRAME_ALLOCATOR.dealloc(frame.number()) }
    }
}
use addr::Frame;
use memory::{alloc_frame, dealloc_frame};

fn fill(frames: &mut Vec<Frame>, count: usize) {
    for _ in 0..count {
        match alloc_frame() {
            Some(frame) => {
                tell("+", frame.number());
                frames.push(frame);
            }
            None => return,
        }
    }
}

fn give(frame: Frame) {
    tell("-", frame.number());
    dealloc_frame(frame);
}

#[no_mangle]
extern "C" fn rust_main() -> ! {
    unsafe { HEAP_ALLOCATOR.lock().init(core::ptr::addr_of_mut!(HEAP_SPACE) as usize, 0x10000) };
    memory::init(0x80400, 0x8040b);
    let mut frames = Vec::new();
    fill(&mut frames, 4);
    give(frames.remove(1));
    fill(&mut frames, 20); // more than there are
    for frame in frames.drain(1..6) {
        give(frame);
    }
    core::mem::forget(Box::new(frames.len() as u64)); // it leaks
    core::mem::forget(frames);
    power_off()
}
