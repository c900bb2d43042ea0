//! What went wrong in a conversation with a policy.

use std::{borrow::Cow, fmt, time::Duration};

use kinitro_commitment::EndpointError;
use kinitro_domain::Cause;

/// The longest evidence text, in bytes.
pub const MAX_EVIDENCE_BYTES: usize = 4096;

/// How much of an answer is quoted in evidence, in bytes.
const QUOTED_BYTES: usize = 512;

/// Stands where a name was hidden.
const HIDDEN: &str = "[endpoint]";

/// The longest text of a fault for the public, in characters.
pub const MAX_TOLD_CHARS: usize = 200;

/// Stands between what was seen and the answer that it was seen in.
const QUOTE: &str = "; the answer begins: ";

/// Stands where a quoted answer was cut.
const CUT: &str = " …";

/// So much of a name tells nothing yet.
const TELLS_NOTHING: usize = 6;

/// Why an episode cannot go on: the cause, which decides the verdict, and what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    cause: Cause,
    evidence: String,
    not_ready: Option<Duration>,
}

impl Fault {
    /// A fault with its evidence, which is cut to [`MAX_EVIDENCE_BYTES`] and freed of control characters.
    pub fn new(cause: Cause, evidence: impl AsRef<str>) -> Self {
        Self { cause, evidence: printable(evidence.as_ref(), MAX_EVIDENCE_BYTES), not_ready: None }
    }

    /// A fault whose evidence ends with the first bytes of the answer.
    pub fn quoting(cause: Cause, what: impl fmt::Display, answer: &[u8]) -> Self {
        let head = &answer[..answer.len().min(QUOTED_BYTES)];
        let text = String::from_utf8_lossy(head);
        let more = if answer.len() > head.len() { CUT } else { "" };
        Self::new(cause, format!("{what}{QUOTE}{text}{more}"))
    }

    /// What decided the verdict.
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// Whether the policy said that it, or what stands before it, is not ready yet, and after how long it wants to be asked again; zero when
    /// it did not say.
    pub fn not_ready(&self) -> Option<Duration> {
        self.not_ready
    }

    /// The same fault, of a policy that is not ready yet and wants to be asked again after so long.
    pub fn of_one_not_ready(self, ask_after: Duration) -> Self {
        Self { not_ready: Some(ask_after), ..self }
    }

    /// What was seen, for people: at most [`MAX_EVIDENCE_BYTES`], without control characters.
    pub fn evidence(&self) -> &str {
        &self.evidence
    }

    /// The same without names that must not be seen, such as the host of a sealed endpoint, which certificates and error pages tell.
    pub fn hiding(mut self, names: &[&str]) -> Self {
        for name in names.iter().filter(|name| !name.is_empty()) {
            let name = name.to_ascii_lowercase();
            let mut from = 0;
            while let Some(at) = self.evidence[from..].to_ascii_lowercase().find(&name) {
                self.evidence.replace_range(from + at..from + at + name.len(), HIDDEN);
                from += at + HIDDEN.len();
            }
            self.hide_beginning(&name);
        }
        self.evidence = printable(&self.evidence, MAX_EVIDENCE_BYTES);
        self
    }

    /// An answer may have been cut in the middle of a name.
    fn hide_beginning(&mut self, name: &str) {
        let text = self.evidence.strip_suffix(CUT).unwrap_or(&self.evidence).to_ascii_lowercase();
        let lengths = (TELLS_NOTHING + 1..name.len()).rev();
        let told = lengths.filter_map(|length| name.get(..length)).find(|told| text.ends_with(told)).map(str::len);
        if let Some(length) = told {
            self.evidence.replace_range(text.len() - length..text.len(), HIDDEN);
        }
    }

    /// The same evidence under another cause, where the caller knows more about the moment than whoever saw the error.
    pub fn with_cause(self, cause: Cause) -> Self {
        Self { cause, ..self }
    }
}

/// A refusal is a fault of the miner, who committed the endpoint.
impl From<EndpointError> for Fault {
    fn from(refused: EndpointError) -> Self {
        Self::new(Cause::EndpointRefused, refused.to_string())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cause, self.evidence)
    }
}

