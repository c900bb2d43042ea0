"""A policy server as strict as a miner can write it: every field typed, every unknown one refused, after the contract alone.

    python3 interop/strict_policy.py [--host 127.0.0.1] [--port 0]

It prints its URL when it listens. FastAPI and pydantic come from what `make setup-tests` fetched for the Python that runs this. It plays: it lowers
the hand, closes it and pushes forward, which shuts drawers. What does not follow the contract is answered with 422, as FastAPI does.
"""

import argparse
import base64
import pathlib
import socket
import sys
import time
import uuid
from collections import OrderedDict
from typing import Annotated, Literal

PACKAGES = (pathlib.Path(__file__).resolve().parent.parent / ".vendor"
            / f"fastapi-{sys.version_info.major}.{sys.version_info.minor}")
if not PACKAGES.is_dir():
    sys.exit(f"{PACKAGES} is not there: run `make setup-tests` with this Python")
sys.path.insert(0, str(PACKAGES))

import uvicorn  # noqa: E402
from fastapi import FastAPI, Header, HTTPException  # noqa: E402
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator  # noqa: E402

STARTED = time.monotonic()
REMEMBERED = 1000  # episodes; the oldest is forgotten beyond it
WAYPOINTS = [(0.0, 0.55, 0.09), (0.0, 0.90, 0.09)]  # metres in the robot's frame: right, forward, up
STEP, REACHED = 0.01, 0.015  # metres
CAMERAS = {"corner", "corner2"}
SIDE = 84

Number = Annotated[int, Field(ge=0, lt=2**31)]
Three = Annotated[list[FiniteFloat], Field(min_length=3, max_length=3)]
Four = Annotated[list[FiniteFloat], Field(min_length=4, max_length=4)]
One = Annotated[list[Annotated[FiniteFloat, Field(ge=0, le=1)]], Field(min_length=1, max_length=1)]
Empty = Annotated[dict, Field(max_length=0)]


class Strict(BaseModel):
    """No other fields, and no text where a number belongs."""

    model_config = ConfigDict(extra="forbid", strict=True)


class TaskConfig(Strict):
    env_id: str
    env_name: Literal["metaworld"]
    task_name: Annotated[str, Field(pattern=r"^[a-z0-9-]+-v3$")]
    seed: Number
    task_id: Number

    @model_validator(mode="after")
    def names_agree(self):
        """`env_id` is the other two."""
        if self.env_id != f"{self.env_name}/{self.task_name}":
            raise ValueError("env_id is not env_name/task_name")
        return self


class Reset(Strict):
    task_config: TaskConfig


class Image(Strict):
    data: str
    shape: list[int]
    dtype: Literal["uint8"]

    @model_validator(mode="after")
    def is_whole(self):
        """As many bytes as the shape says."""
        if self.shape != [SIDE, SIDE, 3] or len(base64.b64decode(self.data, validate=True)) != SIDE * SIDE * 3:
            raise ValueError("not 84 x 84 x 3 bytes")
        return self


class Proprio(Strict):
    ee_pos: Three
    ee_quat: Four
    ee_vel_lin: Three
    ee_vel_ang: Three
    gripper: One


class Obs(Strict):
    rgb: dict[str, Image]
    depth: Empty
    proprio: Proprio
    cam_intrinsics: Empty
    cam_extrinsics: Empty
    extra: Empty

    @model_validator(mode="after")
    def has_its_cameras(self):
        """Both, or none when the operator turned pictures off."""
        if set(self.rgb) not in (CAMERAS, set()):
            raise ValueError("not the cameras of the family")
        return self


class Act(Strict):
    obs: Obs


app = FastAPI()
# Episode to the number of waypoints that were reached.
episodes: OrderedDict[str, int] = OrderedDict()


@app.get("/health")
async def health():
    return {"status": "healthy", "model_loaded": True, "uptime_seconds": time.monotonic() - STARTED}


@app.post("/reset")
async def reset(_: Reset, x_episode_id: Annotated[uuid.UUID, Header()]):
    episodes[str(x_episode_id)] = 0
    if len(episodes) > REMEMBERED:
        episodes.popitem(last=False)
    return {"status": "ok", "episode_id": str(x_episode_id)}


@app.post("/act")
async def act(request: Act, x_episode_id: Annotated[uuid.UUID, Header()]):
    episode = str(x_episode_id)
    if episode not in episodes:
        raise HTTPException(409, "call /reset first")
    target = WAYPOINTS[min(episodes[episode], 1)]
    offset = [there - here for there, here in zip(target, request.obs.proprio.ee_pos)]
    if sum(axis * axis for axis in offset) < REACHED**2:
        episodes[episode] += 1
    twist = [max(-1.0, min(1.0, axis / STEP)) for axis in offset] + [0.0] * 3
    return {"action": {"continuous": {"ee_twist": twist, "gripper": [1.0]}, "discrete": {}, "extra": {}}}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    listener = socket.create_server((options.host, options.port))
    print(f"http://{options.host}:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
