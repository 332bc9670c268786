//! The chain against other software (`recorded`), against plain implementations, and over many draws.

mod recorded;

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::*;
use crate::error::{EngineError, ErrorKind};

/// A vocabulary in which token `n` is the text `<n>`.
struct Numbered;

impl Vocabulary for Numbered {
    fn token_bytes(&self, id: u32) -> Option<Vec<u8>> {
        Some(format!("<{id}>").into_bytes())
    }
}

fn sampler(options: &SearchOptions, vocab: usize, prompt: &[u32]) -> Sampler {
    Sampler::new(options, vocab, prompt, &[], None, &Numbered).unwrap()
}

fn sampling(change: impl FnOnce(&mut SearchOptions)) -> SearchOptions {
    let mut options = SearchOptions {
        do_sample: true,
        top_k: 0,
        seed: Some(7),
        ..SearchOptions::default()
    };
    change(&mut options);
    options
}

/// The large vocabulary of `scripts/record_sampling_reference.py`.
fn congruential(n: usize) -> Vec<f32> {
    let mut state = 12345_u64;
    let next = |_| {
        state = (state * 1_103_515_245 + 12345) % (1 << 31);
        (((state >> 8) % 40_000) as f64 / 2_500.0 - 8.0) as f32
    };
    (0..n).map(next).collect()
}

// === DRY, beyond what is recorded ===

fn check_dry(prompt: &[u32], breakers: &[&str], expected: &[f32]) {
    let options = sampling(|o| {
        o.dry = DryOptions {
            multiplier: 1.0,
            base: 2.0,
            sequence_breakers: breakers.iter().map(|&text| text.to_owned()).collect(),
            ..DryOptions::default()
        };
    });
    let mut logits = vec![0.0; expected.len()];
    sampler(&options, logits.len(), prompt)
        .distribution(&mut logits)
        .unwrap();
    assert_eq!(logits, expected);
}

#[test]
fn dry_takes_the_longest_match_of_each_token() {
    check_dry(&[0, 1, 2, 0, 1], &[], &[0.0, 0.0, -1.0, 0.0]);
    check_dry(
        &[0, 1, 2, 3, 0, 1, 2, 2, 1, 2],
        &[],
        &[0.0, 0.0, -1.0, -1.0],
    );
    check_dry(&[3, 0, 1, 2, 3, 0, 1], &[], &[0.0, 0.0, -2.0, 0.0]);
}

#[test]
fn dry_stops_at_breakers_even_where_tokens_share_one() {
    check_dry(&[3, 0, 1, 2, 3, 0, 1], &["0"], &[0.0, 0.0, 0.0, 0.0]);
    check_dry(&[3, 0, 1, 2, 3, 0, 1], &["3>"], &[0.0, 0.0, -1.0, 0.0]);
    check_dry(&[3, 0, 1, 2, 3, 0, 1], &["3><0"], &[0.0, 0.0, 0.0, 0.0]);
    check_dry(&[3, 0, 1, 2, 3, 0, 1], &["1><2"], &[0.0, 0.0, 0.0, 0.0]);
    check_dry(&[3, 0, 1, 2, 3, 0, 1], &["0><2"], &[0.0, 0.0, -2.0, 0.0]);
}

#[test]
fn dry_survives_a_long_run_of_one_token() {
    let options = sampling(|o| {
        o.dry = DryOptions {
            multiplier: 1.0,
            base: 1e30,
            ..DryOptions::default()
        }
    });
    let mut logits = vec![0.0; 4];
    let kept = sampler(&options, 4, &[2; 5000])
        .distribution(&mut logits)
        .unwrap();
    assert_eq!(
        kept.iter().map(|&(id, _)| id).collect::<Vec<_>>(),
        [0, 1, 3]
    );
}

// === The filters against plain sorting ===

/// Likeliest first, then lowest id, as (id, probability).
fn sorted(logits: &[f32], temperature: f32) -> Vec<(u32, f64)> {
    let weights: Vec<f64> = logits
        .iter()
        .map(|&logit| (f64::from(logit) / f64::from(temperature)).exp())
        .collect();
    let total: f64 = weights.iter().sum();
    let mut all: Vec<(u32, f64)> = (0..)
        .zip(weights.iter().map(|weight| weight / total))
        .collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all
}

fn kept_ids(logits: &[f32], options: &SearchOptions) -> Vec<u32> {
    let kept = sampler(options, logits.len(), &[0])
        .distribution(&mut logits.to_vec())
        .unwrap();
    let ids: Vec<u32> = kept.iter().map(|&(id, _)| id).collect();
    assert!(ids.is_sorted(), "candidates are in the order of their ids");
    ids
}

