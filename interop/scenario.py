"""One SDK against one runtime, run by run.py inside the SDK's virtual environment.

    scenario.py BINARY SPEC
"""

import asyncio
import os
import pathlib
import signal
import sys
import tempfile
import time

from house import House, Mismatch, free_port, rest, until

NETUID = 1
BLOCK_MS = 250
RATE_LIMIT = 20
STAKE = 1_000_000_000_000
BURN, VALIDATOR, BY_SDK, BY_US = range(4)
NAMES = ["owner", "validator", "miner-sdk", "miner-kinitro"]
CONFIG = """
[scheduling]
env_ids = ["metaworld/reach-v3", "metaworld/drawer-close-v3"]
[execution]
max_timesteps = 150
[scoring]
pareto_temperature = 4.0
"""


class Table:
    """What was done: a line a step, with a mark."""

    def __init__(self):
        self.begun = time.monotonic()

    def step(self, name, action):
        """Does a step and prints its line; what it raises ends the run."""
        clock = time.monotonic()
        try:
            answer, shown = action()
        except Exception as problem:
            print(f"  ✗ {name:<55} {type(problem).__name__}: {problem}", flush=True)
            raise
        print(f"  ✓ {name:<55} {shown} ({time.monotonic() - clock:.1f} s)", flush=True)
        return answer


def same(seen, expected, what):
    """Fails unless both are equal."""
    if seen != expected:
        raise Mismatch(f"{what}: {seen!r}, expected {expected!r}")


def wallets(folder):
    """Wallets as the SDK makes them, unencrypted hotkeys in the usual layout."""
    from bittensor_wallet import Wallet

    made = []
    for name in NAMES:
        wallet = Wallet(name="interop", hotkey=name, path=str(folder))
        if not made:
            wallet.create_new_coldkey(use_password=False, overwrite=True, suppress=True)
        wallet.create_new_hotkey(use_password=False, overwrite=True, suppress=True)
        made.append(wallet)
    return made


def ours(wallet_folder, name):
    """The flags with which our commands find the SDK's wallet."""
    return ["--wallet-path", wallet_folder, "--wallet-name", "interop", "--hotkey-name", name]


def scaled(weights):
    """Weights as the chain holds them: the largest is 65535, halves go up, zeros are left out."""
    largest = max(weights.values())
    values = {int(uid): int(weight / largest * 65535 + 0.5) for uid, weight in weights.items()}
    return {uid: value for uid, value in values.items() if value > 0}


def row(subtensor, uid):
    """The weights that the SDK reads for one validator."""
    return dict(dict(subtensor.weights(NETUID)).get(uid, []))


def play(binary, spec, folder):
    """The whole scenario."""
    import bittensor
    from bittensor.core.subtensor import Subtensor

    table, wallet_folder = Table(), folder / "wallets"
    made = table.step("the SDK makes wallets", lambda: ((found := wallets(wallet_folder)), f"{len(found)} hotkeys"))
    keys = [wallet.hotkey.ss58_address for wallet in made]
    neurons = [f'[[neurons]]\nhotkey = "{key}"\nstake = {STAKE}\nvalidator_permit = {str(uid == VALIDATOR).lower()}\n'
               for uid, key in enumerate(keys)]
    seed = folder / "chain.toml"
    seed.write_text(f"netuid = {NETUID}\n" + "".join(neurons))
    (folder / "kinitro.toml").write_text(CONFIG)

    with House(binary, folder) as house:
        def chain(name, *flags):
            port = free_port()
            house.start(name, "devchain", "--port", port, "--spec", spec, "--seed-file", seed, "--block-ms", BLOCK_MS,
                        "--weights-rate-limit", RATE_LIMIT, *flags, port=port)
            return f"ws://127.0.0.1:{port}"

        url = chain("devchain")
        subtensor = table.step("connect", lambda: (
            (found := Subtensor(network=url)), f"SDK {bittensor.__version__}, {found.chain_endpoint}"))
        table.step("block", lambda: blocks(subtensor))
        table.step("hyperparameters", lambda: hyperparameters(subtensor, keys))
        table.step("neurons", lambda: neurons_agree(subtensor.neurons(netuid=NETUID), keys))
        table.step("neurons_lite", lambda: neurons_agree(subtensor.neurons_lite(netuid=NETUID), keys))
        table.step("metagraph", lambda: metagraph_agrees(subtensor.metagraph(NETUID), keys))
        commitments(table, house, subtensor, url, made, wallet_folder)
        table.step("the asynchronous SDK reads both, and waits for heads", lambda: asynchronous(url, keys))
        table.step("set_weights", lambda: set_weights(subtensor, made[VALIDATOR]))
        table.step("set_weights again, before the rate limit allows", lambda: too_soon(subtensor, made[VALIDATOR]))
        gateway = backend(table, house, url, keys)
        expected = table.step("the backend evaluates both and publishes weights", lambda: published(gateway))
        table.step("the strict Python policy is at no fault and earns", lambda: earns(gateway))
        table.step("the SDK reads the weights that kinitro validate set",
                   lambda: validated(house, subtensor, gateway, url, wallet_folder, expected, "validate"))

        sealed_url = chain("devchain-sealed", "--commit-reveal", "--tempo", 20)
        sealed = Subtensor(network=sealed_url)
        table.step("set_weights, commit-reveal on", lambda: commit(sealed, made[VALIDATOR]))
        table.step("the same with commit-reveal on: sealed, then revealed",
                   lambda: validated(house, sealed, gateway, sealed_url, wallet_folder, expected, "validate-sealed"))
        sealed.close()
        subtensor.close()
    print(f"  {time.monotonic() - table.begun:.0f} s", flush=True)


