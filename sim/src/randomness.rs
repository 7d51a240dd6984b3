//! All randomness of a run from its seed.
//!
//! `tokio::select!` picks branches at random, hash maps are keyed at random, nonces and passwords
//! come from the operating system. All of these end in libc's `getrandom`, so this crate defines
//! that symbol: threads that were seeded are answered from the seed, all others by the kernel. A run
//! therefore has a thread of its own, which is seeded before it does anything else.

use std::cell::RefCell;

use polyport_base::rng::SplitMix64;

thread_local! {
    static SEEDED: RefCell<Option<SplitMix64>> = const { RefCell::new(None) };
}

/// From now on, this thread's randomness follows from the seed.
pub fn seed_thread(seed: u64) {
    SEEDED.with(|seeded| *seeded.borrow_mut() = Some(SplitMix64::new(seed)));
}

/// libc's `getrandom`, for the whole program.
///
/// # Safety
/// As libc's: `buffer` must be valid for writes of `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(
    buffer: *mut libc::c_void,
    len: libc::size_t,
    flags: libc::c_uint,
) -> libc::ssize_t {
    let filled = SEEDED.try_with(|seeded| {
        let mut seeded = seeded.try_borrow_mut().ok()?;
        let rng = seeded.as_mut()?;
        // SAFETY: the caller promises that the buffer may be written.
        let buffer = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), len) };
        for chunk in buffer.chunks_mut(8) {
            chunk.copy_from_slice(&rng.next_u64().to_le_bytes()[..chunk.len()]);
        }
        Some(len as libc::ssize_t)
    });
    match filled {
        Ok(Some(filled)) => filled,
        // SAFETY: the kernel's own call, with the caller's promise.
        _ => unsafe { libc::syscall(libc::SYS_getrandom, buffer, len, flags) as libc::ssize_t },
    }
}
