"""Environment steps per second of processor time, without images: the Python Meta-World, or EnvPool's in C++.

    python steps.py metaworld|envpool ROUNDS task ...

Prints {task: [steps per CPU-second, a round each]} as JSON. Resets are not counted; actions are drawn before the clock starts.
"""

import json
import sys
import time
import warnings

import numpy as np

STEPS = 450  # below Meta-World's horizon of 500, so that no reset falls into the measurement


def metaworld_rounds(task, rounds):
    from weldless import make

    env = make(task)
    actions = np.random.default_rng(0).uniform(-1, 1, (STEPS, 4)).astype(np.float32)
    for _ in range(rounds):
        env.reset()
        began = time.process_time()
        for action in actions:
            env.step(action)
        yield STEPS / (time.process_time() - began)
    env.close()


def envpool_rounds(task, rounds):
    """As many environments as EnvPool likes: the better of two ways to use it."""
    import envpool

    name = "MetaWorld/" + "".join(part.capitalize() for part in task.removesuffix("-v3").split("-")) + "-v3"
    pools = [envpool.make_gymnasium(name, num_envs=n, num_threads=t, seed=1) for n, t in ((8, 1), (16, 2))]
    for _ in range(rounds):
        rates = []
        for env in pools:
            env.reset()
            count = env.config["num_envs"]
            actions = np.random.default_rng(0).uniform(-1, 1, (STEPS, count, 4)).astype(np.float32)
            began = time.process_time()
            for action in actions:
                env.step(action)
            rates.append(STEPS * count / (time.process_time() - began))
        yield max(rates)
    for env in pools:
        env.close()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    engine, rounds, tasks = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    measure = {"metaworld": metaworld_rounds, "envpool": envpool_rounds}[engine]
    print(json.dumps({task: list(measure(task, rounds)) for task in tasks}))
