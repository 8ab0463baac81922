//! A heap with the names and conventions of the crate of this name: one list of holes, the first that fits is taken.
#![no_std]
use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::AtomicBool;

#[repr(C)]
struct Hole {
    size: usize,
    next: *mut Hole,
}

/// As in 0.10: what is in use, then a hole of no bytes, which begins the list.
#[repr(C)]
pub struct Heap {
    used: usize,
    first: Hole,
}

fn rounded(layout: &Layout) -> usize {
    (layout.size().max(16) + 15) & !15
}

impl Heap {
    pub const fn empty() -> Self {
        Heap { used: 0, first: Hole { size: 0, next: core::ptr::null_mut() } }
    }

    pub unsafe fn init(&mut self, start: usize, size: usize) {
        self.first.next = start as *mut Hole;
        *self.first.next = Hole { size, next: core::ptr::null_mut() };
    }

    pub fn allocate_first_fit(&mut self, layout: Layout) -> Result<NonNull<u8>, ()> {
        let wanted = rounded(&layout);
        self.used += wanted;
        let mut link: *mut *mut Hole = &mut self.first.next;
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
        self.used -= wanted;
        Err(())
    }

    pub unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        let hole = block.as_ptr() as *mut Hole;
        *hole = Hole { size: rounded(&layout), next: self.first.next };
        self.first.next = hole;
        self.used -= rounded(&layout);
    }
}

/// The lock stands before the heap, as `spinning_top::Spinlock` has it.
#[repr(C)]
pub struct LockedHeap(AtomicBool, UnsafeCell<Heap>);

unsafe impl Sync for LockedHeap {}

impl LockedHeap {
    pub const fn empty() -> Self {
        LockedHeap(AtomicBool::new(false), UnsafeCell::new(Heap::empty()))
    }

    pub fn lock(&self) -> &mut Heap {
        unsafe { &mut *self.1.get() }
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
