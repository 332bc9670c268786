//! What computes: only the processor, so far.

use inhouse_config::ProviderConfig;

use super::error::CannotRun;

/// The one execution provider there is.
pub(super) const CPU: &str = "cpu";

/// What configuration asks to compute with.
#[derive(Clone, Debug)]
pub(super) struct Computing {
    /// In the order of configuration; none leaves it to us.
    asked: Vec<String>,
    gpu: bool,
}

impl Computing {
    pub(super) fn of(config: &ProviderConfig) -> Self {
        Self {
            asked: config.execution_providers.clone(),
            gpu: config.gpu_acceleration == Some(true),
        }
    }

    /// What is not done as it was asked for.
    ///
    /// # Errors
    ///
    /// Where the processor is not among what was asked for.
    pub(super) fn notes(&self) -> Result<Vec<String>, CannotRun> {
        let is_cpu = |name: &&String| name.eq_ignore_ascii_case(CPU);
        let (cpu, others): (Vec<_>, Vec<_>) = self.asked.iter().partition(is_cpu);
        let others: Vec<&str> = others.into_iter().map(String::as_str).collect();
        if cpu.is_empty() && !others.is_empty() {
            return Err(CannotRun::new(format!(
                "executionProviders names {}, and there is only cpu; add cpu to it",
                others.join(", ")
            )));
        }
        let skipped = (!others.is_empty()).then(|| {
            let others = others.join(", ");
            format!("executionProviders: {others} skipped, there is only cpu")
        });
        let gpu = (self.gpu && others.is_empty())
            .then(|| "gpuAcceleration: no GPU backend yet, computed on cpu".to_owned());
        Ok(skipped.into_iter().chain(gpu).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(asked: &[&str], gpu: Option<bool>, expected: Result<&[&str], &str>) {
        let config = ProviderConfig {
            execution_providers: asked.iter().map(|&name| name.to_owned()).collect(),
            gpu_acceleration: gpu,
            ..ProviderConfig::default()
        };
        let notes = Computing::of(&config).notes();
        let notes = notes.map_err(|error| error.to_string());
        let expected = expected.map(|notes| notes.iter().map(|&note| note.to_owned()).collect());
        assert_eq!(notes, expected.map_err(str::to_owned));
    }

    #[test]
    fn the_processor_is_what_there_is() {
        check(&[], None, Ok(&[]));
        check(&["cpu"], Some(false), Ok(&[]));
        check(&["CPU"], None, Ok(&[]));
    }

    #[test]
    fn others_are_named_and_skipped() {
        let skipped = "executionProviders: cuda, directml skipped, there is only cpu";
        check(&["cuda", "cpu", "directml"], Some(true), Ok(&[skipped]));
    }

    #[test]
    fn a_list_without_the_processor_is_an_error() {
        let error = "executionProviders names cuda, and there is only cpu; add cpu to it";
        check(&["cuda"], None, Err(error));
    }

    #[test]
    fn a_wish_for_a_gpu_is_answered_with_a_note() {
        let note = "gpuAcceleration: no GPU backend yet, computed on cpu";
        check(&[], Some(true), Ok(&[note]));
        check(&["cpu"], Some(true), Ok(&[note]));
    }
}
