//! What the tests' kernels share: an entry, a console through the SBI, the functions of memory that `core` calls.
#![no_std]
use core::arch::{asm, global_asm};

global_asm!(
    ".section .text.entry, \"ax\"",
    ".globl _start",
    "_start:",
    "    la sp, boot_stack_top",
    "    call rust_main",
    "    j .",
    ".bss",
    ".balign 16",
    "boot_stack:",
    "    .space 65536",
    "boot_stack_top:"
);

fn sbi(extension: usize, argument: usize) {
    unsafe { asm!("ecall", inout("a0") argument => _, in("a7") extension, out("a1") _) }
}

pub fn put(text: &str) {
    for byte in text.bytes() {
        sbi(1, byte as usize);
    }
}

/// A line of a sign and a hexadecimal number: what the kernel itself says of its allocations.
pub fn tell(sign: &str, number: usize) {
    put(sign);
    put(" ");
    for digit in (0..16).rev() {
        let nibble = (number >> (digit * 4)) & 15;
        sbi(1, b"0123456789abcdef"[nibble] as usize);
    }
    put("\n");
}

pub fn power_off() -> ! {
    sbi(8, 0);
    loop {}
}

#[no_mangle]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, size: usize) -> *mut u8 {
    let mut at = 0;
    while at < size {
        to.add(at).write_volatile(from.add(at).read_volatile());
        at += 1;
    }
    to
}

#[no_mangle]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, size: usize) -> *mut u8 {
    if (to as usize) < from as usize {
        return memcpy(to, from, size);
    }
    let mut at = size;
    while at > 0 {
        at -= 1;
        to.add(at).write_volatile(from.add(at).read_volatile());
    }
    to
}

#[no_mangle]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, size: usize) -> *mut u8 {
    let mut at = 0;
    while at < size {
        to.add(at).write_volatile(byte as u8);
        at += 1;
    }
    to
}

#[no_mangle]
unsafe extern "C" fn memcmp(one: *const u8, other: *const u8, size: usize) -> i32 {
    let mut at = 0;
    while at < size {
        let difference = *one.add(at) as i32 - *other.add(at) as i32;
        if difference != 0 {
            return difference;
        }
        at += 1;
    }
    0
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    put("panic\n");
    power_off()
}
