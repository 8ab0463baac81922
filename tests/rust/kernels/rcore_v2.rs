//! Frames as in rCore-Tutorial of 2020: a Result<FrameTracker, &str> that comes back in memory.
#![no_std]
#![feature(default_alloc_error_handler)]
#![no_main]
extern crate alloc;
use alloc::boxed::Box;
use alloc::vec::Vec;
use linked_list_allocator::LockedHeap;
use support::{power_off, tell};

#[global_allocator]
static HEAP_ALLOCATOR: LockedHeap = LockedHeap::empty();
static mut HEAP_SPACE: [u8; 0x10000] = [0; 0x10000];

mod memory {
    pub mod frame {
        pub mod allocator {
            use super::frame_tracker::{FrameTracker, PhysicalPageNumber};
            use alloc::vec::Vec;

            pub type MemoryResult<T> = Result<T, &'static str>;

            pub trait Allocator {
                fn alloc(&mut self) -> Option<usize>;
                fn dealloc(&mut self, index: usize);
            }

            pub struct StackedAllocator {
                list: Vec<(usize, usize)>,
            }

            impl Allocator for StackedAllocator {
                fn alloc(&mut self) -> Option<usize> {
                    let (start, end) = self.list.pop()?;
                    if end - start > 1 {
                        self.list.push((start + 1, end));
                    }
                    Some(start)
                }

                fn dealloc(&mut self, index: usize) {
                    self.list.push((index, index + 1));
                }
            }

            pub struct FrameAllocator<T: Allocator> {
                start_ppn: usize,
                allocator: T,
            }

            impl<T: Allocator> FrameAllocator<T> {
                #[inline(never)] // as in the larger kernel, where it has many callers
                pub fn alloc(&mut self) -> MemoryResult<FrameTracker> {
                    self.allocator
                        .alloc()
                        .ok_or("no available frame to allocate")
                        .map(|offset| FrameTracker(PhysicalPageNumber(self.start_ppn + offset)))
                }

                #[inline(never)]
                pub fn dealloc(&mut self, frame: &FrameTracker) {
                    self.allocator.dealloc(frame.0 .0 - self.start_ppn);
                }
            }

            pub static mut FRAME_ALLOCATOR: FrameAllocator<StackedAllocator> =
                FrameAllocator { start_ppn: 0x80400, allocator: StackedAllocator { list: Vec::new() } };

            pub fn init() {
                unsafe { FRAME_ALLOCATOR.allocator.list.push((0, 8)) }
            }
        }

        pub mod frame_tracker {
            #[derive(Clone, Copy)]
            pub struct PhysicalPageNumber(pub usize);

            pub struct FrameTracker(pub PhysicalPageNumber);

            impl Drop for FrameTracker {
                fn drop(&mut self) {
                    unsafe { super::allocator::FRAME_ALLOCATOR.dealloc(self) }
                }
            }
        }
    }
}
use memory::frame::allocator::{init, FRAME_ALLOCATOR};
use memory::frame::frame_tracker::FrameTracker;

fn taken() -> Option<FrameTracker> {
    match unsafe { FRAME_ALLOCATOR.alloc() } {
        Ok(frame) => {
            tell("+", frame.0 .0);
            Some(frame)
        }
        Err(_) => None,
    }
}

#[inline(never)]
fn page_table_new() -> Vec<FrameTracker> {
    let mut tables = Vec::new();
    if let Ok(root) = unsafe { FRAME_ALLOCATOR.alloc() } {
        tell("+", root.0 .0);
        tables.push(root);
    }
    tables
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
    init();
    let mut frames = page_table_new();
    fill(&mut frames, 3);
    let last = frames.pop();
    if let Some(frame) = &last {
        tell("-", frame.0 .0);
    }
    drop(last);
    fill(&mut frames, 20); // more than there are
    for frame in frames.drain(1..4) {
        tell("-", frame.0 .0);
    }
    core::mem::forget(Box::new(7)); // a block that leaks
    core::mem::forget(frames);
    power_off()
}
