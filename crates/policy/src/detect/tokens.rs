//! Keys and tokens of services, known by how they begin. A service is one more row.
//!
//! Beginnings and lengths are those that the services' own documents, GitHub's secret scanning and the rules of gitleaks
//! and detect-secrets name.

use std::ops::{Range, RangeInclusive};

use super::FindingKind as Kind;
use super::anchors::{Anchor, Read};
use super::entropy::is_drawn;
use super::text::{byte_at, byte_before, is_word, run_end, run_start};
use super::{Confidence, Finding};

/// A token that begins in its own way.
pub(super) struct Token {
    kind: Kind,
    /// How it begins, in this case of letters.
    pub(super) prefix: &'static str,
    body: fn(u8) -> bool,
    length: RangeInclusive<usize>,
}

const fn token(
    kind: Kind,
    prefix: &'static str,
    body: fn(u8) -> bool,
    length: RangeInclusive<usize>,
) -> Token {
    Token {
        kind,
        prefix,
        body,
        length,
    }
}

fn hex(b: u8) -> bool {
    b.is_ascii_hexdigit()
}

fn upper(b: u8) -> bool {
    b.is_ascii_uppercase() || b.is_ascii_digit()
}

fn alnum(b: u8) -> bool {
    b.is_ascii_alphanumeric()
}

/// Base64 for addresses.
fn url(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'-' || b == b'_'
}

fn dotted(b: u8) -> bool {
    url(b) || b == b'.'
}

/// Base64.
fn base64(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=')
}

fn path(b: u8) -> bool {
    url(b) || b == b'/'
}

