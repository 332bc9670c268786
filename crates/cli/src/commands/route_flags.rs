//! How a request is to go through the router.

use clap::{Args, ValueEnum};
use inhouse_chat::{Metadata, Privacy};
use inhouse_config::{LOCAL, canonical_name};

use super::Context;

/// What a request says of itself, by flags.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Router")]
pub(crate) struct RouteFlags {
    /// Ask this provider and no other (see inhouse providers)
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// How private it is: high stays on this device, medium may go to who keeps nothing, low to anyone
    #[arg(long, value_name = "LEVEL")]
    privacy: Option<PrivacyFlag>,
    /// Nothing leaves this device: no connection to a provider is even prepared
    #[arg(long)]
    pub(super) local_only: bool,
}

/// Values of `--privacy`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum PrivacyFlag {
    Low,
    Medium,
    High,
}

impl RouteFlags {
    /// Whether one of them was given.
    pub(super) fn any(&self) -> bool {
        self.provider.is_some() || self.privacy.is_some() || self.local_only
    }

    /// Whoever names a provider that is not in this program and lets nothing leave this device hears why that cannot be.
    pub(super) fn check(&self, context: &Context) -> anyhow::Result<()> {
        let offline = context.settings.offline;
        match &self.provider {
            Some(name) if (self.local_only || offline) && canonical_name(name) != LOCAL => {
                let flag = if self.local_only {
                    "--local-only"
                } else {
                    "--offline"
                };
                anyhow::bail!(
                    "{name} is not asked: {flag} allows nobody but {LOCAL}, the engine in this program"
                )
            }
            _ => Ok(()),
        }
    }

    /// Says it in the request. Privacy is only ever tightened.
    pub(super) fn apply(&self, metadata: &mut Metadata) {
        if let Some(provider) = &self.provider {
            metadata.provider = Some(provider.as_str().into());
        }
        let privacy = self.privacy.map(|privacy| match privacy {
            PrivacyFlag::Low => Privacy::Low,
            PrivacyFlag::Medium => Privacy::Medium,
            PrivacyFlag::High => Privacy::High,
        });
        metadata.privacy = metadata.privacy.max(privacy);
        if self.local_only {
            metadata.local_only = Some(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_tighten_what_a_request_says() {
        let check = |stated: Option<Privacy>, flag: Option<PrivacyFlag>, both: Option<Privacy>| {
            let mut metadata = Metadata {
                privacy: stated,
                ..Metadata::default()
            };
            let flags = RouteFlags {
                privacy: flag,
                ..RouteFlags::default()
            };
            flags.apply(&mut metadata);
            assert_eq!(metadata.privacy, both);
        };
        check(None, None, None);
        check(None, Some(PrivacyFlag::Low), Some(Privacy::Low));
        check(
            Some(Privacy::High),
            Some(PrivacyFlag::Low),
            Some(Privacy::High),
        );
        check(
            Some(Privacy::Low),
            Some(PrivacyFlag::High),
            Some(Privacy::High),
        );
        check(Some(Privacy::Medium), None, Some(Privacy::Medium));
    }
}
