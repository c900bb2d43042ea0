"""A policy over gRPC: kinitro.policy.v1.PolicyService, one stream an episode.

    python grpc_policy.py [--host 127.0.0.1] [--port 50051] [--chunk 1]

It lowers the hand, closes it and pushes forward, which shuts drawers and little else. Replace `Policy.act`. The messages are
documented in proto/kinitro/policy/v1/policy.proto; the code for them is made from that file when this starts.
"""

import argparse
import asyncio
import pathlib
import sys

import grpc
import numpy as np

sys.path.append(str(pathlib.Path(__file__).parent.parent / "proto"))
messages, services = grpc.protos_and_services("kinitro/policy/v1/policy.proto")

WAYPOINTS = np.array([[0.0, 0.55, 0.09], [0.0, 0.90, 0.09]])  # metres in the robot's frame: right, forward, up


class Policy:
    """What is remembered of one episode."""

    def __init__(self, start):
        self.random = np.random.default_rng(start.policy_seed)  # for a policy that draws; this one does not
        self.reached = 0

    def act(self, proprio, images, count):
        """The next `count` actions. `proprio` maps channels to arrays, `images` maps cameras to arrays of (height, width, 3), upright."""
        offset = WAYPOINTS[min(self.reached, 1)] - proprio["ee_pos"]
        if np.linalg.norm(offset) < 0.015:
            self.reached += 1
        twist = np.zeros(6)
        twist[:3] = np.clip(offset / 0.01 / count, -1.0, 1.0)  # at 1 the hand's target moves one centimetre a step
        return [{"ee_twist": twist, "gripper": [1.0]}] * count


class Service(services.PolicyServiceServicer):
    def __init__(self, chunk):
        self.chunk = chunk

    async def Play(self, events, context):
        """One episode. `start` comes first; the stream ends with the episode."""
        policy = None
        async for event in events:
            if event.HasField("start"):
                policy, most = Policy(event.start), event.start.max_actions
                yield messages.PolicyReply(ready=messages.EpisodeReady())
            else:
                seen = event.observation
                proprio = {name: np.array(channel.values) for name, channel in seen.proprio.items()}
                images = {
                    name: np.frombuffer(image.rgb, np.uint8).reshape(image.height, image.width, 3)
                    for name, image in seen.images.items()
                }
                actions = [
                    messages.Action(continuous={name: messages.Values(values=v) for name, v in action.items()})
                    for action in policy.act(proprio, images, min(self.chunk, most))
                ]
                yield messages.PolicyReply(actions=messages.ActionChunk(step=seen.step, actions=actions))


async def serve(options):
    server = grpc.aio.server()
    services.add_PolicyServiceServicer_to_server(Service(options.chunk), server)
    server.add_insecure_port(f"{options.host}:{options.port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=50051)
    parser.add_argument("--chunk", type=int, default=1, help="actions in each answer")
    asyncio.run(serve(parser.parse_args()))
