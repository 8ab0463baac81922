//! A heap with the names and conventions of the crate of this name, and a much simpler inside: free lists of powers of two.
#![no_std]
use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::AtomicBool;

#[repr(C)]
pub struct Heap<const ORDER: usize> {
    free: [usize; ORDER],
    next: usize,
    end: usize,
}

impl<const ORDER: usize> Heap<ORDER> {
    pub const fn new() -> Self {
        Heap { free: [0; ORDER], next: 0, end: 0 }
    }

    pub unsafe fn init(&mut self, start: usize, size: usize) {
        self.next = start;
        self.end = start + size;
    }

    pub fn alloc(&mut self, layout: Layout) -> Result<NonNull<u8>, ()> {
        let class = class(&layout);
        let found = self.free[class];
        if found != 0 {
            self.free[class] = unsafe { *(found as *const usize) };
            return NonNull::new(found as *mut u8).ok_or(());
        }
        let size = 1 << class;
        let start = (self.next + size - 1) & !(size - 1);
        if start + size > self.end {
            return Err(());
        }
        self.next = start + size;
        NonNull::new(start as *mut u8).ok_or(())
    }

    pub fn dealloc(&mut self, block: NonNull<u8>, layout: Layout) {
        let class = class(&layout);
        unsafe { *(block.as_ptr() as *mut usize) = self.free[class] };
        self.free[class] = block.as_ptr() as usize;
    }
}

fn class(layout: &Layout) -> usize {
    layout.size().max(layout.align()).max(8).next_power_of_two().trailing_zeros() as usize
}

/// The lock stands before the heap, as `spin::Mutex` has it.
#[repr(C)]
pub struct LockedHeap<const ORDER: usize>(AtomicBool, UnsafeCell<Heap<ORDER>>);

unsafe impl<const ORDER: usize> Sync for LockedHeap<ORDER> {}

impl<const ORDER: usize> LockedHeap<ORDER> {
    pub const fn empty() -> Self {
        LockedHeap(AtomicBool::new(false), UnsafeCell::new(Heap::new()))
    }

    pub fn lock(&self) -> &mut Heap<ORDER> {
        unsafe { &mut *self.1.get() }
    }
}

unsafe impl<const ORDER: usize> GlobalAlloc for LockedHeap<ORDER> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.lock().alloc(layout).map_or(core::ptr::null_mut(), |block| block.as_ptr())
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.lock().dealloc(NonNull::new_unchecked(block), layout)
    }
}

pub mod frame {
    /// Runs of frames, from a single range that only shrinks.
    pub struct FrameAllocator<const ORDER: usize> {
        next: usize,
        end: usize,
        freed: usize,
    }

    impl<const ORDER: usize> FrameAllocator<ORDER> {
        pub fn new() -> Self {
            FrameAllocator { next: 0, end: 0, freed: 0 }
        }

        pub fn add_frame(&mut self, start: usize, end: usize) {
            self.next = start;
            self.end = end;
        }

        #[inline(never)]
        pub fn alloc(&mut self, count: usize) -> Option<usize> {
            if self.next + count > self.end {
                return None;
            }
            self.next += count;
            Some(self.next - count)
        }

        #[inline(never)]
        pub fn dealloc(&mut self, _frame: usize, count: usize) {
            self.freed += count;
        }
    }
}
