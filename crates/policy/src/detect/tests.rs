//! Rows of what is found and what is not.
//!
//! Numbers are published examples: card numbers from the test pages of Stripe and Adyen, account numbers from SWIFT's IBAN
//! registry, national numbers from the articles and documents named beside them. Keys are drawn here, for scanners of
//! repositories would take them for real ones.

use std::collections::BTreeSet;

use inhouse_chat::{
    Block, BlockKind, ChatRequest, Dialect, Extra, Message, ResponseFormat, Role, Source, Tool,
    ToolChoice, ToolMode,
};
use proptest::prelude::*;
use serde_json::json;

use super::FindingKind as Kind;
use super::*;

/// What is found, as kinds and texts.
fn found(text: &str) -> Vec<(Kind, &str)> {
    let findings = Detector::default().scan_text(text);
    findings
        .into_iter()
        .map(|finding| (finding.kind, &text[finding.range]))
        .collect()
}

/// `text` has its parts in braces, one of this kind each, and nothing else.
#[track_caller]
fn check(kind: Kind, text: &str) {
    let plain = text.replace(['⟦', '⟧'], "");
    let expected: Vec<(Kind, &str)> = text
        .split('⟦')
        .skip(1)
        .map(|part| (kind, part.split('⟧').next().unwrap()))
        .collect();
    assert_eq!(found(&plain), expected, "{plain}");
}

#[track_caller]
fn nothing(text: &str) {
    assert_eq!(found(text), [], "{text}");
}

/// So many characters of `alphabet`, drawn by a fixed rule.
fn drawn(alphabet: &str, length: usize) -> String {
    let alphabet: Vec<char> = alphabet.chars().collect();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        alphabet[(state >> 33) as usize % alphabet.len()]
    };
    std::iter::repeat_with(next).take(length).collect()
}

const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const HEX: &str = "0123456789abcdef";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

#[test]
fn addresses_of_mail() {
    for row in [
        "⟦jane.doe@example.org⟧",
        "Mail <⟦first.last+tag@sub.example.co.uk⟧>, please.",
        "mailto:⟦a_b@example.com⟧?subject=x",
        "to=⟦a@example.com⟧&cc=⟦b@example.com⟧",
        "Write to ⟦o'neil@example.ie⟧ or '⟦jane@example.ie⟧'.",
        "Schreib an ⟦jörg@müller.example⟧.",
        "почта ⟦иван@пример.рф⟧",
        "<a href=\"mailto:⟦a@example.com⟧\">",
        "x=/⟦a@example.com⟧{⟦b@example.com⟧}",
        "请写信给⟦li@example.cn⟧。",
        "\"⟦user@xn--bcher-kva.example⟧\"",
        "one\\n⟦two@example.org⟧\\n",
    ] {
        check(Kind::Email, row);
    }
    for row in [
        "@user and user@ and @",
        "git@github.com:owner/name.git",
        "npm install left-pad@1.3.0 @types/node@20",
        "icon@2x.png",
        "@Override public void run() {}",
        "a@b",
        "https://medium.com/@writer/story",
        "ssh://deploy@host.example.com and https://user:pass@host.example.com",
    ] {
        nothing(row);
    }
}

#[test]
fn telephone_numbers() {
    for row in [
        "⟦+1 415 555 2671⟧",
        "⟦+1 (415) 555-2671⟧, home",
        "⟦+14155552671⟧",
        "⟦+44 20 7946 0958⟧",  // Ofcom's numbers for drama
        "⟦+49 30 23125 000⟧.", // Bundesnetzagentur's for media
        "⟦+33 1 99 00 12 34⟧",
        "⟦+81-3-1234-5678⟧",
        "⟦(415) 555-2671⟧",
        "⟦415-555-2671⟧ 2 times",
        "⟦+1 415 555 2671⟧ 12 items",
        "⟦+44 20 7946 0958⟧ 20241122",
        "my phone is ⟦415.555.2671⟧",
        "Telefon: ⟦030 23125 123⟧",
        "appelez-moi au ⟦01 99 00 12 34⟧",
        "⟦06 39 98 12 34⟧",
        "手机：⟦13800138000⟧",
    ] {
        check(Kind::Phone, row);
    }
    for row in [
        "+0000",
        "1 + 2345678 is a sum",
        "call f(10000000)",
        "2024-11-22 13:52:49 +0100",
        "phone on 2024-11-22",
        "datetime!(+9999-12-31 23:59)",
        "tel: 0123456789",
        "call, copyright 2006-2022",
        "call it 1.7.2 (2023-03-21)",
        "phone numbers 13 5 1.5 7 2.3",
        "call https://example.org/9799919799",
    ] {
        nothing(row);
    }
}

