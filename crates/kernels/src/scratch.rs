//! Room to work in that a thread keeps, so that tasks allocate nothing.

use std::cell::Cell;

/// What a vector is aligned to at most.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[allow(dead_code, reason = "read as bytes")] [u8; 64]);

thread_local! {
    static BUFFER: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// Calls `f` with at least so many bytes, aligned for every vector, of unspecified but initialised
/// content. Inside `f` another call gets other room.
#[inline(always)]
pub(crate) fn with<R>(bytes: usize, f: impl FnOnce(&mut [u8]) -> R) -> R {
    // Taken out rather than borrowed: a panic in `f` then merely loses the buffer.
    let mut buffer = BUFFER.take();
    let lines = bytes.div_ceil(64);
    if buffer.len() < lines {
        buffer.resize(lines, Line([0; 64]));
    }
    // SAFETY: a `Line` is 64 initialised bytes without padding, and the slice covers just those.
    let slice =
        unsafe { std::slice::from_raw_parts_mut(buffer.as_mut_ptr().cast::<u8>(), lines * 64) };
    let result = f(slice);
    BUFFER.set(buffer);
    result
}

/// As [`with`], in floats.
#[inline(always)]
pub(crate) fn with_f32<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    with(
        len * 4,
        // Like all that vectors pass through: a closure left as a function of its own would be
        // compiled without the instruction set.
        #[inline(always)]
        |bytes| {
            // SAFETY: the bytes are initialised, aligned to 64, and any of them make a float.
            let floats =
                unsafe { std::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast::<f32>(), len) };
            f(floats)
        },
    )
}
