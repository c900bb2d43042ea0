"""Records reference rollouts of the Python Meta-World for the parity tests of kinitro-sim.

    /tmp/simvenv/bin/python libs/sim/record/record.py [task ...]

Each task gets one file `libs/sim/tests/vectors/<task>.zz`: zlib around the little-endian layout that
`libs/sim/tests/reference/mod.rs` reads. Every rollout is a fresh environment with a frozen random vector, the goal visible in
the observation, and float32 actions: the task's scripted expert with noise, so that the hand meets the objects. The expert's
own answer to every observation is recorded too, in double precision.
"""

import pickle
import struct
import sys
import warnings
import zlib
from pathlib import Path

import mujoco
import numpy as np
from metaworld.env_dict import ALL_V3_ENVIRONMENTS
from metaworld.policies import ENV_POLICY_MAP
from metaworld.policies.action import Action
from metaworld.sawyer_xyz_env import SawyerMocapBase
from metaworld.types import Task

VECTORS = Path(__file__).resolve().parent.parent / "tests" / "vectors"
# A rollout takes at least so many steps. The first one, in which the expert is hardly disturbed, goes on until the task has been
# solved for a while, in as many scenes as it needs; the second as long as the first one; the third, which is slow, a fixed time.
LEAST = 100
SLOW = 160
MOST = 500
SOLVED_FOR = 10
# (expert's share of the action, standard deviation of the noise): careful, shaky, and half blind.
ROLLOUTS = ((1.0, 0.05), (1.0, 0.4), (0.8, 0.6))
# In the last rollout of these the hand makes for the object, so that it knocks over what the expert never touches.
AIMED_AT_THE_OBJECT = ("reach-v3", "reach-wall-v3")


def reset_mocap_welds(self):
    """MuJoCo 3.17 keeps 12 numbers for an equality where Meta-World writes 11; the twelfth keeps its default."""
    for i in range(self.model.neq):
        if self.model.eq_type[i] == mujoco.mjtEq.mjEQ_WELD:
            self.model.eq_data[i, :11] = [0, 0, 0, 0, 0, 0, -1, 0, 0, 0, 5]


SawyerMocapBase.reset_mocap_welds = reset_mocap_welds


def double_action(self, structure):
    """Experts compute in double precision and answer in single: this keeps their answer as it was before it was rounded."""
    self._structure = structure
    self.array = np.zeros(len(self))


Action.__init__ = double_action


def fresh(name, random):
    """An environment of its own for one rollout, set up the way the benchmark sets a task."""
    cls = ALL_V3_ENVIRONMENTS[name]
    env = cls()
    data = {"env_cls": cls, "rand_vec": random, "partially_observable": False}
    env.set_task(Task(env_name=name, data=pickle.dumps(data)))
    return env


def draw(name, uniform):
    """A random vector of the task's range that the task's own reset accepts; `uniform(low, high)` draws one."""
    env = ALL_V3_ENVIRONMENTS[name]()
    space, last = env._random_reset_space, None

    def hand_out():
        nonlocal last
        last = uniform(space.low, space.high)
        return last.copy()

    env._get_state_rand_vec = hand_out
    env.reset_model()
    env.close()
    return last


def columns(rows, predicted):
    """Numbers for zlib: each as the distance of its bits from the prediction's, sign last, column by column, byte by byte."""
    bits, guess = (np.ascontiguousarray(x, "<f8").view("<i8") for x in (rows, predicted))
    distance = bits - guess
    zigzag = (distance << 1) ^ (distance >> 63)
    return zigzag.view(np.uint8).reshape(*rows.shape, 8).transpose(1, 2, 0).tobytes()


def earlier(rows, first):
    """What came a row earlier."""
    return np.vstack([first, rows[:-1]])