/// What of a fault its miner may read in public: what was seen, and the first line of the policy's answer. Only of causes that are about an
/// answer; what is said of connections and addresses may tell where a sealed endpoint is.
pub fn told(cause: Cause, evidence: &str) -> Option<String> {
    use Cause::{ActionNotFinite, ActionShape, ActionTimeout, HttpStatus, InvalidResponse, Redirect, ResponseTooLarge};
    let about_an_answer = matches!(
        cause,
        HttpStatus | Redirect | InvalidResponse | ResponseTooLarge | ActionShape | ActionNotFinite | ActionTimeout
    );
    if !about_an_answer || evidence.is_empty() {
        return None;
    }
    let told = match evidence.split_once(QUOTE) {
        // The ends of lines were escaped with the other control characters.
        Some((what, answer)) => {
            let mut lines = answer.split("\\n").map(|line| line.trim_end_matches("\\r").trim());
            format!("{what}: {}", lines.find(|line| !line.is_empty()).unwrap_or("nothing"))
        }
        None => evidence.to_owned(),
    };
    Some(told.chars().take(MAX_TOLD_CHARS).collect())
}

/// Control and bidirectional formatting characters escaped, cut at a character boundary.
fn printable(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    for character in text.chars() {
        let shown: Cow<'_, str> = match character {
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => {
                character.escape_unicode().to_string().into()
            }
            _ if character.is_control() => character.escape_default().to_string().into(),
            _ => character.encode_utf8(&mut [0; 4]).to_owned().into(),
        };
        if out.len() + shown.len() > limit {
            break;
        }
        out.push_str(&shown);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn evidence_quotes_the_first_bytes_of_the_answer_escaped() {
        let fault = Fault::quoting(Cause::InvalidResponse, "no JSON", b"<html>\n\x1b[2J\xff\0");
        assert_eq!(fault.evidence(), "no JSON; the answer begins: <html>\\n\\u{1b}[2J\u{fffd}\\u{0}");
        assert_eq!(fault.cause(), Cause::InvalidResponse);
    }

    #[test]
    fn the_public_is_told_the_first_line_of_an_answer_and_nothing_of_addresses() {
        let of = |cause, answer: &[u8]| {
            let fault = Fault::quoting(cause, "/reset answered 422 Unprocessable Entity", answer);
            told(fault.cause(), fault.evidence())
        };
        let line = "/reset answered 422 Unprocessable Entity: {\"detail\": \\u{1b}[2J}";
        assert_eq!(of(Cause::HttpStatus, b"\r\n{\"detail\": \x1b[2J}\r\nmore").as_deref(), Some(line));
        assert_eq!(
            of(Cause::HttpStatus, b"").as_deref(),
            Some("/reset answered 422 Unprocessable Entity: nothing"),
            "an empty body"
        );
        assert_eq!(of(Cause::HttpStatus, &[b'x'; 900]).map(|told| told.len()), Some(MAX_TOLD_CHARS));
        for silent in [Cause::PolicyUnreachable, Cause::EndpointRefused, Cause::ConnectionClosed, Cause::Executor] {
            assert_eq!(of(silent, b"no route to 192.0.2.1"), None, "{silent}");
        }
        assert_eq!(told(Cause::ActionTimeout, "late").as_deref(), Some("late"));
        assert_eq!(told(Cause::ActionTimeout, ""), None);
    }

    #[test]
    fn a_hidden_name_is_gone_in_every_spelling() {
        let fault = Fault::new(Cause::HttpStatus, "no é at Abc.example, ABC.EXAMPLE or abc.example.org");
        let hidden = fault.hiding(&["abc.example", ""]);
        assert_eq!(hidden.evidence(), "no é at [endpoint], [endpoint] or [endpoint].org");
    }

    #[test]
    fn a_name_that_the_cut_left_half_of_is_hidden_too() {
        let (host, id) = ("0f8b6a52-8f5d-4e86-9f5a-1c2d3e4f5a6b.example", "0f8b6a52-8f5d-4e86-9f5a-1c2d3e4f5a6b");
        for seen in 0..=host.len() {
            let page = [&b"x".repeat(QUOTED_BYTES - seen), host.to_uppercase().as_bytes(), b" is down"].concat();
            let fault = Fault::quoting(Cause::HttpStatus, "502", &page).hiding(&[host, id]);
            assert!(fault.evidence().starts_with("502; the answer begins: xx"), "{fault}");
            assert!(fault.evidence().ends_with(CUT), "{fault}");
            let told = fault.evidence().to_ascii_lowercase();
            assert!(!told.contains(&id[..TELLS_NOTHING + 1]), "{seen}: {fault}");
        }
    }

    proptest! {
        #[test]
        fn evidence_is_bounded_and_printable(answer in prop::collection::vec(any::<u8>(), 0..9000), text in "\\PC{0,3000}|[\u{0}-\u{1f}]{0,5000}") {
            for fault in [Fault::quoting(Cause::Executor, "x", &answer), Fault::new(Cause::Executor, &text)] {
                prop_assert!(fault.evidence().len() <= MAX_EVIDENCE_BYTES);
                prop_assert!(!fault.evidence().chars().any(char::is_control));
            }
        }
    }
}
