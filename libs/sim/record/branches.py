"""Tells which branches of Meta-World's rewards a rollout takes. Import this before any module of metaworld.

The modules of the rewards are loaded from their own source with a probe around each condition, and while `compute_reward` runs the
probes note what they see. An outcome is a triple of place, branch and what came of it:

- a condition (`if`, `a if c else b`, each part of `and` and `or`): true or false;
- `min` and `max` of two: the first wins, the second wins, or they tie (what then is returned has another precision);
- a tolerance: within its bounds or outside.

Left out: the older rewards (`reward_function_version` other than "v2"), which the benchmark does not use, and tests that only raise.
"""

import ast
import importlib.machinery
import sys
from collections import defaultdict

REWARDS = ("metaworld.envs.", "metaworld.utils.reward_utils", "metaworld.sawyer_xyz_env")
# What asks for the caller's constants, not for the state: these functions as a whole, and these conditions.
CONSTANT = ("_sigmoids", "tolerance", "inverse_tolerance")
DENSITIES = ("high_density", "medium_density")

# Place to (source text, outcomes that it can have).
POSSIBLE = {}
# Function to the places within it.
PLACES = defaultdict(set)
# What the reward that is being computed has taken; None while none is.
taken = None


def note(place, outcome):
    if taken is not None:
        taken.add((place, outcome))


def probe_condition(place, value):
    note(place, "true" if value else "false")
    return value


def probe_choice(place, choose, first, second):
    chosen = choose(first, second)
    note(place, "tie" if first == second else "first" if chosen is first else "second")
    return chosen


def probe_tolerance(place, function, x, bounds, **named):
    low, high = bounds
    note(place, "inside" if low <= x <= high else "outside")
    return function(x, bounds, **named)


def probe_function(name):
    note(name, "entered")


class Probes(ast.NodeTransformer):
    """Puts the probes into a module."""

    def __init__(self, module):
        self.module, self.functions = module.rpartition(".")[2], []

    def place(self, node, outcomes):
        name = f"{self.module}:{node.lineno}:{node.col_offset}"
        POSSIBLE[name] = (ast.unparse(node), outcomes)
        PLACES[self.functions[-1]].add(name)
        return name

    def call(self, probe, node, *arguments):
        called = ast.Call(ast.Name(probe, ast.Load()), list(arguments), [])
        return ast.copy_location(ast.fix_missing_locations(ast.copy_location(called, node)), node)

    def condition(self, node):
        """A probe around a condition; around its parts where it has parts."""
        if isinstance(node, ast.BoolOp):
            node.values = [self.condition(value) for value in node.values]
            return node
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            node.operand = self.condition(node.operand)
            return node
        place = self.place(node, ("true", "false"))
        return self.call("_probe_condition", node, ast.Constant(place), self.visit(node))

    def part(self, name, statements):
        """The statements of a function, or of a part of one that only some callers want, with probes."""
        self.functions.append(f"{self.module}:{name}:{statements[0].lineno}")
        probed = [self.visit(statement) for statement in statements]
        entered = ast.Expr(self.call("_probe_function", statements[0], ast.Constant(self.functions.pop())))
        return [ast.copy_location(entered, statements[0]), *probed]

    def visit_FunctionDef(self, node):
        if node.name not in CONSTANT:
            node.body = self.part(node.name, node.body)
        return node

    def visit_Assert(self, node):
        return node

    def visit_If(self, node):
        if not self.functions:
            return self.generic_visit(node)
        if ast.unparse(node.test) in DENSITIES:
            node.body = self.part(ast.unparse(node.test), node.body)
            return node
        node.body = [self.visit(statement) for statement in node.body]
        if "reward_function_version" in ast.unparse(node.test):
            return node
        node.orelse = [self.visit(statement) for statement in node.orelse]
        if not isinstance(node.body[0], ast.Raise):
            node.test = self.condition(node.test)
        return node

    def visit_IfExp(self, node):
        node.body, node.orelse = self.visit(node.body), self.visit(node.orelse)
        if self.functions:
            node.test = self.condition(node.test)
        return node

    def visit_BoolOp(self, node):
        return self.condition(node) if self.functions else node

    def visit_Call(self, node):
        name = ast.unparse(node.func)
        if not self.functions or name not in ("min", "max", "reward_utils.tolerance", "tolerance"):
            return self.generic_visit(node)
        if name in ("min", "max"):
            if len(node.args) != 2:
                return self.generic_visit(node)
            place = self.place(node, ("first", "second", "tie"))
            self.generic_visit(node)
            return self.call("_probe_choice", node, ast.Constant(place), node.func, *node.args)
        place = self.place(node, ("inside", "outside"))
        self.generic_visit(node)
        call = self.call("_probe_tolerance", node, ast.Constant(place), node.func, *node.args)
        call.keywords = node.keywords
        return call


class Loader(importlib.machinery.SourceFileLoader):
    """Compiles a module from its source, with probes."""

    def get_code(self, fullname):
        tree = ast.parse(self.get_data(self.path), self.path)
        tree = ast.fix_missing_locations(Probes(fullname).visit(tree))
        return compile(tree, self.path, "exec", dont_inherit=True)

    def exec_module(self, module):
        vars(module).update(_probe_condition=probe_condition, _probe_choice=probe_choice,
                            _probe_tolerance=probe_tolerance, _probe_function=probe_function)
        super().exec_module(module)


class Finder:
    """Finds the modules of the rewards as Python does, and gives them the loader with probes."""

    @staticmethod
    def find_spec(fullname, path, target=None):
        if not fullname.startswith(REWARDS):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        spec.loader = Loader(fullname, spec.origin)
        return spec


assert not any(name.startswith(REWARDS) for name in sys.modules), "import branches before metaworld"
sys.meta_path.insert(0, Finder)


def watched(env):
    """Makes an environment's `compute_reward` note the branches that it takes; returns the set that grows with each call."""
    seen, compute = set(), env.compute_reward

    def compute_reward(action, observation):
        global taken
        taken = seen
        try:
            return compute(action, observation)
        finally:
            taken = None

    env.compute_reward = compute_reward
    return seen


def possible(seen):
    """The outcomes that the branches have of all functions that were entered."""
    functions = {name for name, outcome in seen if outcome == "entered"}
    places = {place for function in functions for place in PLACES[function]}
    return {(place, outcome) for place in places for outcome in POSSIBLE[place][1]}
