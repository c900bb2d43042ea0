//! The JSON of `/reset` and `/act`, shared by every transport that speaks JSON.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kinitro_domain::Cause;
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::Value;

use crate::{
    Action, ChannelSpec, Fault, Image, Observation,
    json::{self, NOT_FINITE},
};

#[derive(Serialize)]
struct ActBody<'a> {
    obs: Obs<'a>,
}

/// Exactly these members, also where a family has nothing to put into one.
#[derive(Serialize)]
struct Obs<'a> {
    rgb: Cameras<'a>,
    depth: BTreeMap<(), ()>,
    proprio: Channels<'a>,
    cam_intrinsics: BTreeMap<(), ()>,
    cam_extrinsics: BTreeMap<(), ()>,
    extra: BTreeMap<(), ()>,
}

struct Cameras<'a>(&'a [(&'static str, Image)]);

struct Channels<'a>(&'a [(&'static str, Vec<f64>)]);

#[derive(Serialize)]
struct Array {
    data: String,
    shape: [u32; 3],
    dtype: &'static str,
}

impl Serialize for Cameras<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (camera, image) in self.0 {
            let data = STANDARD.encode(&image.rgb);
            map.serialize_entry(camera, &Array { data, shape: [image.height, image.width, 3], dtype: "uint8" })?;
        }
        map.end()
    }
}

impl Serialize for Channels<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, numbers)| (name, numbers)))
    }
}

/// The body of `/act`: `{"obs": {rgb, depth, proprio, cam_intrinsics, cam_extrinsics, extra}}`.
pub fn encode_observation(observation: &Observation) -> Vec<u8> {
    let none = BTreeMap::new;
    let obs = Obs {
        rgb: Cameras(&observation.rgb),
        depth: none(),
        proprio: Channels(&observation.proprio),
        cam_intrinsics: none(),
        cam_extrinsics: none(),
        extra: none(),
    };
    serde_json::to_vec(&ActBody { obs }).expect("text keys and numbers always become JSON")
}

/// Reads the answer to `/reset`: a JSON object whose `status`, if it has one, is `ok`.
pub fn parse_reset(body: &[u8]) -> Result<(), Fault> {
    let invalid = |what: String| Fault::quoting(Cause::InvalidResponse, format!("the answer to /reset {what}"), body);
    match json::read(body).map_err(|error| invalid(format!("is no JSON: {error}")))? {
        Value::Object(answer) => match answer.get("status") {
            None => Ok(()),
            Some(Value::String(status)) if status == "ok" => Ok(()),
            Some(_) => Err(invalid("has a status other than `ok`".to_owned())),
        },
        _ => Err(invalid("is no object".to_owned())),
    }
}

/// Reads the answer to `/act`, checks it against the specification and clips what is out of range.
pub fn parse_action(body: &[u8], spec: &[ChannelSpec]) -> Result<Action, Fault> {
    let invalid = |what: String| Fault::quoting(Cause::InvalidResponse, format!("the answer to /act {what}"), body);
    let answer = json::read(body).map_err(|error| invalid(format!("is no JSON: {error}")))?;
    let action =
        answer.get("action").and_then(Value::as_object).ok_or_else(|| invalid("has no object `action`".to_owned()))?;
    let shape = |what: String| Fault::quoting(Cause::ActionShape, what, body);
    let continuous = action
        .get("continuous")
        .and_then(Value::as_object)
        .ok_or_else(|| shape("the action has no object `continuous`".to_owned()))?;
    spec.iter()
        .map(|channel| {
            let value = continuous
                .get(channel.name)
                .ok_or_else(|| shape(format!("the action has no `continuous.{}`", channel.name)))?;
            channel_numbers(value, channel, body)
        })
        .collect::<Result<_, _>>()
        .map(Action)
}

