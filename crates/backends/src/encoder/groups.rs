//! Which texts share a run, and what a run is given.

use inhouse_text::Encoded;

use super::layout::Layout;

/// Tokens of a run, those that fill short texts up included. More make a run no faster, and what it computes larger.
const MOST_TOKENS: usize = 4096;

/// Places of texts that share a run, group after group.
pub(super) struct Groups<'a> {
    inputs: &'a [Encoded],
    /// Those that are left, the longest last.
    left: Vec<usize>,
    /// Texts of a run at most.
    most: usize,
    /// Short texts can be filled up.
    mixed: bool,
    length: Option<usize>,
}

impl<'a> Groups<'a> {
    pub(super) fn of(inputs: &'a [Encoded], layout: &Layout, together: bool) -> Self {
        let mut left: Vec<usize> = (0..inputs.len()).collect();
        left.sort_by_key(|&at| inputs[at].ids().len());
        Self {
            inputs,
            left,
            most: match together && !layout.one_by_one {
                true => usize::MAX,
                false => 1,
            },
            mixed: layout.mask.is_some(),
            length: layout.length,
        }
    }
}

impl Iterator for Groups<'_> {
    type Item = Vec<usize>;

    fn next(&mut self) -> Option<Vec<usize>> {
        let len = |at: usize| self.inputs[at].ids().len();
        let longest = len(*self.left.last()?);
        let columns = self.length.unwrap_or(longest).max(1);
        let most = (MOST_TOKENS / columns).clamp(1, self.most);
        let group = self.left.iter().rev().take(most);
        let count = group
            .take_while(|&&at| self.mixed || len(at) == longest)
            .count();
        Some(self.left.split_off(self.left.len() - count))
    }
}

/// Matrices of a row for each text, as long as the longest.
pub(super) struct Matrices {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) ids: Vec<i64>,
    pub(super) mask: Vec<i64>,
    pub(super) types: Vec<i64>,
    pub(super) positions: Vec<i64>,
}

impl Matrices {
    /// What lies behind a text is `padding`; positions count from `first` on.
    pub(super) fn of(
        texts: &[&Encoded],
        length: Option<usize>,
        padding: u32,
        first: usize,
    ) -> Self {
        let longest = texts.iter().map(|text| text.ids().len()).max();
        let columns = length.or(longest).unwrap_or(0);
        let filled = |values: &dyn Fn(&Encoded) -> Vec<i64>, padding: i64| {
            let mut matrix = Vec::with_capacity(texts.len() * columns);
            for text in texts {
                let mut row = values(text);
                row.resize(columns, padding);
                matrix.append(&mut row);
            }
            matrix
        };
        let wide = |values: &[u32]| values.iter().map(|&value| i64::from(value)).collect();
        Self {
            rows: texts.len(),
            columns,
            ids: filled(&|text| wide(text.ids()), i64::from(padding)),
            mask: filled(&|text| vec![1; text.ids().len()], 0),
            types: filled(&|text| wide(text.type_ids()), 0),
            positions: filled(
                &|_| (first..first + columns).map(|at| at as i64).collect(),
                0,
            ),
        }
    }
}
