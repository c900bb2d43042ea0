"""Records reference rollouts of the Python Meta-World for the parity tests of kinitro-sim.

    MUJOCO_GL=egl /tmp/simvenv/bin/python libs/sim/record/record.py [task ...]

Each task gets one file `libs/sim/tests/vectors/<task>.zz`: zlib around the little-endian layout that
`libs/sim/tests/reference/mod.rs` reads. Every rollout is a fresh environment with a frozen random vector, the goal visible in
the observation, and float32 actions: the task's scripted expert with noise, so that the hand meets the objects.
"""

import os

os.environ.setdefault("MUJOCO_GL", "egl")

import pickle
import struct
import sys
import warnings
import zlib
from pathlib import Path

import mujoco
import numpy as np
from metaworld import policies
from metaworld.env_dict import ALL_V3_ENVIRONMENTS
from metaworld.sawyer_xyz_env import SawyerMocapBase
from metaworld.types import Task

VECTORS = Path(__file__).resolve().parent.parent / "tests" / "vectors"
STEPS = 100
SIDE = 84
BLOCK = 4
CAMERAS = ("corner", "corner2")
# (expert's share of the action, standard deviation of the noise): careful, shaky, and half blind. In the last one the expert
# takes the object for the goal, so that reach-v3 knocks its cylinder over too.
ROLLOUTS = ((1.0, 0.05), (1.0, 0.4), (0.8, 0.6))
PICTURES = ((0, 0), (0, 60))  # (rollout, steps taken)
EXPERTS = {
    "reach-v3": policies.SawyerReachV3Policy,
    "push-v3": policies.SawyerPushV3Policy,
    "drawer-close-v3": policies.SawyerDrawerCloseV3Policy,
}


def reset_mocap_welds(self):
    """MuJoCo 3.17 keeps 12 numbers for an equality where Meta-World writes 11; the twelfth keeps its default."""
    for i in range(self.model.neq):
        if self.model.eq_type[i] == mujoco.mjtEq.mjEQ_WELD:
            self.model.eq_data[i, :11] = [0, 0, 0, 0, 0, 0, -1, 0, 0, 0, 5]


SawyerMocapBase.reset_mocap_welds = reset_mocap_welds


def fresh(name, random):
    """An environment of its own for one rollout, set up the way the benchmark sets a task."""
    cls = ALL_V3_ENVIRONMENTS[name]
    env = cls()
    data = {"env_cls": cls, "rand_vec": random, "partially_observable": False}
    env.set_task(Task(env_name=name, data=pickle.dumps(data)))
    return env


def draw(name, rng):
    """A random vector of the task's range; for tasks that keep object and goal apart, one that does."""
    space = ALL_V3_ENVIRONMENTS[name]()._random_reset_space
    while True:
        vector = rng.uniform(space.low, space.high)
        if len(vector) < 6 or np.linalg.norm(vector[:2] - vector[3:5]) >= 0.15:
            return vector


def picture(env):
    """Means over 4x4 blocks of both cameras, without shadows, reflections and multisampling."""
    env.model.vis.quality.shadowsize = 0
    env.model.vis.quality.offsamples = 0
    env.model.mat_reflectance[:] = 0
    env.model.vis.global_.offwidth = env.model.vis.global_.offheight = SIDE
    renderer = mujoco.Renderer(env.model, SIDE, SIDE)
    out = b""
    for camera in CAMERAS:
        renderer.update_scene(env.data, camera=camera)
        image = renderer.render().astype(np.float64)
        blocks = image.reshape(SIDE // BLOCK, BLOCK, SIDE // BLOCK, BLOCK, 3).mean(axis=(1, 3))
        out += np.rint(blocks).astype(np.uint8).tobytes()
    renderer.close()
    return out


def record(name):
    rng = np.random.default_rng(sum(name.encode()))
    vectors = [draw(name, rng) for _ in ROLLOUTS]
    out = b"KSIMVEC1" + struct.pack("<III", len(ROLLOUTS), STEPS, len(vectors[0]))
    pictures = {}
    for index, ((share, noise), random) in enumerate(zip(ROLLOUTS, vectors)):
        env, expert = fresh(name, random), EXPERTS[name]()
        obs, _ = env.reset()
        out += random.astype("<f8").tobytes() + obs.astype("<f8").tobytes()
        contacts, successes, best = 0, 0, 0.0
        for step in range(STEPS + 1):
            if (index, step) in PICTURES:
                pictures[index, step] = picture(env)
            if step == STEPS:
                break
            seen = obs.copy()
            if index == len(ROLLOUTS) - 1:
                seen[-3:] = obs[4:7]
            wanted = np.clip(expert.get_action(seen), -1, 1)
            action = (share * wanted + rng.normal(0, noise, 4)).astype(np.float32)
            obs, reward, _, _, info = env.step(action)
            out += action.astype("<f4").tobytes() + obs.astype("<f8").tobytes()
            out += struct.pack("<dd", float(reward), float(info["success"]))
            contacts += touches(env)
            successes += info["success"] > 0
            best = max(best, float(reward))
        print(f"{name} {index}: {contacts} steps with the hand in contact, {successes} successful, best reward {best:.3f}")
        env.close()
    out += struct.pack("<I", len(pictures))
    for (index, step), blocks in sorted(pictures.items()):
        out += struct.pack("<II", index, step) + blocks
    path = VECTORS / f"{name}.zz"
    path.write_bytes(zlib.compress(out, 9))
    print(f"{path.name}: {len(out)} bytes, {path.stat().st_size} compressed")


def touches(env):
    """Whether a finger touches anything that is not part of the gripper."""
    fingers = {env.model.geom(n).id for n in ("leftpad_geom", "rightpad_geom", "leftclaw_it", "rightclaw_it")}
    pairs = zip(env.data.contact.geom1, env.data.contact.geom2)
    return any((a in fingers) != (b in fingers) for a, b in pairs)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    VECTORS.mkdir(exist_ok=True)
    for task in sys.argv[1:] or EXPERTS:
        record(task)
