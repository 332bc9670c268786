//! One vector of those of a text's tokens.

use std::path::Path;

use inhouse_engine::EngineError;
use serde::Deserialize;

use super::files;

/// How the vectors of a text's tokens become one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pooling {
    /// One after the other; their results are joined.
    modes: Vec<Mode>,
    /// The prompt's tokens are pooled like the text's.
    pub(super) include_prompt: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    First,
    Max,
    Mean,
    /// The sum over the square root of the number.
    MeanSqrtLen,
    /// A token counts as often as its position says.
    WeightedMean,
    Last,
}

/// The names that sentence-transformers has for them since 6, and up to 5; the old ones in the order they are joined in.
const NAMES: [(&str, &str, Mode); 6] = [
    ("cls", "pooling_mode_cls_token", Mode::First),
    ("max", "pooling_mode_max_tokens", Mode::Max),
    ("mean", "pooling_mode_mean_tokens", Mode::Mean),
    (
        "mean_sqrt_len_tokens",
        "pooling_mode_mean_sqrt_len_tokens",
        Mode::MeanSqrtLen,
    ),
    (
        "weightedmean",
        "pooling_mode_weightedmean_tokens",
        Mode::WeightedMean,
    ),
    ("lasttoken", "pooling_mode_lasttoken", Mode::Last),
];

/// A `config.json` of the module: the modes are in `pooling_mode`, or up to 5 a switch each.
#[derive(Debug, Deserialize)]
struct File {
    pooling_mode: Option<Names>,
    include_prompt: Option<bool>,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Some(Vec<String>),
}

impl Default for Pooling {
    fn default() -> Self {
        Self {
            modes: vec![Mode::Mean],
            include_prompt: true,
        }
    }
}

impl Pooling {
    /// Reads a module's folder; nothing where it has no configuration.
    pub(super) fn of_folder(folder: &Path) -> Result<Option<Self>, EngineError> {
        let path = folder.join("config.json");
        let Some(file) = files::read::<File>(&path)? else {
            return Ok(None);
        };
        let modes = match &file.pooling_mode {
            Some(Names::One(name)) => vec![named(name, &path)?],
            Some(Names::Some(names)) => {
                let modes = names.iter().map(|name| named(name, &path));
                modes.collect::<Result<_, _>>()?
            }
            None => file.switched_on(),
        };
        let default = Self::default();
        Ok(Some(Self {
            modes: match modes.is_empty() {
                true => default.modes,
                false => modes,
            },
            include_prompt: file.include_prompt.unwrap_or(default.include_prompt),
        }))
    }

    /// One vector of those in `tokens`, each `hidden` long, the first `skipped` left out.
    pub(super) fn pool(&self, tokens: &[f32], hidden: usize, skipped: usize) -> Vec<f32> {
        let tokens: Vec<&[f32]> = tokens.chunks_exact(hidden.max(1)).collect();
        let modes = self.modes.iter();
        modes
            .flat_map(|mode| mode.pool(&tokens, hidden, skipped))
            .collect()
    }
}

fn named(name: &str, path: &Path) -> Result<Mode, EngineError> {
    let found = NAMES.iter().find(|(known, _, _)| *known == name);
    let unknown = || {
        let known = NAMES.map(|(known, _, _)| known).join(", ");
        files::wrong(
            path,
            &format!("there is no pooling_mode {name:?}; there are {known}"),
        )
    };
    found.map(|(_, _, mode)| *mode).ok_or_else(unknown)
}

impl File {
    fn switched_on(&self) -> Vec<Mode> {
        let is_on = |switch| self.rest.get(switch).and_then(serde_json::Value::as_bool);
        let on = NAMES.iter();
        on.filter(|(_, switch, _)| is_on(*switch) == Some(true))
            .map(|(_, _, mode)| *mode)
            .collect()
    }
}

impl Mode {
    fn pool(self, tokens: &[&[f32]], hidden: usize, skipped: usize) -> Vec<f32> {
        let pooled = tokens.get(skipped..).unwrap_or_default();
        let nothing = || vec![0.0; hidden];
        let one = |token: Option<&&[f32]>| token.map_or_else(nothing, |token| token.to_vec());
        match self {
            Self::First => one(pooled.first()),
            Self::Last => one(pooled.last()),
            Self::Max => {
                let larger = |a: Vec<f32>, b: &&[f32]| {
                    let pairs = a.iter().zip(b.iter());
                    pairs.map(|(a, b)| a.max(*b)).collect()
                };
                let mut rest = pooled.iter();
                let first = one(rest.next());
                rest.fold(first, larger)
            }
            Self::Mean => weighted(pooled, hidden, |_| 1.0, |weights| weights),
            Self::MeanSqrtLen => weighted(pooled, hidden, |_| 1.0, f64::sqrt),
            Self::WeightedMean => {
                let position = |at: usize| (skipped + at + 1) as f64;
                weighted(pooled, hidden, position, |weights| weights)
            }
        }
    }
}

