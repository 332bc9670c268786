//! Which cryptography, and whose certificates.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, RootCertStore};

/// Makes ring the cryptography of this process, unless the program that embeds us has chosen another.
pub(super) fn install() {
    if CryptoProvider::get_default().is_none() {
        // Fails where another thread was faster, which is as good.
        let _ = ring::default_provider().install_default();
    }
}

/// For addresses without TLS: trusts nobody, so that no certificates need to be read or even be there.
pub(super) fn nobody() -> Option<ClientConfig> {
    let provider = CryptoProvider::get_default()?;
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider));
    let builder = builder.with_safe_default_protocol_versions().ok()?;
    let builder = builder.with_root_certificates(RootCertStore::empty());
    Some(builder.with_no_client_auth())
}
