//! Where the database is and who asks: a URL, also one written for SQLAlchemy, and what stands beside it.

use std::path::PathBuf;

use kinitro_chassis::read_secret;
use sqlx::postgres::PgConnectOptions;

use crate::DatabaseError;

const ENCODE: &str = "has a user or password with a character that has a meaning in URLs: percent-encode it (`/` is %2F, `#` is %23, \
                      `?` is %3F, `@` is %40, `%` is %25), or give the password by itself, in database_password or \
                      database_password_file";

/// The address of a database, with the credentials.
#[derive(Clone, Default)]
pub struct Address {
    url: String,
    user: Option<String>,
    password: Option<String>,
    password_file: Option<PathBuf>,
    database: Option<String>,
}

impl Address {
    /// `postgres://user:password@host:port/database`; also `postgresql://` and `postgresql+<driver>://`. User, password, port and
    /// database may be left out, and the host may be an IPv6 address in brackets or a directory with a socket (`?host=/run/postgresql`).
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// With the user and the password that were set beside the URL, as they are; each goes before the URL's own.
    #[must_use]
    pub fn with(self, user: Option<String>, password: Option<String>, password_file: Option<PathBuf>) -> Self {
        Self { user, password, password_file, ..self }
    }

    /// Another database on the same server.
    #[must_use]
    pub fn database(self, name: impl Into<String>) -> Self {
        Self { database: Some(name.into()), ..self }
    }

    /// Whether this can be the address of a database. Reads no file.
    pub fn check(&self) -> Result<(), DatabaseError> {
        if self.password.is_some() && self.password_file.is_some() {
            return Err(DatabaseError::TwoPasswords);
        }
        parse(&self.url).map(drop)
    }

    /// How to connect.
    pub fn options(&self) -> Result<PgConnectOptions, DatabaseError> {
        self.check()?;
        // A pooler refuses startup parameters that it does not know.
        let mut options = parse(&self.url)?.extra_float_digits(None);
        if let Some(user) = &self.user {
            options = options.username(user);
        }
        if let Some(password) = &self.password {
            options = options.password(password);
        }
        if let Some(path) = &self.password_file {
            let password =
                read_secret(path).map_err(|reason| DatabaseError::PasswordFile { path: path.clone(), reason })?;
            options = options.password(&password);
        }
        if let Some(database) = &self.database {
            options = options.database(database);
        }
        Ok(options)
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Address").finish_non_exhaustive()
    }
}

impl From<&str> for Address {
    fn from(url: &str) -> Self {
        Self::new(url)
    }
}

impl From<&String> for Address {
    fn from(url: &String) -> Self {
        Self::new(url)
    }
}