def blocks(subtensor):
    """The head goes on: asked for, and as a subscription tells it."""
    first = subtensor.block
    until("a new block", lambda: subtensor.block > first, 30)
    if not subtensor.wait_for_block(first + 3):
        raise Mismatch(f"block {first + 3} was not announced")
    return None, f"{first} → {subtensor.block}"


def hyperparameters(subtensor, keys):
    """The subnet is as the flags said."""
    same(subtensor.subnet_exists(NETUID), True, "subnet_exists")
    same(subtensor.subnet_exists(NETUID + 1), False, "subnet_exists of another")
    found = subtensor.get_subnet_hyperparameters(NETUID)
    same((found.weights_rate_limit, found.commit_reveal_weights_enabled), (RATE_LIMIT, False), "hyperparameters")
    same(found.tempo, subtensor.tempo(NETUID), "tempo")
    same([subtensor.get_uid_for_hotkey_on_subnet(key, NETUID) for key in keys], list(range(len(keys))), "uids")
    return None, f"tempo {found.tempo}, rate limit {found.weights_rate_limit}"


def asynchronous(url, keys):
    """What the SDK's other client sees, which services in Python use."""
    from bittensor.core.async_subtensor import AsyncSubtensor

    async def look():
        async with AsyncSubtensor(network=url) as subtensor:
            head = await subtensor.get_current_block()
            await subtensor.wait_for_block(head + 2)
            texts = await subtensor.get_all_commitments(NETUID)
            for uid in (BY_SDK, BY_US):
                await subtensor.query_module("Commitments", "CommitmentOf", params=[NETUID, keys[uid]])
            return texts

    found = asyncio.run(look())
    same(set(found), {keys[BY_SDK], keys[BY_US]}, "get_all_commitments")
    return None, f"{len(found)} commitments"


def neurons_agree(found, keys):
    """The neurons are those of the seed file."""
    same([(neuron.uid, neuron.hotkey) for neuron in found], list(enumerate(keys)), "neurons")
    same([neuron.validator_permit for neuron in found], [uid == VALIDATOR for uid in range(len(keys))], "permits")
    for neuron in found:
        same(round(float(neuron.stake) * 1e9), STAKE, f"stake of uid {neuron.uid}")
    return found, f"{len(found)}"


def metagraph_agrees(found, keys):
    """The metagraph is that of the seed file."""
    same(list(found.hotkeys), keys, "hotkeys")
    same([int(uid) for uid in found.uids], list(range(len(keys))), "uids")
    same([bool(permit) for permit in found.validator_permit], [uid == VALIDATOR for uid in range(len(keys))], "permits")
    return found, f"n = {int(found.n)}, block {int(found.block)}"


