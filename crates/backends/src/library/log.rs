//! What ONNX Runtime says on its own, kept instead of printed.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use ort::logging::{LogLevel, LoggerFunction};

/// Lines that are kept.
const LINES: usize = 64;
/// Bytes of a line that are kept.
const LENGTH: usize = 1000;

/// The last warnings and errors of ONNX Runtime, which would otherwise land on the terminal.
#[derive(Debug, Default)]
pub struct Log {
    lines: Mutex<VecDeque<String>>,
}

impl Log {
    /// The last lines, the oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.lock().iter().cloned().collect()
    }

    /// A function for the environment that writes here.
    pub(super) fn writer(self: &Arc<Self>) -> LoggerFunction {
        let log = Arc::clone(self);
        Arc::new(move |level, _category, _id, place, message| {
            if level >= LogLevel::Warning {
                log.push(&format!("{message} ({place})"));
            }
        })
    }

    fn push(&self, line: &str) {
        let line: String = line
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(LENGTH)
            .collect();
        let mut lines = self.lock();
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ort::logging::LogLevel;

    use super::{LINES, Log};

    #[test]
    fn the_last_warnings_stay_each_on_a_line() {
        let log = Arc::new(Log::default());
        let write = log.writer();
        write(LogLevel::Info, "", "", "a.cc:1", "chatter");
        for i in 0..=LINES {
            write(LogLevel::Error, "", "", "b.cc:2", &format!("line\n{i}"));
        }
        let lines = log.lines();
        assert_eq!(lines.len(), LINES);
        assert_eq!(lines[0], "line 1 (b.cc:2)");
    }
}
