//! Any bytes as a segment of a journal: opening and reading neither panics nor loops, and holds no
//! more than the bytes can stand for.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    logmon_store::fuzz::read_segment(bytes);
});
