//! A password that is kept beside the URL of Redis.

use url::Url;

use crate::QueueError;

/// The URL with this password in place of its own. The password is given as it is, not percent-encoded.
///
/// # Errors
///
/// [`QueueError::Url`].
pub fn redis_url(url: &str, password: Option<&str>) -> Result<String, QueueError> {
    let refuse = |reason: &str| QueueError::Url { reason: reason.to_owned() };
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if !url.trim_start().starts_with("unix")
        && authority.contains(':')
        && !authority.contains('@')
        && tail.contains('@')
    {
        return Err(refuse(
            "its user or password has a character that has a meaning in URLs: percent-encode it, `/` is %2F, `#` is %23, `?` is %3F, \
             or give the password by itself, in redis_password or redis_password_file",
        ));
    }
    let Some(password) = password else { return Ok(url.to_owned()) };
    let mut parsed = Url::parse(url.trim()).map_err(|error| refuse(&error.to_string()))?;
    if parsed.has_host() {
        parsed.set_password(Some(password)).map_err(|()| refuse("no password can be added to it"))?;
    } else {
        parsed.query_pairs_mut().append_pair("pass", password);
    }
    Ok(parsed.into())
}

#[cfg(test)]
mod tests {
    use redis::IntoConnectionInfo as _;

    use super::*;

    #[test]
    fn a_password_beside_the_url_arrives_as_it_is() {
        for url in
            ["redis://h:6379/1", "redis://kinitro@h:6379/1", "redis://:old@[::1]:6379/1", "unix:///run/redis.sock?db=1"]
        {
            let whole = redis_url(url, Some("p/#?%@ s")).unwrap_or_else(|error| panic!("{url}: {error}"));
            let info = whole.into_connection_info().unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!((info.redis_settings().password(), info.redis_settings().db()), (Some("p/#?%@ s"), 1), "{url}");
        }
        assert_eq!(redis_url("redis://h", None).expect("unchanged"), "redis://h");
    }

    #[test]
    fn a_password_that_must_be_encoded_is_said_to_be_one() {
        for url in ["redis://:a/b@h:6379/0", "redis://u:a#b@h", "redis://u:a?b@h"] {
            let error = redis_url(url, None).expect_err(url).to_string();
            assert!(error.contains("percent-encode") && !error.contains("a/b"), "{error}");
        }
    }
}
