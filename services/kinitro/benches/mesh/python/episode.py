"""One episode of 500 steps over HTTP, played the Python way: Meta-World, `mujoco.Renderer`, JSON with base64 pictures.

    MUJOCO_GL=egl python episode.py state|images ROUNDS PORT task

Prints [{"seconds": …, "policy": …, "simulation": …, "render": …}, …] as JSON.
"""

import base64
import http.client
import json
import os
import sys
import time
import warnings

os.environ.setdefault("MUJOCO_GL", "egl")

import mujoco
import numpy as np
from weldless import make

SIDE, STEPS = 84, 500


def play(env, renderer, connection):
    spent = {"policy": 0.0, "simulation": 0.0, "render": 0.0}

    def timed(part, call):
        began = time.perf_counter()
        answer = call()
        spent[part] += time.perf_counter() - began
        return answer

    def draw():
        pictures = {}
        for camera in ("corner", "corner2"):
            renderer.update_scene(env.data, camera=camera)
            data = base64.b64encode(renderer.render().tobytes()).decode()
            pictures[camera] = {"data": data, "shape": [SIDE, SIDE, 3], "dtype": "uint8"}
        return pictures

    def ask(path, body):
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 200, answer.status
        return json.loads(answer.read())

    began = time.perf_counter()
    observation, _ = timed("simulation", env.reset)
    timed("policy", lambda: ask("/reset", {"task_config": {"env_id": "metaworld", "env_name": "", "task_name": "", "seed": 0}}))
    for _ in range(STEPS):
        pictures = timed("render", draw) if renderer else {}
        proprio = {"ee_pos": observation[:3].tolist(), "gripper": [float(observation[3])]}
        obs = {"rgb": pictures, "depth": {}, "proprio": proprio, "cam_intrinsics": {}, "cam_extrinsics": {}, "extra": {}}
        action = timed("policy", lambda: ask("/act", {"obs": obs}))["action"]["continuous"]
        native = np.array(action["ee_twist"][:3] + [2 * action["gripper"][0] - 1], dtype=np.float32)
        observation = timed("simulation", lambda: env.step(native))[0]
    return {"seconds": time.perf_counter() - began, **spent}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    mode, rounds, port, task = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    env = make(task)
    env.model.vis.global_.offwidth = env.model.vis.global_.offheight = SIDE
    renderer = mujoco.Renderer(env.model, SIDE, SIDE) if mode == "images" else None
    connection = http.client.HTTPConnection("127.0.0.1", port)
    print(json.dumps([play(env, renderer, connection) for _ in range(rounds)]))
