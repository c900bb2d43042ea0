//! What validators and dashboards poll costs little when nothing changed.

use reqwest::Method;

use crate::{house::run, scored::scored, wire::ask};

const POLLED: [&str; 6] =
    ["/v1/status", "/v1/weights/latest", "/v1/weights/12", "/v1/scores/latest", "/v1/miners", "/v1/environments"];
const IMMUTABLE: &str = "/v1/scores/1";

#[test]
fn a_poll_with_the_entity_tag_is_not_modified() {
    run(async {
        let house = &scored().await.house;
        for path in POLLED.into_iter().chain([IMMUTABLE]) {
            let first = house.get(path).await;
            let tag = first.header("etag");
            assert!(tag.len() == 34 && tag.starts_with('"') && tag.ends_with('"'), "{path}: {tag}");
            for condition in [tag.to_owned(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
                let again = ask(house.gateway, Method::GET, path, &[("if-none-match", &condition)], "").await;
                assert_eq!((again.status, again.body.as_str()), (304, ""), "{path} {condition}");
                assert_eq!(again.header("etag"), tag, "{path}");
                assert_eq!(again.header("cache-control"), first.header("cache-control"), "{path}");
            }
            let changed = ask(house.gateway, Method::GET, path, &[("if-none-match", "\"other\"")], "").await;
            assert_eq!((changed.status, &changed.body), (200, &first.body), "{path}");
        }
    });
}

#[test]
fn only_what_cannot_change_is_immutable() {
    run(async {
        let house = &scored().await.house;
        for path in POLLED {
            assert_eq!(house.get(path).await.header("cache-control"), "no-cache", "{path}");
        }
        let kept = house.get(IMMUTABLE).await;
        assert_eq!(kept.header("cache-control"), "public, max-age=31536000, immutable");
        for path in ["/health", "/metrics", "/v1/weights/11", "/v1/scores/2"] {
            assert_eq!(house.get(path).await.header("cache-control"), "no-store", "{path}");
        }
    });
}
