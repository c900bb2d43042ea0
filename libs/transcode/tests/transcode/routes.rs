//! Requests through the router to a real gRPC server and back.

use axum::{Router, body::Body};
use http::{Request, StatusCode};
use kinitro_transcode::{Problem, Transcoder};

use crate::support::{DESCRIPTORS, SERVICE, get, nowhere, post, send, serve};

async fn router() -> Router {
    Transcoder::new(&DESCRIPTORS)
        .unwrap()
        .service(SERVICE, serve().await)
        .immutable("/v1/look/{block}")
        .body_limit(4096)
        .into_router()
        .unwrap()
}

#[tokio::test]
async fn a_body_goes_through_and_comes_back() {
    let answer = post(&router().await, "/v1/echo", r#"{"text":"hello","by_u32":{"10":1,"9":0.5}}"#).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(answer.body.contains(r#""by_u32":{"9":0.5,"10":1.0}"#), "{}", answer.body);
}

#[tokio::test]
async fn a_static_route_wins_over_a_variable_one() {
    let router = router().await;
    assert_eq!(get(&router, "/v1/look/latest").await.json()["block"], serde_json::Value::Null);
    assert_eq!(get(&router, "/v1/look/18446744073709551615").await.json()["block"], u64::MAX);
    assert_eq!(get(&router, "/v1/look/0").await.json()["block"], 0);
}

#[tokio::test]
async fn a_path_variable_of_the_wrong_type_is_named() {
    let router = router().await;
    for path in ["/v1/look/newest", "/v1/look/-1", "/v1/look/18446744073709551616", "/v1/look/%00", "/v1/look/1%2f2"] {
        let answer = get(&router, path).await;
        assert_eq!((answer.status, &answer.json()["field"]), (400, &"block".into()), "{path}: {}", answer.body);
    }
    assert_eq!(get(&router, "/v1/look/%ff").await.status, 400);
}

#[tokio::test]
async fn query_parameters_fill_nested_repeated_and_typed_fields() {
    let path = "/v1/look/latest?filter=a+b%26c&numbers=1&numbers=-2&page.page_size=7&page.token=t&colour=RED\
                &since=2026-01-02T03:04:05Z&block=5";
    let answer = get(&router().await, path).await;
    assert_eq!(
        answer.body,
        concat!(
            r#"{"block":5,"filter":"a b&c","numbers":[1,-2],"page":{"page_size":7,"token":"t","again":null},"#,
            r#""colour":"RED","since":"2026-01-02T03:04:05Z","labels":{},"by_name":null,"by_id":null}"#
        )
    );
}

#[tokio::test]
async fn a_wrong_query_is_refused_by_name() {
    let router = router().await;
    for (query, field, words) in [
        ("filter=a&filter=b", "filter", "twice"),
        ("page.pageSize=1&page.page_size=2", "page.page_size", "twice"),
        ("page.page_size=-1", "page.page_size", "out of range for uint32"),
        ("numbers=1&numbers=x", "numbers", "not a decimal integer"),
        ("by_name=a&by_id=1", "by_id", "exclude each other"),
        ("filter=%ff", "filter", "UTF-8"),
    ] {
        let answer = get(&router, &format!("/v1/look/latest?{query}")).await;
        assert_eq!((answer.status, &answer.json()["field"]), (400, &field.into()), "{query}: {}", answer.body);
        assert!(answer.body.contains(words), "{query}: {}", answer.body);
    }
    // Where the body gives everything there are no parameters.
    let answer = post(&router, "/v1/echo?text=a", "{}").await;
    assert_eq!((answer.status, &answer.json()["field"]), (400, &"text".into()), "{}", answer.body);
    let remove = |query: &str| Request::delete(format!("/v1/look/7/abc?{query}")).body(Body::empty()).unwrap();
    let answer = send(&router, remove("nope=1")).await;
    assert_eq!((answer.status, &answer.json()["field"]), (400, &"nope".into()), "{}", answer.body);
    assert!(answer.body.contains("the parameters are filter, numbers, page.page_size, colour"), "{}", answer.body);
}

#[tokio::test]
async fn unknown_parameters_of_a_get_are_ignored_and_named() {
    let router = router().await;
    let bare = get(&router, "/v1/look/5").await;
    assert_eq!(bare.header("x-ignored-parameters"), "");
    for (query, named) in [
        ("nope=1", "nope"),
        ("utm_source=a&utm_source=b&x", "utm_source,x"),
        // Maps and what the path gives are no parameters.
        ("labels=a&block=6", "labels,block"),
        ("%ff=1&c%0d%0aevil:1=2", "%ff,c%0d%0aevil?1"),
    ] {
        let answer = get(&router, &format!("/v1/look/5?{query}")).await;
        assert_eq!((answer.status, &answer.body), (200, &bare.body), "{query}");
        assert_eq!(answer.header("x-ignored-parameters"), named, "{query}");
    }
    let answer = get(&router, "/v1/look/latest?nope=1&filter=a").await;
    assert_eq!((&answer.json()["filter"], answer.header("x-ignored-parameters")), (&"a".into(), "nope"));
    let request = Request::get("/v1/look/5?nope=1").header("if-none-match", bare.header("etag"));
    let answer = send(&router, request.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, answer.header("x-ignored-parameters")), (304, "nope"));
}

