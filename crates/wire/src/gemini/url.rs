//! The address of a call: what other protocols say in the body.

use inhouse_chat::ModelName;

/// The path of a call, below the API's root: `/v1beta/models/gemini-2.5-flash:generateContent`.
///
/// A name with a folder (`tunedModels/mine`, `publishers/google/models/..`) is taken as it is. What has no place in a
/// path is escaped, so that a name never reaches another address.
///
/// ```
/// use inhouse_wire::gemini_path;
///
/// let path = gemini_path(&"gemini-2.5-flash".into(), true);
/// assert_eq!(path, "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse");
/// ```
pub fn gemini_path(model: &ModelName, stream: bool) -> String {
    let name = model.as_str();
    let folder = match name.contains('/') {
        true => "",
        false => "models/",
    };
    let escaped: Vec<String> = name.split('/').map(escape).collect();
    let call = match stream {
        true => "streamGenerateContent?alt=sse",
        false => "generateContent",
    };
    format!("/v1beta/{folder}{}:{call}", escaped.join("/"))
}

/// The model of a call, and whether its answer is streamed, by its path; `None` where it is another call.
///
/// ```
/// use inhouse_wire::gemini_call;
///
/// let (model, stream) = gemini_call("/v1beta/models/gemini-2.5-flash:generateContent").unwrap();
/// assert_eq!((model.as_str(), stream), ("gemini-2.5-flash", false));
/// ```
pub fn gemini_call(path: &str) -> Option<(ModelName, bool)> {
    let path = path.split('?').next().unwrap_or_default();
    let (before, call) = path.rsplit_once(':')?;
    let stream = match call {
        "generateContent" => false,
        "streamGenerateContent" => true,
        _ => return None,
    };
    let (_, name) = before.trim_start_matches('/').split_once('/')?; // the version
    let name = name.strip_prefix("models/").unwrap_or(name);
    (!name.is_empty()).then(|| (ModelName::from(name), stream))
}

/// Percent-encodes all but letters, digits and `-._~@`; a part of nothing but dots is no folder.
fn escape(part: &str) -> String {
    if part.bytes().all(|byte| byte == b'.') {
        return part.replace('.', "%2E");
    }
    let mut out = String::with_capacity(part.len());
    for byte in part.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' | b'@' => out.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_in_its_place() {
        let check = |name: &str, path: &str| {
            let found = gemini_path(&name.into(), false);
            assert_eq!(found, format!("/v1beta/{path}:generateContent"));
        };
        check("gemini-3-pro-preview", "models/gemini-3-pro-preview");
        check("tunedModels/mine", "tunedModels/mine");
        check("a?key=b#c", "models/a%3Fkey%3Db%23c");
        check("../files/x", "%2E%2E/files/x");
    }

    #[test]
    fn the_address_tells_model_and_stream() {
        let check = |path: &str, expected: Option<(&str, bool)>| {
            let expected = expected.map(|(model, stream)| (ModelName::from(model), stream));
            assert_eq!(gemini_call(path), expected, "{path}");
        };
        check(
            "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
            Some(("gemini-2.5-pro", true)),
        );
        check(
            "/v1/tunedModels/a:generateContent",
            Some(("tunedModels/a", false)),
        );
        check("/v1beta/models/gemini-2.5-pro:countTokens", None);
        check("/v1beta/models", None);
        check(":generateContent", None);
    }
}
