//! What answers look like, to the byte.

use kinitro_transcode::json::{WriteError, write_message};
use prost_reflect::{DynamicMessage, Value};

use crate::support::{SCHEMA, everything, read, write};

const EMPTY: &str = concat!(
    r#"{"text":"","flag":false,"i32":0,"s32":0,"sf32":0,"u32":0,"f32":0,"i64":0,"s64":0,"sf64":0,"u64":0,"f64":0,"#,
    r#""single":0.0,"real":0.0,"blob":"","colour":"COLOUR_UNSPECIFIED","child":null,"children":[],"reals":[],"#,
    r#""texts":[],"by_text":{},"by_u32":{},"by_i64":{},"by_bool":{},"maybe_u64":null,"maybe_text":null,"#,
    r#""left_text":null,"right_number":null,"at":null,"took":null,"object":null,"anything":null,"items":null,"#,
    r#""wrapped":null,"wrapped_text":null}"#,
);

const FULL: &str = concat!(
    r#"{"text":"é\"\\\n","flag":true,"i32":-1,"s32":-2,"sf32":-3,"u32":4294967295,"f32":5,"#,
    r#""i64":-9223372036854775808,"s64":9223372036854775807,"sf64":-4,"u64":18446744073709551615,"f64":6,"#,
    r#""single":0.1,"real":0.30000000000000004,"blob":"+/8=","colour":"BLUE","#,
    r#""child":{"name":"a","weight":1.0,"child":{"name":"b","weight":-2.5,"child":null}},"#,
    r#""children":[{"name":"","weight":0.0,"child":null}],"reals":[1.0,1e+300,5e-324],"texts":["",""],"#,
    r#""by_text":{"":"e","10":"c","9":"d","a":"b"},"by_u32":{"2":0.5,"10":0.25,"100":1.0},"#,
    r#""by_i64":{"-5":{"name":"m","weight":0.0,"child":null},"7":{"name":"p","weight":0.0,"child":null}},"#,
    r#""by_bool":{"false":1,"true":2},"maybe_u64":0,"maybe_text":"","left_text":null,"right_number":0,"#,
    r#""at":"2026-01-02T03:04:05.006Z","took":"-1.500s","object":{"a":null,"b":{"c":[true,"x",1.0]}},"#,
    r#""anything":[{},[]],"items":[1.5,null],"wrapped":0,"wrapped_text":"w"}"#,
);

#[test]
fn an_empty_message_shows_every_field() {
    assert_eq!(write(&DynamicMessage::new(everything())), EMPTY);
    assert_eq!(write(&read("{}").unwrap()), EMPTY);
}

#[test]
fn a_full_message_reads_back_to_the_same_bytes() {
    assert_eq!(write(&read(FULL).unwrap()), FULL);
}

#[test]
fn the_wire_form_carries_everything() {
    use prost::Message as _;
    let message = read(FULL).unwrap();
    let decoded = DynamicMessage::decode(everything(), message.encode_to_vec().as_slice()).unwrap();
    assert_eq!(write(&decoded), FULL);
}

#[test]
fn map_keys_are_sorted_by_value_when_they_are_numbers() {
    let message = read(r#"{"by_u32":{"100":1,"9":1,"20":1},"by_text":{"100":"","9":"","20":""}}"#).unwrap();
    let written = write(&message);
    assert!(written.contains(r#""by_u32":{"9":1.0,"20":1.0,"100":1.0}"#), "{written}");
    assert!(written.contains(r#""by_text":{"100":"","20":"","9":""}"#), "{written}");
}

#[test]
fn a_number_that_is_not_finite_is_an_error() {
    let bad = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    for value in bad {
        let mut message = DynamicMessage::new(everything());
        message.set_field_by_name("real", Value::F64(value));
        let error = write_message(&SCHEMA, &message, &mut Vec::new());
        assert_eq!(error, Err(WriteError::NotFinite("exercise.v1.Everything.real".to_owned())));

        let mut message = DynamicMessage::new(everything());
        message.set_field_by_name("reals", Value::List(vec![Value::F64(1.0), Value::F64(value)]));
        assert!(write_message(&SCHEMA, &message, &mut Vec::new()).is_err());
    }
}

#[test]
fn a_time_out_of_range_is_an_error() {
    for (seconds, nanos) in [(253_402_300_800, 0), (-62_135_596_801, 0), (0, 1_000_000_000), (0, -1), (i64::MAX, 0)] {
        let mut message = read(r#"{"at":"2026-01-02T03:04:05Z"}"#).unwrap();
        let at = message.get_field_by_name_mut("at").unwrap().as_message_mut().unwrap();
        at.set_field_by_name("seconds", Value::I64(seconds));
        at.set_field_by_name("nanos", Value::I32(nanos));
        assert!(write_message(&SCHEMA, &message, &mut Vec::new()).is_err(), "{seconds} {nanos}");
    }
}

#[test]
fn an_unknown_enum_number_of_a_newer_service_is_shown_as_a_number() {
    let mut message = DynamicMessage::new(everything());
    message.set_field_by_name("colour", Value::EnumNumber(77));
    assert!(write(&message).contains(r#""colour":77,"#));
}