#[test]
fn payment_cards() {
    for row in [
        "⟦4111 1111 1111 1111⟧",
        "⟦4242424242424242⟧",
        "my card is ⟦5555-5555-5555-4444⟧ 12/26",
        "⟦378282246310005⟧",
        "⟦3782 822463 10005⟧",
        "⟦6011111111111117⟧",
        "card ⟦30569309025904⟧",
        "⟦3566002020360505⟧",
        "⟦6200000000000005⟧",
        "⟦2223003122003222⟧",
        "⟦6759649826438453⟧",
    ] {
        check(Kind::PaymentCard, row);
    }
    for row in [
        "4111 1111 1111 1112",
        "1234567890123456",
        "0000 0000 0000 0000",
        "id 9411111111111111112",
    ] {
        nothing(row);
    }
}

#[test]
fn bank_accounts() {
    for row in [
        "⟦GB29 NWBK 6016 1331 9268 19⟧",
        "⟦DE89370400440532013000⟧",
        "IBAN: ⟦FR14 2004 1010 0505 0001 3M02 606⟧.",
        "⟦NO9386011117947⟧",
        "⟦MT84MALT011000012345MTLCAST001S⟧",
        "⟦CH93 0076 2011 6238 5295 7⟧",
        "⟦NL91 ABNA 0417 1643 00⟧",
    ] {
        check(Kind::Iban, row);
    }
    for row in [
        "GB29 NWBK 6016 1331 9268 18",
        "DE8937040044053201300",
        "XX89370400440532013000",
    ] {
        nothing(row);
    }
}

#[test]
fn national_numbers() {
    let rows: &[(Kind, &str)] = &[
        (Kind::UsSsn, "⟦078-05-1120⟧"), // the Social Security Administration's history of a wallet
        (Kind::UsSsn, "SSN ⟦219099999⟧"),
        (Kind::UsItin, "⟦912-70-1234⟧"),
        (Kind::CaSin, "SIN: ⟦046 454 286⟧"), // Wikipedia, Social insurance number
        (Kind::BrCpf, "⟦111.444.777-35⟧"),
        (Kind::BrCpf, "CPF ⟦52998224725⟧"),
        (Kind::BrCnpj, "⟦11.222.333/0001-81⟧"),
        (Kind::ArCuit, "⟦20-17254359-7⟧"),
        (Kind::ClRut, "⟦12.345.678-5⟧"),
        (Kind::MxCurp, "⟦HEGG560427MVZRRL04⟧"), // Wikipedia, CURP
        (Kind::GbNino, "⟦AB123456C⟧"),
        (Kind::GbNino, "NI number ⟦AB 12 34 56 C⟧"),
        (Kind::GbNhs, "NHS number ⟦943 476 5919⟧"), // NHS data dictionary
        (Kind::GbNhs, "nhs_number=⟦9434765919⟧"),
        (Kind::IePps, "PPS number ⟦1234567T⟧"),
        (Kind::DeSteuerId, "Steuer-ID: ⟦86095742719⟧"), // the tax office's test numbers
        (Kind::DeSteuerId, "IdNr. ⟦47 036 892 816⟧"),
        (Kind::FrNir, "⟦2 55 08 14 168 025 38⟧"), // Wikipedia, Numéro de sécurité sociale
        (Kind::FrNir, "sécurité sociale ⟦255081416802538⟧"),
        (Kind::EsDni, "⟦12345678Z⟧"),
        (Kind::EsNie, "⟦X1234567L⟧"),
        (Kind::EsNie, "⟦X-1234567-L⟧"),
        (Kind::ItCodiceFiscale, "⟦RSSMRA85T10A562S⟧"),
        (Kind::NlBsn, "BSN ⟦111222333⟧"),
        (Kind::BeNational, "⟦85.07.30-033.28⟧"), // Wikipedia, Rijksregisternummer
        (Kind::PlPesel, "PESEL: ⟦44051401359⟧"), // Wikipedia, PESEL
        (Kind::PtNif, "NIF ⟦123456789⟧"),
        (Kind::ChAhv, "⟦756.9217.0769.85⟧"), // the federal office's example
        (Kind::CzRodneCislo, "⟦736028/5163⟧"),
        (Kind::SePersonnummer, "⟦811228-9874⟧"), // Wikipedia, Personal identity number (Sweden)
        (Kind::SePersonnummer, "⟦19811228-9874⟧"),
        (Kind::FiHetu, "⟦131052-308T⟧"), // the Digital and Population Data Services Agency
        (Kind::NoFodselsnummer, "fødselsnummer ⟦15076500565⟧"), // the tax administration's tests
        (Kind::DkCpr, "CPR-nr. ⟦070761-4285⟧"),
        (Kind::AuTfn, "TFN ⟦123 456 782⟧"),
        (Kind::AuMedicare, "Medicare card ⟦2123 45670 1⟧"),
        (Kind::InAadhaar, "Aadhaar ⟦2341 2341 2346⟧"),
        (Kind::InPan, "⟦ABCPE1234F⟧"),
        (Kind::CnResidentId, "身份证号⟦11010519491231002X⟧"), // GB 11643's example
        (Kind::JpMyNumber, "マイナンバー：⟦123456789018⟧"),
        (Kind::KrRrn, "⟦900101-1234568⟧"),
        (Kind::TrTckn, "TC Kimlik No ⟦10000000146⟧"),
        (Kind::ZaId, "South African ID ⟦8001015009087⟧"),
    ];
    for (kind, row) in rows {
        check(*kind, row);
    }
    let every = FindingKind::ALL.iter().filter(|kind| kind.label() == "ID");
    let missing: Vec<_> = every
        .filter(|kind| !rows.iter().any(|(row, _)| row == *kind))
        .collect();
    assert_eq!(missing, [] as [&Kind; 0]);
}

