//! What becomes of a request in which something was found.

use crate::{Demand, DetectError, FindingKind, Findings, Unreadable};

/// What is done when something is found; the later of two is the stricter.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum FindingAction {
    /// Nothing.
    Allow,
    /// Placeholders leave instead, and are put back in the answer.
    Mask,
    /// The request stays on this device.
    #[default]
    RouteLocal,
    /// The request is refused.
    Block,
}

/// What is done for which finding.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FindingRules {
    /// For whatever the others do not name.
    pub default: FindingAction,
    /// For single kinds.
    pub by_kind: Vec<(FindingKind, FindingAction)>,
    /// For pictures, sound and documents, which the detector cannot read.
    pub unreadable: FindingAction,
}

/// What becomes of the request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It may go as far as its ceiling.
    Free,
    /// It may, with placeholders.
    Mask,
    /// It stays on this device, for this reason.
    StaysHere(Demand),
    /// It is refused, because of what is named.
    Blocked(String),
}

impl FindingRules {
    /// Judges what the detector says. The strictest action of all that was found wins, and a detector that failed, or
    /// could not read to the end, keeps the request here: what nobody looked at does not leave.
    pub fn judge(&self, findings: &Result<Findings, DetectError>) -> Verdict {
        let findings = match findings {
            Ok(findings) => findings,
            Err(error) => return Verdict::StaysHere(Demand::DetectorFailed(error.to_string())),
        };
        let found = findings.counts().map(|(kind, _)| self.for_kind(kind));
        let unread = findings.unreadable().map(|what| self.for_unreadable(what));
        let strictest = found.chain(unread).max().unwrap_or(FindingAction::Allow);
        match strictest {
            FindingAction::Allow => Verdict::Free,
            FindingAction::Mask => Verdict::Mask,
            FindingAction::RouteLocal => Verdict::StaysHere(Demand::Detector(findings.to_string())),
            FindingAction::Block => Verdict::Blocked(findings.to_string()),
        }
    }

    fn for_kind(&self, kind: FindingKind) -> FindingAction {
        let own = self.by_kind.iter().find(|(of, _)| *of == kind);
        own.map_or(self.default, |(_, action)| *action)
    }

    fn for_unreadable(&self, what: Unreadable) -> FindingAction {
        match what {
            // Nothing can be masked in what cannot be read.
            Unreadable::Image | Unreadable::Document | Unreadable::Audio => match self.unreadable {
                FindingAction::Mask => FindingAction::RouteLocal,
                action => action,
            },
            // Written and encrypted by the provider that alone can read it.
            Unreadable::EncryptedThought => FindingAction::Allow,
            Unreadable::TooDeep | Unreadable::TooLong => FindingAction::RouteLocal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(unreadable: FindingAction) -> FindingRules {
        FindingRules {
            default: FindingAction::RouteLocal,
            by_kind: vec![
                (FindingKind::IpAddress, FindingAction::Allow),
                (FindingKind::Email, FindingAction::Mask),
                (FindingKind::PaymentCard, FindingAction::Block),
            ],
            unreadable,
        }
    }

    fn judged(kinds: &[FindingKind], unreadable: &[Unreadable]) -> String {
        let mut findings = Findings::default();
        kinds.iter().for_each(|&kind| findings.add(kind));
        unreadable
            .iter()
            .for_each(|&what| findings.add_unreadable(what));
        match rules(FindingAction::Allow).judge(&Ok(findings)) {
            Verdict::Free => "free".into(),
            Verdict::Mask => "mask".into(),
            Verdict::StaysHere(demand) => format!("here: {demand}"),
            Verdict::Blocked(why) => format!("blocked: {why}"),
        }
    }

    #[test]
    fn the_strictest_action_wins() {
        use FindingKind::{Email, Iban, IpAddress, PaymentCard};
        assert_eq!(judged(&[], &[]), "free");
        assert_eq!(judged(&[IpAddress], &[]), "free");
        assert_eq!(judged(&[IpAddress, Email], &[]), "mask");
        assert_eq!(
            judged(&[Email, Iban], &[]),
            "here: it contains 1 email, 1 iban"
        );
        assert_eq!(
            judged(&[PaymentCard, Iban], &[]),
            "blocked: 1 payment-card, 1 iban"
        );
    }

    #[test]
    fn what_nobody_could_read_stays_here() {
        assert!(judged(&[], &[Unreadable::TooDeep]).starts_with("here"));
        assert!(judged(&[], &[Unreadable::TooLong]).starts_with("here"));
        assert_eq!(judged(&[], &[Unreadable::EncryptedThought]), "free");
        assert_eq!(judged(&[], &[Unreadable::Image]), "free");
        let mut picture = Findings::default();
        picture.add_unreadable(Unreadable::Image);
        let verdict = rules(FindingAction::Mask).judge(&Ok(picture));
        assert!(matches!(verdict, Verdict::StaysHere(_)));
    }
}
