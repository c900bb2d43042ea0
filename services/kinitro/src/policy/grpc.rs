//! The gRPC face of a policy: `kinitro.policy.v1.PolicyService`, a stream an episode.

use std::pin::Pin;

use kinitro_proto::policy::v1::{
    Action, ActionChunk, EpisodeEvent, EpisodeReady, Observation, PolicyReply, Values,
    episode_event::Event,
    policy_reply::Reply,
    policy_service_server::{PolicyService, PolicyServiceServer},
};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming};

use super::{kinds::Player, server::ServeOptions};

/// The service of one policy.
pub(super) fn service(options: ServeOptions) -> PolicyServiceServer<Episodes> {
    PolicyServiceServer::new(Episodes { options })
}

/// Plays each stream on its own.
pub(super) struct Episodes {
    options: ServeOptions,
}

#[tonic::async_trait]
impl PolicyService for Episodes {
    type PlayStream = Pin<Box<dyn Stream<Item = Result<PolicyReply, Status>> + Send>>;

    async fn play(&self, request: Request<Streaming<EpisodeEvent>>) -> Result<Response<Self::PlayStream>, Status> {
        let (replies, outbox) = tokio::sync::mpsc::channel(1);
        let (options, mut events) = (self.options, request.into_inner());
        tokio::spawn(async move {
            let mut player = None;
            // Ends with the stream, or when nobody takes the replies any more.
            loop {
                let reply = match events.message().await {
                    Ok(Some(event)) => answer(options, &mut player, event).await,
                    Ok(None) => return,
                    Err(status) => Err(status),
                };
                let failed = reply.is_err();
                if replies.send(reply).await.is_err() || failed {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(outbox))))
    }
}

async fn answer(
    options: ServeOptions,
    player: &mut Option<Player>,
    EpisodeEvent { event }: EpisodeEvent,
) -> Result<PolicyReply, Status> {
    let reply = match (event, player) {
        (Some(Event::Start(start)), player) => {
            *player = Some(Player::new(options.kind, u64::from(start.policy_seed)));
            Reply::Ready(EpisodeReady {})
        }
        (Some(Event::Observation(seen)), Some(player)) => {
            tokio::time::sleep(options.latency).await;
            Reply::Actions(chunk(options, player, &seen)?)
        }
        (Some(Event::Observation(_)), None) => {
            return Err(Status::failed_precondition("an observation before `start`: send that first"));
        }
        (None, _) => return Err(Status::invalid_argument("an event with neither `start` nor `observation`")),
    };
    Ok(PolicyReply { reply: Some(reply) })
}

/// The next actions, all from where the hand is now.
fn chunk(options: ServeOptions, player: &mut Player, seen: &Observation) -> Result<ActionChunk, Status> {
    let hand = seen.proprio.get("ee_pos").map(|channel| channel.values.as_slice());
    let &[x, y, z] = hand.unwrap_or_default() else {
        return Err(Status::invalid_argument("`proprio.ee_pos` must have 3 values"));
    };
    let action = |_| {
        let answer = player.act([x, y, z]);
        let entry = |name: &str, values: Vec<f64>| (name.to_owned(), Values { values });
        let continuous = [entry("ee_twist", answer.ee_twist.to_vec()), entry("gripper", vec![answer.gripper])];
        Action { continuous: continuous.into() }
    };
    Ok(ActionChunk { step: seen.step, actions: (0..options.chunk).map(action).collect() })
}
