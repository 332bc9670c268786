//! How the panels of a product are shared out among threads.

use std::ops::Range;

/// Panels for one task after the other: half of what is left for all threads together, and then half of that again,
/// within `limits`. So a thread reads long stretches of memory from front to back, and at the end waits no
/// longer than a small task takes, even beside one that is half as fast. (Guided self-scheduling: Polychronopoulos and
/// Kuck, IEEE Transactions on Computers C-36, 1987.)
///
/// All but the last are multiples of `step`, which is not zero and goes before the limits.
pub(super) fn shares(
    panels: usize,
    threads: usize,
    step: usize,
    limits: Range<usize>,
) -> Vec<Range<usize>> {
    let (mut start, mut shares) = (0, Vec::new());
    while start < panels {
        let len = ((panels - start) / (2 * threads))
            .min(limits.end)
            .max(limits.start)
            .next_multiple_of(step)
            .max(step);
        for _ in 0..threads {
            let end = panels.min(start + len);
            if start < end {
                shares.push(start..end);
            }
            start = end;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_panel_is_in_one_share(
            panels in 0usize..3000,
            threads in 1usize..20,
            step in 1usize..7,
            least in 0usize..40,
            most in 0usize..100,
        ) {
            let shares = shares(panels, threads, step, least..most);
            let mut start = 0;
            for share in &shares {
                prop_assert_eq!(share.start, start);
                prop_assert!(share.end > start);
                prop_assert!(share.len() % step == 0 || share.end == panels);
                start = share.end;
            }
            prop_assert_eq!(start, panels);
        }
    }

    #[test]
    fn shares_halve_down_to_the_least() {
        let lengths: Vec<usize> = shares(64, 2, 1, 3..100)
            .iter()
            .map(ExactSizeIterator::len)
            .collect();
        assert_eq!(lengths, [16, 16, 8, 8, 4, 4, 3, 3, 2]);
    }
}
