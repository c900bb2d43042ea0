//! Database URLs, also those written for SQLAlchemy.

use super::ConfigError;

/// A URL that sqlx understands: `postgres://`, `postgresql://` and `postgresql+<driver>://` all become `postgres://`.
pub fn postgres_url(url: &str) -> Result<String, ConfigError> {
    let refuse = |reason: &str| Err(ConfigError::DatabaseUrl { reason: reason.to_owned() });
    let Some((scheme, rest)) = url.trim().split_once("://") else {
        return refuse("has no scheme");
    };
    let (base, driver) = match scheme.split_once('+') {
        Some((base, driver)) => (base, Some(driver)),
        None => (scheme, None),
    };
    let driver_is_named = driver
        .is_none_or(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
    if !matches!(base, "postgres" | "postgresql") || !driver_is_named {
        return refuse("is not one of Postgres");
    }
    let host = rest.split(['/', '?']).next().and_then(|authority| authority.rsplit('@').next());
    if host.is_none_or(str::is_empty) {
        return refuse("names no host");
    }
    Ok(format!("postgres://{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_postgres_url_becomes_the_same() {
        for scheme in ["postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg2"] {
            let url = postgres_url(&format!("{scheme}://u:p@h:5432/d?sslmode=disable")).expect(scheme);
            assert_eq!(url, "postgres://u:p@h:5432/d?sslmode=disable");
        }
    }

    #[test]
    fn a_url_that_is_not_one_of_postgres_is_refused_without_showing_its_password() {
        for url in [
            "mysql://u:hunter2@h/d",
            "u:hunter2@h/d",
            "",
            "postgres://",
            "postgres+://u:hunter2@h/d",
            "postgres://u:hunter2@/d",
        ] {
            let error = postgres_url(url).expect_err(url).to_string();
            assert!(!error.contains("hunter2") && error.contains("postgres://user"), "{error}");
        }
    }
}
