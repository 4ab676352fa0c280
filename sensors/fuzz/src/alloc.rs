//! An allocator that counts what each thread holds.

#![expect(unsafe_code, reason = "an allocator is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

use mimalloc::MiMalloc;

thread_local! {
    /// Bytes that this thread holds, and the most it held since [`reset`]. What one thread frees for another may make the
    /// first negative.
    static HELD: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

/// mimalloc, counted.
#[derive(Debug, Clone, Copy)]
pub struct Counting;

fn count(bytes: isize) {
    // A thread that ends has no cell any more: then nobody asks.
    let _ended = HELD.try_with(|cell| {
        let (held, peak) = cell.get();
        let held = held.wrapping_add(bytes);
        cell.set((held, peak.max(held)));
    });
}

// SAFETY: every call goes to mimalloc unchanged; counting touches no memory but a cell of the thread, which needs no
// allocation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: the caller's promise is passed on.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(layout.size().cast_signed().wrapping_neg());
        // SAFETY: the caller's promise is passed on.
        unsafe { MiMalloc.dealloc(place, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: the caller's promise is passed on.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size.cast_signed().wrapping_sub(layout.size().cast_signed()));
        // SAFETY: the caller's promise is passed on.
        unsafe { MiMalloc.realloc(place, layout, size) }
    }
}

/// Begins to look for the most that this thread holds; what it holds now.
pub fn reset() -> isize {
    HELD.with(|cell| {
        let (held, _) = cell.get();
        cell.set((held, held));
        held
    })
}

/// The most that this thread held since [`reset`].
pub fn peak() -> isize {
    HELD.with(Cell::get).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_seen_after_it_is_gone() {
        let before = reset();
        drop(std::hint::black_box(vec![1_u8; 1 << 20]));
        assert!((1 << 20..2 << 20).contains(&(peak() - before)));
        let before = reset();
        assert_eq!(peak(), before);
    }
}