#[tokio::test]
async fn path_and_body_fill_one_message() {
    let router = router().await;
    let answer = post(&router, "/v1/echo/from%20path", r#"{"flag":true}"#).await;
    assert_eq!((&answer.json()["text"], &answer.json()["flag"]), (&"from path".into(), &true.into()));
    let answer = post(&router, "/v1/echo/a", r#"{"text":"b"}"#).await;
    assert_eq!((answer.status, &answer.json()["field"]), (400, &"text".into()));
}

#[tokio::test]
async fn a_body_may_be_one_field_and_so_may_the_answer() {
    let router = router().await;
    let request = |method: &str, path: &str, json: &str| {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        request.body(Body::from(json.to_owned())).unwrap()
    };
    let answer = send(&router, request("PUT", "/v1/echo/n?text=t", r#"{"weight":2}"#)).await;
    assert_eq!(answer.json()["child"], serde_json::json!({"name": "n", "weight": 2.0, "child": null}));
    assert_eq!(answer.json()["text"], "t");
    let answer = send(&router, request("PUT", "/v1/echo/n", r#"{"wait":2}"#)).await;
    assert_eq!((answer.status, &answer.json()["field"]), (400, &"child.wait".into()));

    let answer = send(&router, request("PATCH", "/v1/echo", r#"[{"name":"a"}]"#)).await;
    assert_eq!(answer.body, r#"[{"name":"a","weight":0.0,"child":null}]"#);
    let answer = send(&router, request("PATCH", "/v1/echo", r#"[{},{"x":1}]"#)).await;
    assert_eq!(answer.json()["field"], "children[1].x");

    let answer = send(&router, request("DELETE", "/v1/look/7/abc", "")).await;
    assert_eq!((&answer.json()["block"], &answer.json()["page"]["token"]), (&7.into(), &"abc".into()));
    assert_eq!(send(&router, request("DELETE", "/v1/look/7/abc", "{}")).await.status, 400);
}

#[tokio::test]
async fn type_and_size_of_a_body_are_checked() {
    let router = router().await;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "json"] {
        let request = Request::post("/v1/echo").header("content-type", kind).body(Body::from("{}")).unwrap();
        let answer = send(&router, request).await;
        assert_eq!(
            (answer.status, &answer.json()["type"]),
            (415, &"urn:kinitro:problem:unsupported-media-type".into())
        );
    }
    let bare = Request::post("/v1/echo").body(Body::from("{}")).unwrap();
    assert_eq!(send(&router, bare).await.status, 415);
    let utf8 = Request::post("/v1/echo").header("content-type", "Application/JSON; charset=UTF-8");
    assert_eq!(send(&router, utf8.body(Body::from("{}")).unwrap()).await.status, 200);
    for (encoding, status) in [("gzip", 415), ("identity, br", 415), ("identity", 200)] {
        let request = Request::post("/v1/echo").header("content-type", "application/json");
        let answer = send(&router, request.header("content-encoding", encoding).body(Body::from("{}")).unwrap()).await;
        assert_eq!(answer.status, status, "{encoding}: {}", answer.body);
        if status == 415 {
            assert_eq!(answer.json()["type"], "urn:kinitro:problem:unsupported-content-encoding");
            assert_eq!(answer.header("accept-encoding"), "identity");
        }
    }
    let large = format!("{{\"text\":\"{}\"}}", "x".repeat(5000));
    assert_eq!(post(&router, "/v1/echo", &large).await.status, 413);
    let chunks = futures_of(large);
    let request = Request::post("/v1/echo").header("content-type", "application/json").body(chunks).unwrap();
    assert_eq!(send(&router, request).await.status, 413);
}

/// A body without a declared length.
fn futures_of(text: String) -> Body {
    let chunks: Vec<_> = text.into_bytes().chunks(100).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect();
    Body::from_stream(tokio_stream::iter(chunks))
}

#[tokio::test]
async fn gets_have_an_entity_tag_and_are_answered_304() {
    let router = router().await;
    let first = get(&router, "/v1/look/latest").await;
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.len() == 34, "{tag}");
    assert_eq!(first.header("cache-control"), "no-cache");
    for (listed, status) in [
        (tag.clone(), 304),
        (format!("W/{tag}"), 304),
        (format!("\"other\", {tag}"), 304),
        ("*".to_owned(), 304),
        ("\"other\"".to_owned(), 200),
    ] {
        let request = Request::get("/v1/look/latest").header("if-none-match", &listed).body(Body::empty()).unwrap();
        let answer = send(&router, request).await;
        assert_eq!((answer.status, answer.header("etag")), (status, tag.as_str()), "{listed}");
        assert_eq!(answer.body.is_empty(), status == 304);
    }
    assert_ne!(get(&router, "/v1/look/1").await.header("etag"), tag);
}

#[tokio::test]
async fn only_an_answer_of_an_immutable_route_may_be_kept() {
    let router = router().await;
    assert_eq!(get(&router, "/v1/look/5").await.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(get(&router, "/v1/look/x").await.header("cache-control"), "no-store");
    assert_eq!(post(&router, "/v1/echo", "{}").await.header("cache-control"), "no-store");
}

#[tokio::test]
async fn head_answers_like_get_without_the_body() {
    let router = router().await;
    let full = get(&router, "/v1/look/5").await;
    let head = send(&router, Request::head("/v1/look/5").body(Body::empty()).unwrap()).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("etag"), full.header("etag"));
    let head = send(&router, Request::head("/v1/nothing").body(Body::empty()).unwrap()).await;
    assert_eq!((head.status, head.body.as_str()), (404, ""));
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let router = router().await;
    let answer = get(&router, "/v1/nothing").await;
    assert_eq!((answer.status, answer.header("content-type")), (404, "application/problem+json"));
    assert_eq!(answer.json()["type"], "urn:kinitro:problem:route-not-found");
    let answer = post(&router, "/v1/look/5", "{}").await;
    assert_eq!((answer.status, answer.header("allow")), (405, "GET,HEAD"));
    assert_eq!(answer.json()["type"], "urn:kinitro:problem:method-not-allowed");
    assert_eq!(get(&router, "/v1/quiet").await.status, 404);
}

#[tokio::test]
async fn a_status_becomes_a_problem_in_the_words_of_the_service() {
    let router = router().await;
    let request = Request::get("/v1/fail?filter=reason").header("x-request-id", "abc-1").body(Body::empty()).unwrap();
    let answer = send(&router, request).await;
    assert_eq!(
        answer.body,
        concat!(
            r#"{"type":"urn:kinitro:problem:weights-not-found","title":"Weights not found","status":404,"#,
            r#""detail":"no weights at block 7","request_id":"abc-1"}"#
        )
    );
    assert_eq!((answer.header("x-request-id"), answer.header("cache-control")), ("abc-1", "no-store"));

    let answer = get(&router, "/v1/fail?filter=field").await;
    assert_eq!((answer.status, &answer.json()["field"]), (400, &"batch_size".into()));
    let answer = get(&router, "/v1/fail?filter=plain").await;
    assert_eq!((answer.status, &answer.json()["type"]), (409, &"urn:kinitro:problem:already-exists".into()));
    let answer = get(&router, "/v1/fail?filter=unavailable").await;
    assert_eq!((answer.status, &answer.json()["type"]), (503, &"urn:kinitro:problem:database-unavailable".into()));
}

#[tokio::test]
async fn a_service_that_refuses_the_gateway_is_not_shown_as_a_client_without_credentials() {
    let answer = get(&router().await, "/v1/fail?filter=refused").await;
    assert_eq!((answer.status, &answer.json()["type"]), (503, &"urn:kinitro:problem:unavailable".into()));
    assert!(!answer.body.contains("not the token"), "{}", answer.body);
}

#[tokio::test]
async fn internal_errors_show_nothing() {
    let router = router().await;
    for filter in ["internal", "panic", "nan", "garbage"] {
        let answer = get(&router, &format!("/v1/fail?filter={filter}")).await;
        assert_eq!((answer.status, &answer.json()["type"]), (500, &"urn:kinitro:problem:internal".into()), "{filter}");
        for word in ["hunter2", "SECRET", "secret", "stack", "real", "decode"] {
            assert!(!answer.body.contains(word), "{filter}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn a_service_that_is_away_is_503_without_its_address() {
    let router = Transcoder::new(&DESCRIPTORS).unwrap().service(SERVICE, nowhere()).into_router().unwrap();
    let answer = get(&router, "/v1/look/latest").await;
    assert_eq!((answer.status, &answer.json()["type"]), (503, &"urn:kinitro:problem:unavailable".into()));
    assert!(!answer.body.contains("127.0.0.1") && !answer.body.contains("tcp"), "{}", answer.body);
}

#[tokio::test]
async fn the_service_sees_the_trace_but_never_the_credentials() {
    let request = Request::get("/v1/fail?filter=metadata")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header("authorization", "Bearer secret")
        .body(Body::empty())
        .unwrap();
    let answer = send(&router().await, request).await;
    assert_eq!(answer.json()["detail"], "traceparent,x-request-id,grpc-timeout");
}

#[tokio::test]
async fn a_request_id_is_kept_when_sound_and_replaced_when_not() {
    let router = router().await;
    let with = |id: &str| Request::get("/v1/look/latest").header("x-request-id", id).body(Body::empty()).unwrap();
    assert_eq!(send(&router, with("a.B-1_2")).await.header("x-request-id"), "a.B-1_2");
    let long = "x".repeat(129);
    for id in ["", "with space", "quote\"", &long] {
        let answer = send(&router, with(id)).await;
        assert_eq!(answer.header("x-request-id").len(), 36, "{id}");
    }
}

#[tokio::test]
async fn a_guard_is_asked_before_the_body_is_read() {
    let router = Transcoder::new(&DESCRIPTORS)
        .unwrap()
        .service(SERVICE, nowhere())
        .guard("/v1/echo", |headers| match headers.contains_key("x-let-me-in") {
            true => Ok(()),
            false => Err(Problem::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", "no")),
        })
        .native(Router::new().route("/native", axum::routing::get(|| async { "here" })))
        .into_router()
        .unwrap();
    assert_eq!(post(&router, "/v1/echo", "not json").await.status, 401);
    let request = Request::post("/v1/echo").header("x-let-me-in", "1").header("content-type", "application/json");
    assert_eq!(send(&router, request.body(Body::from("not json")).unwrap()).await.status, 400);
    assert_eq!(get(&router, "/native").await.body, "here");
    assert_eq!(post(&router, "/native", "").await.json()["type"], "urn:kinitro:problem:method-not-allowed");
}

#[tokio::test]
async fn a_service_that_hangs_is_504_at_the_deadline_of_the_client() {
    let router = router().await;
    for asked in ["50m", "0n"] {
        let request = Request::get("/v1/fail?filter=hang").header("grpc-timeout", asked).body(Body::empty()).unwrap();
        let answer = send(&router, request).await;
        assert_eq!((answer.status, &answer.json()["type"]), (504, &"urn:kinitro:problem:deadline-exceeded".into()));
    }
}

#[tokio::test]
async fn the_deadline_of_the_route_holds_for_clients_that_ask_for_more_or_for_nonsense() {
    let router = Transcoder::new(&DESCRIPTORS)
        .unwrap()
        .service(SERVICE, serve().await)
        .timeout(std::time::Duration::from_millis(50))
        .into_router()
        .unwrap();
    for asked in ["99999999H", "soon", "123456789m", ""] {
        let request = Request::get("/v1/fail?filter=hang").header("grpc-timeout", asked).body(Body::empty()).unwrap();
        assert_eq!(send(&router, request).await.status, 504, "{asked}");
    }
}
