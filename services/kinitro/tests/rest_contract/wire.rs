//! A client that shows what came over the wire, and what of it is replaced before it is compared.

use std::net::SocketAddr;

use reqwest::Method;

/// Sent with every request, so that the bodies of errors are exact too.
const REQUEST_ID: &str = "r-1";

/// An answer.
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Status, the headers that are part of the contract, and the body with what varies replaced.
    pub fn shown(&self) -> String {
        let mut text = self.status.to_string();
        for name in ["content-type", "cache-control", "allow", "www-authenticate"] {
            if let Some(value) = self.headers.get(name) {
                text += &format!(" {}", value.to_str().unwrap());
            }
        }
        text + "\n" + &shown(&self.body)
    }
}

/// One request.
pub async fn ask(to: SocketAddr, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.request(method, format!("http://{to}{path}")).header("x-request-id", REQUEST_ID);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.body(body.to_owned()).send().await.unwrap();
    assert_eq!(response.headers()["x-request-id"], REQUEST_ID);
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, body: response.text().await.unwrap() }
}

/// The body on several lines, with what varies replaced. The line ends are the only thing that is added.
pub fn shown(body: &str) -> String {
    assert!(!body.contains('\n') && body.trim() == body, "no white space around or in it: {body}");
    let mut text = body.to_owned();
    for name in ["created_at", "timestamp", "started_at", "completed_at", "last_evaluated"] {
        text = replace(&text, name, |value| is_time(value).then_some("\"<time>\""));
    }
    for name in ["duration_seconds", "evaluation_duration_seconds"] {
        text = replace(&text, name, |value| value.parse::<f64>().is_ok_and(|it| it > 0.0).then_some("<seconds>"));
    }
    text = replace(&text, "task_uuid", |value| is_task_uuid(value).then_some("\"<uuid>\""));
    text = replace(&text, "seed", |value| value.parse::<u32>().is_ok().then_some("<seed>"));
    lines(&text)
}

/// Replaces the values of a field. `null` stays; a value of another form fails the test.
fn replace(text: &str, field: &str, replacement: impl Fn(&str) -> Option<&'static str>) -> String {
    let key = format!("\"{field}\":");
    let (mut done, mut rest) = (String::new(), text);
    while let Some(found) = rest.find(&key) {
        let (before, after) = rest.split_at(found + key.len());
        let end = match after.strip_prefix('"') {
            Some(inside) => inside.find('"').unwrap() + 2,
            None => after.find([',', '}', ']']).unwrap(),
        };
        let (value, after) = after.split_at(end);
        done += before;
        done += match value {
            "null" => value,
            _ => replacement(value).unwrap_or_else(|| panic!("{field} has the form {value}")),
        };
        rest = after;
    }
    done + rest
}

/// RFC 3339 in UTC, written with `Z`.
pub fn is_time(value: &str) -> bool {
    let text = value.trim_matches('"');
    value.len() == text.len() + 2 && text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok()
}

fn is_task_uuid(value: &str) -> bool {
    let text = value.trim_matches('"');
    uuid::Uuid::parse_str(text).is_ok_and(|id| id.get_version_num() == 7 && id.to_string() == text)
}

/// Breaks lines after commas: after every object, and when a line is long.
fn lines(text: &str) -> String {
    let (mut broken, mut length, mut in_text, mut escaped, mut last) = (String::new(), 0, false, false, ' ');
    for letter in text.chars() {
        broken.push(letter);
        length += 1;
        match letter {
            '"' if !escaped => in_text = !in_text,
            ',' if !in_text && (last == '}' || length > 90) => {
                broken.push('\n');
                length = 0;
            }
            _ => {}
        }
        escaped = letter == '\\' && !escaped;
        last = letter;
    }
    broken
}
