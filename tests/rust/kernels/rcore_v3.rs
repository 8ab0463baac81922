//! Frames as in rCore-Tutorial-v3: an Option<FrameTracker> that gives its frame back when it is dropped.
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

mod mm {
    pub mod frame_allocator {
        use alloc::vec::Vec;

        #[derive(Clone, Copy)]
        pub struct PhysPageNum(pub usize);

        pub struct FrameTracker {
            pub ppn: PhysPageNum,
        }

        impl FrameTracker {
            pub fn new(ppn: PhysPageNum) -> Self {
                let page = (ppn.0 << 12) as *mut u8;
                for index in 0..4096 {
                    unsafe { page.add(index).write_volatile(0) }
                }
                Self { ppn }
            }
        }

        impl Drop for FrameTracker {
            fn drop(&mut self) {
                frame_dealloc(self.ppn);
            }
        }

        trait FrameAllocator {
            fn alloc(&mut self) -> Option<PhysPageNum>;
            fn dealloc(&mut self, ppn: PhysPageNum);
        }

        pub struct StackFrameAllocator {
            current: usize,
            end: usize,
            recycled: Vec<usize>,
        }

        impl FrameAllocator for StackFrameAllocator {
            fn alloc(&mut self) -> Option<PhysPageNum> {
                if let Some(ppn) = self.recycled.pop() {
                    Some(PhysPageNum(ppn))
                } else if self.current == self.end {
                    None
                } else {
                    self.current += 1;
                    Some(PhysPageNum(self.current - 1))
                }
            }

            fn dealloc(&mut self, ppn: PhysPageNum) {
                self.recycled.push(ppn.0);
            }
        }

        static mut FRAME_ALLOCATOR: StackFrameAllocator =
            StackFrameAllocator { current: 0x80400, end: 0x80408, recycled: Vec::new() };

        #[inline(never)] // as in the larger kernel, where it has many callers
        pub fn frame_alloc() -> Option<FrameTracker> {
            unsafe { FRAME_ALLOCATOR.alloc() }.map(FrameTracker::new)
        }

        #[inline(never)]
        pub fn frame_dealloc(ppn: PhysPageNum) {
            unsafe { FRAME_ALLOCATOR.dealloc(ppn) }
        }
    }
}
use mm::frame_allocator::{frame_alloc, frame_dealloc, FrameTracker};

fn taken() -> Option<FrameTracker> {
    let frame = frame_alloc();
    if let Some(tracker) = &frame {
        tell("+", tracker.ppn.0);
    }
    frame
}

#[inline(never)]
fn page_table_new() -> Vec<FrameTracker> {
    let root = frame_alloc().unwrap();
    tell("+", root.ppn.0);
    alloc::vec![root]
}

fn fill(frames: &mut Vec<FrameTracker>, count: usize) {
    for _ in 0..count {
        match taken() {
            Some(frame) => frames.push(frame),
            None => return,
        }
    }
}

#[no_mangle]
extern "C" fn rust_main() -> ! {
    unsafe { HEAP_ALLOCATOR.lock().init(core::ptr::addr_of_mut!(HEAP_SPACE) as usize, 0x10000) };
    let mut frames = page_table_new();
    fill(&mut frames, 3);
    let last = frames.pop();
    if let Some(frame) = &last {
        tell("-", frame.ppn.0);
    }
    drop(last);
    fill(&mut frames, 20); // more than there are
    for frame in frames.drain(1..4) {
        tell("-", frame.ppn.0);
    }
    if let Some(frame) = taken() {
        let lost = Box::new(frame);
        let ppn = lost.ppn;
        core::mem::forget(lost); // its Box leaks, and then its frame comes back by hand
        tell("-", ppn.0);
        frame_dealloc(ppn);
    }
    core::mem::forget(frames);
    power_off()
}
