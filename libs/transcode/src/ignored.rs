//! Query parameters that a route does not have, named to a caller that may have misspelt one.

use http::{HeaderName, HeaderValue};

/// Names the parameters of a GET's query that had no effect, separated by commas.
pub(crate) const IGNORED_PARAMETERS: HeaderName = HeaderName::from_static("x-ignored-parameters");

const MAX_NAMES: usize = 10;
const MAX_NAME: usize = 40;

/// The names, as the client wrote them, within bounds.
#[derive(Debug, Default)]
pub(crate) struct Ignored {
    names: Vec<String>,
    /// More than are named.
    more: bool,
}

impl Ignored {
    /// Adds a name as it stands in the query. What a header should not carry is left percent-encoded or becomes `?`; a long one is cut.
    pub fn add(&mut self, raw: &str) {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~%+[]".contains(&byte);
        let mut name: String =
            raw.bytes().take(MAX_NAME).map(|byte| if plain(byte) { char::from(byte) } else { '?' }).collect();
        if raw.len() > MAX_NAME {
            name.push_str("...");
        }
        if raw.is_empty() || self.names.contains(&name) {
            return;
        }
        if self.names.len() == MAX_NAMES {
            self.more = true;
        } else {
            self.names.push(name);
        }
    }

    /// The header, when a name was ignored.
    pub fn header(&self) -> Option<HeaderValue> {
        let more = self.more.then_some("...");
        let names: Vec<&str> = self.names.iter().map(String::as_str).chain(more).collect();
        (!names.is_empty()).then(|| HeaderValue::try_from(names.join(","))).and_then(Result::ok)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shown(names: &[&str]) -> String {
        let mut ignored = Ignored::default();
        names.iter().for_each(|name| ignored.add(name));
        ignored.header().map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn names_are_bounded_in_length_and_number_and_carry_nothing_that_a_header_must_not() {
        assert_eq!(shown(&[]), "");
        assert_eq!(shown(&["limit", "utm_source", "limit"]), "limit,utm_source");
        assert_eq!(shown(&["a,b", "c%0d%0aset-cookie:x", "é", ""]), "a?b,c%0d%0aset-cookie?x,??");
        assert_eq!(shown(&["x".repeat(5000).as_str()]), format!("{}...", "x".repeat(40)));
        let many: Vec<String> = (0..1000).map(|index| format!("p{index}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(shown(&many), "p0,p1,p2,p3,p4,p5,p6,p7,p8,p9,...");
    }
}
