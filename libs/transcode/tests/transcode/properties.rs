//! What must hold for every input.

use kinitro_transcode::json::read_message;
use proptest::{collection::vec, prelude::*};
use prost::Message as _;
use prost_reflect::{DynamicMessage, Value};
use serde_json::{Map, Number, json};

use crate::support::{SCHEMA, everything, read, write};

fn finite() -> impl Strategy<Value = f64> {
    any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |value| value.is_finite())
}

fn child() -> impl Strategy<Value = serde_json::Value> {
    let leaf = (any::<String>(), finite()).prop_map(|(name, weight)| json!({"name": name, "weight": weight}));
    leaf.prop_recursive(4, 8, 1, |inner| {
        (any::<String>(), inner).prop_map(|(name, child)| json!({"name": name, "child": child}))
    })
}

fn anything() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        finite().prop_map(|value| Number::from_f64(value).unwrap().into()),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Into::into),
            vec((any::<String>(), inner), 0..4).prop_map(|members| Map::from_iter(members).into()),
        ]
    })
}

fn request() -> impl Strategy<Value = serde_json::Value> {
    let numbers = (any::<i32>(), any::<u32>(), any::<i64>(), any::<u64>(), any::<f32>(), finite());
    let maps = (vec((any::<u32>(), finite()), 0..6), vec((any::<i64>(), child()), 0..3), vec(any::<String>(), 0..5));
    let others = (any::<String>(), vec(child(), 0..3), anything(), proptest::option::of(any::<u64>()), any::<bool>());
    (numbers, maps, others).prop_map(|(numbers, maps, others)| {
        let (i32, u32, i64, u64, single, real) = numbers;
        let (by_u32, by_i64, texts) = maps;
        let (text, children, anything, maybe, flag) = others;
        let single = if single.is_finite() { single } else { 0.0 };
        let by_u32: Map<_, _> = by_u32.into_iter().map(|(key, value)| (key.to_string(), value.into())).collect();
        let by_i64: Map<_, _> = by_i64.into_iter().map(|(key, value)| (key.to_string(), value)).collect();
        let by_text: Map<_, _> = texts.iter().map(|text| (text.clone(), text.clone().into())).collect();
        json!({"i32": i32, "s32": i32, "u32": u32, "i64": i64, "u64": u64, "f64": u64.to_string(), "single": single,
            "real": real, "by_u32": by_u32, "by_i64": by_i64, "by_text": by_text, "texts": texts, "text": text,
            "children": children, "anything": anything, "maybe_u64": maybe, "flag": flag, "reals": [real, -real]})
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn json_to_message_to_json_is_stable(request in request()) {
        let message = read(&request.to_string()).unwrap();
        let written = write(&message);
        let again = read(&written).unwrap();
        prop_assert_eq!(write(&again), written);
    }

    #[test]
    fn the_wire_between_changes_nothing(request in request()) {
        let message = read(&request.to_string()).unwrap();
        let decoded = DynamicMessage::decode(everything(), message.encode_to_vec().as_slice()).unwrap();
        // Protobuf itself does not send a negative zero in a field without presence.
        if request["real"].as_f64().unwrap() != 0.0 && request["single"].as_f64().unwrap() != 0.0 {
            prop_assert_eq!(write(&decoded), write(&message));
        }
    }

    #[test]
    fn every_finite_double_survives(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        let mut message = DynamicMessage::new(everything());
        message.set_field_by_name("real", Value::F64(value));
        message.set_field_by_name("reals", Value::List(vec![Value::F64(value)]));
        let again = read(&write(&message)).unwrap();
        prop_assert_eq!(again.get_field_by_name("real").unwrap().as_f64().unwrap().to_bits(), bits);
        prop_assert_eq!(again.get_field_by_name("reals").unwrap().as_list().unwrap()[0].as_f64().unwrap().to_bits(), bits);
    }

    #[test]
    fn every_finite_float_survives(bits in any::<u32>()) {
        let value = f32::from_bits(bits);
        prop_assume!(value.is_finite());
        let mut message = DynamicMessage::new(everything());
        message.set_field_by_name("single", Value::F32(value));
        let again = read(&write(&message)).unwrap();
        prop_assert_eq!(again.get_field_by_name("single").unwrap().as_f32().unwrap().to_bits(), bits);
    }

    #[test]
    fn every_64_bit_integer_survives_as_number_and_as_text(unsigned in any::<u64>(), signed in any::<i64>()) {
        for json in [
            format!("{{\"u64\":{unsigned},\"i64\":{signed}}}"),
            format!("{{\"u64\":\"{unsigned}\",\"i64\":\"{signed}\"}}"),
        ] {
            let message = read(&json).unwrap();
            prop_assert_eq!(message.get_field_by_name("u64").unwrap().as_u64(), Some(unsigned));
            prop_assert_eq!(message.get_field_by_name("i64").unwrap().as_i64(), Some(signed));
            let expected = format!("\"u64\":{unsigned},");
            prop_assert!(write(&message).contains(&expected));
        }
    }

    #[test]
    fn every_valid_time_survives(seconds in -62_135_596_800_i64..=253_402_300_799, nanos in 0..1_000_000_000_i32) {
        let mut message = read(r#"{"at":"2026-01-02T03:04:05Z"}"#).unwrap();
        let at = message.get_field_by_name_mut("at").unwrap().as_message_mut().unwrap();
        at.set_field_by_name("seconds", Value::I64(seconds));
        at.set_field_by_name("nanos", Value::I32(nanos));
        let again = read(&write(&message)).unwrap();
        prop_assert_eq!(write(&again), write(&message));
        let at = again.get_field_by_name("at").unwrap().as_message().unwrap().clone();
        prop_assert_eq!(at.get_field_by_name("seconds").unwrap().as_i64(), Some(seconds));
        prop_assert_eq!(at.get_field_by_name("nanos").unwrap().as_i32(), Some(nanos));
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..256)) {
        let _ = read_message(&SCHEMA, &everything(), &bytes);
        if let Ok(message) = DynamicMessage::decode(everything(), bytes.as_slice()) {
            let _ = kinitro_transcode::json::write_message(&SCHEMA, &message, &mut Vec::new());
        }
    }

    #[test]
    fn torn_and_mutated_requests_never_panic(request in request(), cut in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = request.to_string().into_bytes();
        let at = cut.index(bytes.len());
        let _ = read_message(&SCHEMA, &everything(), &bytes[..at]);
        bytes[at] = byte;
        let _ = read_message(&SCHEMA, &everything(), &bytes);
    }
}

#[test]
fn the_extremes_survive() {
    for value in [0, 1, (1 << 53) - 1, 1 << 53, (1 << 53) + 1, u64::MAX - 1, u64::MAX] {
        let message = read(&format!("{{\"u64\":{value},\"maybe_u64\":{value},\"wrapped\":{value}}}")).unwrap();
        let written = write(&message);
        for name in ["u64", "maybe_u64", "wrapped"] {
            assert!(written.contains(&format!("\"{name}\":{value},")), "{written}");
        }
    }
}
