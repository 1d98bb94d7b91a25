#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| edge_isr_core::testing::targets::codings(input));
