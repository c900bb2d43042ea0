//! What is wrong with a request, and where.

use std::fmt;

/// The kind of a fault: stable, part of the problem's `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The body is not JSON.
    InvalidJson,
    /// A name that the message does not have.
    UnknownField,
    /// A value that does not fit its field.
    InvalidValue,
    /// A field or key given twice.
    DuplicateField,
    /// Nested too deep.
    TooDeep,
}

impl Reason {
    /// The reason as `google.rpc.ErrorInfo` writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidJson => "INVALID_JSON",
            Self::UnknownField => "UNKNOWN_FIELD",
            Self::InvalidValue => "INVALID_VALUE",
            Self::DuplicateField => "DUPLICATE_FIELD",
            Self::TooDeep => "TOO_DEEP",
        }
    }
}

/// A request that is refused: why, at which field, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The kind.
    pub reason: Reason,
    /// The place, e.g. `results[3].score`; `None` for the body as a whole.
    pub field: Option<String>,
    /// For people; at most [`Fault::DETAIL_CHARS`] characters.
    pub detail: String,
}

impl Fault {
    /// Longer details are cut: they may quote the request.
    pub const DETAIL_CHARS: usize = 400;

    /// A fault whose place is not known yet.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if let Some((end, _)) = detail.char_indices().nth(Self::DETAIL_CHARS) {
            detail.truncate(end);
            detail.push('…');
        }
        Self { reason, field: None, detail }
    }

    /// The same fault at a place.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{field}: {}", self.detail),
            None => f.write_str(&self.detail),
        }
    }
}

impl std::error::Error for Fault {}

/// Text from a request as a message quotes it: escaped, and short.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}