/// All tokens.
pub(super) const ALL: &[Token] = &[
    token(Kind::OpenAiKey, "sk-", alnum, 32..=64),
    token(Kind::OpenAiKey, "sk-proj-", url, 40..=300),
    token(Kind::OpenAiKey, "sk-svcacct-", url, 40..=300),
    token(Kind::OpenAiKey, "sk-admin-", url, 40..=300),
    token(Kind::AnthropicKey, "sk-ant-", url, 24..=200),
    token(Kind::OpenRouterKey, "sk-or-", url, 32..=100),
    token(Kind::AwsKey, "AKIA", upper, 16..=16),
    token(Kind::AwsKey, "ASIA", upper, 16..=16),
    token(Kind::AwsKey, "ABIA", upper, 16..=16),
    token(Kind::AwsKey, "ACCA", upper, 16..=16),
    token(Kind::AwsKey, "ABSK", base64, 109..=269),
    token(Kind::AzureKey, "AccountKey=", base64, 44..=88),
    token(Kind::AzureKey, "SharedAccessKey=", base64, 43..=88),
    token(
        Kind::AzureKey,
        "SharedAccessSignature=",
        |b| dotted(b) || b"%&=+/:".contains(&b),
        60..=600,
    ),
    token(Kind::DigitalOceanToken, "dop_v1_", hex, 64..=64),
    token(Kind::DigitalOceanToken, "doo_v1_", hex, 64..=64),
    token(Kind::DigitalOceanToken, "dor_v1_", hex, 64..=64),
    token(
        Kind::DiscordToken,
        "discord.com/api/webhooks/",
        path,
        60..=120,
    ),
    token(
        Kind::DiscordToken,
        "discordapp.com/api/webhooks/",
        path,
        60..=120,
    ),
    token(Kind::GithubToken, "ghp_", alnum, 36..=251),
    token(Kind::GithubToken, "gho_", alnum, 36..=251),
    token(Kind::GithubToken, "ghu_", alnum, 36..=251),
    token(Kind::GithubToken, "ghs_", dotted, 36..=600),
    token(Kind::GithubToken, "ghr_", alnum, 36..=251),
    token(Kind::GithubToken, "github_pat_", url, 36..=255),
    token(Kind::GitlabToken, "glpat-", dotted, 20..=300),
    token(Kind::GitlabToken, "gldt-", url, 20..=64),
    token(Kind::GitlabToken, "glrt-", dotted, 20..=64),
    token(Kind::GitlabToken, "glptt-", url, 20..=64),
    token(Kind::GitlabToken, "glsoat-", url, 20..=64),
    token(Kind::GitlabToken, "glcbt-", url, 20..=80),
    token(Kind::GitlabToken, "gloas-", url, 20..=80),
    token(Kind::GoogleKey, "AIza", url, 35..=35),
    token(Kind::GoogleKey, "GOCSPX-", url, 28..=28),
    token(Kind::GoogleKey, "ya29.", dotted, 30..=2000),
    token(Kind::GoogleKey, "1//0", url, 40..=200),
    token(Kind::HuggingFaceToken, "hf_", alnum, 30..=64),
    token(Kind::HuggingFaceToken, "api_org_", alnum, 30..=64),
    token(Kind::NpmToken, "npm_", alnum, 36..=36),
    token(Kind::PypiToken, "pypi-", url, 80..=1000),
    token(Kind::SendGridKey, "SG.", dotted, 60..=80),
    token(Kind::SlackToken, "xoxb-", url, 20..=200),
    token(Kind::SlackToken, "xoxp-", url, 20..=200),
    token(Kind::SlackToken, "xoxa-", url, 20..=200),
    token(Kind::SlackToken, "xoxr-", url, 20..=200),
    token(Kind::SlackToken, "xoxs-", url, 20..=200),
    token(Kind::SlackToken, "xoxc-", url, 20..=200),
    token(Kind::SlackToken, "xoxe-", url, 20..=300),
    token(Kind::SlackToken, "xoxe.xoxp-", url, 20..=300),
    token(Kind::SlackToken, "xapp-", url, 20..=200),
    token(
        Kind::SlackToken,
        "hooks.slack.com/services/",
        path,
        30..=100,
    ),
    token(Kind::StripeKey, "sk_live_", alnum, 16..=250),
    token(Kind::StripeKey, "rk_live_", alnum, 16..=250),
    token(Kind::StripeKey, "sk_test_", alnum, 16..=250),
    token(Kind::StripeKey, "rk_test_", alnum, 16..=250),
    token(Kind::StripeKey, "whsec_", base64, 24..=100),
    token(
        Kind::TwilioKey,
        "SK",
        |b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'),
        32..=32,
    ),
    token(Kind::ServiceToken, "AGE-SECRET-KEY-1", upper, 58..=58),
    token(
        Kind::ServiceToken,
        "ATATT3",
        |b| url(b) || b == b'=',
        100..=300,
    ), // Atlassian
    token(Kind::ServiceToken, "CFPAT-", url, 40..=50), // Contentful
    token(Kind::ServiceToken, "EAACEdEose0cBA", alnum, 20..=300), // Facebook
    token(Kind::ServiceToken, "HRKU-", url, 36..=80),  // Heroku
    token(Kind::ServiceToken, "LTAI", alnum, 16..=24), // Alibaba Cloud
    token(Kind::ServiceToken, "NRAK-", upper, 27..=27), // New Relic
    token(Kind::ServiceToken, "PMAK-", url, 59..=59),  // Postman
    token(Kind::ServiceToken, "atlasv1.", url, 60..=80), // see also `.atlasv1.`
    token(Kind::ServiceToken, "dapi", |b| hex(b) || b == b'-', 32..=34), // Databricks
    token(Kind::ServiceToken, "dckr_pat_", url, 27..=40), // Docker
    token(Kind::ServiceToken, "dp.pt.", alnum, 40..=48), // Doppler
    token(Kind::ServiceToken, "figd_", url, 40..=60),  // Figma
    token(Kind::ServiceToken, "fo1_", url, 43..=43),   // Fly
    token(Kind::ServiceToken, "fw_", alnum, 22..=40),  // Fireworks
    token(Kind::ServiceToken, "glc_", base64, 32..=400), // Grafana Cloud
    token(Kind::ServiceToken, "glsa_", url, 40..=48),  // Grafana
    token(Kind::ServiceToken, "gsk_", alnum, 48..=64), // Groq
    token(Kind::ServiceToken, "hvb.", dotted, 90..=300), // Vault
    token(Kind::ServiceToken, "hvs.", url, 24..=200),  // Vault
    token(Kind::ServiceToken, "lin_api_", alnum, 40..=40), // Linear
    token(
        Kind::ServiceToken,
        "lsv2_pt_",
        |b| hex(b) || b == b'_',
        40..=60,
    ), // LangSmith
    token(
        Kind::ServiceToken,
        "lsv2_sk_",
        |b| hex(b) || b == b'_',
        40..=60,
    ),
    token(Kind::ServiceToken, "nfp_", alnum, 36..=60), // Netlify
    token(Kind::ServiceToken, "ntn_", alnum, 40..=50), // Notion
    token(Kind::ServiceToken, "nvapi-", url, 60..=80), // NVIDIA
    token(Kind::ServiceToken, "ops_eyJ", base64, 200..=2000), // 1Password
    token(
        Kind::ServiceToken,
        "pat-na1-",
        |b| hex(b) || b == b'-',
        36..=36,
    ), // HubSpot
    token(
        Kind::ServiceToken,
        "pat-eu1-",
        |b| hex(b) || b == b'-',
        36..=36,
    ),
    token(Kind::ServiceToken, "pplx-", alnum, 40..=64), // Perplexity
    token(Kind::ServiceToken, "pscale_pw_", dotted, 32..=64), // PlanetScale
    token(Kind::ServiceToken, "pscale_tkn_", dotted, 32..=64),
    token(Kind::ServiceToken, "pul-", hex, 40..=40), // Pulumi
    token(Kind::ServiceToken, "r8_", alnum, 37..=40), // Replicate
    token(Kind::ServiceToken, "rubygems_", hex, 48..=48),
    token(Kind::ServiceToken, "sbp_", hex, 40..=40), // Supabase
    token(Kind::ServiceToken, "shpat_", hex, 32..=32), // Shopify
    token(Kind::ServiceToken, "shpca_", hex, 32..=32),
    token(Kind::ServiceToken, "shppa_", hex, 32..=32),
    token(Kind::ServiceToken, "shpss_", hex, 32..=32),
    token(
        Kind::ServiceToken,
        "sntrys_",
        |b| base64(b) || b == b'_',
        80..=400,
    ), // Sentry
    token(Kind::ServiceToken, "sntryu_", hex, 64..=64),
    token(Kind::ServiceToken, "sq0atp-", url, 22..=22), // Square
    token(Kind::ServiceToken, "sq0csp-", url, 43..=43),
    token(Kind::ServiceToken, "tskey-", url, 20..=80), // Tailscale
    token(Kind::ServiceToken, "tvly-", url, 28..=64),  // Tavily
    token(Kind::ServiceToken, "xai-", alnum, 60..=100), // xAI
    token(
        Kind::ServiceToken,
        "xkeysib-",
        |b| hex(b) || b == b'-',
        80..=90,
    ), // Brevo
];