def play(name, random, how, rng, steps, aimed_at_the_object=False):
    """One rollout: of that many steps, or until the task has been solved for a while when `steps` is None."""
    (share, noise), expert = how, ENV_POLICY_MAP[name]()
    env = fresh(name, random)
    obs, _ = env.reset()
    rollout = dict(random=random, start=obs, actions=[], experts=[], observations=[], rewards=[], successes=[], contacts=0)
    solved = 0
    while True:
        done = len(rollout["actions"])
        enough = done >= LEAST and solved >= SOLVED_FOR if steps is None else done >= steps
        if enough or done == MOST:
            break
        # A copy: the experts of the two door tasks shift the object in the observation that they are given.
        rollout["experts"].append(expert.get_action(obs.copy()))
        wanted = np.append(10 * (obs[4:7] - obs[:3]), 0) if aimed_at_the_object else rollout["experts"][-1]
        wanted = np.clip(wanted.astype(np.float32), -1, 1)
        action = (share * wanted + rng.normal(0, noise, 4)).astype(np.float32)
        obs, reward, _, _, info = env.step(action)
        solved += info["success"] > 0 or solved > 0
        assert info["success"] in (0, 1) and np.isfinite(reward) and np.isfinite(obs).all()
        rollout["actions"].append(action)
        rollout["observations"].append(obs)
        rollout["rewards"].append([float(reward)])
        rollout["successes"].append(int(info["success"]))
        rollout["contacts"] += touches(env)
    env.close()
    return rollout


def packed(rollout):
    rows = {key: np.array(rollout[key]) for key in ("experts", "observations", "rewards")}
    actions = np.array(rollout["actions"], "<f4")
    before = earlier(rows["observations"], rollout["start"])
    # The second frame of an observation is the first frame of the one before.
    before[:, 18:36] = before[:, :18]
    out = struct.pack("<I", len(actions)) + rollout["random"].astype("<f8").tobytes() + rollout["start"].astype("<f8").tobytes()
    out += actions.view(np.uint8).reshape(*actions.shape, 4).transpose(1, 2, 0).tobytes()
    out += columns(rows["experts"], earlier(rows["experts"], np.zeros(4)))
    out += columns(rows["observations"], before)
    out += columns(rows["rewards"], earlier(rows["rewards"], np.zeros(1)))
    return out + bytes(rollout["successes"])


def record(name):
    rng = np.random.default_rng(sum(name.encode()))
    vectors = [draw(name, rng.uniform) for _ in ROLLOUTS]
    rollouts = []
    for index, (how, random) in enumerate(zip(ROLLOUTS, vectors)):
        aimed = index == 2 and name in AIMED_AT_THE_OBJECT
        steps = (None, len(rollouts[0]["actions"]) if rollouts else None, SLOW)[index]
        rollout = play(name, random, how, rng, steps, aimed)
        while index == 0 and not any(rollout["successes"]):
            print(f"{name} {index}: unsolved after {MOST} steps, trying another scene")
            rollout = play(name, draw(name, rng.uniform), how, rng, steps, aimed)
        rollouts.append(rollout)
        print(
            f"{name} {index}: {len(rollout['actions'])} steps, {rollout['contacts']} with the hand in contact,"
            f" {sum(rollout['successes'])} successful, best reward {max(rollout['rewards'])[0]:.3f}"
        )
    assert any(rollout["contacts"] for rollout in rollouts) and any(any(rollout["successes"]) for rollout in rollouts)
    out = b"KSIMVEC3" + struct.pack("<II", len(rollouts), len(vectors[0]))
    out += b"".join(packed(rollout) for rollout in rollouts)
    path = VECTORS / f"{name}.zz"
    path.write_bytes(zlib.compress(out, 9))
    print(f"{path.name}: {len(out)} bytes, {path.stat().st_size} compressed", flush=True)


def touches(env):
    """Whether the hand or a finger touches anything that is neither."""
    model = env.model
    hand, parents = model.body("right_hand").id, model.body_parentid
    of_the_hand = np.zeros(model.nbody, bool)
    for body in range(hand, model.nbody):  # parents come first
        of_the_hand[body] = body == hand or of_the_hand[parents[body]]
    of_the_hand = of_the_hand[model.geom_bodyid]
    return bool((of_the_hand[env.data.contact.geom1] != of_the_hand[env.data.contact.geom2]).any())


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    VECTORS.mkdir(exist_ok=True)
    for task in sys.argv[1:] or ALL_V3_ENVIRONMENTS:
        record(task)
