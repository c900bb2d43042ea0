//! The backend's answer, read strictly: what is written twice, out of range, or not there is refused before anybody computes with it.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use kinitro_domain::{Hotkey, MinerUid};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};

use crate::Refusal;

/// `GET /v1/weights/latest`. Members that this version does not know may be added by newer backends.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Document {
    pub block: u64,
    #[serde(default)]
    pub block_number: Option<u64>,
    pub cycle_id: u64,
    pub weights: ByUid<f64>,
    pub weights_u16: Scaled,
    #[serde(default)]
    pub hotkeys: ByUid<Hotkey>,
    #[serde(default)]
    pub burn_uid: Option<u16>,
    /// Absent from a backend that does not say how much was played.
    #[serde(default)]
    pub episodes_planned: Option<u64>,
    #[serde(default)]
    pub episodes_played: Option<u64>,
    #[serde(default)]
    pub played_share: Option<f64>,
    /// Absent for a cycle of which nothing was required.
    #[serde(default)]
    pub min_played_share: Option<f64>,
}

/// The weights as the backend scaled them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Scaled {
    pub uids: Vec<u16>,
    pub values: Vec<u16>,
}

/// A map whose keys are uids in plain decimal, each at most once.
#[derive(Debug, Clone, PartialEq)]
pub struct ByUid<T>(pub BTreeMap<MinerUid, T>);

impl<T> Default for ByUid<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ByUid<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Uids<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Uids<T> {
            type Value = ByUid<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object whose members are uids")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ByUid<T>, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some(key) = map.next_key::<String>()? {
                    let uid = uid(&key).ok_or_else(|| A::Error::custom("a member is no uid from 0 to 65535"))?;
                    if entries.insert(uid, map.next_value()?).is_some() {
                        return Err(A::Error::custom(format_args!("uid {uid} is there twice")));
                    }
                }
                Ok(ByUid(entries))
            }
        }

        deserializer.deserialize_map(Uids(PhantomData))
    }
}

/// One number has one spelling: no sign, no leading zero.
fn uid(text: &str) -> Option<MinerUid> {
    let canonical = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    text.parse().ok().filter(|_| canonical).map(MinerUid)
}

impl Document {
    /// Reads the answer's bytes.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        // A list would be read as the members in their order.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(Refusal::Malformed("it is no JSON object".to_owned()));
        }
        serde_json::from_slice(body).map_err(|error| Refusal::Malformed(brief(&error.to_string())))
    }
}

/// Enough of a text from outside for a log line, without control characters.
pub fn brief(text: &str) -> String {
    const LIMIT: usize = 200;
    let mut shown: String =
        text.chars().take(LIMIT).map(|character| if character.is_control() { ' ' } else { character }).collect();
    if text.chars().nth(LIMIT).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
pub mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// An answer as the gateway gives it (from its contract tests), with the hotkeys.
    pub const PUBLISHED: &str = r#"{"block":12,"block_number":12,
        "weights":{"2":0.04201006613406605,"9":0.8437947344813395,"10":0.11419519938459449},
        "created_at":"2026-01-01T00:00:00Z","timestamp":"2026-01-01T00:00:00Z","cycle_id":1,
        "weights_u16":{"uids":[2,9,10],"values":[3263,65535,8869]},
        "metadata":{"n_miners_evaluated":3,"n_environments":2,"evaluation_duration_seconds":1.5},"scheme":"published-1",
        "hotkeys":{"2":"5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY",
            "9":"5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty",
            "10":"5G6Fyo6U2fDhJXDJGp4Dr6XViVCdPcryiyLBDsusguSRcYvJ"}}"#;

    #[test]
    fn the_gateways_answer_is_read() {
        let document = Document::parse(PUBLISHED.as_bytes()).unwrap();
        assert_eq!((document.block, document.cycle_id, document.burn_uid), (12, 1, None));
        assert_eq!(document.weights.0[&MinerUid(9)], 0.843_794_734_481_339_5);
        assert_eq!(document.hotkeys.0.len(), 3);
    }

    #[test]
    fn an_answer_of_another_shape_is_malformed() {
        let with = |from: &str, to: &str| PUBLISHED.replacen(from, to, 1);
        for (what, body) in [
            ("no JSON", "<html>".to_owned()),
            ("nothing", String::new()),
            ("a list", format!("[12,12,1,{}]", "{}")),
            ("NaN", with("0.04201006613406605", "NaN")),
            ("infinity", with("0.04201006613406605", "Infinity")),
            ("beyond a double", with("0.04201006613406605", "1e400")),
            ("a weight as text", with("0.04201006613406605", "\"0.5\"")),
            ("a uid twice", with("\"9\":0.84", "\"2\":0.5,\"9\":0.84")),
            ("a uid in two spellings", with("\"9\":0.84", "\"02\":0.5,\"9\":0.84")),
            ("a uid with a sign", with("\"9\":0.84", "\"+9\":0.84")),
            ("a uid that is too large", with("\"9\":0.84", "\"65536\":0.84")),
            ("a uid below zero", with("\"9\":0.84", "\"-1\":0.84")),
            ("a value that is too large", with("65535", "65536")),
            ("no block", with("\"block\":12,", "")),
            ("two blocks", with("\"block\":12,", "\"block\":12,\"block\":13,")),
            ("a block below zero", with("\"block\":12,", "\"block\":-12,")),
            ("half a block", with("\"block\":12,", "\"block\":12.5,")),
            ("no cycle", with("\"cycle_id\":1,", "")),
            ("no hotkey", with("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY", "root")),
            ("hotkeys as a list", with("\"hotkeys\":{", "\"hotkeys\":[],\"other\":{")),
            ("something behind", format!("{PUBLISHED}{{}}")),
        ] {
            assert!(matches!(Document::parse(body.as_bytes()), Err(Refusal::Malformed(_))), "{what}");
        }
    }

    #[test]
    fn what_a_message_quotes_is_short_and_printable() {
        assert_eq!(brief("a\u{1b}[31m\nb"), "a [31m b");
        assert_eq!(brief(&"x".repeat(1000)).chars().count(), 201);
    }
}