#[test]
fn numbers_that_do_not_add_up_or_are_not_named() {
    for row in [
        "000-12-3456",
        "666-12-3456",
        "900-12-3456",
        "123-00-4567",
        "123-45-0000", // no area, group or serial
        "SSN 12345",
        "order 219099999",
        "046 454 286",
        "SIN: 046 454 287",
        "111.444.777-36",
        "NHS number 943 476 5918",
        "GB123456C",
        "Steuer-ID: 86095742718",
        "2 55 08 14 168 025 39",
        "12345678A",
        "X1234567M",
        "RSSMRA85T10A562T",
        "BSN 111222334",
        "111222333",
        "PESEL: 44051401358",
        "756.9217.0769.84",
        "811228-9873",
        "131052-308U",
        "11010519491231002Y",
        "234123412346",
        "900101-1234567",
        "my number is up",
    ] {
        nothing(row);
    }
}

#[test]
fn addresses_on_the_internet() {
    for row in [
        "⟦8.8.4.200⟧",
        "from ⟦185.199.108.153⟧:443",
        "http://⟦93.184.216.34⟧/index.html",
        "ip=⟦52.1.2.3⟧.",
        "⟦2606:4700:4700::1111⟧",
        "[⟦2a00:1450:4001:82a::200e⟧]:443",
    ] {
        check(Kind::IpAddress, row);
    }
    for row in [
        "127.0.0.1 10.1.2.3 192.168.1.77 172.16.254.1 169.254.169.254 100.64.0.1 224.0.0.251 255.255.255.255 0.0.0.0",
        "192.0.2.44 198.51.100.44 203.0.113.44", // for documents
        "version 120.0.44.99",
        "upgrade to V8 5.0.71.57",
        "v1.200.3.4",
        "Chrome/99.88.77.66",
        "lib-1.2.3.200",
        "requests==2.31.0.99",
        "2001:db8::1 fe80::1 ::1 fd00::1",
        "std::net 2021::edition",
        "1.2.3.4 Heading",
        "1.2.3.4.5",
        "300.1.1.1",
    ] {
        nothing(row);
    }
}

