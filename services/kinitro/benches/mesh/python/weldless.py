"""The Python Meta-World on MuJoCo 3.17, one environment of a task with the task already set."""

import pickle

import mujoco
from metaworld.env_dict import ALL_V3_ENVIRONMENTS
from metaworld.sawyer_xyz_env import SawyerMocapBase
from metaworld.types import Task


def reset_mocap_welds(self):
    """MuJoCo 3.17 keeps 12 numbers for an equality where Meta-World writes 11; the twelfth keeps its default."""
    for i in range(self.model.neq):
        if self.model.eq_type[i] == mujoco.mjtEq.mjEQ_WELD:
            self.model.eq_data[i, :11] = [0, 0, 0, 0, 0, 0, -1, 0, 0, 0, 5]


SawyerMocapBase.reset_mocap_welds = reset_mocap_welds


def make(task):
    cls = ALL_V3_ENVIRONMENTS[task]
    env = cls()
    env.seeded_rand_vec = True
    space = env._random_reset_space
    # The middle of the task's range: legal in all tasks that the bench plays.
    data = {"env_cls": cls, "rand_vec": (space.low + space.high) / 2, "partially_observable": False}
    env.set_task(Task(env_name=task, data=pickle.dumps(data)))
    return env