/// Tokens that do not begin in their own way, but have something of their own inside.
pub(super) const ANCHORS: &[Anchor] = &[
    Anchor {
        text: "eyJ",
        read: Read::With(jwt),
    },
    Anchor {
        text: ":AA",
        read: Read::With(telegram),
    },
    Anchor {
        text: "MT",
        read: Read::With(discord),
    },
    Anchor {
        text: "8Q~",
        read: Read::With(azure_client_secret),
    },
];

impl Token {
    /// Reads the token whose beginning is at `at`.
    pub(super) fn read(&self, text: &str, at: Range<usize>) -> Option<Finding> {
        if text.get(at.clone())? != self.prefix || !begins(text, at.start) {
            return None;
        }
        let end = run_end(text, at.end, self.length.end().saturating_add(1), self.body);
        let body = text.get(at.end..end)?.trim_end_matches(['.', '-', '/']);
        let end = at.end + body.len();
        let whole = self.length.contains(&body.len())
            && !byte_at(text, end).is_some_and(|b| b.is_ascii_alphanumeric());
        (whole && is_drawn(body)).then(|| found(self.kind, at.start..end))
    }
}

/// Whether a token may begin here: not within a word. `https://hooks..` and `=AKIA..` may.
fn begins(text: &str, start: usize) -> bool {
    !is_word(byte_before(text, start)) || escaped(text, start)
}