#[test]
fn keys_of_services() {
    let url = format!("{ALNUM}-_");
    let rows: Vec<(Kind, String)> = vec![
        (Kind::OpenAiKey, format!("sk-{}", drawn(ALNUM, 48))),
        (
            Kind::OpenAiKey,
            format!("sk-proj-{}", drawn(&url, 156).replace(['-', '_'], "x")),
        ),
        (
            Kind::AnthropicKey,
            format!("sk-ant-api03-{}AA", drawn(ALNUM, 93)),
        ),
        (Kind::OpenRouterKey, format!("sk-or-v1-{}", drawn(HEX, 64))),
        (Kind::AwsKey, format!("AKIA{}", drawn(UPPER, 16))),
        (Kind::AzureKey, format!("AccountKey={}==", drawn(ALNUM, 86))),
        (
            Kind::DigitalOceanToken,
            format!("dop_v1_{}", drawn(HEX, 64)),
        ),
        (
            Kind::DiscordToken,
            format!(
                "MT{}.{}.{}",
                drawn(ALNUM, 24),
                drawn(ALNUM, 6),
                drawn(ALNUM, 38)
            ),
        ),
        (Kind::GithubToken, format!("ghp_{}", drawn(ALNUM, 36))),
        (
            Kind::GithubToken,
            format!("github_pat_{}_{}", drawn(ALNUM, 22), drawn(ALNUM, 59)),
        ),
        (Kind::GitlabToken, format!("glpat-{}", drawn(ALNUM, 20))),
        (Kind::GoogleKey, format!("AIza{}", drawn(ALNUM, 35))),
        (Kind::HuggingFaceToken, format!("hf_{}", drawn(ALNUM, 34))),
        (Kind::NpmToken, format!("npm_{}", drawn(ALNUM, 36))),
        (
            Kind::PypiToken,
            format!("pypi-AgEIcHlwaS5vcmc{}", drawn(ALNUM, 150)),
        ),
        (
            Kind::SendGridKey,
            format!("SG.{}.{}", drawn(ALNUM, 22), drawn(ALNUM, 43)),
        ),
        (
            Kind::SlackToken,
            format!("xoxb-{}-{}", drawn("0123456789", 12), drawn(ALNUM, 24)),
        ),
        (
            Kind::SlackToken,
            format!(
                "hooks.slack.com/services/T{}/B{}/{}",
                drawn(UPPER, 9),
                drawn(UPPER, 9),
                drawn(ALNUM, 24)
            ),
        ),
        (Kind::StripeKey, format!("sk_live_{}", drawn(ALNUM, 24))),
        (
            Kind::TelegramToken,
            format!("123456789:AA{}", drawn(ALNUM, 33)),
        ),
        (Kind::TwilioKey, format!("SK{}", drawn(HEX, 32))),
        (Kind::ServiceToken, format!("gsk_{}", drawn(ALNUM, 52))),
        (Kind::ServiceToken, format!("dckr_pat_{}", drawn(ALNUM, 27))),
        (
            Kind::Jwt,
            format!(
                "eyJ{}.eyJ{}.{}",
                drawn(ALNUM, 33),
                drawn(ALNUM, 60),
                drawn(ALNUM, 43)
            ),
        ),
        (
            Kind::DatabaseUrl,
            "postgres://app:s3cr3t-Pa55@db.example.com:5432".to_owned(),
        ),
        (
            Kind::UrlPassword,
            "https://bob:hunter2@example.com".to_owned(),
        ),
    ];
    for (kind, key) in rows {
        for (before, after) in [
            ("", ""),
            ("use ", "."),
            ("key=\"", "\"\n"),
            ("(", ")"),
            ("\\n", " "),
        ] {
            check(kind, &format!("{before}⟦{key}⟧{after}"));
        }
    }
    for row in [
        "sk-your-api-key-here".to_owned(),
        format!("sk-{}", "x".repeat(48)),
        format!("ghp_{}", drawn(ALNUM, 12)),
        format!("task-{}", drawn(ALNUM, 48)),
        format!("akia{}", drawn(UPPER, 16).to_lowercase()),
        "postgres://user:${PASSWORD}@localhost/db".to_owned(),
        "git://[user[:password]@]host".to_owned(),
        "https://example.com:8080/path@2".to_owned(),
        "eyJust a word".to_owned(),
    ] {
        nothing(&row);
    }
}

#[test]
fn private_keys() {
    let armour = |title: &str| {
        let lines: String = (0..4).map(|_| format!("{}\n", drawn(ALNUM, 64))).collect();
        format!("-----BEGIN {title}-----\n{lines}-----END {title}-----")
    };
    for title in [
        "RSA PRIVATE KEY",
        "PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "EC PRIVATE KEY",
        "PGP PRIVATE KEY BLOCK",
    ] {
        check(
            Kind::PrivateKey,
            &format!("my key:\n⟦{}⟧\nbye", armour(title)),
        );
        check(
            Kind::PrivateKey,
            &format!("{{\"k\":\"⟦{}⟧\"}}", armour(title).replace('\n', "\\n")),
        );
    }
    nothing(&armour("CERTIFICATE"));
    nothing(&armour("PUBLIC KEY"));
    nothing("It begins with -----BEGIN PRIVATE KEY----- and ends with -----END PRIVATE KEY-----.");
    let cut = armour("PRIVATE KEY");
    check(Kind::PrivateKey, &format!("⟦{}⟧", &cut[..200]));
}

