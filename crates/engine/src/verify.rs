//! Holds a model folder against recorded outputs: ONNX Runtime's logits and greedy tokens for a few prompts.
//!
//! The recording (`expected.json`, made by `scripts/make_zoo.py`) has two parts a case. `exact` is the graph in f32
//! arithmetic; our exact mode must agree with it to rounding, however the prompt is cut. `as_exported` says what
//! int8 activations cost ONNX Runtime itself; our default mode may stray from `exact` about as far. Differences are
//! counted in standard deviations of the recorded logits, so that models compare.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use crate::backend::Backend;
use crate::cancel::Cancel;
use crate::error::{EngineError, ErrorKind};
use crate::kv::KvType;
use crate::model::Precision;
use crate::session::Want;

/// Most an exact logit may differ, in standard deviations.
pub const EXACT_BOUND: f64 = 0.002;
/// Where the recorded gap between the two best logits is larger than this many standard deviations, the greedy
/// token must be the recorded one.
pub const GAP_BOUND: f64 = 0.01;
/// The default mode's RMS distance may be this many times the recorded one ..
pub const DEFAULT_FACTOR: f64 = 1.25;
/// .. plus this.
pub const DEFAULT_SLACK: f64 = 0.005;

/// Recorded outputs of a model folder.
#[derive(Clone, Debug, Deserialize)]
pub struct Expected {
    /// What recorded them.
    #[serde(default)]
    pub made_by: String,
    cases: Vec<Case>,
}

#[derive(Clone, Debug, Deserialize)]
struct Case {
    input_ids: Vec<u32>,
    exact: Exact,
    as_exported: Option<AsExported>,
}

#[derive(Clone, Debug, Deserialize)]
struct Exact {
    prefill_last_logits: Vec<f32>,
    prefill_argmax_per_position: Vec<u32>,
    greedy: Vec<u32>,
    top1_minus_top2: Vec<f64>,
    final_logits: Vec<f32>,
}

#[derive(Clone, Debug, Deserialize)]
struct AsExported {
    rms_error_in_sd: f64,
}

impl Expected {
    /// Reads a recording.
    ///
    /// # Errors
    /// The file cannot be read or is not such a recording.
    pub fn read(path: &Path) -> Result<Self, EngineError> {
        let fail = |e: Box<dyn std::error::Error + Send + Sync>| {
            EngineError::with_source(
                ErrorKind::Options,
                format!("cannot read recorded outputs from {}", path.display()),
                e,
            )
        };
        let text = std::fs::read(path).map_err(|e| fail(e.into()))?;
        let expected: Self = serde_json::from_slice(&text).map_err(|e| fail(e.into()))?;
        if let Some(index) = expected.cases.iter().position(|case| !case.is_whole()) {
            return Err(fail(
                format!("case {index} is incomplete: lists are empty or of different lengths")
                    .into(),
            ));
        }
        Ok(expected)
    }
}

impl Case {
    fn is_whole(&self) -> bool {
        let exact = &self.exact;
        let vocab = exact.prefill_last_logits.len();
        !self.input_ids.is_empty()
            && vocab > 1
            && exact.final_logits.len() == vocab
            // A graph whose head is pruned gave ONNX Runtime the last position only.
            && matches!(exact.prefill_argmax_per_position.len(), count if count == 1 || count == self.input_ids.len())
            && !exact.greedy.is_empty()
            && exact.top1_minus_top2.len() == exact.greedy.len()
            && exact.prefill_last_logits.iter().chain(&exact.final_logits).all(|logit| logit.is_finite())
    }
}

/// Arithmetic that a check ran in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// f32 throughout, f32 KV.
    Exact,
    /// int8 activations where the graph allows them, f16 KV.
    Default,
}

/// How the prompt was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feeding {
    /// In one call.
    Whole,
    /// In calls of this many tokens.
    Pieces(usize),
    /// Token by token.
    Single,
}

impl Feeding {
    /// The ways that every check goes through.
    pub const ALL: [Self; 4] = [Self::Whole, Self::Pieces(7), Self::Pieces(32), Self::Single];

