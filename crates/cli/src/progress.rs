//! Progress on stderr: bars with rate and time left on a terminal, plain lines elsewhere.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use inhouse_models::{Event, ProgressSink};

use crate::output::{bytes, count, seconds};
use crate::terminal::Terminal;

/// Without bars, a line about a running download comes no more often than this.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows what a pull is doing.
pub(crate) struct PullProgress(Mutex<Screen>);

impl PullProgress {
    pub(crate) fn new(terminal: Terminal) -> Self {
        let screen = if terminal.bars() {
            Screen::Bars(Bars::new())
        } else {
            Screen::Lines(Lines::default())
        };
        Self(Mutex::new(screen))
    }
}

impl ProgressSink for PullProgress {
    fn event(&self, event: &Event<'_>) {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Screen::Bars(bars) => bars.event(event),
            Screen::Lines(lines) => {
                if let Some(line) = lines.event(event, Instant::now()) {
                    eprintln!("{line}");
                }
            }
        }
    }
}

enum Screen {
    Bars(Bars),
    Lines(Lines),
}

/// What is said in words, with bars or without.
fn said(event: &Event<'_>) -> Option<String> {
    Some(match *event {
        Event::Plan {
            files,
            bytes: size,
            present: 0,
        } => {
            format!("fetching {}, {}", count(files, "file"), bytes(size))
        }
        Event::Plan {
            files,
            bytes: size,
            present,
        } => {
            let (size, present) = (bytes(size), bytes(present));
            format!(
                "fetching {}, {size}, of which {present} are here already",
                count(files, "file")
            )
        }
        Event::FileRestarted { file, why } => format!("{file}: starting again: {why}"),
        Event::Retrying {
            what,
            attempt,
            of,
            wait,
            why,
        } => {
            format!(
                "{what}: {why}; attempt {attempt} of {of} in {}",
                seconds(wait.as_secs_f64())
            )
        }
        Event::Note(text) => text.to_owned(),
        _ => return None,
    })
}

// === bars ===

struct Bars {
    all: MultiProgress,
    files: HashMap<String, ProgressBar>,
    conversion: Option<ProgressBar>,
}