def commitments(table, house, subtensor, url, made, wallet_folder):
    """Each side commits a policy; both sides read both."""
    subnet = ["--netuid", NETUID, "--network", url]
    policies = {}
    strict = [sys.executable, pathlib.Path(__file__).with_name("strict_policy.py")]
    for name, program, arguments in [(NAMES[BY_SDK], strict, []), (NAMES[BY_US], None, ["policy", "serve", "--kind", "sweep"])]:
        port = free_port()
        house.start(f"policy-{name}", *arguments, "--port", port, port=port, program=program)
        policies[name] = f"http://127.0.0.1:{port}"
    by_sdk = f"interop/push:v1:{policies[NAMES[BY_SDK]]}"

    def write():
        answer = subtensor.set_commitment(wallet=made[BY_SDK], netuid=NETUID, data=by_sdk)
        if not answer.success:
            raise Mismatch(f"set_commitment: {answer.message or answer}")
        return None, f"{len(by_sdk)} bytes"

    def read(uid, expected):
        until("the commitment is read back", lambda: subtensor.get_commitment(NETUID, uid), 30)
        text = subtensor.get_commitment(NETUID, uid)
        same(text, expected, "get_commitment")
        same(subtensor.get_all_commitments(NETUID)[made[uid].hotkey.ss58_address], expected, "get_all_commitments")
        raw = subtensor.substrate.query("Commitments", "CommitmentOf", [NETUID, made[uid].hotkey.ss58_address])
        raw = getattr(raw, "value", raw)
        return None, f"{text}, of block {raw['block']}"

    def shown():
        def look():
            found = house.run("miner", "show-commitment", *subnet, *ours(wallet_folder, NAMES[BY_SDK]), "--json")
            return found if by_sdk in str(found) or policies[NAMES[BY_SDK]] in str(found) else None
        found = until("show-commitment shows the SDK's commitment", look, 30)
        if made[BY_SDK].hotkey.ss58_address not in str(found):
            raise Mismatch(f"show-commitment names another hotkey: {found}")
        return None, "with the SDK's wallet"

    def commit_ours():
        found = house.run("miner", "commit", *subnet, *ours(wallet_folder, NAMES[BY_US]), "--json",
                          "--repo", "interop/sweep", "--revision", "v1", "--endpoint", policies[NAMES[BY_US]])
        return found, "with the SDK's wallet"

    table.step("set_commitment", write)
    table.step("the SDK reads its commitment back", lambda: read(BY_SDK, by_sdk))
    table.step("kinitro miner show-commitment shows it", shown)
    table.step("kinitro miner commit", commit_ours)
    table.step("the SDK reads that back", lambda: read(BY_US, f"interop/sweep:v1:{policies[NAMES[BY_US]]}"))


def set_weights(subtensor, wallet):
    """The SDK's weights are on the chain, scaled to the largest."""
    until("the registration is old enough", lambda: subtensor.block > RATE_LIMIT + 1, 30)
    answer = subtensor.set_weights(wallet=wallet, netuid=NETUID, uids=[BY_SDK, BY_US], weights=[0.25, 0.75])
    if not answer.success:
        raise Mismatch(f"set_weights: {answer.message or answer}")
    seen = until("the weights are on the chain", lambda: row(subtensor, VALIDATOR), 30)
    same(seen, {BY_SDK: 21845, BY_US: 65535}, "weights")
    return seen, str(seen)


def too_soon(subtensor, wallet):
    """The SDK does not even send what the rate limit forbids."""
    answer = subtensor.set_weights(wallet=wallet, netuid=NETUID, uids=[BY_SDK], weights=[1.0])
    since = subtensor.blocks_since_last_update(NETUID, VALIDATOR)
    same(answer.success, False, "success")
    same(row(subtensor, VALIDATOR), {BY_SDK: 21845, BY_US: 65535}, "weights")
    return None, f"refused {since} blocks after the last"


