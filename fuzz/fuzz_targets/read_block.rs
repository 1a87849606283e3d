//! Any bytes as a block of the local store: reading it and asking it anything neither panics nor
//! loops, and holds no more than the bytes can stand for.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    logmon_store::block_fuzz::read_block(bytes);
});
