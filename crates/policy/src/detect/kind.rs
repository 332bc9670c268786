//! What can be found.

use std::fmt;
use std::str::FromStr;

/// Whether a finding is about a person or opens a door.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Class {
    /// Tells who somebody is or how to reach them.
    Personal,
    /// Lets whoever has it in: keys, tokens, passwords.
    Secret,
}

/// How sure a finding is.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Confidence {
    /// The digits add up, and nothing else speaks for it: about one in ten unrelated numbers would too.
    Possible,
    /// Hardly anything else has its form and its check digits.
    #[default]
    Likely,
    /// A word nearby, or how it begins, says what it is.
    Certain,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident: $name:literal, $class:ident, $label:literal;)*) => {
        /// What was found. The name is stable: it is written in configuration, receipts and messages.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum FindingKind {
            $($(#[$doc])* $kind,)*
        }

        impl FindingKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The name in configuration and receipts.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// Whether it is about a person or opens a door.
            pub fn class(self) -> Class {
                match self { $(Self::$kind => Class::$class,)* }
            }

            /// The word in its placeholders: `EMAIL` in `[EMAIL_1]`.
            pub(crate) fn label(self) -> &'static str {
                match self { $(Self::$kind => $label,)* }
            }
        }
    };
}

kinds! {
    /// An address for electronic mail.
    Email: "email", Personal, "EMAIL";
    /// A telephone number.
    Phone: "phone", Personal, "PHONE";
    /// The number of a payment card.
    PaymentCard: "payment-card", Personal, "CARD";
    /// An international bank account number.
    Iban: "iban", Personal, "IBAN";
    /// A public address on the Internet, version 4 or 6.
    IpAddress: "ip-address", Personal, "IP";
    /// Argentina: CUIT or CUIL.
    ArCuit: "ar-cuit", Personal, "ID";
    /// Australia: Medicare card.
    AuMedicare: "au-medicare", Personal, "ID";
    /// Australia: tax file number.
    AuTfn: "au-tfn", Personal, "ID";
    /// Belgium: national register number.
    BeNational: "be-national-number", Personal, "ID";
    /// Brazil: CNPJ, of a business.
    BrCnpj: "br-cnpj", Personal, "ID";
    /// Brazil: CPF, of a person.
    BrCpf: "br-cpf", Personal, "ID";
    /// Canada: social insurance number.
    CaSin: "ca-sin", Personal, "ID";
    /// Switzerland: AHV or AVS number.
    ChAhv: "ch-ahv", Personal, "ID";
    /// Chile: RUT.
    ClRut: "cl-rut", Personal, "ID";
    /// China: resident identity number.
    CnResidentId: "cn-resident-id", Personal, "ID";
    /// Czechia and Slovakia: rodné číslo.
    CzRodneCislo: "cz-rodne-cislo", Personal, "ID";
    /// Germany: tax identification number.
    DeSteuerId: "de-steuer-id", Personal, "ID";
    /// Denmark: CPR number.
    DkCpr: "dk-cpr", Personal, "ID";
    /// Spain: DNI.
    EsDni: "es-dni", Personal, "ID";
    /// Spain: NIE, of foreigners.
    EsNie: "es-nie", Personal, "ID";
    /// Finland: henkilötunnus.
    FiHetu: "fi-hetu", Personal, "ID";
    /// France: NIR, the social security number.
    FrNir: "fr-nir", Personal, "ID";
    /// United Kingdom: NHS number.
    GbNhs: "gb-nhs", Personal, "ID";
    /// United Kingdom: national insurance number.
    GbNino: "gb-nino", Personal, "ID";
    /// Ireland: personal public service number.
    IePps: "ie-pps", Personal, "ID";
    /// India: Aadhaar.
    InAadhaar: "in-aadhaar", Personal, "ID";
    /// India: permanent account number.
    InPan: "in-pan", Personal, "ID";
    /// Italy: codice fiscale.
    ItCodiceFiscale: "it-codice-fiscale", Personal, "ID";
    /// Japan: individual number ("My Number").
    JpMyNumber: "jp-my-number", Personal, "ID";
    /// South Korea: resident registration number.
    KrRrn: "kr-rrn", Personal, "ID";
    /// Mexico: CURP.
    MxCurp: "mx-curp", Personal, "ID";
    /// Netherlands: burgerservicenummer.
    NlBsn: "nl-bsn", Personal, "ID";
    /// Norway: fødselsnummer.
    NoFodselsnummer: "no-fodselsnummer", Personal, "ID";
    /// Poland: PESEL.
    PlPesel: "pl-pesel", Personal, "ID";
    /// Portugal: NIF.
    PtNif: "pt-nif", Personal, "ID";
    /// Sweden: personnummer.
    SePersonnummer: "se-personnummer", Personal, "ID";
    /// Türkiye: T.C. kimlik number.
    TrTckn: "tr-tckn", Personal, "ID";
    /// United States: individual taxpayer identification number.
    UsItin: "us-itin", Personal, "ID";
    /// United States: social security number.
    UsSsn: "us-ssn", Personal, "ID";
    /// South Africa: identity number.
    ZaId: "za-id", Personal, "ID";

    /// Anthropic's key.
    AnthropicKey: "anthropic-key", Secret, "KEY";
    /// Amazon Web Services: access key or its secret.
    AwsKey: "aws-key", Secret, "KEY";
    /// Microsoft Azure: a key, alone or in a connection string.
    AzureKey: "azure-key", Secret, "KEY";
    /// DigitalOcean's token.
    DigitalOceanToken: "digitalocean-token", Secret, "KEY";
    /// A Discord bot's token or a webhook.
    DiscordToken: "discord-token", Secret, "KEY";
    /// GitHub's token.
    GithubToken: "github-token", Secret, "KEY";
    /// GitLab's token.
    GitlabToken: "gitlab-token", Secret, "KEY";
    /// Google's key or token.
    GoogleKey: "google-key", Secret, "KEY";
    /// Hugging Face's token.
    HuggingFaceToken: "huggingface-token", Secret, "KEY";
    /// npm's token.
    NpmToken: "npm-token", Secret, "KEY";
    /// OpenAI's key.
    OpenAiKey: "openai-key", Secret, "KEY";
    /// OpenRouter's key.
    OpenRouterKey: "openrouter-key", Secret, "KEY";
    /// PyPI's token.
    PypiToken: "pypi-token", Secret, "KEY";
    /// SendGrid's key.
    SendGridKey: "sendgrid-key", Secret, "KEY";
    /// Slack's token or webhook.
    SlackToken: "slack-token", Secret, "KEY";
    /// Stripe's key.
    StripeKey: "stripe-key", Secret, "KEY";
    /// A Telegram bot's token.
    TelegramToken: "telegram-token", Secret, "KEY";
    /// Twilio's key.
    TwilioKey: "twilio-key", Secret, "KEY";
    /// A key or token of another service, known by its beginning.
    ServiceToken: "service-token", Secret, "KEY";
    /// A signed token (JSON Web Token).
    Jwt: "jwt", Secret, "KEY";
    /// An address of a database with a password in it.
    DatabaseUrl: "database-url", Secret, "URL";
    /// Another address with a password in it.
    UrlPassword: "url-password", Secret, "URL";
    /// A private key.
    PrivateKey: "private-key", Secret, "PRIVATE_KEY";
    /// A password, by the word before it.
    Password: "password", Secret, "PASSWORD";
    /// A key, token or other secret, by the word before it and its randomness.
    GenericSecret: "generic-secret", Secret, "SECRET";
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for FindingKind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let kind = Self::ALL.iter().copied().find(|kind| kind.name() == name);
        kind.ok_or_else(|| format!("{name:?} is no kind of personal data or secret known here"))
    }
}
