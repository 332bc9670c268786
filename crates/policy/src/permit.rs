//! Requests that cannot be read without a permit, and permits that only this crate can make.

use std::sync::Arc;

use inhouse_chat::ChatRequest;

use crate::{Ceiling, Zone};

/// A request under its ceiling. Whoever holds one can ask where it may go, not read it: the loop that retries and
/// falls back works on these, so no mistake in it can show a prompt to anyone.
#[derive(Clone, Debug)]
pub struct Guarded {
    request: Arc<ChatRequest>,
    /// What zones beyond this device get instead.
    masked: Option<Arc<ChatRequest>>,
    ceiling: Ceiling,
}

/// Leave to send one request to one zone, once. Only [`Guarded::clear`] makes it; sending consumes it.
///
/// ```compile_fail
/// // There is no other way to one: the field is private and there is no constructor.
/// let permit = inhouse_policy::EgressPermit { zone: inhouse_policy::Zone::Cloud };
/// ```
///
/// ```compile_fail
/// fn twice(permit: inhouse_policy::EgressPermit) -> (inhouse_policy::EgressPermit, inhouse_policy::EgressPermit) {
///     (permit.clone(), permit)
/// }
/// ```
#[derive(Debug)]
pub struct EgressPermit {
    zone: Zone,
}

/// A request that may be read, because it goes to a zone that its ceiling allows.
#[derive(Debug)]
pub struct Cleared {
    request: Arc<ChatRequest>,
    permit: EgressPermit,
    masked: bool,
}

/// The zone is beyond the request's ceiling.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{zone} is beyond {ceiling}, the farthest that this request may go")]
pub struct Beyond {
    /// Where it was to go.
    pub zone: Zone,
    /// How far it may go.
    pub ceiling: Zone,
}

impl Guarded {
    /// Puts `request` under `ceiling`.
    pub fn new(request: ChatRequest, ceiling: Ceiling) -> Self {
        Self {
            request: Arc::new(request),
            masked: None,
            ceiling,
        }
    }

    /// The same, where zones beyond this device get `masked` instead.
    pub fn with_mask(mut self, masked: ChatRequest) -> Self {
        self.masked = Some(Arc::new(masked));
        self
    }

    /// How far it may go, and who says so.
    pub fn ceiling(&self) -> &Ceiling {
        &self.ceiling
    }

    /// Whether it may go to `zone`.
    pub fn may_go_to(&self, zone: Zone) -> bool {
        zone <= self.ceiling.zone()
    }

    /// Leave to send it to `zone`, once.
    ///
    /// # Errors
    ///
    /// Where `zone` is beyond the ceiling.
    pub fn clear(&self, zone: Zone) -> Result<Cleared, Beyond> {
        if !self.may_go_to(zone) {
            let ceiling = self.ceiling.zone();
            return Err(Beyond { zone, ceiling });
        }
        let masked = self.masked.as_ref().filter(|_| zone > Zone::Device);
        Ok(Cleared {
            request: Arc::clone(masked.unwrap_or(&self.request)),
            permit: EgressPermit { zone },
            masked: masked.is_some(),
        })
    }
}

impl Cleared {
    /// The request, masked where its zone asks for that.
    pub fn request(&self) -> &ChatRequest {
        &self.request
    }

    /// Whether personal data in it is masked, so that the answer is to be restored.
    pub fn is_masked(&self) -> bool {
        self.masked
    }

    /// The zone it is cleared for.
    pub fn zone(&self) -> Zone {
        self.permit.zone
    }

    /// The same permit for a changed request: what a provider's configuration adds, what its model cannot take.
    #[must_use]
    pub fn adapt(mut self, change: impl FnOnce(&mut ChatRequest)) -> Self {
        change(Arc::make_mut(&mut self.request));
        self
    }

    /// The permit, for whatever sends, and the request.
    pub fn into_parts(self) -> (EgressPermit, Arc<ChatRequest>) {
        (self.permit, self.request)
    }
}

impl EgressPermit {
    /// Whether it is good for an address in `zone`.
    pub fn allows(&self, zone: Zone) -> bool {
        zone <= self.zone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inhouse_chat::Message;

    fn guarded(ceiling: Zone) -> Guarded {
        let request = ChatRequest::new("m", [Message::user("my diary")]);
        Guarded::new(request, Ceiling::operator(ceiling))
    }

    #[test]
    fn clearance_ends_at_the_ceiling() {
        for ceiling in Zone::ALL {
            for zone in Zone::ALL {
                let cleared = guarded(ceiling).clear(zone);
                assert_eq!(cleared.is_ok(), zone <= ceiling, "{zone} under {ceiling}");
            }
        }
    }

    #[test]
    fn a_permit_is_good_for_its_zone_and_nearer_ones() {
        let (permit, _) = guarded(Zone::Cloud).clear(Zone::Lan).unwrap().into_parts();
        let good: Vec<_> = Zone::ALL
            .into_iter()
            .filter(|&z| permit.allows(z))
            .collect();
        assert_eq!(good, [Zone::Device, Zone::Lan]);
    }

    #[test]
    fn only_this_device_sees_what_is_masked() {
        let masked = ChatRequest::new("m", [Message::user("my [X]")]);
        let guarded = guarded(Zone::Cloud).with_mask(masked.clone());
        assert_ne!(guarded.clear(Zone::Device).unwrap().request(), &masked);
        for zone in &Zone::ALL[1..] {
            assert_eq!(guarded.clear(*zone).unwrap().request(), &masked);
        }
    }

    #[test]
    fn a_guarded_request_does_not_print() {
        assert!(!format!("{:?}", guarded(Zone::Cloud)).contains("diary"));
    }
}
