//! Runs of frames from the crate buddy_system_allocator, as a kernel without a tracker uses them.
#![no_std]
#![no_main]
use buddy_system_allocator::frame::FrameAllocator;
use support::{power_off, tell};

#[no_mangle]
extern "C" fn rust_main() -> ! {
    let mut frames = FrameAllocator::<8>::new();
    frames.add_frame(0x80400, 0x80410);
    let run = frames.alloc(4).unwrap();
    tell("+", run);
    let one = frames.alloc(1).unwrap();
    tell("+", one);
    frames.dealloc(run, 4);
    tell("-", run);
    power_off()
}