#[test]
fn secrets_by_the_word_before_them() {
    for row in [
        "password=⟦Summer2024!⟧",
        "Password: ⟦hunter2⟧",
        "my password is ⟦hunter2⟧.",
        "DB_PASSWORD='⟦p@ss-w0rd⟧'",
        "\"password\": \"⟦c0rrect-horse⟧\"",
        "{\\\"password\\\": \\\"⟦c0rrect-horse⟧\\\"}",
        "**Passwort:** ⟦Geheim123⟧",
        "密码：⟦abc12345⟧",
    ] {
        check(Kind::Password, row);
    }
    let key = drawn(ALNUM, 32);
    let hex = drawn(HEX, 32);
    for row in [
        format!("api_key: ⟦{key}⟧"),
        format!("\"clientSecret\": \"⟦{key}⟧\""),
        format!("X-Auth-Token: ⟦{hex}⟧"),
        format!("Authorization: Bearer ⟦{key}⟧"),
        format!("export SERVICE_TOKEN=⟦{key}⟧"),
        format!("secret_key_base = '⟦{hex}⟧'"),
    ] {
        check(Kind::GenericSecret, &row);
    }
    check(
        Kind::AwsKey,
        &format!("aws_secret_access_key = ⟦{}⟧", drawn(ALNUM, 40)),
    );
    for row in [
        "password: string",
        "password = get_password()",
        "password=os.environ[\"PW\"]",
        "password: ${DB_PASSWORD}",
        "password = self.settings.password2",
        "the password is wrong",
        "password: ********",
        "password=<your password>",
        "max_tokens: 4096",
        "token_count=128000",
        "tokenizer: cl100k_base",
        "token = parse_token(input2)",
        "the secret: patience and 1000 hours",
        "token == other_token_name_2",
        "api_key: str = Field(default=None)",
        "password=changeme1",
        "pub const ERROR_INVALID_PASSWORD: WIN32_ERROR = 86;",
        "sPrivateKeyAndParams: CRYPT_PKCS8_IMPORT_PARAMS,",
        "raw_private_key: Curve25519SeedBin, token: X509CertificateTemplateFlag2",
        "generate_private_key: x25519_generate_private_key,",
        "use libc::passwd::pw_gecos2; pwd = vec![0u8; 32]",
        "secret: see https://example.com/page1",
    ] {
        nothing(row);
    }
}

#[test]
fn what_is_neither() {
    for row in [
        "2024-11-22T13:52:49.123456Z, 22.11.2024, 11/22/2024 1:52 PM, 1732283569, 1732283569123",
        "commit da39a3ee5e6b4b0d3255bfef95601890afd80709 (tree e69de29bb2d1d6434b8b29ae775ad8c2e48c5391)",
        "550e8400-e29b-41d4-a716-446655440000 and 123e4567-e89b-12d3-a456-426614174000",
        "version 1.2.3, 1.89.0-nightly, rustc 1.89.0 (29483883e 2025-08-04), 10.0.19041.1",
        "$1,234,567.89 and 1.234.567,89 EUR and 1 000 000 000 and 12,345",
        "for (int i = 0; i < 1000000000; i++) { x[i] = 0x7fffffff; }",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "3.14159265358979323846264338327950288, 6.02214076e23",
        "ISBN 978-3-16-148410-0, DOI 10.1000/182, RFC 5321, ISO 27001, CVE-2021-44228",
        "let mask = 0b1010_1010; let n: u64 = 18446744073709551615;",
        "lines 100-200, 1234-5678, 10-20-30, 192x168, 1920x1080, 4-4-2",
        "toolu_01A09q90qw90lq917835lq9 msg_013Zva2CMHLNnjNjJKqJ2EF chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        "git log --oneline | head -n 20 # 3e4f5a6b7c8d9e0f1a2b3c4d5e6f708192a3b4c5",
        "The population was 8,045,311,447 in 2023 and 67,330,000 there.",
        "Section 4.2.1.3 says that 12 + 30 = 42; see page 1024, figure 3.1415",
        "matrix = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]; ids = [100000001, 100000002, 123456789]",
        "[EMAIL_1] wrote to [PHONE_2]",
    ] {
        nothing(row);
    }
    let image = drawn(&format!("{ALNUM}+/"), 20_000);
    nothing(&format!("data:image/png;base64,iVBORw0KGgo{image}=="));
}