    fn piece(self) -> usize {
        match self {
            Self::Whole => usize::MAX,
            Self::Pieces(size) => size,
            Self::Single => 1,
        }
    }
}

/// The outcome of one case in one mode and feeding.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseReport {
    /// Number of the case in the recording.
    pub case: usize,
    /// Prompt tokens.
    pub prompt_tokens: usize,
    /// Arithmetic.
    pub mode: Mode,
    /// How the prompt was given.
    pub feeding: Feeding,
    /// Largest difference of a logit from the exact recording, in standard deviations.
    pub worst: f64,
    /// RMS difference: over all steps in default mode, over the recorded ones in exact mode.
    pub rms: f64,
    /// What `worst` (exact mode) or `rms` (default mode) must not exceed.
    pub bound: f64,
    /// Greedy tokens that agree, of those whose recorded gap is wide enough to be certain.
    pub agreed: usize,
    /// Greedy tokens whose recorded gap is wide enough to be certain.
    pub certain: usize,
    /// Whether the case is within its bounds.
    pub passed: bool,
}

/// Loads the model that is checked, in this arithmetic and with this KV cache.
pub type Load<'a> = &'a mut dyn FnMut(Precision, KvType) -> Result<Arc<dyn Backend>, EngineError>;

/// Runs every case of `expected` on the model that `load` gives, in each of `modes`.
///
/// # Errors
/// The model cannot be loaded or refuses an input; differences are not errors but reported.
pub fn run(
    expected: &Expected,
    modes: &[Mode],
    load: Load<'_>,
) -> Result<Vec<CaseReport>, EngineError> {
    let exact = load(Precision::Exact, KvType::F32)?;
    let default = match modes.contains(&Mode::Default) {
        true => load(Precision::Default, KvType::F16)?,
        false => Arc::clone(&exact), // nothing runs on it
    };
    let (exact, default) = (exact.as_ref(), default.as_ref());
    let mut reports = Vec::new();
    for (index, case) in expected.cases.iter().enumerate() {
        let reference = reference(exact, case)?;
        for &mode in modes {
            for feeding in Feeding::ALL {
                reports.push(match mode {
                    Mode::Exact => check_exact(index, case, feeding, &play(exact, case, feeding)?),
                    Mode::Default => check_default(
                        index,
                        case,
                        feeding,
                        &play(default, case, feeding)?,
                        &reference,
                    ),
                });
            }
        }
    }
    Ok(reports)
}

/// What the default mode is held against: the recorded exact rows, and between them our own exact ones, which the
/// recorded last row vouches for.
fn reference(exact: &dyn Backend, case: &Case) -> Result<Played, EngineError> {
    let mut played = play(exact, case, Feeding::Whole)?;
    let last = played.steps.len() - 1;
    played.steps[0].clone_from(&case.exact.prefill_last_logits);
    played.steps[last].clone_from(&case.exact.final_logits);
    Ok(played)
}

/// Logits along a case: the last row of the prompt, then one a greedy token but the last.
struct Played {
    prompt_argmax: Vec<u32>,
    steps: Vec<Vec<f32>>,
}

fn play(model: &dyn Backend, case: &Case, feeding: Feeding) -> Result<Played, EngineError> {
    let mut session = model.session()?;
    let cancel = Cancel::new();
    let mut prompt_argmax = Vec::new();
    let mut last = Vec::new();
    for piece in case
        .input_ids
        .chunks(feeding.piece().min(case.input_ids.len()))
    {
        let logits = session.extend(piece, Want::All, &cancel)?;
        prompt_argmax.extend((0..logits.rows).map(|row| argmax(logits.row(row))));
        last = logits.last_row().to_vec();
    }
    let mut steps = vec![last];
    for &id in &case.exact.greedy[..case.exact.greedy.len() - 1] {
        steps.push(session.extend(&[id], Want::Last, &cancel)?.data);
    }
    if let Some(row) = steps
        .iter()
        .find(|row| row.len() != case.exact.final_logits.len())
    {
        let message = format!(
            "the recording has {} logits a row and the model {}",
            case.exact.final_logits.len(),
            row.len()
        );
        return Err(EngineError::options(message));
    }
    Ok(Played {
        prompt_argmax,
        steps,
    })
}