/// The sum of the tokens, each times its weight, over what `divisor` makes of all weights.
fn weighted(
    tokens: &[&[f32]],
    hidden: usize,
    weight: impl Fn(usize) -> f64,
    divisor: impl Fn(f64) -> f64,
) -> Vec<f32> {
    let mut sums = vec![0.0_f64; hidden];
    let mut weights = 0.0;
    for (at, token) in tokens.iter().enumerate() {
        let weight = weight(at);
        weights += weight;
        for (sum, value) in sums.iter_mut().zip(*token) {
            *sum += weight * f64::from(*value);
        }
    }
    let divisor = divisor(weights).max(1e-9);
    sums.iter().map(|sum| (sum / divisor) as f32).collect()
}

/// Gives a vector the length 1; nothing but zeros stays as it is.
pub(super) fn normalize(vector: &mut [f32]) {
    let squares = vector.iter().map(|value| f64::from(*value).powi(2));
    let length = squares.sum::<f64>().sqrt().max(1e-12);
    for value in vector {
        *value = (f64::from(*value) / length) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// Two numbers a token.
    const TOKENS: [f32; 8] = [1.0, -4.0, 3.0, 0.0, 5.0, 8.0, 7.0, -8.0];

    fn of(config: &Value) -> Result<Option<Pooling>, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        Pooling::of_folder(folder.path()).map_err(|error| error.to_string())
    }

    fn check(config: Value, skipped: usize, expected: &[f32]) {
        let pooled = of(&config).unwrap().unwrap().pool(&TOKENS, 2, skipped);
        assert_eq!(pooled, expected, "{config}, without {skipped}");
    }

    #[test]
    fn tokens_are_pooled_as_the_module_says() {
        for (name, switch, whole, rest) in [
            ("cls", "pooling_mode_cls_token", [1.0, -4.0], [5.0, 8.0]),
            ("max", "pooling_mode_max_tokens", [7.0, 8.0], [7.0, 8.0]),
            ("mean", "pooling_mode_mean_tokens", [4.0, -1.0], [6.0, 0.0]),
            (
                "mean_sqrt_len_tokens",
                "pooling_mode_mean_sqrt_len_tokens",
                [8.0, -2.0],
                [(12.0 / 2.0_f64.sqrt()) as f32, 0.0],
            ),
            (
                "weightedmean",
                "pooling_mode_weightedmean_tokens",
                [5.0, -1.2],
                [43.0 / 7.0, -8.0 / 7.0],
            ),
            (
                "lasttoken",
                "pooling_mode_lasttoken",
                [7.0, -8.0],
                [7.0, -8.0],
            ),
        ] {
            for config in [json!({"pooling_mode": name}), json!({switch: true})] {
                check(config.clone(), 0, &whole);
                check(config, 2, &rest);
            }
        }
    }

    #[test]
    fn several_modes_are_joined() {
        let old = json!({"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true});
        check(old, 0, &[1.0, -4.0, 4.0, -1.0]);
        let new = json!({"pooling_mode": ["mean", "cls"]});
        check(new, 0, &[4.0, -1.0, 1.0, -4.0]);
    }

    #[test]
    fn the_mean_is_what_is_meant_where_nothing_is_said() {
        check(json!({}), 0, &[4.0, -1.0]);
        check(json!({"pooling_mode_cls_token": false}), 0, &[4.0, -1.0]);
        check(json!({"pooling_mode": []}), 0, &[4.0, -1.0]);
        check(json!({}), 9, &[0.0, 0.0]);
    }

    #[test]
    fn an_unknown_mode_is_an_error() {
        let error = of(&json!({"pooling_mode": "median"})).unwrap_err();
        assert!(error.contains("\"median\"; there are cls, max"), "{error}");
        let error = of(&json!({"pooling_mode": 3})).unwrap_err();
        assert!(error.contains("config.json"), "{error}");
    }

    #[test]
    fn a_vector_gets_the_length_one() {
        let check = |mut vector: [f32; 2], expected: [f32; 2]| {
            normalize(&mut vector);
            assert_eq!(vector, expected);
        };
        check([3.0, -4.0], [0.6, -0.8]);
        check([1e30, 0.0], [1.0, 0.0]); // whose square no f32 holds
        check([0.0, 0.0], [0.0, 0.0]);
    }
}