#[test]
fn options_choose_kinds_and_sureness() {
    let text = "jane@example.org, 111222333";
    let with = |options| {
        Detector::new(options)
            .scan_text(text)
            .iter()
            .map(|f| f.kind)
            .collect::<Vec<_>>()
    };
    let kinds = BTreeSet::from([Kind::NlBsn]);
    let at_least = Confidence::Possible;
    let all = DetectorOptions::default();
    assert_eq!(with(all.clone()), [Kind::Email]);
    assert_eq!(
        with(DetectorOptions {
            kinds: kinds.clone(),
            ..all.clone()
        }),
        []
    );
    assert_eq!(
        with(DetectorOptions {
            kinds,
            at_least,
            ..all
        }),
        [Kind::NlBsn]
    );
}

#[test]
fn names_of_kinds_are_stable_and_read_back() {
    let names: BTreeSet<&str> = FindingKind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(names.len(), FindingKind::ALL.len());
    for kind in FindingKind::ALL {
        assert_eq!(kind.name().parse(), Ok(*kind));
        assert!(
            kind.name()
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        );
    }
    assert!("e-mail".parse::<FindingKind>().is_err());
}

/// A request with `text` at every place for words.
pub(crate) fn everywhere(text: &str) -> ChatRequest {
    let extra = || {
        let fields = json!({"note": [{"deep": text}]});
        Extra::new(Dialect::Neutral, fields.as_object().cloned().unwrap())
    };
    let document = Block::new(BlockKind::Document {
        source: Source::Text(text.into()),
        title: Some(text.into()),
    });
    let result = Block::new(BlockKind::ToolResult {
        tool_use_id: "call_1".into(),
        content: vec![Block::text(text), document],
        is_error: false,
    });
    let thought = Block::new(BlockKind::Thinking {
        text: text.into(),
        signature: None,
    });
    let other = Block::new(BlockKind::Other {
        dialect: Dialect::Anthropic,
        value: json!([text]).into(),
    });
    let mut last = Message::new(Role::User, vec![result]);
    last.extra = extra();
    let call = Block::tool_use("call_1", "send", json!({"to": [text], text: 1}));
    let assistant = vec![
        thought,
        Block::text(text),
        call,
        other,
        Block::new(BlockKind::Refusal(text.into())),
    ];
    let mut request = ChatRequest::new(
        "phi-4",
        [
            Message::system(text),
            Message::user(text),
            Message::new(Role::Assistant, assistant),
            last,
        ],
    );
    let mut tool = Tool::new(
        "send",
        json!({"properties": {"to": {"description": text, "enum": [text]}}}),
    );
    tool.description = Some(text.into());
    tool.extra = extra();
    request.tools.push(tool);
    request.stop.push(text.into());
    request.response_format = Some(ResponseFormat::JsonSchema {
        name: None,
        schema: json!({"title": text}).into(),
        strict: None,
    });
    request.extra = extra();
    request
}

/// How often [`everywhere`] has its text.
const PLACES: usize = 19;

#[test]
fn every_place_is_read() {
    let findings = Detector::default().scan(&everywhere("jane@example.org"));
    assert_eq!(findings.count(Kind::Email), PLACES);
    assert_eq!(findings.count_of(Class::Personal), PLACES);
    assert_eq!(findings.count_of(Class::Secret), 0);
    assert_eq!(findings.to_string(), format!("{PLACES} email"));
    assert!(findings.all_read() && !format!("{findings:?}").contains("jane"));
}

#[test]
fn names_of_fields_say_what_their_values_are() {
    let scan = |input| {
        let block = Block::tool_use("1", "t", input);
        let request = ChatRequest::new("m", [Message::new(Role::Assistant, vec![block])]);
        Detector::default().scan(&request).to_string()
    };
    assert_eq!(scan(json!({"ssn": "219099999"})), "1 us-ssn");
    assert_eq!(scan(json!({"userSsn": 219_099_999})), "1 us-ssn");
    assert_eq!(scan(json!({"order": "219099999"})), "nothing found");
    assert_eq!(scan(json!({"password": "hunter2"})), "1 password");
    assert_eq!(
        scan(json!({"card": [4_111_111_111_111_111_u64]})),
        "1 payment-card"
    );
}

