//! Circuit breakers: a provider that keeps failing is left alone for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use inhouse_chat::{ModelName, ProviderName};
use tokio::time::Instant;

/// When a provider is left alone, and for how long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct BreakerConfig {
    /// Failures in a row that open the circuit; 0 never does.
    pub(crate) threshold: u32,
    /// Failures farther apart than this are not in a row.
    pub(crate) window: Duration,
    /// How long an open circuit stays open before one request probes it.
    pub(crate) reset: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            threshold: 5,
            window: Duration::from_secs(60),
            reset: Duration::from_secs(30),
        }
    }
}

/// One circuit for every model of every provider: a provider out of one model may have others.
#[derive(Debug)]
pub(crate) struct Breakers {
    config: BreakerConfig,
    circuits: Mutex<HashMap<(ProviderName, ModelName), Arc<Circuit>>>,
}

#[derive(Debug)]
struct Circuit {
    config: BreakerConfig,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed {
        failures: u32,
        last: Option<Instant>,
    },
    Open {
        until: Instant,
    },
    /// One request is on its way to see whether it works again.
    Probing,
}

/// Leave to make one attempt, which must say how it went. One that never does (it was cancelled) gives the probe back.
#[derive(Debug)]
pub(crate) struct Pass {
    circuit: Arc<Circuit>,
    probe: bool,
    told: bool,
}

/// The circuit is open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Open {
    /// When a request may probe it; `None` while one does.
    pub(crate) until: Option<Instant>,
}

impl Breakers {
    /// How many are kept in mind.
    pub(crate) fn len(&self) -> usize {
        crate::lock(&self.circuits).len()
    }

    pub(crate) fn new(config: BreakerConfig) -> Self {
        Self {
            config,
            circuits: Mutex::default(),
        }
    }

    /// Leave for an attempt at `model` of `provider`.
    pub(crate) fn admit(
        &self,
        provider: &ProviderName,
        model: &ModelName,
        now: Instant,
    ) -> Result<Pass, Open> {
        let circuit = self.circuit(provider, model);
        let probe = circuit.admit(now)?;
        Ok(Pass {
            circuit,
            probe,
            told: false,
        })
    }

    /// Whether an attempt would be let through, without making one.
    pub(crate) fn look(
        &self,
        provider: &ProviderName,
        model: &ModelName,
        now: Instant,
    ) -> Result<(), Open> {
        let circuits = crate::lock(&self.circuits);
        let Some(circuit) = circuits.get(&(provider.clone(), model.clone())) else {
            return Ok(());
        };
        match *crate::lock(&circuit.state) {
            State::Closed { .. } => Ok(()),
            State::Open { until } if now >= until => Ok(()),
            State::Open { until } => Err(Open { until: Some(until) }),
            State::Probing => Err(Open { until: None }),
        }
    }

    fn circuit(&self, provider: &ProviderName, model: &ModelName) -> Arc<Circuit> {
        let mut circuits = crate::lock(&self.circuits);
        // Callers choose names of models, so there must be an end: those that are well are as good as new ones.
        let name = (provider.clone(), model.clone());
        if circuits.len() >= crate::MOST_NAMES && !circuits.contains_key(&name) {
            circuits.retain(|_, circuit| !circuit.is_well());
            if circuits.len() >= crate::MOST_NAMES {
                circuits.retain(|_, circuit| !circuit.is_closed());
            }
            if circuits.len() >= crate::MOST_NAMES {
                circuits.clear(); // some that are ill are asked again: better than memory without end
            }
        }
        let circuit = circuits
            .entry(name)
            .or_insert_with(|| Arc::new(Circuit::closed(self.config)));
        Arc::clone(circuit)
    }
}

impl Circuit {
    fn closed(config: BreakerConfig) -> Self {
        let state = State::Closed {
            failures: 0,
            last: None,
        };
        Self {
            config,
            state: Mutex::new(state),
        }
    }

    fn is_well(&self) -> bool {
        matches!(*crate::lock(&self.state), State::Closed { failures: 0, .. })
    }

