//! How far one request may go, and who says so.

use std::fmt;

use inhouse_chat::{Metadata, Privacy};

use crate::Zone;

/// Who narrowed a request's ceiling.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Demand {
    /// The request says how private it is.
    Privacy(Privacy),
    /// The request says `localOnly`.
    LocalOnly,
    /// A header of the call that brought the request.
    Header,
    /// The key that the caller showed is kept to a zone.
    Key,
    /// A rule of the configuration, by its reason.
    Rule(String),
    /// The detector found this.
    Detector(String),
    /// The detector could not look, so nothing may leave.
    DetectorFailed(String),
    /// The configuration's or the program's own bound (`--local-only`).
    Operator,
}

/// How far one request may go. It starts as far as the operator lets anything go, and only ever comes nearer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ceiling {
    zone: Zone,
    demands: Vec<(Demand, Zone)>,
}

impl Ceiling {
    /// As far as the operator lets anything go.
    pub fn operator(zone: Zone) -> Self {
        Self {
            zone,
            demands: vec![(Demand::Operator, zone)],
        }
    }

    /// The same, and no farther than `zone`. A demand for a farther zone than the ceiling changes nothing:
    /// who takes part in a request can tighten, not widen.
    pub fn tighten(&mut self, demand: Demand, zone: Zone) {
        self.zone = self.zone.min(zone);
        self.demands.push((demand, zone));
    }

    /// Takes what the request states of itself.
    pub fn tighten_by_request(&mut self, metadata: &Metadata) {
        if let Some(privacy) = metadata.privacy {
            self.tighten(Demand::Privacy(privacy), Zone::ceiling_of(privacy));
        }
        if metadata.local_only == Some(true) {
            self.tighten(Demand::LocalOnly, Zone::Device);
        }
    }

    /// The farthest zone allowed.
    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// Who demanded the zone that it came to, in the order they spoke.
    pub fn because(&self) -> impl Iterator<Item = &Demand> {
        let decisive = self.demands.iter().filter(|(_, zone)| *zone == self.zone);
        decisive.map(|(demand, _)| demand)
    }
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Privacy(privacy) => write!(f, "privacy is {}", privacy.name()),
            Self::LocalOnly => f.write_str("localOnly is set"),
            Self::Header => f.write_str("a header asks for it"),
            Self::Key => f.write_str("the key is kept to it"),
            Self::Rule(reason) => write!(f, "rule {reason:?}"),
            Self::Detector(found) => write!(f, "it contains {found}"),
            Self::DetectorFailed(why) => {
                write!(f, "it could not be searched for personal data: {why}")
            }
            Self::Operator => f.write_str("the configuration allows no more"),
        }
    }
}

/// `device (privacy is high, localOnly is set)`
impl fmt::Display for Ceiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (", self.zone)?;
        for (index, demand) in self.because().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{demand}")?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn metadata(privacy: Option<Privacy>, local_only: Option<bool>) -> Metadata {
        Metadata {
            privacy,
            local_only,
            ..Metadata::default()
        }
    }

    #[test]
    fn a_request_says_how_far_it_may_go() {
        let check = |privacy, local_only, shown: &str| {
            let mut ceiling = Ceiling::operator(Zone::Cloud);
            ceiling.tighten_by_request(&metadata(privacy, local_only));
            assert_eq!(ceiling.to_string(), shown);
        };
        check(None, None, "cloud (the configuration allows no more)");
        check(
            None,
            Some(false),
            "cloud (the configuration allows no more)",
        );
        check(
            Some(Privacy::Medium),
            None,
            "cloud-no-retention (privacy is medium)",
        );
        check(Some(Privacy::Low), Some(true), "device (localOnly is set)");
        check(
            Some(Privacy::High),
            Some(true),
            "device (privacy is high, localOnly is set)",
        );
    }

    proptest! {
        /// The strictest of all who take part wins, in whatever order they speak.
        #[test]
        fn the_strictest_wins(zones in proptest::collection::vec(0usize..4, 1..8)) {
            let zones: Vec<_> = zones.into_iter().map(|zone| Zone::ALL[zone]).collect();
            let mut ceiling = Ceiling::operator(zones[0]);
            for &zone in &zones[1..] {
                let before = ceiling.zone();
                ceiling.tighten(Demand::Header, zone);
                prop_assert!(ceiling.zone() <= before);
            }
            prop_assert_eq!(Some(ceiling.zone()), zones.into_iter().min());
        }
    }
}
