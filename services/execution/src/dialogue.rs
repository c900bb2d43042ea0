//! What of a simulation reaches a policy, and what of its answer reaches the simulation.
//!
//! This is the only place where the two meet. An observation is taken apart field by field, so that something new in the simulator's
//! observation reaches policies only when somebody writes it down here.

use kinitro_domain::EnvId;
use kinitro_policy::{Image, METAWORLD_ACTION, TaskConfig};

/// The action that environments of today take.
pub(crate) const ACTION: &[kinitro_policy::ChannelSpec] = METAWORLD_ACTION;

/// What a policy is told at the start. Its seed and its task's id are drawn here and now, from nothing that the episode knows.
pub(crate) fn task_config(env_id: &EnvId) -> TaskConfig {
    TaskConfig {
        env_id: env_id.to_string(),
        env_name: env_id.family().to_owned(),
        task_name: env_id.name().to_owned(),
        policy_seed: policys_own(),
        task_id: policys_own(),
    }
}

/// A random number in [0, 2³¹): servers in the field read it as a signed integer of 32 bits.
fn policys_own() -> u32 {
    rand::random::<u32>() >> 1
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_policy_is_told_is_a_signed_number_of_32_bits_and_every_half_of_them_comes() {
        let env_id = "metaworld/push-v3".parse().expect("an environment");
        let told: Vec<_> = (0..1000).map(|_| task_config(&env_id)).collect();
        for number in [|task: &TaskConfig| task.policy_seed, |task: &TaskConfig| task.task_id] {
            assert!(told.iter().map(number).all(|number| i32::try_from(number).is_ok()));
            assert!(told.iter().map(number).any(|number| number >= 1 << 30));
            assert!(told.iter().map(number).any(|number| number < 1 << 30));
        }
        assert!(told.iter().any(|task| task.policy_seed != task.task_id));
    }
}
