//! ONNX Runtime's reporting home, which stays off.
//!
//! Official builds send events to their maker over HTTPS (on Linux, too, from 1.29 on) unless
//! `ORT_DISABLE_TELEMETRY=1` is in the process's environment before the library is loaded; the provider plugins
//! read the same variable. The interface's own switch comes too late: an event has been written by then.
//! So [`turn_off`] is called first thing in `main`, and [`library::load`](crate::library::load) refuses
//! where nobody did: the promise that nothing is sent home fails closed.

use crate::library::RuntimeError;

/// The variable that ONNX Runtime reads.
pub const VARIABLE: &str = "ORT_DISABLE_TELEMETRY";

/// Puts `ORT_DISABLE_TELEMETRY=1` into this process's environment, whatever it was before; nothing else changes.
///
/// Call it first thing in `main`, before there is another thread: the environment of a process has no lock that
/// C code would take, which is why the standard library's own function is `unsafe`, and why this one is not for
/// later. Programs started from here inherit the variable.
///
/// ```standalone_crate
/// inhouse_backends::telemetry::turn_off();
/// assert_eq!(std::env::var("ORT_DISABLE_TELEMETRY").as_deref(), Ok("1"));
/// ```
pub fn turn_off() {
    let line = format!("{VARIABLE}=1\n");
    // It fails on lines that it cannot read, and this one it can; were it otherwise, `check` would refuse.
    dotenvy::from_read_override(line.as_bytes()).ok();
}

/// Refuses unless the variable is set to a value that the library takes for "off".
pub(crate) fn check(value: Option<&std::ffi::OsStr>) -> Result<(), RuntimeError> {
    if value
        .and_then(std::ffi::OsStr::to_str)
        .is_some_and(turns_off)
    {
        return Ok(());
    }
    Err(RuntimeError::library(format!(
        "{VARIABLE} is not set to 1 in this process, and ONNX Runtime would report home; \
         call inhouse_backends::telemetry::turn_off() first thing in main, or set the variable"
    )))
}

/// What the library's own reader takes for yes.
fn turns_off(value: &str) -> bool {
    let value = value.trim_ascii();
    ["1", "true", "yes", "on", "y"]
        .iter()
        .any(|yes| value.eq_ignore_ascii_case(yes))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::check;

    #[test]
    fn only_a_clear_yes_lets_the_library_be_loaded() {
        for yes in ["1", "true", "TRUE", " yes ", "on", "y"] {
            assert!(check(Some(OsStr::new(yes))).is_ok(), "{yes:?}");
        }
        for no in ["", " ", "0", "false", "no", "off", "2", "disable"] {
            assert!(check(Some(OsStr::new(no))).is_err(), "{no:?}");
        }
        let error = check(None).expect_err("unset").to_string();
        assert!(error.contains("telemetry::turn_off()"), "{error}");
    }
}
