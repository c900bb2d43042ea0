//! What of a simulation reaches a policy, and what of its answer reaches the simulation.
//!
//! This is the only place where the two meet. An observation is taken apart field by field, so that something new in the simulator's
//! observation reaches policies only when somebody writes it down here.

use kinitro_domain::{EnvId, catalogued};
use kinitro_policy::{Image, METAWORLD_ACTION, TaskConfig};

/// The action that environments of today take.
pub(crate) const ACTION: &[kinitro_policy::ChannelSpec] = METAWORLD_ACTION;

/// What a policy is told at the start. Its seed is drawn here and now, from nothing that the episode knows.
pub(crate) fn task_config(env_id: &EnvId) -> TaskConfig {
    TaskConfig {
        env_id: env_id.to_string(),
        env_name: env_id.name().to_owned(),
        task_name: catalogued(env_id).map_or(env_id.name(), |entry| entry.title).to_owned(),
        policy_seed: rand::random(),
    }
}

/// What a policy sees now, in place of what it saw before: the room of the last observation is used again.
pub(crate) fn show(seen: kinitro_sim::Observation, shown: &mut kinitro_policy::Observation) {
    let kinitro_sim::Observation { ee_pos, ee_quat, ee_vel_lin, ee_vel_ang, gripper, images } = seen;
    let channels: [(&'static str, &[f64]); 5] = [
        ("ee_pos", &ee_pos),
        ("ee_quat", &ee_quat),
        ("ee_vel_lin", &ee_vel_lin),
        ("ee_vel_ang", &ee_vel_ang),
        ("gripper", &[gripper]),
    ];
    shown.proprio.resize_with(channels.len(), Default::default);
    for ((name, numbers), (channel, values)) in shown.proprio.iter_mut().zip(channels) {
        *name = channel;
        numbers.clear();
        numbers.extend_from_slice(values);
    }
    shown.rgb.clear();
    let image = |image: kinitro_sim::Image| Image { width: image.width, height: image.height, rgb: image.rgb };
    shown.rgb.extend(images.into_iter().flatten().map(|(camera, picture)| (camera, image(picture))));
}

/// What a policy does. The numbers were checked against [`ACTION`]; the error says what the simulator would not take all the same.
pub(crate) fn action(answer: &kinitro_policy::Action) -> Result<kinitro_sim::Action, String> {
    let [twist, gripper] = answer.0.as_slice() else {
        return Err(format!("an action of {} channels", answer.0.len()));
    };
    let twist = <[f64; 6]>::try_from(twist.as_slice()).map_err(|error| format!("ee_twist: {error}"))?;
    let [gripper] = <[f64; 1]>::try_from(gripper.as_slice()).map_err(|error| format!("gripper: {error}"))?;
    kinitro_sim::Action::new(twist, gripper).map_err(|error| error.to_string())
}
