//! Path templates: `/v1/weights/{block}` as the router takes it, and the variables in it.

/// A template that the router can match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    /// As the annotation writes it.
    pub shown: String,
    /// As axum takes it. Variables are named by their place, so that two RPCs may name the same segment differently.
    pub router_path: String,
    /// The field paths that the variables fill, in the order of the path.
    pub variables: Vec<String>,
}

impl Template {
    /// Reads a template. Literals and single-segment variables are understood, which is what a REST path needs; wildcards
    /// and patterns over several segments are refused with a message.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix('/').ok_or_else(|| format!("template {text:?} does not begin with a slash"))?;
        let mut router_path = String::new();
        let mut variables = Vec::new();
        for segment in rest.split('/') {
            router_path.push('/');
            if let Some(inner) = segment.strip_prefix('{') {
                let name = inner
                    .strip_suffix('}')
                    .map(|inner| inner.strip_suffix("=*").unwrap_or(inner))
                    .filter(|name| is_field_path(name))
                    .ok_or_else(|| format!("template {text:?}: {segment} is not a variable like {{name}}"))?;
                if variables.iter().any(|known| known == name) {
                    return Err(format!("template {text:?} has the variable {name} twice"));
                }
                router_path.push_str(&format!("{{p{}}}", variables.len()));
                variables.push(name.to_owned());
            } else if segment.is_empty() || !segment.bytes().all(is_literal) {
                return Err(format!("template {text:?}: {segment:?} is not a plain segment"));
            } else {
                router_path.push_str(segment);
            }
        }
        Ok(Self { shown: text.to_owned(), router_path, variables })
    }
}

fn is_field_path(name: &str) -> bool {
    let word = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    name.split('.').all(word)
}

fn is_literal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:@".contains(&byte)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn variables_are_found_in_order() {
        let template = Template::parse("/v1/{outer.inner}/things/{id=*}").unwrap();
        assert_eq!(template.variables, ["outer.inner", "id"]);
        assert_eq!(template.router_path, "/v1/{p0}/things/{p1}");
    }

    #[test]
    fn what_the_router_cannot_match_is_refused() {
        for text in ["v1", "/", "/v1//x", "/v1/*", "/v1/{a=**}", "/v1/{a=b/*}", "/v1/{a}:verb", "/v1/{a}/{a}", "/{1}"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
