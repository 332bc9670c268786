//! Which texts share a run, and what a run is given.

use inhouse_text::Encoded;

use super::graph::Loaded;

/// Tokens of a run on the processor, those that fill short texts up included: what is computed stays in its caches.
/// all-MiniLM-L6-v2 takes 600 texts of 54 tokens in 11 s of two cores' time by runs of 512 or 1024, in 13 s by runs of
/// 4096 and in 18 s by runs of 16384.
const TOKENS_ON_PROCESSOR: usize = 1024;

/// Tokens of a run on a device that wants much at once.
const TOKENS_ELSEWHERE: usize = 8192;

/// Places of texts that share a run, group after group.
pub(super) struct Groups<'a> {
    inputs: &'a [Encoded],
    /// Those that are left, the longest last.
    left: Vec<usize>,
    /// Tokens of a run at most, unless one text has more.
    tokens: usize,
    /// Texts of a run at most.
    texts: usize,
    /// Short texts can be filled up.
    mixed: bool,
    length: Option<usize>,
}

impl<'a> Groups<'a> {
    /// Groups for runs on `loaded`; each text goes alone where they may not go together.
    pub(super) fn of(inputs: &'a [Encoded], loaded: &Loaded, together: bool) -> Self {
        let layout = &loaded.layout;
        let mut left: Vec<usize> = (0..inputs.len()).collect();
        left.sort_by_key(|&at| inputs[at].ids().len());
        Self {
            inputs,
            left,
            tokens: match loaded.device.is_cpu() {
                true => TOKENS_ON_PROCESSOR,
                false => TOKENS_ELSEWHERE,
            },
            texts: match together && !layout.one_by_one {
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
        let most = (self.tokens / columns).clamp(1, self.texts);
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
