//! Environments by name, and the catalogue of those that this version can play.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// `family/name`, e.g. `metaworld/push-v3`: lower-case letters, digits and hyphens on both sides, at most 128 characters.
///
/// Parsing an alias (see [`ALIASES`]) gives the environment that it stands for, so that a value of this type never is one.
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
            let alias = ALIASES.iter().find(|(alias, _)| *alias == text);
            Ok(Self(alias.map_or(text, |(_, id)| id).to_owned()))
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

/// Other names under which operators know environments, and the ids that these stand for.
pub const ALIASES: &[(&str, &str)] = &[("metaworld/peg-insert-v3", "metaworld/peg-insert-side-v3")];

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
    Catalogued { id: "metaworld/assembly-v3", title: "Assembly" },
    Catalogued { id: "metaworld/basketball-v3", title: "Basketball" },
    Catalogued { id: "metaworld/bin-picking-v3", title: "Bin picking" },
    Catalogued { id: "metaworld/box-close-v3", title: "Box close" },
    Catalogued { id: "metaworld/button-press-v3", title: "Button press" },
    Catalogued { id: "metaworld/button-press-topdown-v3", title: "Button press topdown" },
    Catalogued { id: "metaworld/button-press-topdown-wall-v3", title: "Button press topdown wall" },
    Catalogued { id: "metaworld/button-press-wall-v3", title: "Button press wall" },
    Catalogued { id: "metaworld/coffee-button-v3", title: "Coffee button" },
    Catalogued { id: "metaworld/coffee-pull-v3", title: "Coffee pull" },
    Catalogued { id: "metaworld/coffee-push-v3", title: "Coffee push" },
    Catalogued { id: "metaworld/dial-turn-v3", title: "Dial turn" },
    Catalogued { id: "metaworld/disassemble-v3", title: "Disassemble" },
    Catalogued { id: "metaworld/door-close-v3", title: "Door close" },
    Catalogued { id: "metaworld/door-lock-v3", title: "Door lock" },
    Catalogued { id: "metaworld/door-open-v3", title: "Door open" },
    Catalogued { id: "metaworld/door-unlock-v3", title: "Door unlock" },
    Catalogued { id: "metaworld/drawer-open-v3", title: "Drawer open" },
    Catalogued { id: "metaworld/faucet-close-v3", title: "Faucet close" },
    Catalogued { id: "metaworld/faucet-open-v3", title: "Faucet open" },
    Catalogued { id: "metaworld/hammer-v3", title: "Hammer" },
    Catalogued { id: "metaworld/hand-insert-v3", title: "Hand insert" },
    Catalogued { id: "metaworld/handle-press-v3", title: "Handle press" },
    Catalogued { id: "metaworld/handle-press-side-v3", title: "Handle press side" },
    Catalogued { id: "metaworld/handle-pull-v3", title: "Handle pull" },
    Catalogued { id: "metaworld/handle-pull-side-v3", title: "Handle pull side" },
    Catalogued { id: "metaworld/lever-pull-v3", title: "Lever pull" },
    Catalogued { id: "metaworld/peg-insert-side-v3", title: "Peg insert side" },
    Catalogued { id: "metaworld/peg-unplug-side-v3", title: "Peg unplug side" },
    Catalogued { id: "metaworld/pick-out-of-hole-v3", title: "Pick out of hole" },
    Catalogued { id: "metaworld/pick-place-v3", title: "Pick place" },
    Catalogued { id: "metaworld/pick-place-wall-v3", title: "Pick place wall" },
    Catalogued { id: "metaworld/plate-slide-v3", title: "Plate slide" },
    Catalogued { id: "metaworld/plate-slide-back-v3", title: "Plate slide back" },
    Catalogued { id: "metaworld/plate-slide-back-side-v3", title: "Plate slide back side" },
    Catalogued { id: "metaworld/plate-slide-side-v3", title: "Plate slide side" },
    Catalogued { id: "metaworld/push-back-v3", title: "Push back" },
    Catalogued { id: "metaworld/push-wall-v3", title: "Push wall" },
    Catalogued { id: "metaworld/reach-wall-v3", title: "Reach wall" },
    Catalogued { id: "metaworld/shelf-place-v3", title: "Shelf place" },
    Catalogued { id: "metaworld/soccer-v3", title: "Soccer" },
    Catalogued { id: "metaworld/stick-pull-v3", title: "Stick pull" },
    Catalogued { id: "metaworld/stick-push-v3", title: "Stick push" },
    Catalogued { id: "metaworld/sweep-v3", title: "Sweep" },
    Catalogued { id: "metaworld/sweep-into-v3", title: "Sweep into" },
    Catalogued { id: "metaworld/window-close-v3", title: "Window close" },
    Catalogued { id: "metaworld/window-open-v3", title: "Window open" },
];

/// What cycles play unless environments are named, in the catalogue's order. Far from all: a cycle takes time and work by their
/// number, and the published rule of scoring has a bound on it.
pub const DEFAULT_ENVIRONMENTS: &[&str] = &["metaworld/reach-v3", "metaworld/push-v3", "metaworld/drawer-close-v3"];

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

/// Those of [`family_environments`] that are played by default.
pub fn default_environments(families: &[String]) -> Vec<EnvId> {
    let mut environments = family_environments(families);
    environments.retain(|id| DEFAULT_ENVIRONMENTS.contains(&id.as_str()));
    environments
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
    fn an_alias_is_read_as_the_environment_that_it_stands_for() {
        let id: EnvId = "metaworld/peg-insert-v3".parse().expect("valid");
        assert_eq!(id.as_str(), "metaworld/peg-insert-side-v3");
        assert_eq!(serde_json::from_str::<EnvId>("\"metaworld/peg-insert-v3\"").expect("valid"), id);
        for (alias, stands_for) in ALIASES {
            assert_eq!(stands_for.parse::<EnvId>().expect("valid").as_str(), *stands_for, "no alias of an alias");
            assert!(CATALOGUE.iter().all(|entry| entry.id != *alias));
        }
    }

    #[test]
    fn what_is_played_by_default_is_catalogued() {
        let ids: Vec<String> = default_environments(&[]).into_iter().map(String::from).collect();
        assert_eq!(ids, DEFAULT_ENVIRONMENTS);
        assert!(default_environments(&["genesis".to_owned()]).is_empty());
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
