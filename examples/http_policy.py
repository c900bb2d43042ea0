"""A policy over HTTP: GET /health, POST /reset, POST /act.

    python http_policy.py [--host 127.0.0.1] [--port 8000]

It lowers the hand, closes it and pushes forward, which shuts drawers and little else. Replace `Policy.act`.
"""

import argparse
import base64
import time
from collections import OrderedDict

import numpy as np
import uvicorn
from fastapi import FastAPI, Header, HTTPException, Request

STARTED = time.monotonic()
REMEMBERED = 1000  # episodes; the oldest is forgotten beyond it
WAYPOINTS = np.array([[0.0, 0.55, 0.09], [0.0, 0.90, 0.09]])  # metres in the robot's frame: right, forward, up


class Policy:
    """What is remembered of one episode."""

    def __init__(self, task_config):
        self.random = np.random.default_rng(task_config["seed"])  # for a policy that draws; this one does not
        self.reached = 0

    def act(self, proprio, images):
        """One action. `proprio` maps channels to lists of numbers, `images` maps cameras to arrays of (height, width, 3), upright."""
        offset = WAYPOINTS[min(self.reached, 1)] - proprio["ee_pos"]
        if np.linalg.norm(offset) < 0.015:
            self.reached += 1
        twist = np.zeros(6)
        twist[:3] = np.clip(offset / 0.01, -1.0, 1.0)  # at 1 the hand's target moves one centimetre a step
        return {"ee_twist": twist.tolist(), "gripper": [1.0]}


app = FastAPI()
episodes: OrderedDict[str, Policy] = OrderedDict()


@app.get("/health")
async def health():
    return {"status": "healthy", "model_loaded": True, "uptime_seconds": time.monotonic() - STARTED}


@app.post("/reset")
async def reset(request: Request, x_episode_id: str = Header("")):
    episodes[x_episode_id] = Policy((await request.json())["task_config"])
    if len(episodes) > REMEMBERED:
        episodes.popitem(last=False)
    return {"status": "ok", "episode_id": x_episode_id}


@app.post("/act")
async def act(request: Request, x_episode_id: str = Header("")):
    # Several episodes play at once; the header says which one this is. An observation is read without a model: it is big.
    policy = episodes.get(x_episode_id)
    if policy is None:
        raise HTTPException(409, "call /reset first")
    obs = (await request.json())["obs"]
    images = {
        camera: np.frombuffer(base64.b64decode(image["data"]), np.uint8).reshape(image["shape"])
        for camera, image in obs["rgb"].items()
    }
    return {"action": {"continuous": policy.act(obs["proprio"], images), "discrete": {}, "extra": {}}}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    uvicorn.run(app, host=options.host, port=options.port, log_level="warning")
