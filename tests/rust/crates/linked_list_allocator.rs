//! A heap with the names and conventions of the crate of this name: one list of holes, the first that fits is taken.
#![no_std]
use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::NonNull;

struct Hole {
    size: usize,
    next: *mut Hole,
}

pub struct Heap {
    first: *mut Hole,
}

fn rounded(layout: &Layout) -> usize {
    (layout.size().max(16) + 15) & !15
}

impl Heap {
    pub const fn empty() -> Self {
        Heap { first: core::ptr::null_mut() }
    }

    pub unsafe fn init(&mut self, start: usize, size: usize) {
        self.first = start as *mut Hole;
        *self.first = Hole { size, next: core::ptr::null_mut() };
    }

    pub fn allocate_first_fit(&mut self, layout: Layout) -> Result<NonNull<u8>, ()> {
        let wanted = rounded(&layout);
        let mut link: *mut *mut Hole = &mut self.first;
        unsafe {
            while !(*link).is_null() {
                let hole = *link;
                if (*hole).size == wanted {
                    *link = (*hole).next;
                    return NonNull::new(hole as *mut u8).ok_or(());
                }
                if (*hole).size > wanted {
                    (*hole).size -= wanted;
                    return NonNull::new((hole as usize + (*hole).size) as *mut u8).ok_or(());
                }
                link = &mut (*hole).next;
            }
        }
        Err(())
    }

    pub unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        let hole = block.as_ptr() as *mut Hole;
        *hole = Hole { size: rounded(&layout), next: self.first };
        self.first = hole;
    }
}

pub struct LockedHeap(UnsafeCell<Heap>);

unsafe impl Sync for LockedHeap {}

impl LockedHeap {
    pub const fn empty() -> Self {
        LockedHeap(UnsafeCell::new(Heap::empty()))
    }

    pub fn lock(&self) -> &mut Heap {
        unsafe { &mut *self.0.get() }
    }
}

unsafe impl GlobalAlloc for LockedHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.lock().allocate_first_fit(layout).map_or(core::ptr::null_mut(), |block| block.as_ptr())
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.lock().deallocate(NonNull::new_unchecked(block), layout)
    }
}