/// What messages call the address.
pub(crate) fn shown(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(directory) => directory.display().to_string(),
        None if options.get_host().contains(':') => format!("[{}]:{}", options.get_host(), options.get_port()),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

fn parse(url: &str) -> Result<PgConnectOptions, DatabaseError> {
    let refuse = |reason: &str| DatabaseError::Url { reason: reason.to_owned() };
    let (scheme, rest) = url.trim().split_once("://").ok_or_else(|| refuse("has no scheme"))?;
    let (base, driver) = scheme.split_once('+').map_or((scheme, None), |(base, driver)| (base, Some(driver)));
    let driver_is_named = driver
        .is_none_or(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
    if !matches!(base, "postgres" | "postgresql") || !driver_is_named {
        return Err(refuse("is not one of Postgres"));
    }
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (user_info, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if cut_short(authority, tail) || !is_encoded(user_info) {
        return Err(refuse(ENCODE));
    }
    let socket = tail.split_once('?').is_some_and(|(_, query)| {
        query.split('&').any(|pair| pair.strip_prefix("host=").is_some_and(|host| !host.is_empty()))
    });
    if host.is_empty() && !socket {
        return Err(refuse("names no host"));
    }
    let options: PgConnectOptions = format!("postgres://{rest}").parse().map_err(|error: sqlx::Error| {
        // Its words tell what is wrong and repeat nothing of the URL.
        refuse(&format!("cannot be read ({error})"))
    })?;
    match options.get_host().strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(six) => {
            let six = six.to_owned();
            Ok(options.host(&six))
        }
        None => Ok(options),
    }
}

/// Whether a password with a bare `/`, `?` or `#` ended the authority before its `@`.
fn cut_short(authority: &str, tail: &str) -> bool {
    if authority.contains('@') || !tail.contains('@') {
        return false;
    }
    // `[::1]:5432` has its port behind the bracket.
    let Some((_, port)) = authority[authority.find(']').unwrap_or(0)..].split_once(':') else { return false };
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let in_query = tail.split_once('?').is_some_and(|(path, query)| {
        !path.contains(['@', '#']) && query.split('&').all(|pair| pair.contains('=')) && !query.contains('#')
    });
    !is_port || !in_query
}

/// Whether every `%` begins the code of a byte.
fn is_encoded(text: &str) -> bool {
    text.split('%').skip(1).all(|after| after.len() >= 2 && after.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str) -> PgConnectOptions {
        Address::new(url).options().unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    #[test]
    fn every_spelling_of_a_postgres_url_means_the_same() {
        for scheme in ["postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg2"] {
            let options = options(&format!("{scheme}://u:p@h:5433/d?sslmode=disable"));
            assert_eq!((options.get_host(), options.get_port()), ("h", 5433));
            assert_eq!((options.get_username(), options.get_database()), ("u", Some("d")));
        }
    }

    #[test]
    fn an_ipv6_address_and_a_socket_can_be_named() {
        for url in [
            "postgres://u@[::1]:5433/d",
            "postgres://[::1]:5433/d",
            "postgres://u:p@[2001:db8::7]:5433/d?sslmode=disable",
        ] {
            let options = options(url);
            assert!(options.get_host().parse::<std::net::Ipv6Addr>().is_ok(), "{}", options.get_host());
            assert!(shown(&options).starts_with('[') && shown(&options).ends_with("]:5433"));
        }
        assert_eq!(shown(&options("postgres:///d?host=/run/postgresql")), "/run/postgresql");
        assert_eq!(shown(&options("postgres://%2Frun%2Fpostgresql/d")), "/run/postgresql");
    }

    #[test]
    fn a_password_that_must_be_encoded_is_said_to_be_one() {
        for password in
            ["hun/ter2", "hun#ter2", "hun?ter2", "hun%ter2", "hun%", "12/3", "12?3", "12#3", "a/b==", "100%!"]
        {
            let error =
                Address::new(format!("postgres://u:{password}@h:5432/d")).check().expect_err(password).to_string();
            assert!(error.contains("percent-encode") && !error.contains(password), "{error}");
        }
        for url in [
            "postgres://u:hun%2Fter2@h/d",
            "postgres://u:h@unter@h/d",
            "postgres://h:5432/d?user=a@b",
            "postgres://h/a@b",
        ] {
            options(url);
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
            "postgres://u:hunter2@h:port/d",
            "postgres://u:hunter2@h:70000/d",
            "postgres://u:hunter2@[::1/d",
        ] {
            let error = Address::new(url).check().expect_err(url).to_string();
            assert!(!error.contains("hunter2") && error.contains("postgres://user"), "{error}");
        }
    }

    #[test]
    fn user_and_password_beside_the_url_go_before_those_in_it_as_they_are() {
        let folder = std::env::temp_dir().join(format!("kinitro-database-{}", std::process::id()));
        std::fs::write(&folder, "p/#?%@s\n").expect("a file");
        let address = Address::new("postgres://u:p@h/d");
        let given =
            address.clone().with(Some("v".to_owned()), None, Some(folder.clone())).options().expect("an address");
        let written = options("postgres://v:p%2F%23%3F%25%40s@h/d");
        assert_eq!(given.get_username(), "v");
        assert_eq!(format!("{given:?}"), format!("{written:?}"), "Debug has every field");
        let both = address.clone().with(None, Some("p".to_owned()), Some(folder.clone()));
        assert!(matches!(both.check(), Err(DatabaseError::TwoPasswords)));
        std::fs::remove_file(&folder).expect("it was there");
        let missing = address.with(None, None, Some(folder)).options().expect_err("no file").to_string();
        assert!(missing.contains("database_password_file"), "{missing}");
    }
}
