//! What requests may say, and how a wrong one is told so.

use kinitro_transcode::json::Reason;

use crate::support::{read, write};

fn refused(json: &str) -> (Reason, String, String) {
    let Err(fault) = read(json) else { panic!("{json} was read") };
    (fault.reason, fault.field.unwrap_or_default(), fault.detail)
}

#[track_caller]
fn assert_refused(json: &str, reason: Reason, field: &str, detail: &str) {
    let (got_reason, got_field, got_detail) = refused(json);
    assert_eq!((got_reason, got_field.as_str()), (reason, field), "{json}: {got_detail}");
    assert!(got_detail.contains(detail), "{json}: {got_detail}");
}

#[test]
fn both_spellings_of_a_name_are_read() {
    let [snake, camel] = [r#"{"maybe_text":"a"}"#, r#"{"maybeText":"a"}"#].map(|json| write(&read(json).unwrap()));
    assert_eq!(snake, camel);
    assert!(snake.contains(r#""maybe_text":"a""#));
}

#[test]
fn null_is_the_same_as_absent() {
    let nulls = r#"{"text":null,"u64":null,"child":null,"children":null,"by_u32":null,"maybe_u64":null,"at":null,
        "left_text":null,"object":null,"wrapped":null,"colour":null}"#;
    assert_eq!(write(&read(nulls).unwrap()), write(&read("{}").unwrap()));
}

#[test]
fn null_inside_a_list_or_map_is_refused() {
    assert_refused(r#"{"texts":["a",null]}"#, Reason::InvalidValue, "texts[1]", "expected text");
    assert_refused(r#"{"by_u32":{"3":null}}"#, Reason::InvalidValue, "by_u32[\"3\"]", "expected a number");
}

#[test]
fn an_unknown_field_is_named_with_its_place_and_the_valid_ones() {
    let json = r#"{"children":[{"name":"a"},{"child":{"nam":"b"}}]}"#;
    assert_refused(json, Reason::UnknownField, "children[1].child.nam", "the fields are name, weight, child");
}

#[test]
fn a_key_given_twice_is_refused_in_every_spelling() {
    assert_refused(r#"{"text":"a","text":"b"}"#, Reason::DuplicateField, "text", "twice");
    assert_refused(r#"{"maybe_text":"a","maybeText":"b"}"#, Reason::DuplicateField, "maybeText", "twice");
    assert_refused(r#"{"by_text":{"k":"a","k":"b"}}"#, Reason::DuplicateField, "by_text[\"k\"]", "twice");
    assert_refused(r#"{"object":{"k":1,"k":2}}"#, Reason::DuplicateField, "object[\"k\"]", "twice");
    assert_refused(r#"{"text":null,"text":"b"}"#, Reason::DuplicateField, "text", "twice");
}

#[test]
fn two_members_of_a_oneof_are_refused() {
    assert_refused(
        r#"{"left_text":"a","right_number":1}"#,
        Reason::DuplicateField,
        "right_number",
        "exclude each other",
    );
    assert!(read(r#"{"left_text":null,"right_number":1}"#).is_ok());
}

#[test]
fn integers_are_taken_exactly_or_not_at_all() {
    for (json, field, value) in [
        (r#"{"u64":18446744073709551615}"#, "u64", "18446744073709551615"),
        (r#"{"u64":"18446744073709551615"}"#, "u64", "18446744073709551615"),
        (r#"{"i64":-9223372036854775808}"#, "i64", "-9223372036854775808"),
        (r#"{"i64":"-9223372036854775808"}"#, "i64", "-9223372036854775808"),
        (r#"{"u32":1.0}"#, "u32", "1"),
        (r#"{"u32":4e2}"#, "u32", "400"),
        (r#"{"i32":-0}"#, "i32", "0"),
        (r#"{"u64":9007199254740991.0}"#, "u64", "9007199254740991"),
        (r#"{"u32":"1"}"#, "u32", "1"),
        (r#"{"u32":"4294967295"}"#, "u32", "4294967295"),
        (r#"{"i32":"-2147483648"}"#, "i32", "-2147483648"),
        (r#"{"u32":"1.0"}"#, "u32", "1"),
        (r#"{"u64":"1.0"}"#, "u64", "1"),
        (r#"{"i32":"4e2"}"#, "i32", "400"),
        (r#"{"i64":"-1E+3"}"#, "i64", "-1000"),
    ] {
        let written = write(&read(json).unwrap());
        assert!(written.contains(&format!("\"{field}\":{value},")), "{json}: {written}");
    }
    for json in [
        r#"{"u64":18446744073709551616}"#,
        r#"{"u64":"18446744073709551616"}"#,
        r#"{"u64":-1}"#,
        r#"{"u64":1.5}"#,
        r#"{"u64":9007199254740993.0}"#,
        r#"{"u64":1e300}"#,
        r#"{"u64":"1.5"}"#,
        r#"{"u64":"1e300"}"#,
        r#"{"u64":"9007199254740993.0"}"#,
        r#"{"u64":"0x1"}"#,
        r#"{"u64":"NaN"}"#,
        r#"{"u64":"Infinity"}"#,
        r#"{"u64":"1 "}"#,
        r#"{"u64":"1\n"}"#,
        r#"{"u64":"+1"}"#,
        r#"{"u64":" 1"}"#,
        r#"{"u64":"01"}"#,
        r#"{"u64":""}"#,
        r#"{"u64":true}"#,
    ] {
        assert_refused(json, Reason::InvalidValue, "u64", "");
    }
    assert_refused(r#"{"u32":4294967296}"#, Reason::InvalidValue, "u32", "out of range for uint32 (0 to 4294967295)");
    assert_refused(r#"{"u32":"4294967296"}"#, Reason::InvalidValue, "u32", "out of range for uint32 (0 to 4294967295)");
    assert_refused(r#"{"u32":[]}"#, Reason::InvalidValue, "u32", "expected an integer, or one as text");
    assert_refused(r#"{"i32":2147483648}"#, Reason::InvalidValue, "i32", "out of range for int32");
}

#[test]
fn a_double_may_be_text_as_the_json_mapping_of_protobuf_has_it() {
    for (json, written) in [
        (r#"{"real":"1.5"}"#, r#""real":1.5,"#),
        (r#"{"real":"-1.5e-3"}"#, r#""real":-0.0015,"#),
        (r#"{"real":"1E+3"}"#, r#""real":1000.0,"#),
        (r#"{"real":"7"}"#, r#""real":7.0,"#),
        (r#"{"single":"0.25"}"#, r#""single":0.25,"#),
    ] {
        let all = write(&read(json).unwrap());
        assert!(all.contains(written), "{json}: {all}");
    }
    for text in ["NaN", "Infinity", "-Infinity", "inf", "nan", "", " 1", "1 ", "+1", ".5", "1.", "01", "1e400", "1_000"]
    {
        assert_refused(&format!(r#"{{"real":{text:?}}}"#), Reason::InvalidValue, "real", "is not a finite number");
        assert_refused(&format!(r#"{{"single":{text:?}}}"#), Reason::InvalidValue, "single", "is not a finite number");
    }
    assert_refused(r#"{"single":"1e300"}"#, Reason::InvalidValue, "single", "out of range for float");
}

#[test]
fn numbers_that_no_double_holds_are_refused() {
    assert_refused(r#"{"single":1e300}"#, Reason::InvalidValue, "single", "out of range for float");
    assert_refused(r#"{"real":[]}"#, Reason::InvalidValue, "real", "expected a number, or one as text");
    assert!(read(r#"{"real":1e400}"#).is_err());
    for json in [r#"{"real":NaN}"#, r#"{"real":Infinity}"#, r#"{"real":01}"#, r#"{"real":.5}"#] {
        assert_eq!(refused(json).0, Reason::InvalidJson, "{json}");
    }
}

#[test]
fn broken_json_is_refused_with_its_line_and_column() {
    for json in ["", "{", "{}x", "[1,2]", "{\"text\":\"\\ud800\"}", "{'text':1}", "{\"text\":\"a\",}", "nul"] {
        assert!(read(json).is_err(), "{json}");
    }
    let (reason, _, detail) = refused("{\n \"text\": }");
    assert_eq!(reason, Reason::InvalidJson);
    assert!(detail.contains("line 2 column"), "{detail}");
    let bytes = kinitro_transcode::json::read_message(
        &crate::support::SCHEMA,
        &crate::support::everything(),
        b"{\"text\":\"\xff\"}",
    );
    assert!(bytes.is_err());
}

#[test]
fn nesting_is_limited_to_32_levels() {
    let nested = |levels: usize| format!("{}{}", "{\"child\":".repeat(levels - 1) + "{", "}".repeat(levels));
    assert!(read(&nested(32)).is_ok());
    assert_eq!(refused(&nested(33)).0, Reason::TooDeep);
    let list = |levels: usize| format!("{{\"anything\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    assert!(read(&list(32)).is_ok());
    assert_eq!(refused(&list(33)).0, Reason::TooDeep);
    assert!(read(&list(100_000)).is_err());
}

#[test]
fn a_wrong_type_is_told_with_what_belongs_there() {
    assert_refused(r#"{"child":[]}"#, Reason::InvalidValue, "child", "expected an object");
    assert_refused(r#"{"children":{}}"#, Reason::InvalidValue, "children", "expected a list");
    assert_refused(r#"{"by_text":[]}"#, Reason::InvalidValue, "by_text", "expected an object");
    assert_refused(r#"{"text":5}"#, Reason::InvalidValue, "text", "expected text");
    assert_refused(r#"{"flag":"true"}"#, Reason::InvalidValue, "flag", "expected true or false");
    assert_refused(r#"{"colour":"GREEN"}"#, Reason::InvalidValue, "colour", "COLOUR_UNSPECIFIED, RED, BLUE");
    assert_refused(r#"{"colour":9}"#, Reason::InvalidValue, "colour", "not one of");
    assert_refused(r#"{"blob":"***"}"#, Reason::InvalidValue, "blob", "not base64");
    assert_refused(r#"{"by_u32":{"01":1}}"#, Reason::InvalidValue, "by_u32[\"01\"]", "not a decimal integer");
    assert_refused(r#"{"by_bool":{"yes":1}}"#, Reason::InvalidValue, "by_bool[\"yes\"]", "neither true nor false");
}

#[test]
fn times_are_read_strictly() {
    for (text, written) in [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02t03:04:05.5z", "2026-01-02T03:04:05.500Z"),
        ("2026-01-02T03:04:05.123456789+02:00", "2026-01-02T01:04:05.123456789Z"),
        ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"),
    ] {
        let message = read(&format!("{{\"at\":{text:?}}}")).unwrap();
        assert!(write(&message).contains(&format!("\"at\":{written:?}")), "{text}");
    }
    for text in [
        "",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02 03:04:05Z",
        "2026-02-30T00:00:00Z",
        "2026-01-02T03:04:05Z[UTC]",
        "2026-01-02T03:04:05.1234567890Z",
        "0001-01-01T00:00:00+01:00",
        "2026-01-02T24:00:00Z",
        "2026-01-02T03:04:60Z",
        "2026-01-02T03:04:05+24:00",
        "2026-01-02T03:04:05.Z",
        "é026-01-02T03:04:05Z",
    ] {
        assert_refused(&format!("{{\"at\":{text:?}}}"), Reason::InvalidValue, "at", "RFC 3339");
    }
    for text in ["1.5s", "-0.000000001s", "315576000000s", "0s"] {
        assert!(read(&format!("{{\"took\":{text:?}}}")).is_ok(), "{text}");
    }
    for text in ["1.5", "s", "-s", "1.s", ".5s", "1.0000000000s", "315576000001s", "--1s", "1e3s"] {
        assert_refused(&format!("{{\"took\":{text:?}}}"), Reason::InvalidValue, "took", "duration");
    }
}

#[test]
fn a_fault_quotes_little_of_a_hostile_request() {
    let long = "x".repeat(1 << 20);
    for json in [
        format!("{{\"{long}\":1}}"),
        format!("{{\"flag\":\"{long}\"}}"),
        format!("{{\"u64\":\"{long}\"}}"),
        format!("{{\"by_u32\":{{\"{long}\":1}}}}"),
        format!("{{\"by_text\":{{\"{long}\":1}}}}"),
    ] {
        let fault = read(&json).unwrap_err();
        assert!(fault.to_string().len() < 1000, "{}", fault.to_string().len());
    }
}
