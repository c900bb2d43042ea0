//! Passwords in arguments: they work, and are warned of, because every user of the machine sees the arguments of every process.

/// Warns of every argument that is a URL with a password.
pub fn warn_of_passwords(arguments: impl Iterator<Item = String>) {
    for flag in with_passwords(arguments) {
        let remedy = match flag.as_str() {
            "--database-url" => {
                "leave it out of the URL and set KINITRO_SCHEDULER_DATABASE_PASSWORD or …_PASSWORD_FILE"
            }
            "--redis-url" => "leave it out of the URL and set KINITRO_SCHEDULER_REDIS_PASSWORD or …_PASSWORD_FILE",
            _ => "set the variable or the line of the file in place of the flag",
        };
        tracing::warn!("the password in {flag} can be read by every user of this machine (ps): {remedy}");
    }
}

/// The flags whose value is a URL with a password; "an argument" where there is no flag.
fn with_passwords(arguments: impl Iterator<Item = String>) -> Vec<String> {
    let mut found = Vec::new();
    let mut flag = "an argument".to_owned();
    for argument in arguments {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name.to_owned(), value.to_owned()),
            _ if argument.starts_with("--") => {
                flag = argument;
                continue;
            }
            _ => (std::mem::replace(&mut flag, "an argument".to_owned()), argument),
        };
        if has_password(&value) {
            found.push(name);
        }
        flag = "an argument".to_owned();
    }
    found
}

fn has_password(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else { return false };
    // A bare `/` in a password does not hide it.
    let user_info = rest.rsplit_once('@').map_or("", |(user_info, _)| user_info);
    let in_query = rest.split_once('?').is_some_and(|(_, query)| {
        query.split('&').any(|pair| ["password=", "pass="].iter().any(|name| pair.starts_with(name)))
    });
    in_query || user_info.split_once(':').is_some_and(|(_, password)| !password.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(arguments: &[&str]) -> Vec<String> {
        with_passwords(arguments.iter().map(|&argument| argument.to_owned()))
    }

    #[test]
    fn a_url_with_a_password_is_found_wherever_it_stands() {
        for (arguments, flag) in [
            (&["kinitro", "scoring", "--database-url", "postgres://u:p@h/d"][..], "--database-url"),
            (&["kinitro", "scheduling", "--redis-url=redis://:p@h:6379"], "--redis-url"),
            (&["kinitro", "db", "init", "--database-url=postgres://h/d?user=u&password=p"], "--database-url"),
            (&["kinitro", "up", "--no-auth", "--network", "wss://u:p@node"], "--network"),
            (&["kinitro", "health", "http://u:p@h"], "an argument"),
        ] {
            assert_eq!(found(arguments), [flag], "{arguments:?}");
        }
    }

    #[test]
    fn a_url_without_a_password_is_not() {
        for url in ["postgres://u@[::1]:5432/d", "redis://h:6379/0", "http://h:8000/a:b", "plain"] {
            assert!(found(&["kinitro", "--database-url", url]).is_empty(), "{url}");
        }
    }
}
