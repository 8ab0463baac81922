#![feature(no_core, lang_items, auto_traits)]
#![no_core]
#![crate_type = "lib"]

#[lang = "sized"]
trait Sized {}
#[lang = "copy"]
trait Copy {}
#[lang = "sync"]
trait Sync {}
#[lang = "freeze"]
unsafe auto trait Freeze {}
#[lang = "drop_in_place"]
unsafe fn drop_in_place<T: ?Sized>(_: *mut T) {}
impl Copy for u64 {}
impl Sync for u64 {}

#[no_mangle]
pub static RUST_WORD: u64 = 7;
#[no_mangle]
pub static mut RUST_STATE: u64 = 9;
#[no_mangle]
pub static mut RUST_ZERO: u64 = 0;
#[no_mangle]
pub extern "C" fn rust_identity(x: u64) -> u64 {
    x
}
pub fn mangled(x: u64) -> u64 {
    x
}