    fn is_closed(&self) -> bool {
        matches!(*crate::lock(&self.state), State::Closed { .. })
    }

    /// Whether the attempt is the probe.
    fn admit(&self, now: Instant) -> Result<bool, Open> {
        let mut state = crate::lock(&self.state);
        match *state {
            State::Closed { .. } => Ok(false),
            State::Open { until } if now >= until => {
                *state = State::Probing;
                Ok(true)
            }
            State::Open { until } => Err(Open { until: Some(until) }),
            State::Probing => Err(Open { until: None }),
        }
    }

    fn failed(&self, probe: bool, now: Instant) {
        let mut state = crate::lock(&self.state);
        let open = State::Open {
            until: now + self.config.reset,
        };
        *state = match *state {
            _ if probe => open,
            State::Closed { failures, last } => {
                let in_a_row = last.is_some_and(|last| now - last <= self.config.window);
                let failures = if in_a_row { failures + 1 } else { 1 };
                if self.config.threshold > 0 && failures >= self.config.threshold {
                    open
                } else {
                    State::Closed {
                        failures,
                        last: Some(now),
                    }
                }
            }
            // Attempts that were under way when the circuit opened tell nothing new.
            unchanged => unchanged,
        };
    }
}

impl Pass {
    /// Whether it finds out if the provider is well again.
    pub(crate) fn is_probe(&self) -> bool {
        self.probe
    }

    /// The attempt went well.
    pub(crate) fn succeeded(mut self) {
        self.told = true;
        let mut state = crate::lock(&self.circuit.state);
        if self.probe || matches!(*state, State::Closed { .. }) {
            *state = State::Closed {
                failures: 0,
                last: None,
            };
        }
    }

    /// The attempt failed in a way that speaks against the provider.
    pub(crate) fn failed(mut self, now: Instant) {
        self.told = true;
        self.circuit.failed(self.probe, now);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.probe && !self.told {
            // Nothing was learned: the next request may probe at once.
            *crate::lock(&self.circuit.state) = State::Open {
                until: Instant::now(),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    struct Bench {
        breakers: Breakers,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            Self {
                breakers: Breakers::new(BreakerConfig {
                    threshold: 3,
                    window: 10 * SECOND,
                    reset: 30 * SECOND,
                }),
                now: Instant::now(),
            }
        }

        fn admit(&self) -> Result<Pass, Open> {
            self.breakers.admit(&"p".into(), &"m".into(), self.now)
        }

        fn fail(&self, times: usize) {
            for _ in 0..times {
                self.admit().unwrap().failed(self.now);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_open_it_and_one_probe_closes_it() {
        let mut bench = Bench::new();
        bench.fail(3);
        let until = bench.now + 30 * SECOND;
        assert_eq!(bench.admit().unwrap_err().until, Some(until));
        bench.now += 30 * SECOND;
        let probe = bench.admit().unwrap();
        assert_eq!(
            bench.admit().unwrap_err().until,
            None,
            "one probe at a time"
        );
        probe.succeeded();
        bench.admit().unwrap().succeeded();
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_probe_opens_it_again() {
        let mut bench = Bench::new();
        bench.fail(3);
        bench.now += 30 * SECOND;
        bench.fail(1);
        bench.now += 29 * SECOND;
        assert!(bench.admit().is_err());
        bench.now += SECOND;
        assert!(bench.admit().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn success_and_time_break_the_row() {
        let mut bench = Bench::new();
        bench.fail(2);
        bench.admit().unwrap().succeeded();
        bench.fail(2);
        bench.now += 11 * SECOND;
        bench.fail(2);
        assert!(bench.admit().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_probe_gives_its_turn_back() {
        let mut bench = Bench::new();
        bench.fail(3);
        bench.now += 30 * SECOND;
        drop(bench.admit().unwrap());
        assert!(bench.admit().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn another_model_has_its_own_circuit() {
        let bench = Bench::new();
        bench.fail(3);
        let other = bench.breakers.look(&"p".into(), &"other".into(), bench.now);
        assert_eq!(other, Ok(()));
    }
}
