#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::METAWORLD_ACTION;

fn action(twist: &[f64], gripper: &[f64]) -> proto::Action {
    let values = |values: &[f64]| proto::Values { values: values.to_vec() };
    let continuous = [("ee_twist".to_owned(), values(twist)), ("gripper".to_owned(), values(gripper))];
    proto::Action { continuous: continuous.into() }
}

fn reply(step: u32, actions: Vec<proto::Action>) -> Vec<u8> {
    let chunk = proto::ActionChunk { step, actions };
    proto::PolicyReply { reply: Some(proto::policy_reply::Reply::Actions(chunk)) }.encode_to_vec()
}

fn cause(message: &[u8]) -> Cause {
    parse_chunk(message, 3, METAWORLD_ACTION).unwrap_err().cause()
}

fn unframed(frame: &[u8]) -> proto::EpisodeEvent {
    let (prefix, message) = frame.split_at(PREFIX_BYTES);
    assert_eq!(prefix[0], 0, "not compressed");
    assert_eq!(u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize, message.len());
    proto::EpisodeEvent::decode(message).unwrap()
}

#[test]
fn the_start_tells_what_the_proto_says_and_nothing_else() {
    let task = TaskConfig {
        env_id: "metaworld/push-v3".to_owned(),
        env_name: "metaworld".to_owned(),
        task_name: "push-v3".to_owned(),
        policy_seed: 7,
        task_id: 9,
    };
    let id = Uuid::from_u128(1);
    let mut frame = BytesMut::new();
    write_start(&task, id, METAWORLD_ACTION, &mut frame);
    let channel = |name: &str, length, low, high| proto::ActionChannel { name: name.to_owned(), length, low, high };
    let start = proto::EpisodeStart {
        episode_id: id.to_string(),
        env_id: task.env_id,
        env_name: task.env_name,
        task_name: task.task_name,
        policy_seed: 7,
        action_channels: vec![channel("ee_twist", 6, -1.0, 1.0), channel("gripper", 1, 0.0, 1.0)],
        max_actions: 64,
        task_id: 9,
    };
    assert_eq!(unframed(&frame).event, Some(proto::episode_event::Event::Start(start)));
}

#[test]
fn a_frame_is_written_where_the_last_one_was() {
    let image = Image { width: 84, height: 84, rgb: vec![200; 84 * 84 * 3] };
    let observation = Observation { proprio: vec![("ee_pos", vec![0.5; 3])], rgb: vec![("corner", image)] };
    let mut buffer = BytesMut::new();
    write_observation(&observation, 1, &mut buffer);
    let first = buffer.split().freeze();
    let place = first.as_ptr();
    drop(first);
    write_observation(&observation, 2, &mut buffer);
    assert_eq!(buffer.as_ptr(), place);
}

#[test]
fn a_chunk_is_a_first_action_and_the_rest() {
    let message = reply(3, vec![action(&[0.0, 2.0, -2.0, 0.5, 0.0, 0.0], &[7.0]), action(&[0.1; 6], &[-1.0])]);
    let (first, rest) = parse_chunk(&message, 3, METAWORLD_ACTION).unwrap();
    assert_eq!(first, Action(vec![vec![0.0, 1.0, -1.0, 0.5, 0.0, 0.0], vec![1.0]]));
    assert_eq!(rest, [Action(vec![vec![0.1; 6], vec![0.0]])]);
}

#[test]
fn each_kind_of_wrong_reply_has_its_cause() {
    let good = action(&[0.0; 6], &[0.0]);
    let ready =
        proto::PolicyReply { reply: Some(proto::policy_reply::Reply::Ready(proto::EpisodeReady {})) }.encode_to_vec();
    for message in [
        vec![],
        b"hello".to_vec(),
        vec![0x12, 0x7f],
        ready.clone(),
        reply(3, vec![]),
        reply(2, vec![good.clone()]),
        reply(3, vec![good.clone(); MAX_CHUNK + 1]),
    ] {
        assert_eq!(cause(&message), Cause::InvalidResponse, "{message:?}");
    }
    assert!(parse_chunk(&reply(3, vec![good.clone(); MAX_CHUNK]), 3, METAWORLD_ACTION).is_ok());
    for wrong in [
        proto::Action::default(),
        action(&[0.0; 5], &[0.0]),
        action(&[0.0; 7], &[0.0]),
        action(&[0.0; 6], &[]),
        action(&[0.0; 6], &[0.0; 2]),
    ] {
        assert_eq!(cause(&reply(3, vec![wrong.clone()])), Cause::ActionShape, "{wrong:?}");
        assert_eq!(cause(&reply(3, vec![good.clone(), wrong])), Cause::ActionShape, "also when it may never be played");
    }
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(cause(&reply(3, vec![good.clone(), action(&[0.0; 6], &[number])])), Cause::ActionNotFinite);
    }
    assert_eq!(parse_ready(&ready), Ok(()));
    for message in [vec![], b"hello".to_vec(), reply(3, vec![good])] {
        assert_eq!(parse_ready(&message).unwrap_err().cause(), Cause::InvalidResponse);
    }
}

