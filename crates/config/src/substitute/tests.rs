use super::*;

const ENV: [(&str, &str); 3] = [
    ("HOST", "h"),
    ("QUOTE", "\", \"x\": \"${HOST}"),
    ("EMPTY", ""),
];

fn check(text: &str, expected: &str) {
    let said = match filled(text, &ENV) {
        Ok(None) => text.to_owned(),
        Ok(Some((text, origin))) => format!("{text} {origin:?}"),
        Err(message) => message,
    };
    assert_eq!(said, expected, "{text}");
}

#[test]
fn variables_are_put_in_their_places() {
    check("plain $HOME {x}", "plain $HOME {x}");
    check("${HOST}", "h Variable");
    check("http://${HOST}:${PORT:-80}/", "http://h:80/ Mixed");
    check("${PORT:-}", " Variable");
    check("${EMPTY:-full}", "full Variable");
    check("${NONE:-a:-b}", "a:-b Variable");
    check("é${HOST}é", "éhé Mixed");
}

#[test]
fn what_comes_in_stays_text() {
    check("${QUOTE}", "\", \"x\": \"${HOST} Variable");
}

#[test]
fn two_dollars_mean_one() {
    check("$${HOST}", "${HOST} File");
    check("$$${HOST}", "$${HOST} File");
    check("$$x $${a}${HOST}$", "$$x ${a}h$ Mixed");
}

#[test]
fn what_cannot_be_filled_is_told() {
    check(
        "${NONE}",
        "needs the variable NONE, which is not set or empty; set it, or write ${NONE:-default}",
    );
    check(
        "a${EMPTY}",
        "needs the variable EMPTY, which is not set or empty; set it, or write ${EMPTY:-default}",
    );
    let nameless = "has a ${..} that names no variable; write ${VAR} or ${VAR:-default}";
    check("${}", nameless);
    check("${1A}", nameless);
    check("${A B}", nameless);
    check("${:-x}", nameless);
    check(
        "${HOST",
        "has a ${ without its }; a ${ that is meant is written $${",
    );
}

#[test]
fn the_key_and_the_line_are_named() {
    let text = "{\n \"providers\": {\"openai\": {\"apiKey\": \"${NO_KEY}\"},\n \"${NONE}\": {}}}";
    let error = crate::parse(text, "f", &ENV).unwrap_err();
    let lines: Vec<_> = error.problems().iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "f:2:37: providers.openai.apiKey needs the variable NO_KEY, which is not set or empty; \
          set it, or write ${NO_KEY:-default}"
        ]
    );
}
