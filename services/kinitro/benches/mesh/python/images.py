"""Environment steps per second of processor time with both cameras at 84x84: the Python Meta-World and `mujoco.Renderer`.

    MUJOCO_GL=egl python images.py default|reduced ROUNDS STEPS task

Prints [steps per CPU-second, a round each] as JSON. `reduced` is without shadows, multisampling and reflections. One process a task: the
renderers of several environments in one process break each other.
"""

import json
import os
import sys
import time
import warnings

os.environ.setdefault("MUJOCO_GL", "egl")

import mujoco
import numpy as np
from weldless import make

SIDE = 84

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    quality, rounds, steps, task = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    env = make(task)
    if quality == "reduced":
        env.model.vis.quality.shadowsize = 0
        env.model.vis.quality.offsamples = 0
        env.model.mat_reflectance[:] = 0
    env.model.vis.global_.offwidth = env.model.vis.global_.offheight = SIDE
    renderer = mujoco.Renderer(env.model, SIDE, SIDE)
    actions = np.random.default_rng(0).uniform(-1, 1, (steps, 4)).astype(np.float32)
    rates = []
    for _ in range(rounds + 1):
        env.reset()
        began = time.process_time()
        for action in actions:
            env.step(action)
            for camera in ("corner", "corner2"):
                renderer.update_scene(env.data, camera=camera)
                assert renderer.render().any(), "an empty picture"
        rates.append(steps / (time.process_time() - began))
    renderer.close()
    print(json.dumps(rates[1:]))  # the first one warms up
