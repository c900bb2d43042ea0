"""Plays Meta-World's scripted experts in Python on the scenes of kinitro-sim's seeds 0 to 49.

    /tmp/simvenv/bin/python libs/sim/record/record_experts.py [task ...]

Writes `experts.txt`: a line a task, its name and for every seed 1 or 0, solved or not; and `experts_steps.txt`: the steps that it
took, `-` where it was not solved. The rules are those of an evaluation: the expert sees the goal, an episode ends at the first
success or after 500 steps, no domain randomisation, and the actions take the way that a policy's actions take. With tasks named,
their lines are printed and no file is written.
"""

import os
import sys
import warnings
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from metaworld.env_dict import ALL_V3_ENVIRONMENTS
from metaworld.policies import ENV_POLICY_MAP

from record import draw, fresh
from streams import Stream

HERE = Path(__file__).resolve().parent
SEEDS = range(50)
STEPS = 500
PROCESSES = 2


def native(answer):
    """What the simulation plays when a policy answers so."""
    x, y, z, effort = np.clip(answer.astype(np.float32), -1, 1).astype(np.float64)
    gripper = np.clip((effort + 1) / 2, 0, 1)
    return np.array([x, y, z, 2 * gripper - 1]).astype(np.float32)


def episode(name, seed):
    """Steps until the task was solved; 0 when it was not."""
    env = fresh(name, draw(name, Stream(seed, "random-vector").uniform))
    expert = ENV_POLICY_MAP[name]()
    obs, _ = env.reset()
    for step in range(1, STEPS + 1):
        obs, _, _, _, info = env.step(native(expert.get_action(obs)))
        if info["success"]:
            break
    else:
        step = 0
    env.close()
    return step


def play(name):
    warnings.simplefilter("ignore")
    return name, [episode(name, seed) for seed in SEEDS]


if __name__ == "__main__":
    os.nice(10)
    named = sys.argv[1:]
    with Pool(PROCESSES) as pool:
        played = []
        for name, steps in pool.imap(play, named or sorted(ALL_V3_ENVIRONMENTS), chunksize=1):
            played.append((name, steps))
            print(name, "".join(str(int(n > 0)) for n in steps), sum(n > 0 for n in steps), flush=True)
    if not named:
        solved = (f"{name} {''.join(str(int(n > 0)) for n in steps)}\n" for name, steps in played)
        (HERE / "experts.txt").write_text("".join(solved))
        counts = (f"{name} {' '.join(str(n) if n else '-' for n in steps)}\n" for name, steps in played)
        (HERE / "experts_steps.txt").write_text("".join(counts))
