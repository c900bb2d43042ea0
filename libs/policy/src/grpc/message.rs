//! The messages of `policy.proto`: ours written into frames, the policy's read and checked.

use std::collections::VecDeque;

use bytes::{BufMut as _, BytesMut};
use kinitro_domain::Cause;
use kinitro_proto::policy::v1 as proto;
use prost::{Message as _, encode_length_delimiter, length_delimiter_len};
use uuid::Uuid;

use crate::{Action, ChannelSpec, Fault, Image, Observation, TaskConfig};

/// The most actions in one reply.
pub const MAX_CHUNK: usize = 64;

/// Before each message: whether it is compressed, and its length.
pub(super) const PREFIX_BYTES: usize = 5;

/// Writes the frame of the first message.
pub(super) fn write_start(task: &TaskConfig, episode_id: Uuid, spec: &[ChannelSpec], out: &mut BytesMut) {
    let TaskConfig { env_id, env_name, task_name, policy_seed, task_id } = task;
    let channel = |channel: &ChannelSpec| proto::ActionChannel {
        name: channel.name.to_owned(),
        length: u32::try_from(channel.len).unwrap_or(u32::MAX),
        low: channel.low,
        high: channel.high,
    };
    let start = proto::EpisodeStart {
        episode_id: episode_id.to_string(),
        env_id: env_id.clone(),
        env_name: env_name.clone(),
        task_name: task_name.clone(),
        policy_seed: *policy_seed,
        action_channels: spec.iter().map(channel).collect(),
        max_actions: MAX_CHUNK as u32,
        task_id: *task_id,
    };
    let event = proto::EpisodeEvent { event: Some(proto::episode_event::Event::Start(start)) };
    write_prefix(event.encoded_len(), out);
    event.encode(out).expect("a buffer grows");
}

/// Writes the frame of an observation. By hand, because the generated message would own its pictures: this way each is copied once, into
/// the frame.
pub(super) fn write_observation(observation: &Observation, step: u32, out: &mut BytesMut) {
    let proprio = observation.proprio.iter().map(|(name, numbers)| member_len(entry_len(name, values_len(numbers))));
    let images = observation.rgb.iter().map(|(name, image)| member_len(entry_len(name, image_len(image))));
    let length = number_len(step) + proprio.sum::<usize>() + images.sum::<usize>();
    write_prefix(member_len(length), out);

    open_member(OBSERVATION, length, out);
    write_number(STEP, step, out);
    for (name, numbers) in &observation.proprio {
        open_entry(PROPRIO, name, values_len(numbers), out);
        if !numbers.is_empty() {
            open_member(VALUES, numbers.len() * 8, out);
            numbers.iter().for_each(|number| out.put_f64_le(*number));
        }
    }
    for (name, image) in &observation.rgb {
        open_entry(IMAGES, name, image_len(image), out);
        write_number(WIDTH, image.width, out);
        write_number(HEIGHT, image.height, out);
        if !image.rgb.is_empty() {
            open_member(RGB, image.rgb.len(), out);
            out.put_slice(&image.rgb);
        }
    }
}

// The numbers of the fields in `policy.proto`. All are below 16, so that each key is one byte. A test holds what is written equal to what
// the generated code reads.
const OBSERVATION: u8 = 2;
const STEP: u8 = 1;
const PROPRIO: u8 = 2;
const IMAGES: u8 = 3;
const VALUES: u8 = 1;
const WIDTH: u8 = 1;
const HEIGHT: u8 = 2;
const RGB: u8 = 3;
/// Of an entry of a map.
const KEY: u8 = 1;
const VALUE: u8 = 2;

fn write_prefix(length: usize, out: &mut BytesMut) {
    out.reserve(PREFIX_BYTES + length);
    out.put_u8(0);
    out.put_u32(u32::try_from(length).expect("an observation has less than 4 GiB"));
}

/// A field of text, bytes, packed numbers or a message: key, length, content.
fn member_len(content: usize) -> usize {
    1 + length_delimiter_len(content) + content
}

fn open_member(field: u8, content: usize, out: &mut BytesMut) {
    out.put_u8(field << 3 | 2);
    encode_length_delimiter(content, out).expect("a buffer grows");
}

