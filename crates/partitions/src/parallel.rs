//! Doing the same for many at once.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Does `act` for each item, on so many threads; with one, on this one, in order. The outcomes are in
/// no order.
pub(crate) fn for_each<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    act: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let some = || {
        let mut done = Vec::new();
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push(act(item));
        }
        done
    };
    match threads.min(items.len()) {
        0 | 1 => some(),
        threads => std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(some)).collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, Vec<R>>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            running.into_iter().flat_map(join).collect()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_done_once() {
        for threads in [0, 1, 3, 100] {
            let items: Vec<usize> = (0..50).collect();
            let mut done = for_each(&items, threads, |item| *item);
            done.sort_unstable();
            assert_eq!(done, items, "{threads}");
        }
        assert!(for_each(&[(); 0], 4, |()| ()).is_empty());
    }
}