fn check_exact(index: usize, case: &Case, feeding: Feeding, played: &Played) -> CaseReport {
    let mut difference = Difference::default();
    let (first, last) = (&case.exact.prefill_last_logits, &case.exact.final_logits);
    for (ours, theirs) in [
        (&played.steps[0], first),
        (&played.steps[played.steps.len() - 1], last),
    ] {
        difference.add(ours, theirs, deviation(theirs));
    }
    let mut report = report(index, case, Mode::Exact, feeding, &difference, played);
    report.bound = EXACT_BOUND;
    // The prompt's own positions carry no recorded gap; given whole, they must agree as ONNX Runtime saw them whole.
    let positions = feeding != Feeding::Whole
        || played
            .prompt_argmax
            .ends_with(&case.exact.prefill_argmax_per_position);
    report.passed = report.worst <= report.bound && report.agreed == report.certain && positions;
    report
}

fn check_default(
    index: usize,
    case: &Case,
    feeding: Feeding,
    played: &Played,
    exact: &Played,
) -> CaseReport {
    let mut difference = Difference::default();
    // The recorded distance is in standard deviations of the last exact row.
    let scale = deviation(&case.exact.final_logits);
    for (ours, theirs) in played.steps.iter().zip(&exact.steps) {
        difference.add(ours, theirs, scale);
    }
    let mut report = report(index, case, Mode::Default, feeding, &difference, played);
    let recorded = case
        .as_exported
        .as_ref()
        .map_or(0.0, |recorded| recorded.rms_error_in_sd);
    report.bound = recorded * DEFAULT_FACTOR + DEFAULT_SLACK;
    report.passed = report.rms <= report.bound;
    report
}

fn report(
    case_index: usize,
    case: &Case,
    mode: Mode,
    feeding: Feeding,
    difference: &Difference,
    played: &Played,
) -> CaseReport {
    let deviation = deviation(&case.exact.prefill_last_logits);
    let exact = &case.exact;
    let certain = exact
        .top1_minus_top2
        .iter()
        .map(|gap| *gap > GAP_BOUND * deviation);
    let agrees = exact
        .greedy
        .iter()
        .zip(&played.steps)
        .map(|(&id, step)| argmax(step) == id);
    let (mut agreed, mut all) = (0, 0);
    for (certain, agrees) in certain.zip(agrees) {
        all += usize::from(certain);
        agreed += usize::from(certain && agrees);
    }
    CaseReport {
        case: case_index,
        prompt_tokens: case.input_ids.len(),
        mode,
        feeding,
        worst: difference.worst,
        rms: difference.rms(),
        bound: 0.0,
        agreed,
        certain: all,
        passed: false,
    }
}

/// Differences of rows of logits, in standard deviations.
#[derive(Default)]
struct Difference {
    worst: f64,
    squares: f64,
    count: usize,
}

impl Difference {
    fn add(&mut self, ours: &[f32], reference: &[f32], deviation: f64) {
        for (a, b) in ours.iter().zip(reference) {
            let difference = f64::from(a - b) / deviation;
            // NaN must not pass as "no difference".
            let difference = if difference.is_finite() {
                difference
            } else {
                f64::INFINITY
            };
            self.worst = self.worst.max(difference.abs());
            self.squares += difference * difference;
        }
        self.count += ours.len();
    }

    fn rms(&self) -> f64 {
        (self.squares / self.count.max(1) as f64).sqrt()
    }
}

fn deviation(row: &[f32]) -> f64 {
    let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / row.len() as f64;
    let variance = row
        .iter()
        .map(|&x| (f64::from(x) - mean).powi(2))
        .sum::<f64>()
        / row.len() as f64;
    variance.sqrt().max(f64::MIN_POSITIVE)
}

fn argmax(row: &[f32]) -> u32 {
    let best = row
        .iter()
        .enumerate()
        .fold((0, f32::NEG_INFINITY), |best, (i, &x)| {
            if x > best.1 { (i, x) } else { best }
        });
    best.0 as u32
}
