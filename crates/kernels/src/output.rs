//! A matrix that several threads write disjoint parts of.

use std::marker::PhantomData;

/// A borrowed row-major matrix. Only the bounds are checked; that no two threads write the same
/// element is up to whoever hands out the parts.
#[derive(Clone, Copy)]
pub(crate) struct Output<'a> {
    data: *mut f32,
    rows: usize,
    columns: usize,
    borrow: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is a mutable borrow of floats, which may be sent; sharing it gives nothing but
// `row_part`, whose caller promises that parts do not overlap.
unsafe impl Send for Output<'_> {}
// SAFETY: as above.
unsafe impl Sync for Output<'_> {}

impl<'a> Output<'a> {
    /// Panics if `data` has not just `rows * columns` elements.
    pub(crate) fn new(data: &'a mut [f32], rows: usize, columns: usize) -> Output<'a> {
        assert_eq!(
            Some(data.len()),
            rows.checked_mul(columns),
            "output is not {rows} rows of {columns}"
        );
        Output {
            data: data.as_mut_ptr(),
            rows,
            columns,
            borrow: PhantomData,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// A part of one row.
    ///
    /// # Safety
    /// No other part that is in use holds an element of this one.
    #[inline(always)]
    #[allow(
        clippy::mut_from_ref,
        reason = "parts are disjoint, by the caller's promise"
    )]
    pub(crate) unsafe fn row_part(&self, row: usize, start: usize, len: usize) -> &mut [f32] {
        assert!(row < self.rows && start <= self.columns && len <= self.columns - start);
        // SAFETY: inside the borrowed slice by the line above; unaliased by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(row * self.columns + start), len) }
    }
}
