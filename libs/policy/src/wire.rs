//! The JSON of `/reset` and `/act`, shared by every transport that speaks JSON.

use std::fmt::{self, Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{BufMut as _, BytesMut};
use kinitro_domain::Cause;
use serde::Serialize;
use serde_json::Value;

use crate::{
    Action, ChannelSpec, Fault, Image, Observation,
    json::{self, NOT_FINITE},
};

/// The body of `/act`: `{"obs": {rgb, depth, proprio, cam_intrinsics, cam_extrinsics, extra}}`.
pub fn encode_observation(observation: &Observation) -> Vec<u8> {
    let mut body = BytesMut::new();
    encode_observation_into(observation, &mut body);
    body.into()
}

/// The same behind what is in the buffer. Pictures are turned into base64 where they are to stand and nothing is copied after that, so that a
/// buffer that is used again costs no allocation.
pub(crate) fn encode_observation_into(observation: &Observation, body: &mut BytesMut) {
    let pictures = observation.rgb.iter().map(|(_, image)| base64_len(image) + MEMBER_BYTES).sum::<usize>();
    let numbers =
        observation.proprio.iter().map(|(_, numbers)| numbers.len() * NUMBER_BYTES + MEMBER_BYTES).sum::<usize>();
    body.reserve(pictures + numbers + FRAME_BYTES);

    body.put_slice(br#"{"obs":{"rgb":{"#);
    for (index, (camera, Image { width, height, rgb })) in observation.rgb.iter().enumerate() {
        member(index, camera, body);
        body.put_slice(br#"{"data":""#);
        append_base64(rgb, body);
        put(body, format_args!(r#"","shape":[{height},{width},3],"dtype":"uint8"}}"#));
    }
    body.put_slice(br#"},"depth":{},"proprio":{"#);
    for (index, (channel, numbers)) in observation.proprio.iter().enumerate() {
        member(index, channel, body);
        json_value(numbers, body);
    }
    body.put_slice(br#"},"cam_intrinsics":{},"cam_extrinsics":{},"extra":{}}}"#);
}

/// Room for a name and what stands around its value.
const MEMBER_BYTES: usize = 80;
/// Room for the longest number and a comma.
const NUMBER_BYTES: usize = 26;
/// Room for the members that are always there.
const FRAME_BYTES: usize = 128;

fn base64_len(image: &Image) -> usize {
    image.rgb.len().div_ceil(3) * 4
}

fn append_base64(bytes: &[u8], body: &mut BytesMut) {
    let begin = body.len();
    body.resize(begin + bytes.len().div_ceil(3) * 4, 0);
    STANDARD.encode_slice(bytes, &mut body[begin..]).expect("the room was made for it");
}

fn member(index: usize, name: &str, body: &mut BytesMut) {
    if index > 0 {
        body.put_u8(b',');
    }
    json_value(name, body);
    body.put_u8(b':');
}

fn json_value(value: &(impl Serialize + ?Sized), body: &mut BytesMut) {
    serde_json::to_writer(body.writer(), value).expect("text and numbers always become JSON, and a buffer grows");
}

fn put(body: &mut BytesMut, text: fmt::Arguments<'_>) {
    body.write_fmt(text).expect("a buffer grows");
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
    fn a_buffer_is_used_again_without_growing() {
        let image = Image { width: 84, height: 84, rgb: vec![200; 84 * 84 * 3] };
        let proprio = vec![("ee_pos", vec![-0.123_456_789_012_345_67, -f64::MIN_POSITIVE, f64::MAX])];
        let observation = Observation { proprio, rgb: vec![("corner", image.clone()), ("corner2", image)] };
        let mut buffer = BytesMut::new();
        encode_observation_into(&observation, &mut buffer);
        let (room, first) = (buffer.capacity(), buffer.split().freeze());
        assert!(first.len() <= room, "the first guess was enough");
        assert_eq!(first, encode_observation(&observation));
        let place = first.as_ptr();
        drop(first);
        encode_observation_into(&observation, &mut buffer);
        assert_eq!(buffer.as_ptr(), place);
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