impl Bars {
    fn new() -> Self {
        Self {
            all: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()),
            files: HashMap::new(),
            conversion: None,
        }
    }

    fn event(&mut self, event: &Event<'_>) {
        if let Some(line) = said(event) {
            // A terminal that went away ends the pull by itself if it must.
            let _ = self.all.println(line);
        }
        match *event {
            Event::FileStarted {
                file,
                size,
                present,
            } => self.start(file, size, present),
            Event::Bytes { file, count } => self.with(file, |bar| bar.inc(count)),
            Event::FileRestarted { file, .. } => self.with(file, ProgressBar::reset),
            Event::Verifying { file, .. } => self.with(file, |bar| bar.set_message("checking")),
            Event::FileDone { file } => {
                if let Some(bar) = self.files.remove(file) {
                    bar.finish_and_clear();
                }
            }
            Event::Converting { done, total, what } => self.convert(done, total, what),
            _ => {}
        }
    }

    fn start(&mut self, file: &str, size: Option<u64>, present: u64) {
        let bar = match size {
            Some(size) => self.all.add(ProgressBar::new(size)).with_style(style(
                "{prefix:28!} {bar:24} {decimal_bytes:>9} of {decimal_total_bytes:<9} {decimal_bytes_per_sec:>11}  {eta:>4} left {msg}",
            )),
            None => self
                .all
                .add(ProgressBar::no_length())
                .with_style(style("{prefix:28!} {spinner} {decimal_bytes:>9} {decimal_bytes_per_sec:>11} {msg}")),
        };
        bar.set_prefix(file.to_owned());
        bar.set_position(present);
        bar.reset_eta(); // what was here already says nothing about the rate
        bar.enable_steady_tick(Duration::from_millis(200));
        self.files.insert(file.to_owned(), bar);
    }

    fn convert(&mut self, done: u64, total: u64, what: &str) {
        let bar = self.conversion.get_or_insert_with(|| {
            let bar = self.all.add(ProgressBar::new(total));
            bar.with_style(style(
                "{prefix:28!} {bar:24} {decimal_bytes:>9} of {decimal_total_bytes:<9} {msg}",
            ))
            .with_prefix("converting")
        });
        bar.set_length(total);
        bar.set_position(done);
        bar.set_message(what.to_owned());
        if total > 0 && done >= total {
            bar.finish_and_clear();
            self.conversion = None;
        }
    }

    fn with(&self, file: &str, act: impl FnOnce(&ProgressBar)) {
        if let Some(bar) = self.files.get(file) {
            act(bar);
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("━━ ")
}

// === lines ===

#[derive(Default)]
struct Lines {
    files: HashMap<String, FileLine>,
    converting: bool,
}

struct FileLine {
    size: Option<u64>,
    /// Bytes that are here, and those of them that came before the download began.
    here: u64,
    before: u64,
    started: Instant,
    last_line: Instant,
}

impl Lines {
    fn event(&mut self, event: &Event<'_>, now: Instant) -> Option<String> {
        match *event {
            Event::FileStarted {
                file,
                size,
                present,
            } => {
                let line = FileLine {
                    size,
                    here: present,
                    before: present,
                    started: now,
                    last_line: now,
                };
                self.files.insert(file.to_owned(), line);
                None
            }
            Event::Bytes { file, count } => self.files.get_mut(file)?.more(file, count, now),
            Event::FileRestarted { file, .. } => {
                if let Some(line) = self.files.get_mut(file) {
                    (line.here, line.before, line.started) = (0, 0, now);
                }
                said(event)
            }
            Event::FileDone { file } => {
                let size = self.files.remove(file).map_or(0, |line| line.here);
                Some(if size == 0 {
                    format!("{file}: done")
                } else {
                    format!("{file}: done, {}", bytes(size))
                })
            }
            Event::Converting { total, .. }
                if total > 0 && !std::mem::replace(&mut self.converting, true) =>
            {
                Some(format!("converting, {}", bytes(total)))
            }
            _ => said(event),
        }
    }
}

impl FileLine {
    fn more(&mut self, file: &str, count: u64, now: Instant) -> Option<String> {
        self.here += count;
        if now - self.last_line < LINE_EVERY {
            return None;
        }
        self.last_line = now;
        let rate = (self.here - self.before) as f64 / (now - self.started).as_secs_f64();
        let arrived = format!("{file}: {}", bytes(self.here));
        Some(
            match self
                .size
                .and_then(|size| size.checked_sub(self.here).map(|left| (size, left)))
            {
                Some((size, left)) => {
                    let left = seconds((left as f64 / rate).ceil());
                    format!(
                        "{arrived} of {}, {}/s, {left} left",
                        bytes(size),
                        bytes(rate as u64)
                    )
                }
                None => format!("{arrived}, {}/s", bytes(rate as u64)),
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_every_few_seconds_with_rate_and_time_left() {
        let mut lines = Lines::default();
        let start = Instant::now();
        let mut at = |second: u64, event: Event<'_>| {
            lines.event(&event, start + Duration::from_secs(second))
        };
        let more = Event::Bytes {
            file: "a",
            count: 10_000_000,
        };
        assert_eq!(
            at(
                0,
                Event::FileStarted {
                    file: "a",
                    size: Some(100_000_000),
                    present: 5_000_000
                }
            ),
            None
        );
        assert_eq!(at(2, more.clone()), None);
        assert_eq!(
            at(5, more.clone()).unwrap(),
            "a: 25.0 MB of 100.0 MB, 4.0 MB/s, 19.0 s left"
        );
        assert_eq!(at(6, more), None);
        assert_eq!(
            at(7, Event::FileDone { file: "a" }).unwrap(),
            "a: done, 35.0 MB"
        );
    }

    #[test]
    fn conversion_is_said_once() {
        let mut lines = Lines::default();
        let now = Instant::now();
        let step = |done, total| Event::Converting {
            done,
            total,
            what: "x",
        };
        assert_eq!(lines.event(&step(0, 0), now), None);
        assert_eq!(
            lines.event(&step(1, 3000), now).unwrap(),
            "converting, 3.0 kB"
        );
        assert_eq!(lines.event(&step(2, 3000), now), None);
    }
}
