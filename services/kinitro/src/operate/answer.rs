//! Asking scheduling, and showing what it answers.

use anyhow::{Context as _, Result, anyhow};
use kinitro_chassis::{ErrorInfo, MeshChannel};
use kinitro_proto::scheduling::v1::scheduling_service_client::SchedulingServiceClient;
use kinitro_transcode::{Schema, json::write_message};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use tonic::{Code, Status};

use super::Asking;
use crate::settings::Settings;

impl Asking {
    pub(super) fn client(&self, settings: &Settings) -> Result<SchedulingServiceClient<MeshChannel>> {
        Ok(SchedulingServiceClient::new(self.access(settings)?.channel(&self.scheduling_url)?))
    }

    /// A refusal in the service's words, or that there is no service.
    pub(super) fn refused(&self, status: &Status) -> anyhow::Error {
        match (ErrorInfo::from_status(status), status.code()) {
            (Some(info), _) => anyhow!("{} ({})", status.message(), info.reason),
            (None, Code::Unavailable) => {
                anyhow!("scheduling cannot be reached at {}: start it, or give --scheduling-url", self.scheduling_url)
            }
            (None, code) => anyhow!("{}: {code:?}: {}", self.scheduling_url, status.message()),
        }
    }

    /// The message as REST would write it, when that was asked for; whether it was.
    pub(super) fn print_json<M: Message>(&self, name: &str, message: &M) -> Result<bool> {
        if self.json {
            println!("{}", serde_json::to_string_pretty(&document(name, message)?)?);
        }
        Ok(self.json)
    }
}

fn document<M: Message>(name: &str, message: &M) -> Result<serde_json::Value> {
    let pool = DescriptorPool::decode(kinitro_proto::FILE_DESCRIPTOR_SET)?;
    let name = format!("kinitro.scheduling.v1.{name}");
    let descriptor = pool.get_message_by_name(&name).with_context(|| format!("no message {name}"))?;
    let message = DynamicMessage::decode(descriptor.clone(), message.encode_to_vec().as_slice())?;
    let mut json = Vec::new();
    write_message(&Schema::new([descriptor])?, &message, &mut json)?;
    Ok(serde_json::from_slice(&json)?)
}

/// Text that comes from executors and policies: one line, without what a terminal would obey.
pub(super) fn plain(text: &str, chars: usize) -> String {
    let mut shown: String = text.chars().take(chars).map(|each| if each.is_control() { ' ' } else { each }).collect();
    if text.chars().nth(chars).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_is_one_short_line_that_a_terminal_does_not_obey() {
        assert_eq!(plain("a\x1b[2Jb\nc\u{9b}d", 60), "a [2Jb c d");
        assert_eq!(plain("abcdef", 3), "abc…");
        assert_eq!(plain("abc", 3), "abc");
    }
}
