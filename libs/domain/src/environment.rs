//! Environments by name, and the catalogue of those that this version can play.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// `family/name`, e.g. `metaworld/push-v3`: lower-case letters, digits and hyphens on both sides, at most 128 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EnvId(String);

/// Why a text is no [`EnvId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no environment: expected `family/name` in lower-case letters, digits and hyphens, e.g. `metaworld/push-v3`"
)]
pub struct EnvIdError(String);

impl EnvId {
    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the slash, e.g. `metaworld`.
    pub fn family(&self) -> &str {
        self.0.split_once('/').map_or("", |(family, _)| family)
    }

    /// The part after the slash, e.g. `push-v3`.
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }
}

impl FromStr for EnvId {
    type Err = EnvIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let part = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        let valid = text.len() <= 128 && text.split_once('/').is_some_and(|(family, name)| part(family) && part(name));
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(EnvIdError(text.chars().take(128).flat_map(char::escape_debug).collect()))
        }
    }
}

impl TryFrom<String> for EnvId {
    type Error = EnvIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<EnvId> for String {
    fn from(id: EnvId) -> Self {
        id.0
    }
}

impl fmt::Display for EnvId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An environment of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Catalogued {
    /// The id, `family/name`.
    pub id: &'static str,
    /// The name for people.
    pub title: &'static str,
}

impl Catalogued {
    /// The id as a type.
    pub fn env_id(&self) -> EnvId {
        EnvId(self.id.to_owned())
    }
}

/// Every environment that cycles may play, in the order in which they are shown. Execution's tests hold it equal to what the
/// simulator registers.
pub const CATALOGUE: &[Catalogued] = &[
    Catalogued { id: "metaworld/reach-v3", title: "Reach" },
    Catalogued { id: "metaworld/push-v3", title: "Push" },
    Catalogued { id: "metaworld/drawer-close-v3", title: "Drawer close" },
];

/// The catalogue's entry for an id.
pub fn catalogued(id: &EnvId) -> Option<&'static Catalogued> {
    CATALOGUE.iter().find(|entry| entry.id == id.as_str())
}

/// The environments of the named families, or all when none is named, in the catalogue's order.
pub fn family_environments(families: &[String]) -> Vec<EnvId> {
    CATALOGUE
        .iter()
        .map(Catalogued::env_id)
        .filter(|id| families.is_empty() || families.iter().any(|family| family == id.family()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_catalogued_id_is_valid_and_unique() {
        for (i, entry) in CATALOGUE.iter().enumerate() {
            assert_eq!(entry.id.parse::<EnvId>(), Ok(entry.env_id()));
            assert!(CATALOGUE[..i].iter().all(|other| other.id != entry.id));
        }
    }

    #[test]
    fn what_is_no_environment_is_refused_by_name() {
        for bad in ["", "push-v3", "metaworld/", "/push-v3", "Metaworld/push", "a/b/c", "a/b\u{0}"] {
            assert!(bad.parse::<EnvId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn families_filter_the_catalogue() {
        assert_eq!(family_environments(&[]).len(), CATALOGUE.len());
        assert!(family_environments(&["genesis".to_owned()]).is_empty());
        assert_eq!(family_environments(&["metaworld".to_owned()])[0].name(), "reach-v3");
    }
}
