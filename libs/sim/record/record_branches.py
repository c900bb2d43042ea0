"""Records rollouts that take the branches of every task's reward, and writes down which ones they take.

    /tmp/simvenv/bin/python libs/sim/record/record_branches.py [task ...]

The rollouts of `record.py` follow the experts; these wander: for some steps as the expert says, then aside, or past it, with the
gripper at an effort where a reward changes its precision (see `libs/sim/src/metaworld/numpy.rs`). Of many such rollouts those are
kept that take a branch which none before took, up to the step where they do. Writes `tests/vectors/branches/<task>.zz`, in the
layout of `record.py`, and `tests/vectors/branches/coverage.txt`: of each task how many outcomes its branches can have, how many
were recorded, and the rest one by one. `branches.py` says what counts as an outcome.
"""

import struct
import sys
import warnings
import zlib

import branches  # before all that imports metaworld
import numpy as np
from metaworld.policies import ENV_POLICY_MAP
from record import ALL_V3_ENVIRONMENTS, VECTORS, draw, fresh, packed

FOLDER = VECTORS / "branches"
TRIES = 60
CAREFUL = 4
STEPS = 400
# Efforts at which `min` and `max` of the rewards tie or change sides, among them what rounds up to single precision (0.1, 0.8).
EFFORTS = np.array([0, 0.05, 0.1, 0.4, 0.7, 0.75, 0.8, 0.9, 1, 1.5], np.float32)

HEADER = """\
# Of each task: outcomes of its reward's branches that the recorded rollouts take, of those that they could have; below, the others.
# Most of the others cannot come about: fingers are never less than apart (`tcp_opened > 0`, `max(obs[3], 0.0)`), two computed numbers do
# not tie, a factor of a product is never exactly 0 on both sides (`denominator > 0`), a hand does not get inside a handle.
"""


class Wanderer:
    """Follows the expert for a while, then does something else for a while; one that is `careful` follows it to the end."""

    def __init__(self, rng, careful):
        self.rng, self.left, self.how = rng, STEPS if careful else 0, "expert"

    def action(self, wanted):
        rng = self.rng
        if self.left == 0:
            self.left = int(rng.integers(5, 50))
            self.how = rng.choice(["expert", "askew", "away", "grip"], p=[0.55, 0.15, 0.1, 0.2])
            self.aside = rng.uniform(-1, 1, 3)
            self.effort = rng.choice(EFFORTS) if rng.random() < 0.8 else rng.uniform(-1, 1)
        self.left -= 1
        x, y, z, effort = np.clip(wanted, -1, 1)
        hand = np.array([x, y, z])
        if self.how == "askew":
            hand = hand + 0.7 * self.aside
        elif self.how == "away":
            hand = self.aside * rng.choice([0.3, 1])
        # What holds an object goes on holding it, more or less.
        if self.how == "grip" or self.how != "expert" and effort > 0:
            effort = self.effort
        return np.append(hand, effort).astype(np.float32)


def play(name, rng, careful):
    """One rollout, with the outcomes that were new to it at each step."""
    expert, wanderer = ENV_POLICY_MAP[name](), Wanderer(rng, careful)
    random = draw(name, rng.uniform)
    env = fresh(name, random)
    obs, _ = env.reset()
    rollout = dict(random=random, start=obs, actions=[], experts=[], observations=[], rewards=[], successes=[], outcomes=[])
    seen = branches.watched(env)
    known = set()
    for _ in range(STEPS):
        # A copy: the experts of the two door tasks shift the object in the observation that they are given.
        answer = expert.get_action(obs.copy())
        action = wanderer.action(answer)
        obs, reward, _, _, info = env.step(action)
        assert info["success"] in (0, 1) and np.isfinite(reward) and np.isfinite(obs).all()
        rollout["experts"].append(answer)
        rollout["actions"].append(action)
        rollout["observations"].append(obs)
        rollout["rewards"].append([float(reward)])
        rollout["successes"].append(int(info["success"]))
        rollout["outcomes"].append(seen - known)
        known |= seen
    env.close()
    return rollout


def cut(rollout, steps):
    """The first steps of a rollout."""
    return {key: value[:steps] if isinstance(value, list) else value for key, value in rollout.items()}


def record(name):
    rng = np.random.default_rng(sum(name.encode()))
    seen, kept, dead = set(), [], 0
    for number in range(TRIES):
        try:
            rollout = play(name, rng, careful=number < CAREFUL)
        except (AssertionError, ValueError):
            # Meta-World's own checks of its reward fail in some states; there is no reward to compare with.
            dead += 1
            continue
        new = [step for step, outcomes in enumerate(rollout["outcomes"]) if outcomes - seen]
        if new:
            kept.append(cut(rollout, new[-1] + 1))
            seen.update(*kept[-1]["outcomes"])
    possible = branches.possible(seen)
    out = b"KSIMVEC3" + struct.pack("<II", len(kept), len(kept[0]["random"])) + b"".join(packed(rollout) for rollout in kept)
    (FOLDER / f"{name}.zz").write_bytes(zlib.compress(out, 9))
    lines = [f"{name} {len(seen & possible)} of {len(possible)}"]
    for place, outcome in sorted(possible - seen):
        source = " ".join(branches.POSSIBLE[place][0].split())
        lines.append(f"    {outcome:8} {place:40} {source}")
    print("\n".join(lines))
    print(f"    {len(kept)} rollouts of {[len(r['actions']) for r in kept]} steps; {dead} ended by an assertion", file=sys.stderr)
    return lines


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    FOLDER.mkdir(exist_ok=True)
    told = [line for task in sys.argv[1:] or ALL_V3_ENVIRONMENTS for line in record(task)]
    if not sys.argv[1:]:
        (FOLDER / "coverage.txt").write_text(HEADER + "\n".join(told) + "\n")