fn logits_strategy() -> impl Strategy<Value = Vec<f32>> {
    // Few distinct values, so that there are ties, and lengths around the chunks that are looked at together.
    prop::collection::vec((-40..40_i32).prop_map(|n| n as f32 / 4.0), 1..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn top_k_keeps_the_k_largest_and_their_equals(logits in logits_strategy(), k in 1_usize..80) {
        let mut ranked = logits.clone();
        ranked.sort_by(|a, b| b.total_cmp(a));
        let last = ranked[k.min(ranked.len()) - 1];
        let expected: Vec<u32> = (0..).zip(&logits).filter(|&(_, &l)| l >= last).map(|(id, _)| id).collect();
        prop_assert_eq!(kept_ids(&logits, &sampling(|o| o.top_k = k)), expected);
    }

    #[test]
    fn top_p_keeps_the_shortest_run_of_likeliest_tokens(logits in logits_strategy(), top_p in 0.0_f32..1.0) {
        let kept = kept_ids(&logits, &sampling(|o| (o.top_p, o.temperature) = (top_p, 1.3)));
        let ranked = sorted(&logits, 1.3);
        let mut run: Vec<u32> = ranked[..kept.len()].iter().map(|&(id, _)| id).collect();
        run.sort_unstable();
        prop_assert_eq!(&kept, &run, "the likeliest, lowest ids first");
        let mass = |n: usize| ranked[..n].iter().map(|&(_, p)| p).sum::<f64>();
        prop_assert!(mass(kept.len()) >= f64::from(top_p) - 1e-6);
        prop_assert!(kept.len() == 1 || mass(kept.len() - 1) <= f64::from(top_p) + 1e-6);
    }

    #[test]
    fn greedy_takes_the_first_of_the_largest(logits in logits_strategy()) {
        let expected = sorted(&logits, 1.0)[0].0;
        let mut sampler = sampler(&SearchOptions::default(), logits.len(), &[0]);
        prop_assert_eq!(sampler.sample(&mut logits.clone()).unwrap().id, expected);
        prop_assert_eq!(sampler.seed(), None);
    }
}

// === Large vocabularies, where shortcuts are taken ===

/// Rows of 5,000 logits, from nearly equal ones to few that matter, some of them the same.
fn large_rows() -> Vec<Vec<f32>> {
    let row = congruential(5000);
    [0.0, 1e-3, 0.3, 1.0, 3.0]
        .map(|width| row.iter().map(|x| x * width).collect())
        .to_vec()
}

#[test]
fn filters_keep_of_many_tokens_what_plain_ones_keep() {
    for logits in large_rows() {
        let ranked = sorted(&logits, 0.7);
        let likeliest = ranked[0].1;
        for p in [0.01_f32, 0.3, 0.9, 0.999] {
            let kept = kept_ids(&logits, &sampling(|o| (o.top_p, o.temperature) = (p, 0.7)));
            let mut run: Vec<u32> = ranked[..kept.len()].iter().map(|&(id, _)| id).collect();
            run.sort_unstable();
            assert_eq!(kept, run, "top_p {p}");
            let mass = |n: usize| ranked[..n].iter().map(|&(_, p)| p).sum::<f64>();
            assert!(mass(kept.len()) >= f64::from(p) - 1e-6, "top_p {p}");
            assert!(mass(kept.len() - 1) <= f64::from(p) + 1e-6, "top_p {p}");

            let kept = kept_ids(&logits, &sampling(|o| (o.min_p, o.temperature) = (p, 0.7)));
            let share = |&(_, probability): &(u32, f64)| probability / likeliest;
            let surely = ranked
                .iter()
                .filter(|it| share(it) > f64::from(p) * (1.0 + 1e-5));
            let maybe = ranked
                .iter()
                .filter(|it| share(it) > f64::from(p) * (1.0 - 1e-5));
            assert!(
                (surely.count()..=maybe.count()).contains(&kept.len()),
                "min_p {p}"
            );
        }
    }
}

#[test]
fn typical_p_keeps_of_many_tokens_those_closest_to_the_entropy() {
    for logits in large_rows() {
        let ranked = sorted(&logits, 1.0);
        let entropy: f64 = ranked.iter().map(|&(_, p)| -p * p.ln()).sum();
        for typical_p in [0.05, 0.5, 0.95] {
            let options = sampling(|o| o.typical_p = typical_p);
            let kept: std::collections::HashSet<u32> =
                kept_ids(&logits, &options).into_iter().collect();
            let distance = |&&(_, p): &&(u32, f64)| (-p.ln() - entropy).abs();
            let (inside, outside): (Vec<_>, Vec<_>) =
                ranked.iter().partition(|(id, _)| kept.contains(id));
            let mass: f64 = inside.iter().map(|&&(_, p)| p).sum();
            assert!(mass >= f64::from(typical_p) - 1e-4, "{typical_p}: {mass}");
            let furthest = inside.iter().map(distance).fold(0.0, f64::max);
            let closest = outside.iter().map(distance).fold(f64::INFINITY, f64::min);
            assert!(
                furthest <= closest + 1e-4,
                "{typical_p}: {furthest}, {closest}"
            );
        }
    }
}

#[test]
fn drawing_from_all_is_drawing_from_every_candidate() {
    for logits in large_rows() {
        let mut all = sampler(&sampling(|_| ()), logits.len(), &[0]);
        // The filter goes the other way, and keeps all that can be drawn.
        let mut filtered = sampler(&sampling(|o| o.min_p = 1e-30), logits.len(), &[0]);
        for _ in 0..20 {
            assert_eq!(
                all.sample(&mut logits.clone()).unwrap().id,
                filtered.sample(&mut logits.clone()).unwrap().id
            );
        }
    }
}

// === Draws ===

/// Pearson's statistic over `n` draws, for tokens with a probability of some size; the rest is one bin.
fn chi_square(logits: &[f32], options: &SearchOptions, n: usize) -> (f64, usize) {
    let mut sampler = sampler(options, logits.len(), &[0]);
    let distribution = sampler.distribution(&mut logits.to_vec()).unwrap();
    let mut drawn: HashMap<u32, f64> = HashMap::new();
    for _ in 0..n {
        *drawn
            .entry(sampler.sample(&mut logits.to_vec()).unwrap().id)
            .or_default() += 1.0;
    }
    let (mut statistic, mut bins) = (0.0, 0);
    let mut rest = (0.0, n as f64);
    for &(id, probability) in &distribution {
        let expected = probability * n as f64;
        if expected >= 10.0 {
            let found = drawn.get(&id).copied().unwrap_or(0.0);
            statistic += (found - expected).powi(2) / expected;
            bins += 1;
            rest = (rest.0 + expected, rest.1 - found);
        }
    }
    let rest_expected = n as f64 - rest.0;
    if rest_expected >= 10.0 {
        statistic += (rest.1 - rest_expected).powi(2) / rest_expected;
        bins += 1;
    }
    assert!(
        drawn
            .keys()
            .all(|id| distribution.iter().any(|(kept, _)| kept == id)),
        "only kept tokens are drawn"
    );
    (statistic, bins - 1)
}

#[test]
fn draws_follow_the_distribution() {
    let logits = congruential(100);
    for (seed, temperature, top_p, top_k) in [
        (1, 1.0, 1.0, 0),
        (2, 2.0, 0.9, 0),
        (3, 4.0, 1.0, 20),
        (4, 0.5, 1.0, 50),
    ] {
        let options = sampling(|o| {
            (o.seed, o.temperature, o.top_p, o.top_k) = (Some(seed), temperature, top_p, top_k);
        });
        let (statistic, freedom) = chi_square(&logits, &options, 20_000);
        // Wilson and Hilferty's approximation of the chi-square distribution's normal score.
        let part = 2.0 / (9.0 * freedom as f64);
        let score = ((statistic / freedom as f64).cbrt() - (1.0 - part)) / part.sqrt();
        assert!(
            score.abs() < 3.0,
            "seed {seed}: {statistic} at {freedom} degrees of freedom, score {score}"
        );
    }
}

fn tokens(options: &SearchOptions, n: usize) -> Vec<u32> {
    let mut sampler = sampler(options, 5000, &[1, 2, 3]);
    let next = |_| {
        let id = sampler.sample(&mut congruential(5000)).unwrap().id;
        sampler.accept(id, &Numbered);
        id
    };
    (0..n).map(next).collect()
}

#[test]
fn a_seed_repeats_the_tokens() {
    let options = sampling(|o| (o.top_k, o.temperature, o.frequency_penalty) = (50, 1.5, 1.0));
    assert_eq!(tokens(&options, 20), tokens(&options, 20));
    let other = SearchOptions {
        seed: Some(8),
        ..options.clone()
    };
    assert_ne!(tokens(&options, 20), tokens(&other, 20));
    let unseeded = SearchOptions {
        seed: None,
        ..options
    };
    let mut first = sampler(&unseeded, 5000, &[1]);
    let again = SearchOptions {
        seed: first.seed(),
        ..unseeded
    };
    let mut second = sampler(&again, 5000, &[1]);
    for _ in 0..20 {
        let logits = congruential(5000);
        assert_eq!(
            first.sample(&mut logits.clone()).unwrap(),
            second.sample(&mut logits.clone()).unwrap()
        );
    }
}

/// Recorded here, so that a change of generator, exponential or order is noticed on any platform.
#[test]
fn the_tokens_of_a_seed_never_change() {
    assert_eq!(
        tokens(&sampling(|o| o.top_k = 50), 8),
        [482, 517, 2953, 3096, 2464, 1174, 418, 4231]
    );
    assert_eq!(
        tokens(&sampling(|o| (o.top_p, o.temperature) = (0.9, 1.5)), 8),
        [686, 733, 3481, 3607, 3016, 1660, 418, 4211]
    );
    assert_eq!(
        tokens(&sampling(|o| (o.typical_p, o.min_p) = (0.9, 0.01)), 8),
        [642, 680, 3445, 3597, 3006, 1634, 401, 4211]
    );
}

// === Log-probabilities ===

#[test]
fn logprobs_are_the_models_whatever_the_options() {
    let options = sampling(|o| {
        (o.temperature, o.top_k) = (0.1, 1);
        o.logit_bias = BTreeMap::from([(2, 50.0)]);
    });
    let logits = [1.0, 2.0, 0.0, 2.0_f32];
    let mut sampler = Sampler::new(&options, 4, &[0], &[], Some(3), &Numbered).unwrap();
    let sampled = sampler.sample(&mut logits.to_vec()).unwrap();
    assert_eq!(sampled.id, 2);
    let log_sum = logits
        .iter()
        .map(|&logit| f64::from(logit).exp())
        .sum::<f64>()
        .ln();
    let logprobs = sampled.logprobs.unwrap();
    assert!((f64::from(logprobs.logprob) + log_sum).abs() < 1e-6);
    assert_eq!(
        logprobs.top.iter().map(|top| top.id).collect::<Vec<_>>(),
        [1, 3, 0]
    );
    assert!((f64::from(logprobs.top[0].logprob) - (2.0 - log_sum)).abs() < 1e-6);
}

#[test]
fn logprobs_without_top_tokens_and_with_too_many() {
    let new = |n| Sampler::new(&SearchOptions::default(), 4, &[0], &[], Some(n), &Numbered);
    let logprobs = new(0)
        .unwrap()
        .sample(&mut [0.0; 4])
        .unwrap()
        .logprobs
        .unwrap();
    assert!(logprobs.top.is_empty() && (logprobs.logprob - 0.25_f32.ln()).abs() < 1e-6);
    assert_eq!(
        new(20)
            .unwrap()
            .sample(&mut [0.0; 4])
            .unwrap()
            .logprobs
            .unwrap()
            .top
            .len(),
        4
    );
    let error = new(21).unwrap_err();
    assert_eq!(
        error.to_string(),
        "21 top log-probabilities are asked for; it must be between 0 and 20"
    );
}

// === What cannot be sampled ===

fn check_error(options: &SearchOptions, mut logits: Vec<f32>, kind: ErrorKind, message: &str) {
    let error: EngineError = sampler(options, 4, &[0, 1, 2, 3])
        .sample(&mut logits)
        .unwrap_err();
    assert_eq!(error.kind(), kind);
    assert!(error.to_string().starts_with(message), "{error}");
}

#[test]
fn broken_logits_and_too_many_masks_are_errors() {
    for options in [
        SearchOptions::default(),
        sampling(|_| {}),
        sampling(|o| o.top_k = 2),
    ] {
        for broken in [f32::NAN, f32::INFINITY] {
            check_error(
                &options,
                vec![0.0, broken, 1.0, 2.0],
                ErrorKind::Load,
                "the model's logits hold a value",
            );
        }
        let all = SearchOptions {
            no_repeat_ngram_size: 1,
            ..options
        };
        check_error(
            &all,
            vec![0.0; 4],
            ErrorKind::Options,
            "no token is left to choose from",
        );
    }
}

#[test]
fn forbidden_tokens_are_never_drawn_by_any_filter() {
    for options in [
        sampling(|o| o.top_k = 3),
        sampling(|o| o.top_p = 0.99),
        sampling(|o| o.typical_p = 0.5),
        sampling(|o| o.temperature = f32::MIN_POSITIVE),
        sampling(|o| o.min_p = 1.0),
    ] {
        let mut logits = vec![f32::NEG_INFINITY, 1.0, f32::NEG_INFINITY, 0.5];
        let kept = sampler(&options, 4, &[0])
            .distribution(&mut logits)
            .unwrap();
        assert!(
            !kept.is_empty() && kept.iter().all(|&(id, p)| id % 2 == 1 && p > 0.0),
            "{options:?} {kept:?}"
        );
    }
}
