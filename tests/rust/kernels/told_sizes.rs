//! Blocks that grow with the Layout that they were asked for with, and with other ones.
#![no_std]
#![feature(default_alloc_error_handler)]
#![no_main]
extern crate alloc;
use alloc::alloc::{alloc, dealloc, realloc};
use core::alloc::Layout;
use linked_list_allocator::LockedHeap;
use support::power_off;

#[global_allocator]
static HEAP_ALLOCATOR: LockedHeap = LockedHeap::empty();
static mut HEAP_SPACE: [u8; 0x10000] = [0; 0x10000];

#[inline(never)]
unsafe fn grown(told: usize) {
    let block = alloc(Layout::from_size_align_unchecked(32, 8));
    block.write_bytes(0x55, 32);
    let block = realloc(block, Layout::from_size_align_unchecked(told, 8), 64);
    dealloc(block, Layout::from_size_align_unchecked(64, 8));
}

#[no_mangle]
extern "C" fn rust_main() -> ! {
    unsafe {
        HEAP_ALLOCATOR.lock().init(core::ptr::addr_of_mut!(HEAP_SPACE) as usize, 0x10000);
        for told in [32, 24, 16] {
            grown(told);
        }
    }
    power_off()
}