#[test]
fn what_cannot_be_read_is_named() {
    let image = Block::new(BlockKind::Image(Source::Base64 {
        media_type: "image/png".into(),
        data: "AAAA".into(),
    }));
    let sound = Block::new(BlockKind::Audio(Source::File("file_1".into())));
    let pdf = Block::new(BlockKind::Document {
        source: Source::Url {
            media_type: None,
            url: "https://example.org/a.pdf".into(),
        },
        title: None,
    });
    let hidden = Block::new(BlockKind::RedactedThinking {
        data: "AAAA".into(),
    });
    let request = ChatRequest::new(
        "m",
        [Message::new(Role::User, vec![image, sound, pdf, hidden])],
    );
    let findings = Detector::default().scan(&request);
    assert_eq!(
        findings.to_string(),
        "nothing found; not read: an image, a document, sound, an encrypted thought"
    );
    assert!(!findings.all_read());
}

/// Texts that are names, wherever a caller can put any words: `text` three times.
pub(crate) fn named(text: &str) -> ChatRequest {
    let here = Block::new(BlockKind::Image(Source::Base64 {
        media_type: text.into(),
        data: "AAAA".into(),
    }));
    let there = Block::new(BlockKind::Image(Source::Url {
        media_type: Some(text.into()),
        url: "data:,".into(),
    }));
    let mut request = ChatRequest::new("m", [Message::new(Role::User, vec![here, there])]);
    request.tool_choice = Some(ToolChoice {
        mode: ToolMode::Tool(text.into()),
        parallel: None,
    });
    request
}

#[test]
fn names_are_read_that_nobody_checks() {
    let findings = Detector::default().scan(&named("jane@example.org"));
    assert_eq!(findings.count(Kind::Email), 3);
}

#[test]
fn nesting_and_length_are_bounded() {
    let unreadable = |request: &ChatRequest, options| {
        let findings = Detector::new(options).inspect(request).unwrap();
        findings.unreadable().collect::<Vec<_>>()
    };
    let deep = (0..200).fold(json!("x"), |inner, _| json!([inner]));
    let request = ChatRequest::new(
        "m",
        [Message::new(
            Role::User,
            vec![Block::tool_use("1", "t", deep)],
        )],
    );
    assert_eq!(
        unreadable(&request, DetectorOptions::default()),
        [Unreadable::TooDeep]
    );
    let result = |inner| BlockKind::ToolResult {
        tool_use_id: "1".into(),
        content: vec![inner],
        is_error: false,
    };
    let deep = (0..200).fold(Block::text("x"), |inner, _| Block::new(result(inner)));
    let request = ChatRequest::new("m", [Message::new(Role::User, vec![deep])]);
    assert_eq!(
        unreadable(&request, DetectorOptions::default()),
        [Unreadable::TooDeep]
    );
    let request = ChatRequest::new("m", [Message::user("1234567890")]);
    let options = DetectorOptions {
        max_bytes: 9,
        ..DetectorOptions::default()
    };
    assert_eq!(unreadable(&request, options), [Unreadable::TooLong]);
}

/// Texts of what detectors look at, in any order.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<char>().prop_map(String::from),
        "[0-9 .+()/-]{1,24}",
        "[A-Z0-9]{1,20}",
        prop::sample::select(vec![
            "@",
            "://",
            "-----BEGIN ",
            "PRIVATE KEY-----",
            "sk-",
            "eyJ",
            ".",
            ":AA",
            "8Q~",
            "password",
            "=",
            ": ",
            "\"",
            "token",
            "é",
            "身",
            "\u{a0}",
            "2001:",
            "::",
            "GB82",
            "+1",
            "bearer ",
            "MT",
            "[EMAIL_1]",
            "\\",
            "ssn",
            "a@b.co",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_and_findings_are_ordered(text in hostile()) {
        let findings = Detector::default().scan_text(&text);
        let mut end = 0;
        for finding in findings {
            prop_assert!(finding.range.start >= end && !finding.range.is_empty());
            prop_assert!(text.get(finding.range.clone()).is_some());
            end = finding.range.end;
        }
    }
}
