//! Proxies, by the usual variables.

use inhouse_config::Env;
use reqwest::{ClientBuilder, NoProxy, Proxy};

/// The proxies that the environment names. No `Debug`: addresses of proxies hold passwords.
pub(crate) struct Proxies(Vec<Proxy>);

type Make = fn(&str) -> reqwest::Result<Proxy>;

/// The variables, upper case before lower, in the order in which they count.
const VARIABLES: [([&str; 2], Make); 3] = [
    (["HTTPS_PROXY", "https_proxy"], |url| Proxy::https(url)),
    (["HTTP_PROXY", "http_proxy"], |url| Proxy::http(url)),
    (["ALL_PROXY", "all_proxy"], |url| Proxy::all(url)),
];

impl Proxies {
    /// The proxies, or the variable that names none which can be used.
    pub(crate) fn from_env(env: &dyn Env) -> Result<Self, &'static str> {
        let except = first(env, ["NO_PROXY", "no_proxy"]).map(|(_, names)| names);
        let mut proxies = Vec::new();
        for (names, make) in VARIABLES {
            let Some((variable, address)) = first(env, names) else {
                continue;
            };
            // Under CGI, HTTP_PROXY is what a visitor's `Proxy` header said (httpoxy).
            if variable == "HTTP_PROXY" && env.get("REQUEST_METHOD").is_some() {
                continue;
            }
            // Connecting without a proxy, because this build cannot speak to it, is not what was asked for.
            if address.to_ascii_lowercase().starts_with("socks") {
                return Err(variable);
            }
            let proxy = make(&address).map_err(|_| variable)?;
            let except = except.as_deref().and_then(NoProxy::from_string);
            proxies.push(proxy.no_proxy(except));
        }
        Ok(Self(proxies))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn apply(&self, builder: ClientBuilder) -> ClientBuilder {
        self.0.iter().cloned().fold(builder, ClientBuilder::proxy)
    }
}

fn first(env: &dyn Env, names: [&'static str; 2]) -> Option<(&'static str, String)> {
    names.into_iter().find_map(|name| {
        let value = env.get(name)?;
        (!value.trim().is_empty()).then(|| (name, value.trim().to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_name_proxies() {
        let check = |env: &[(&str, &str)], expected: Result<usize, &str>| {
            let env: std::collections::HashMap<_, _> = env
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            let got = Proxies::from_env(&env).map(|proxies| proxies.0.len());
            assert_eq!(got, expected);
        };
        check(&[], Ok(0));
        check(&[("HTTPS_PROXY", " ")], Ok(0));
        check(
            &[
                ("https_proxy", "proxy:3128"),
                ("ALL_PROXY", "http://u:p@proxy"),
            ],
            Ok(2),
        );
        check(
            &[("HTTP_PROXY", "http://proxy"), ("REQUEST_METHOD", "GET")],
            Ok(0),
        );
        check(&[("ALL_PROXY", "socks5://secret@proxy")], Err("ALL_PROXY"));
        check(&[("HTTPS_PROXY", "http://")], Err("HTTPS_PROXY"));
    }
}
