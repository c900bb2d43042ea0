"""The rule `published-1` as it reads: every set of environments, every candidate, every opponent.

Reads {"episodes", "successes": one row a miner, in the order of the first commitments} and writes {"seconds", "points"},
the seconds of processor time. Plain Python 3 without packages.
"""

import json
import math
import sys
import time
from itertools import combinations


def gap(rate, episodes):
    if episodes <= 0:
        return 0.10
    p = min(max(rate, 0.01), 0.99)
    return min(max(1.5 * math.sqrt(p * (1.0 - p) / episodes), 0.02), 0.10)


def exceeds(rates, thresholds, subset):
    # In doubles: what is within rounding of the threshold meets it and does not exceed it.
    for environment in subset:
        if rates[environment] - thresholds[environment] <= 1e-10:
            return False
    return True


def winner(rates, thresholds, subset):
    for candidate in range(len(rates)):
        for other in range(len(rates)):
            if other < candidate:
                if not exceeds(rates[candidate], thresholds[other], subset):
                    break
            elif other > candidate:
                if exceeds(rates[other], thresholds[candidate], subset):
                    break
        else:
            return candidate
    return None


def main():
    field = json.load(sys.stdin)
    episodes = field["episodes"]
    start = time.process_time()
    rates = [[successes / episodes for successes in row] for row in field["successes"]]
    thresholds = [[min(rate + gap(rate, episodes), 1.0) for rate in row] for row in rates]
    points = [0] * len(rates)
    environments = range(len(rates[0]))
    for size in range(1, len(environments) + 1):
        for subset in combinations(environments, size):
            found = winner(rates, thresholds, subset)
            if found is not None:
                points[found] += size
    print(json.dumps({"seconds": time.process_time() - start, "points": points}))


main()
