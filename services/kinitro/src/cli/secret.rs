//! Flags that do not exist, because their value would be a secret: every user of the machine sees the arguments of every process.

use std::ffi::OsStr;

use clap::{
    Arg, Command, Error,
    builder::{StyledStr, TypedValueParser},
    error::{ContextKind, ContextValue, ErrorKind},
};

/// What a refused flag was parsed to: there is no such value.
#[derive(Debug, Clone, Copy)]
pub enum Never {}

/// Refuses a flag without repeating its value, and says where the secret belongs instead.
#[derive(Debug, Clone, Copy)]
pub struct NotAnArgument(pub &'static str);

impl TypedValueParser for NotAnArgument {
    type Value = Never;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, _: &OsStr) -> Result<Never, Error> {
        let mut error = Error::new(ErrorKind::UnknownArgument).with_cmd(command);
        let flag = argument.and_then(Arg::get_long).unwrap_or_default();
        error.insert(ContextKind::InvalidArg, ContextValue::String(format!("--{flag}")));
        let advice = format!(
            "a secret in an argument can be read by every user of this machine, so --{flag} is not taken; {}",
            self.0
        );
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(advice)]));
        Err(error)
    }
}
