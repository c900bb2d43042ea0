//! Identifiers as types of their own.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id!(
    /// One evaluation cycle; counts up from 1 in a deployment.
    CycleId(u64)
);
number_id!(
    /// A neuron's place on the subnet, 0 to 65535. It can change hands: a miner is a uid *and* a hotkey.
    MinerUid(u16)
);
number_id!(
    /// The height of a block of the chain.
    BlockNumber(u64)
);

/// One task: one episode of one miner. A UUID of version 7, so that new ones sort last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(pub Uuid);

impl TaskId {
    /// A new id, later than every one made before.
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl Default for TaskId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TaskId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// The name under which an executor leases: 1 to 128 printable ASCII characters without spaces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExecutorId(String);

/// Why a text is no [`ExecutorId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 128 printable ASCII characters without spaces")]
pub struct ExecutorIdError;

impl ExecutorId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ExecutorId {
    type Error = ExecutorIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let valid = (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if valid { Ok(Self(text)) } else { Err(ExecutorIdError) }
    }
}

impl From<ExecutorId> for String {
    fn from(id: ExecutorId) -> Self {
        id.0
    }
}

impl fmt::Display for ExecutorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A miner's public key on the chain, as an SS58 address. The alphabet and the length are checked here, the checksum by
/// whoever reads it from the chain (where it is bytes and cannot be wrong).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hotkey(String);

/// Why a text is no [`Hotkey`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a hotkey must be an SS58 address: 46 to 50 characters of the base58 alphabet")]
pub struct HotkeyError;

impl Hotkey {
    /// The SS58 address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Hotkey {
    type Error = HotkeyError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let base58 = |byte: u8| byte.is_ascii_alphanumeric() && !matches!(byte, b'0' | b'O' | b'I' | b'l');
        let valid = (46..=50).contains(&text.len()) && text.bytes().all(base58);
        if valid { Ok(Self(text)) } else { Err(HotkeyError) }
    }
}

impl From<Hotkey> for String {
    fn from(hotkey: Hotkey) -> Self {
        hotkey.0
    }
}

impl fmt::Display for Hotkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executor_id_is_bounded_and_printable() {
        for bad in ["", "has space", "new\nline", "\u{fc}", &"x".repeat(129)] {
            assert_eq!(ExecutorId::try_from(bad.to_owned()), Err(ExecutorIdError), "{bad:?}");
        }
        assert!(ExecutorId::try_from("executor-7f3a".to_owned()).is_ok());
    }

    #[test]
    fn a_hotkey_is_an_ss58_address() {
        assert!(Hotkey::try_from("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY".to_owned()).is_ok());
        assert!(Hotkey::try_from("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKut0Y".to_owned()).is_err());
        assert!(Hotkey::try_from(String::new()).is_err());
    }

    #[test]
    fn task_ids_sort_by_the_time_of_their_making() {
        let (first, second) = (TaskId::new(), TaskId::new());
        assert!(first < second);
        assert_eq!(first.to_string().parse::<TaskId>().ok(), Some(first));
    }
}
