#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| polyport_fuzz::kafka_response(bytes));