fn channel_numbers(value: &Value, channel: &ChannelSpec, body: &[u8]) -> Result<Vec<f64>, Fault> {
    let name = channel.name;
    let items = match value {
        Value::Array(items) => items.as_slice(),
        single if channel.len == 1 => std::slice::from_ref(single),
        _ => return Err(Fault::quoting(Cause::ActionShape, format!("`{name}` is no list"), body)),
    };
    if items.len() != channel.len {
        let what = format!("`{name}` has {} numbers, not {}", items.len(), channel.len);
        return Err(Fault::quoting(Cause::ActionShape, what, body));
    }
    items
        .iter()
        .map(|item| match item {
            Value::String(text) if text == NOT_FINITE => {
                Err(Fault::quoting(Cause::ActionNotFinite, format!("`{name}` has a number that is not finite"), body))
            }
            _ => match item.as_f64().filter(|number| number.is_finite()) {
                Some(number) => Ok(number.clamp(channel.low, channel.high)),
                None => {
                    Err(Fault::quoting(Cause::ActionShape, format!("`{name}` has a member that is no number"), body))
                }
            },
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::METAWORLD_ACTION;

    fn cause(body: &str) -> Cause {
        parse_action(body.as_bytes(), METAWORLD_ACTION).unwrap_err().cause()
    }

    fn action(continuous: Value) -> String {
        json!({"action": {"continuous": continuous, "discrete": {}, "extra": {}}}).to_string()
    }

    #[test]
    fn an_observation_has_exactly_the_documented_members() {
        let image = Image { width: 2, height: 1, rgb: vec![0, 1, 2, 253, 254, 255] };
        let observation =
            Observation { proprio: vec![("ee_pos", vec![0.1, -2.0, 3e-7])], rgb: vec![("corner", image)] };
        let body: Value = serde_json::from_slice(&encode_observation(&observation)).unwrap();
        let expected = json!({"obs": {
            "rgb": {"corner": {"data": "AAEC/f7/", "shape": [1, 2, 3], "dtype": "uint8"}},
            "depth": {}, "proprio": {"ee_pos": [0.1, -2.0, 3e-7]}, "cam_intrinsics": {}, "cam_extrinsics": {}, "extra": {},
        }});
        assert_eq!(body, expected);
    }

    #[test]
    fn a_gripper_is_a_number_or_a_list_of_one() {
        for gripper in [json!(0.25), json!([0.25])] {
            let body = action(json!({"ee_twist": [1, 2.5, -7, 0, 0.5, -0.5], "gripper": gripper, "more": "ignored"}));
            let parsed = parse_action(body.as_bytes(), METAWORLD_ACTION).unwrap();
            assert_eq!(parsed, Action(vec![vec![1.0, 1.0, -1.0, 0.0, 0.5, -0.5], vec![0.25]]));
        }
    }

    #[test]
    fn each_kind_of_wrong_answer_has_its_cause() {
        for body in ["", "no", "[]", "{}", "null", r#"{"action": [1,2]}"#, r#"{"action": "#] {
            assert_eq!(cause(body), Cause::InvalidResponse, "{body}");
        }
        for continuous in [
            json!(null),
            json!([0, 0, 0, 0]),
            json!({"ee_twist": [0, 0, 0, 0, 0, 0]}),
            json!({"gripper": 0}),
            json!({"ee_twist": [0, 0, 0, 0, 0], "gripper": 0}),
            json!({"ee_twist": [0, 0, 0, 0, 0, 0, 0], "gripper": 0}),
            json!({"ee_twist": 0, "gripper": 0}),
            json!({"ee_twist": [0, 0, 0, 0, 0, "0"], "gripper": 0}),
            json!({"ee_twist": [0, 0, 0, 0, 0, null], "gripper": 0}),
            json!({"ee_twist": [0, 0, 0, 0, 0, [0]], "gripper": 0}),
            json!({"ee_twist": [0, 0, 0, 0, 0, 0], "gripper": [0, 0]}),
            json!({"ee_twist": [0, 0, 0, 0, 0, 0], "gripper": []}),
            json!({"ee_twist": [0, 0, 0, 0, 0, 0], "gripper": true}),
        ] {
            assert_eq!(cause(&action(continuous.clone())), Cause::ActionShape, "{continuous}");
        }
        for number in ["NaN", "Infinity", "-Infinity", "1e999", "-1e400"] {
            let body = format!(r#"{{"action":{{"continuous":{{"ee_twist":[0,0,{number},0,0,0],"gripper":0}}}}}}"#);
            assert_eq!(cause(&body), Cause::ActionNotFinite, "{number}");
            let body = format!(r#"{{"action":{{"continuous":{{"ee_twist":[0,0,0,0,0,0],"gripper":{number}}}}}}}"#);
            assert_eq!(cause(&body), Cause::ActionNotFinite, "{number}");
            let body =
                format!(r#"{{"action":{{"continuous":{{"ee_twist":[0,0,0,0,0,0],"gripper":0}},"extra":{number}}}}}"#);
            assert!(parse_action(body.as_bytes(), METAWORLD_ACTION).is_ok(), "{number} outside the action");
        }
    }

    #[test]
    fn a_reset_is_answered_with_an_object() {
        for good in ["{}", r#"{"status":"ok","episode_id":"x"}"#] {
            assert_eq!(parse_reset(good.as_bytes()), Ok(()));
        }
        for bad in ["", "ok", "[]", r#"{"status":"error"}"#, r#"{"status":1}"#] {
            assert_eq!(parse_reset(bad.as_bytes()).unwrap_err().cause(), Cause::InvalidResponse, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_is_finite_in_range_and_complete(twist in prop::collection::vec(any::<f64>(), 5..8), gripper in any::<f64>()) {
            let list: Vec<String> = twist.iter().map(python_number).collect();
            let body = format!(r#"{{"action":{{"continuous":{{"ee_twist":[{}],"gripper":{}}}}}}}"#, list.join(","), python_number(&gripper));
            match parse_action(body.as_bytes(), METAWORLD_ACTION) {
                Ok(Action(channels)) => {
                    prop_assert!(twist.len() == 6 && twist.iter().chain([&gripper]).all(|number| number.is_finite()));
                    prop_assert_eq!(&channels[0], &twist.iter().map(|number| number.clamp(-1.0, 1.0)).collect::<Vec<_>>());
                    prop_assert_eq!(&channels[1], &vec![gripper.clamp(0.0, 1.0)]);
                }
                Err(fault) if twist.len() != 6 => prop_assert_eq!(fault.cause(), Cause::ActionShape),
                Err(fault) => {
                    prop_assert_eq!(fault.cause(), Cause::ActionNotFinite);
                    prop_assert!(!twist.iter().chain([&gripper]).all(|number| number.is_finite()));
                }
            }
        }

        #[test]
        fn no_answer_makes_the_parsers_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = (parse_action(&bytes, METAWORLD_ACTION), parse_reset(&bytes));
        }
    }

    /// As Python's `json` writes it.
    fn python_number(number: &f64) -> String {
        match number {
            number if number.is_nan() => "NaN".to_owned(),
            number if number.is_infinite() => if *number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
            number => format!("{number:e}"),
        }
    }
}
