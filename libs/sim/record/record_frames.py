"""Records pictures of the Python renderer for the image tests of kinitro-sim.

    /tmp/simvenv/bin/python libs/sim/record/record_frames.py [task ...]

Each task gets one file `libs/sim/tests/vectors/frames/<task>.zz`: zlib around the little-endian layout that
`libs/sim/tests/images.rs` reads. Every picture is recorded twice: as `mujoco.Renderer(model, 84, 84)` draws it, and *plain*,
without shadows and reflections. What OpenGL said about itself is recorded beside them: pictures of another
OpenGL differ.
"""

import os

os.environ.setdefault("MUJOCO_GL", "egl")

import struct
import sys
import warnings
import zlib

import mujoco
import numpy as np
from metaworld.policies import ENV_POLICY_MAP
from OpenGL import GL

from record import CAMERAS, SIDE, VECTORS, draw, fresh

FRAMES = VECTORS / "frames"
STEPS = (0, 45, 90)
NOISE = 0.2
TASKS = (
    "reach-v3",
    "push-v3",
    "drawer-close-v3",
    "window-open-v3",
    "door-open-v3",
    "peg-insert-side-v3",
    "basketball-v3",
    "hammer-v3",
)


def reference(_model):
    pass


def plain(model):
    model.vis.quality.shadowsize = 0
    model.mat_reflectance[:] = 0


def pictures(env, style):
    """Both cameras, of copies: a style must not stay. Also what drew them.

    After some resets Meta-World's bodies are where they were a physics step ago; here they are where the joints say.
    """
    model, data = env.model.__copy__(), env.data.__copy__()
    style(model)
    mujoco.mj_forward(model, data)
    renderer = mujoco.Renderer(model, SIDE, SIDE)
    out = []
    for camera in CAMERAS:
        renderer.update_scene(data, camera=camera)
        out.append(renderer.render().copy())
    drawn_by = ", OpenGL ".join(GL.glGetString(name).decode() for name in (GL.GL_RENDERER, GL.GL_VERSION))
    renderer.close()
    return out, drawn_by


def record(name):
    rng = np.random.default_rng(sum(name.encode()))
    random = draw(name, rng.uniform)
    env, expert = fresh(name, random), ENV_POLICY_MAP[name]()
    obs, _ = env.reset()
    actions, shots, drawn_by = [], [], ""
    for step in range(max(STEPS) + 1):
        if step in STEPS:
            shot = b""
            for style in (reference, plain):
                images, drawn_by = pictures(env, style)
                shot += b"".join(image.tobytes() for image in images)
            shots.append((step, shot))
        action = np.clip(expert.get_action(obs), -1, 1) + rng.normal(0, NOISE, 4)
        actions.append(action.astype(np.float32))
        obs = env.step(actions[-1])[0]
    env.close()
    text = drawn_by.encode()
    out = b"KSIMPIX1" + struct.pack("<I", len(text)) + text
    out += struct.pack("<I", len(random)) + np.asarray(random, "<f8").tobytes()
    out += struct.pack("<I", max(STEPS)) + np.array(actions[: max(STEPS)], "<f4").tobytes()
    out += struct.pack("<I", len(shots))
    for step, shot in shots:
        out += struct.pack("<I", step) + shot
    path = FRAMES / f"{name}.zz"
    path.write_bytes(zlib.compress(out, 9))
    print(f"{path.name}: {len(shots)} states, {path.stat().st_size} bytes, drawn by {drawn_by}")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    FRAMES.mkdir(exist_ok=True)
    for task in sys.argv[1:] or TASKS:
        record(task)