/// `\nAKIA..`: text in which line breaks are written as two characters.
fn escaped(text: &str, start: usize) -> bool {
    let before = start.checked_sub(2).and_then(|from| text.get(from..start));
    matches!(before, Some("\\n" | "\\t" | "\\r"))
}

/// Header, payload and signature in base64, header and payload being JSON objects.
fn jwt(text: &str, at: Range<usize>) -> Option<Finding> {
    // A run of base64 is read once, from its beginning.
    let within = byte_before(text, at.start).is_some_and(url) && !escaped(text, at.start);
    if within || text.get(at.clone())? != "eyJ" {
        return None;
    }
    let header = run_end(text, at.start, 2048, url);
    let payload = run_end(text, header + 1, 16 * 1024, url);
    let signed = byte_at(text, header) == Some(b'.') && text.get(header + 1..)?.starts_with("ey");
    if !signed || byte_at(text, payload) != Some(b'.') || header - at.start < 16 {
        return None;
    }
    let end = run_end(text, payload + 1, 2048, url);
    Some(found(Kind::Jwt, at.start..end))
}

/// The bot's number, a colon and 35 characters that begin with AA.
fn telegram(text: &str, at: Range<usize>) -> Option<Finding> {
    let start = run_start(text, at.start, 11, |b| b.is_ascii_digit());
    let end = run_end(text, at.start + 1, 36, url);
    let id = at.start - start;
    // `https://api.telegram.org/bot123456:AA..`
    let begins = begins(text, start) || text.get(..start)?.ends_with("bot");
    let right = (8..=10).contains(&id) && end - at.start == 36 && text.get(at)? == ":AA" && begins;
    right.then(|| found(Kind::TelegramToken, start..end))
}

/// The bot's number in base64, six characters of time, and a signature.
fn discord(text: &str, at: Range<usize>) -> Option<Finding> {
    if !begins(text, at.start) || text.get(at.clone())? != "MT" {
        return None;
    }
    let id = run_end(text, at.start, 32, alnum);
    let time = run_end(text, id + 1, 8, url);
    let end = run_end(text, time + 1, 48, url);
    let right = (23..=28).contains(&(id - at.start))
        && (byte_at(text, id), byte_at(text, time)) == (Some(b'.'), Some(b'.'))
        && time - id == 7
        && (27..=40).contains(&(end - time - 1));
    right.then(|| found(Kind::DiscordToken, at.start..end))
}

/// Three characters, `8Q~` (or 7Q~) and 34 more.
fn azure_client_secret(text: &str, at: Range<usize>) -> Option<Finding> {
    let part = |b: u8| dotted(b) || b == b'~';
    let start = run_start(text, at.start, 4, part);
    let end = run_end(text, at.end, 36, part);
    let right =
        at.start - start == 3 && (31..=34).contains(&(end - at.end)) && text.get(at)? == "8Q~";
    right.then(|| found(Kind::AzureKey, start..end))
}

fn found(kind: Kind, range: Range<usize>) -> Finding {
    Finding {
        kind,
        range,
        confidence: Confidence::Certain,
    }
}