proptest! {
    #[test]
    fn an_observation_reads_as_it_was(
        step in any::<u32>(),
        proprio in prop::collection::vec(prop::collection::vec(any::<f64>(), 0..40), 0..4),
        images in prop::collection::vec((any::<u32>(), 0_u32..300, prop::collection::vec(any::<u8>(), 0..300)), 0..4),
    ) {
        let names = ["ee_pos", "gripper", "x", ""];
        let observation = Observation {
            proprio: names.into_iter().zip(proprio).collect(),
            rgb: names.into_iter().zip(images).map(|(name, (width, height, rgb))| (name, Image { width, height, rgb })).collect(),
        };
        let mut frame = BytesMut::new();
        write_observation(&observation, step, &mut frame);
        let Some(proto::episode_event::Event::Observation(read)) = unframed(&frame).event else {
            return Err(TestCaseError::fail("another event"));
        };
        prop_assert_eq!(read.step, step);
        prop_assert_eq!((read.proprio.len(), read.images.len()), (observation.proprio.len(), observation.rgb.len()));
        for (name, numbers) in &observation.proprio {
            let bits = |numbers: &[f64]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&read.proprio[*name].values), bits(numbers));
        }
        for (name, Image { width, height, rgb }) in &observation.rgb {
            let image = &read.images[*name];
            prop_assert_eq!((&image.width, &image.height, &image.rgb), (width, height, rgb));
        }
    }

    #[test]
    fn whatever_is_accepted_is_finite_in_range_and_complete(
        chunk in prop::collection::vec((prop::collection::vec(any::<f64>(), 5..8), prop::collection::vec(any::<f64>(), 0..3)), 0..80),
        nan in prop::option::weighted(0.2, 0_usize..500),
    ) {
        let mut chunk = chunk;
        if let (Some(at), false) = (nan, chunk.is_empty()) {
            let at = at % chunk.len();
            chunk[at].0[0] = f64::NAN;
        }
        let message = reply(3, chunk.iter().map(|(twist, gripper)| action(twist, gripper)).collect());
        let lengths = chunk.iter().all(|(twist, gripper)| twist.len() == 6 && gripper.len() == 1);
        let finite = chunk.iter().all(|(twist, gripper)| twist.iter().chain(gripper).all(|number| number.is_finite()));
        match parse_chunk(&message, 3, METAWORLD_ACTION) {
            Ok((first, rest)) => {
                prop_assert!(lengths && finite && rest.len() + 1 == chunk.len() && chunk.len() <= MAX_CHUNK);
                for (Action(channels), (twist, gripper)) in [first].iter().chain(&rest).zip(&chunk) {
                    prop_assert_eq!(&channels[0], &twist.iter().map(|number| number.clamp(-1.0, 1.0)).collect::<Vec<_>>());
                    prop_assert_eq!(&channels[1], &gripper.iter().map(|number| number.clamp(0.0, 1.0)).collect::<Vec<_>>());
                }
            }
            Err(fault) => match fault.cause() {
                Cause::InvalidResponse => prop_assert!(chunk.is_empty() || chunk.len() > MAX_CHUNK),
                Cause::ActionShape => prop_assert!(!lengths),
                Cause::ActionNotFinite => prop_assert!(!finite),
                other => prop_assert!(false, "{other}"),
            },
        }
    }

    #[test]
    fn no_reply_makes_the_parsers_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = (parse_chunk(&bytes, 3, METAWORLD_ACTION), parse_ready(&bytes));
    }
}
