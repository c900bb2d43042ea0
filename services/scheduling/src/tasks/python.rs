//! The texts by which the Python executor says that an episode ended with its policy.
//!
//! It has no verdicts: a policy's fault and its own arrive alike, as a text in `error`. Were both taken for ours, a policy that crashes in
//! every hard episode would have it played again and then left out. So what it says of a policy is read here, and becomes the cause that an
//! executor of ours would name. A text that is not known stays our fault. The texts begin with words that the executor writes, and only after
//! them comes what a policy can choose, so a policy cannot talk itself out of a fault.

use kinitro_domain::Cause;

/// `<Exception>: <its text>` follows, raised while the policy was reset.
const RESET: &str = "Miner reset failed: ";
/// The number of the step follows, and nothing else: the answer to `/act` had no `action`.
const NO_ACTION: &str = "Miner returned no action at step ";
/// The number of the step follows, and nothing else.
const TIMEOUT: &str = "Miner action timeout at step ";
/// The number of the step follows, then `: <Exception>: <its text>`.
const ACTION: &str = "Miner action failed at step ";

/// Exceptions of httpx, pydantic and Python, with what each says. One that is not here is an answer that could not be used.
const EXCEPTIONS: &[(&str, Cause)] = &[
    // No connection. After the policy was reached, `cause_of` calls it a broken one.
    ("ConnectError", Cause::PolicyUnreachable),
    ("ConnectTimeout", Cause::PolicyUnreachable),
    ("ReadTimeout", Cause::ActionTimeout),
    ("WriteTimeout", Cause::ActionTimeout),
    ("HTTPStatusError", Cause::HttpStatus),
    ("CloseError", Cause::ConnectionClosed),
    ("ReadError", Cause::ConnectionClosed),
    ("RemoteProtocolError", Cause::ConnectionClosed),
    ("WriteError", Cause::ConnectionClosed),
    ("InvalidURL", Cause::EndpointRefused),
    ("UnsupportedProtocol", Cause::EndpointRefused),
    ("ValidationError", Cause::ActionShape),
    // Its own memory, descriptors and event loop.
    ("MemoryError", Cause::Executor),
    ("OSError", Cause::Executor),
    ("RuntimeError", Cause::Executor),
];

/// What an `error` of the Python executor says of the policy; `None` for a text that is not one of those known.
pub(super) fn cause_of(error: &str) -> Option<Cause> {
    if let Some(exception) = error.strip_prefix(RESET) {
        return Some(raised(exception));
    }
    if let Some(step) = error.strip_prefix(NO_ACTION) {
        return is_step(step).then_some(Cause::InvalidResponse);
    }
    if let Some(step) = error.strip_prefix(TIMEOUT) {
        return is_step(step).then_some(Cause::ActionTimeout);
    }
    let (step, exception) = error.strip_prefix(ACTION)?.split_once(": ")?;
    is_step(step).then(|| match raised(exception) {
        // It opens a connection for each call, and the policy was reached before.
        Cause::PolicyUnreachable => Cause::ConnectionClosed,
        cause => cause,
    })
}

fn raised(exception: &str) -> Cause {
    let name = exception.split(':').next().unwrap_or_default().trim();
    EXCEPTIONS.iter().find(|(known, _)| *known == name).map_or(Cause::InvalidResponse, |(_, cause)| *cause)
}

fn is_step(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_the_python_executor_name_their_causes() {
        let texts = [
            ("Miner reset failed: ConnectError: All connection attempts failed", Cause::PolicyUnreachable),
            ("Miner reset failed: ConnectTimeout: ", Cause::PolicyUnreachable),
            ("Miner reset failed: ReadTimeout: ", Cause::ActionTimeout),
            ("Miner reset failed: HTTPStatusError: Client error '422 Unprocessable Entity'", Cause::HttpStatus),
            ("Miner reset failed: UnsupportedProtocol: Request URL is missing", Cause::EndpointRefused),
            ("Miner reset failed: JSONDecodeError: Expecting value: line 1", Cause::InvalidResponse),
            ("Miner reset failed: whatever", Cause::InvalidResponse),
            ("Miner returned no action at step 0", Cause::InvalidResponse),
            ("Miner action timeout at step 499", Cause::ActionTimeout),
            ("Miner action failed at step 3: ConnectError: [Errno 111]", Cause::ConnectionClosed),
            ("Miner action failed at step 3: ReadError: ", Cause::ConnectionClosed),
            ("Miner action failed at step 3: ValidationError: 1 validation error for Action", Cause::ActionShape),
            ("Miner action failed at step 3: HTTPStatusError: Server error '500'", Cause::HttpStatus),
            (
                "Miner action failed at step 3: AttributeError: 'list' object has no attribute 'get'",
                Cause::InvalidResponse,
            ),
            ("Miner action failed at step 3: MemoryError: ", Cause::Executor),
        ];
        for (text, cause) in texts {
            assert_eq!(cause_of(text), Some(cause), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        let texts = [
            "",
            "boom",
            "Evaluation timeout",
            "Evaluation timeout after 300s",
            "ValueError: Miner reset failed: no",
            "miner reset failed: no",
            "Miner action timeout at step x",
            "Miner action timeout at step ",
            "Miner action failed at step 3",
            "Miner action failed at step x: ReadError: ",
            "Miner returned no action at step 7: or so",
        ];
        for text in texts {
            assert_eq!(cause_of(text), None, "{text}");
        }
    }
}
