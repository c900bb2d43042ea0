//! What cannot work fails at the start, with its name.

use kinitro_transcode::{TranscodeError, Transcoder};

use crate::support::{DESCRIPTORS, SERVICE, nowhere, start};

#[track_caller]
fn assert_refused(result: Result<axum::Router, TranscodeError>, words: &[&str]) {
    let message = result.expect_err("the start must fail").to_string();
    for word in words {
        assert!(message.contains(word), "{message:?} does not name {word:?}");
    }
}

const MESSAGES: &str = "message A { string x = 1; repeated string many = 2; B b = 3; } message B { uint32 y = 1; }";

fn with_rule(rule: &str) -> Result<axum::Router, TranscodeError> {
    start(&format!("{MESSAGES} service T {{ rpc Do(A) returns (B) {{ option (google.api.http) = {{ {rule} }}; }} }}"))
}

#[tokio::test]
async fn the_annotations_of_the_repository_make_a_router() {
    let router = Transcoder::new(kinitro_proto::FILE_DESCRIPTOR_SET)
        .unwrap()
        .service("kinitro.scheduling.v1.SchedulingService", nowhere())
        .service("kinitro.scoring.v1.ScoringService", nowhere())
        .immutable("/v1/weights/{block}")
        .into_router();
    assert!(router.is_ok());
}

#[tokio::test]
async fn zero_annotations_are_an_error() {
    assert_refused(start(&format!("{MESSAGES} service T {{ rpc Do(A) returns (B); }}")), &["t.T", "google.api.http"]);
    assert_refused(Transcoder::new(&DESCRIPTORS).unwrap().into_router(), &["no service"]);
}

#[tokio::test]
async fn an_unknown_field_is_named() {
    assert_refused(with_rule(r#"get: "/v1/{wrong}""#), &["t.T.Do", "t.A has no field wrong", "x, many, b"]);
    assert_refused(with_rule(r#"get: "/v1/{b.wrong}""#), &["t.T.Do", "t.B has no field wrong"]);
    assert_refused(with_rule(r#"post: "/v1" body: "wrong""#), &["t.T.Do", "no field wrong"]);
    assert_refused(with_rule(r#"get: "/v1" response_body: "wrong""#), &["t.T.Do", "wrong", "t.B"]);
}

#[tokio::test]
async fn a_variable_that_a_path_cannot_hold_is_named() {
    assert_refused(with_rule(r#"get: "/v1/{b}""#), &["t.T.Do", "b"]);
    assert_refused(with_rule(r#"get: "/v1/{many}""#), &["t.T.Do", "many is repeated"]);
    assert_refused(with_rule(r#"get: "/v1/{x=**}""#), &["t.T.Do", "/v1/{x=**}"]);
}

#[tokio::test]
async fn a_route_clash_names_both() {
    let text = format!(
        "{MESSAGES} service T {{
            rpc One(A) returns (B) {{ option (google.api.http) = {{ get: \"/v1/{{x}}/z\" }}; }}
            rpc Two(A) returns (B) {{ option (google.api.http) = {{ get: \"/v1/{{b.y}}/z\" }}; }}
        }}"
    );
    assert_refused(start(&text), &["t.T.One", "t.T.Two", "GET", "/v1/{b.y}/z"]);
}

#[tokio::test]
async fn streaming_is_refused_by_name() {
    let text = format!(
        "{MESSAGES} service T {{ rpc Flow(A) returns (stream B) {{ option (google.api.http) = {{ get: \"/v1\" }}; }} }}"
    );
    assert_refused(start(&text), &["t.T.Flow streams"]);
}

#[tokio::test]
async fn a_get_with_a_body_and_a_custom_method_are_refused() {
    assert_refused(with_rule(r#"get: "/v1" body: "*""#), &["t.T.Do", "GET has no body"]);
    assert_refused(with_rule(r#"custom { kind: "PURGE" path: "/v1" }"#), &["t.T.Do", "PURGE"]);
    assert_refused(with_rule(r#"body: "*""#), &["t.T.Do", "no method and path"]);
}

#[tokio::test]
async fn misspelt_names_of_services_and_routes_are_refused() {
    let transcoder = || Transcoder::new(&DESCRIPTORS).unwrap();
    assert_refused(transcoder().service("exercise.v1.Wrong", nowhere()).into_router(), &["exercise.v1.Wrong"]);
    let twice = transcoder().service(SERVICE, nowhere()).service(SERVICE, nowhere());
    assert_refused(twice.into_router(), &[SERVICE, "two channels"]);
    let immutable = transcoder().service(SERVICE, nowhere()).immutable("/v1/wrong");
    assert_refused(immutable.into_router(), &["/v1/wrong"]);
    let guard = transcoder().service(SERVICE, nowhere()).guard("/v1/wrong", |_| Ok(()));
    assert_refused(guard.into_router(), &["/v1/wrong"]);
    let preset = transcoder().service(SERVICE, nowhere()).preset("/v1/wrong", "maybe_u64", 1);
    assert_refused(preset.into_router(), &["/v1/wrong"]);
    let preset = transcoder().service(SERVICE, nowhere()).preset("/v1/echo", "maybe_u32", 1);
    assert_refused(preset.into_router(), &["maybe_u32"]);
    assert!(Transcoder::new(b"not a descriptor set").is_err());
}