def backend(table, house, url, keys):
    """The backend follows this chain, and REST shows both commitments."""
    port = free_port()
    gateway = f"http://127.0.0.1:{port}"

    def start():
        house.start("up", "up", "--config", house.folder / "kinitro.toml", "--data-dir", house.folder / "data",
                    "--network", url, "--netuid", NETUID, "--port", port, "--no-auth", "--no-images",
                    "--episodes-per-env", 2, "--eval-interval", 86400, "--allow-private-endpoints", port=port)
        return None, gateway

    def seen():
        def both():
            miners = (rest(f"{gateway}/v1/miners") or {}).get("miners", [])
            found = {miner["hotkey"]: miner for miner in miners}
            return found if all(found.get(keys[uid], {}).get("status") == "active" for uid in (BY_SDK, BY_US)) else None
        found = until("ingestion sees both commitments", both, 60)
        same({uid: (found[keys[uid]]["uid"], found[keys[uid]]["repo"]) for uid in (BY_SDK, BY_US)},
             {BY_SDK: (BY_SDK, "interop/push"), BY_US: (BY_US, "interop/sweep")}, "miners")
        return None, "GET /v1/miners: both active"

    table.step("kinitro up on this chain", start)
    table.step("ingestion sees the SDK's commitment and ours", seen)
    return gateway


def published(gateway):
    """The weights of the first cycle, scaled."""
    found = until("weights are published", lambda: rest(f"{gateway}/v1/weights/latest"), 300)
    same(found["metadata"]["n_miners_evaluated"], 2, "miners evaluated")
    expected = scaled(found["weights"])
    same(dict(zip(found["weights_u16"]["uids"], found["weights_u16"]["values"])), expected, "weights_u16")
    return expected, str(expected)


def earns(gateway):
    """No episode of the SDK's miner was its policy's fault, and its weight is not zero."""
    miner, = (miner for miner in rest(f"{gateway}/v1/miners")["miners"] if miner["uid"] == BY_SDK)
    same((miner["last_faults"], miner["last_fault_messages"]), ({}, {}), "faults")
    weight = rest(f"{gateway}/v1/weights/latest")["weights"].get(str(BY_SDK), 0)
    if not weight > 0:
        raise Mismatch(f"its weight is {weight}")
    return None, f"weight {weight:.4f}"


def validated(house, subtensor, gateway, url, wallet_folder, expected, name):
    """`kinitro validate` sets the published weights, and the SDK reads them."""
    port = free_port()
    house.start(name, "validate", "--backend-url", gateway, "--netuid", NETUID, "--network", url, *ours(wallet_folder, NAMES[VALIDATOR]),
                "--state-dir", house.folder / name, "--poll-interval", 1, "--port", port, port=port)
    until(f"the SDK reads {expected}", lambda: row(subtensor, VALIDATOR) == expected, 120)
    same(house.end(name), 0, "exit status of kinitro validate")
    return None, str(row(subtensor, VALIDATOR))


def commit(subtensor, wallet):
    """With commit-reveal on the SDK commits sealed weights; the chain takes them and shows none."""
    until("the registration is old enough", lambda: subtensor.block > RATE_LIMIT + 1, 30)
    before = subtensor.block
    answer = subtensor.set_weights(wallet=wallet, netuid=NETUID, uids=[BY_SDK, BY_US], weights=[0.25, 0.75])
    if not answer.success:
        raise Mismatch(f"set_weights: {answer.message or answer}")
    since = subtensor.blocks_since_last_update(NETUID, VALIDATOR)
    if subtensor.block - since < before:
        raise Mismatch(f"the chain's last update is {since} blocks ago")
    pending = list(subtensor.substrate.query_map("SubtensorModule", "TimelockedWeightCommits", [NETUID]))
    if not pending:
        raise Mismatch("the chain holds no sealed weights")
    return None, f"{answer.message}"


def main():
    """Plays in a folder of its own, home directory included: the SDK writes there."""
    binary, spec = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    # As Ctrl-C, so that what was started is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="kinitro-interop-") as folder:
        # Postgres runs as another user when we are root, and must be able to enter.
        os.chmod(folder, 0o755)
        os.environ["HOME"] = folder
        try:
            play(binary, spec, pathlib.Path(folder))
        except Exception as problem:
            sys.exit(f"{type(problem).__name__}: {problem}")
        except KeyboardInterrupt:
            sys.exit(130)


if __name__ == "__main__":
    main()