/// An entry of a map from text to messages.
fn entry_len(name: &str, value: usize) -> usize {
    member_len(name.len()) + member_len(value)
}

fn open_entry(field: u8, name: &str, value: usize, out: &mut BytesMut) {
    open_member(field, entry_len(name, value), out);
    open_member(KEY, name.len(), out);
    out.put_slice(name.as_bytes());
    open_member(VALUE, value, out);
}

/// A field of a whole number, which is absent when 0.
fn number_len(number: u32) -> usize {
    if number == 0 { 0 } else { 1 + length_delimiter_len(number as usize) }
}

fn write_number(field: u8, number: u32, out: &mut BytesMut) {
    if number != 0 {
        out.put_u8(field << 3);
        encode_length_delimiter(number as usize, out).expect("a buffer grows");
    }
}

fn values_len(numbers: &[f64]) -> usize {
    if numbers.is_empty() { 0 } else { member_len(numbers.len() * 8) }
}

fn image_len(image: &Image) -> usize {
    let rgb = if image.rgb.is_empty() { 0 } else { member_len(image.rgb.len()) };
    number_len(image.width) + number_len(image.height) + rgb
}

fn read_reply(message: &[u8]) -> Result<proto::policy_reply::Reply, Fault> {
    let invalid = |what: String| Fault::new(Cause::InvalidResponse, what);
    let reply = proto::PolicyReply::decode(message).map_err(|error| invalid(format!("no PolicyReply: {error}")))?;
    reply.reply.ok_or_else(|| invalid("a PolicyReply with neither `ready` nor `actions`".to_owned()))
}

/// Reads the answer to `start`.
pub(super) fn parse_ready(message: &[u8]) -> Result<(), Fault> {
    match read_reply(message)? {
        proto::policy_reply::Reply::Ready(_) => Ok(()),
        proto::policy_reply::Reply::Actions(_) => {
            Err(Fault::new(Cause::InvalidResponse, "`start` was answered with `actions`, not with `ready`"))
        }
    }
}

/// Reads the answer to the observation of a step, checks all of it and clips what is out of range: the first action, and the rest.
pub(super) fn parse_chunk(
    message: &[u8],
    step: u32,
    spec: &[ChannelSpec],
) -> Result<(Action, VecDeque<Action>), Fault> {
    let invalid = |what: String| Err(Fault::new(Cause::InvalidResponse, what));
    let chunk = match read_reply(message)? {
        proto::policy_reply::Reply::Actions(chunk) => chunk,
        proto::policy_reply::Reply::Ready(_) => {
            return invalid("an observation was answered with `ready`, not with `actions`".to_owned());
        }
    };
    if chunk.step != step {
        return invalid(format!("the actions are for step {}, not {step}", chunk.step));
    }
    if chunk.actions.len() > MAX_CHUNK {
        return invalid(format!("{} actions in one reply; at most {MAX_CHUNK} are played", chunk.actions.len()));
    }
    let mut rest = VecDeque::with_capacity(chunk.actions.len());
    for (index, action) in chunk.actions.iter().enumerate() {
        rest.push_back(checked(action, index, spec)?);
    }
    match rest.pop_front() {
        Some(first) => Ok((first, rest)),
        None => invalid("no action in the reply".to_owned()),
    }
}

fn checked(action: &proto::Action, index: usize, spec: &[ChannelSpec]) -> Result<Action, Fault> {
    let channel = |&ChannelSpec { name, len, low, high }: &ChannelSpec| {
        let shape = |what: String| Fault::new(Cause::ActionShape, format!("action {index} of the reply {what}"));
        let proto::Values { values } =
            action.continuous.get(name).ok_or_else(|| shape(format!("has no `continuous.{name}`")))?;
        if values.len() != len {
            return Err(shape(format!("has {} values in `{name}`, not {len}", values.len())));
        }
        if let Some(number) = values.iter().find(|number| !number.is_finite()) {
            let what = format!("action {index} of the reply has the value {number} in `{name}`, which is not finite");
            return Err(Fault::new(Cause::ActionNotFinite, what));
        }
        Ok(values.iter().map(|number| number.clamp(low, high)).collect())
    };
    spec.iter().map(channel).collect::<Result<_, _>>().map(Action)
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
