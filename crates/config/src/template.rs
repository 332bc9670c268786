//! The file to begin with.

/// A commented configuration that loads as it is, and whose commented-out parts load as well.
pub fn init_template() -> &'static str {
    include_str!("../template.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    #[test]
    fn it_loads_as_it_is() {
        let loaded = parse(init_template(), "f", &[]).unwrap();
        assert_eq!(
            loaded.config.default_provider().unwrap().as_str(),
            "onnx-local"
        );
        let warnings: Vec<_> = loaded
            .warnings
            .iter()
            .map(|warning| warning.key.as_str())
            .collect();
        assert_eq!(
            warnings,
            ["fallbackChain[1]", "fallbackChain[2]"],
            "only for want of keys"
        );
    }

    #[test]
    fn its_commented_parts_load_as_well() {
        let code = |line: &str| {
            let inside = line.trim_start().strip_prefix("// ").map(str::trim_start);
            match inside {
                Some(code) if code.starts_with(['"', '{', '}', ']']) => format!("{code}\n"),
                _ => format!("{line}\n"),
            }
        };
        let text: String = init_template().lines().map(code).collect();
        let env = [("ANTHROPIC_API_KEY", "a"), ("OPENROUTER_API_KEY", "o")];
        let loaded = parse(&text, "f", &env).unwrap();
        assert_eq!(loaded.warnings, []);
        assert_eq!(loaded.config.providers.len(), 4);
        assert_eq!(loaded.config.budgets.len(), 2);
    }
}
