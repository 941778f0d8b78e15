"""What `test_devices.py` looks at: runs on eight simulated devices, written to one file.

They have a process of their own, for JAX must know the number of devices before it starts:

    XLA_FLAGS=--xla_force_host_platform_device_count=8 python -m tests.on_eight_devices OUT.npz
"""

import io
import itertools
import json
import os
import signal
import sys
import tempfile
from contextlib import redirect_stderr
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

import bdip
from bdip import chain, fleet
from bdip.samplers import Constant, Psgld, Sgld
from tests.fakes import CountingPixels, Perceptron, Pixels, unit_problem

CHAINS, DEVICES = (1, 3, 10), (1, 2, 8)
STEPS, WARMUP, BLOCK = 30, 12, 10
NOISY = np.random.default_rng(0).normal(0.5, 0.2, (8, 7))
RESNET = bdip.ResNet(blocks=1, channels=3, latent_channels=3)


def restore(chains, devices, generator=Pixels(), **options):  # noqa: B008 -- frozen
    """A short quiet run of so many chains, of the generator and the sampler that compile soonest."""
    plain = {"steps": STEPS, "warmup": WARMUP, "noise_std": 0.2, "data_range": (0, 1)}
    plain |= {"sampler": "sgld"}
    plain |= {"settings": bdip.Settings(block=BLOCK), "progress": False}
    return bdip.sample(
        NOISY, generator=generator, chains=chains, devices=devices, **plain | options
    )


def arrays_of(name, posterior):
    """The posterior's arrays, by names that begin with `name`."""
    found = {key: getattr(posterior, key) for key in ("mean", "std", "draws")} | posterior.trace
    return {f"{name}/{key}": value for key, value in found.items()}


def every_number_of_chains_and_devices():
    found = {}
    for chains in CHAINS:
        for devices in DEVICES:
            found |= arrays_of(f"{chains} on {devices}", restore(chains, devices))
    for devices in (1, 2):
        found |= arrays_of(f"resnet on {devices}", restore(3, devices, RESNET))
        found |= arrays_of(f"mclmc on {devices}", restore(3, devices, sampler="mclmc"))
        sampled = restore(3, devices, noise_std="sample")
        found |= arrays_of(f"sampled noise on {devices}", sampled)
    found |= arrays_of("10 on all", restore(10, None))
    found |= arrays_of("3 on reversed", restore(3, jax.devices()[::-1]))
    found |= arrays_of("3 on 2 in ones", restore(3, 2, settings=bdip.Settings(block=1)))
    found |= arrays_of("3 on 2 by the clock", restore(3, 2, settings=bdip.Settings()))
    return found


# ------------------------------------------------------------------------------ the fleet itself


def launch(chains, devices, generator=Perceptron()):  # noqa: B008 -- frozen
    """The rounds of a run of so many chains, not yet begun."""
    sampler, plan = Psgld(Constant(0.01), warmup=WARMUP), chain.Plan(WARMUP, 2)
    runs = [
        chain.start(unit_problem(), generator, sampler, plan, STEPS, 9, jax.random.key(0), number)
        for number in range(chains)
    ]
    return fleet.side_by_side(runs, jax.devices()[:devices])


def places_of(tree):
    """Of each array: for each place on its first axis, the number of the device that holds it."""
    return [
        [shard.device.id for shard in sorted(leaf.addressable_shards, key=lambda s: s.index[0].start)]
        for leaf in jax.tree.leaves(tree)
        if all(shard.data.shape == (1, *leaf.shape[1:]) for shard in leaf.addressable_shards)
    ]  # fmt: skip


def where_the_arrays_lie():
    (eight,) = launch(8, 8)
    before = jax.tree.leaves((eight.state, eight.kept))
    places = places_of(before)
    eight.advance(3)
    after = (eight.state, eight.kept)
    return {
        "leaves": len(before),
        "places before": places,
        "places after": places_of(after),
        "given away": all(leaf.is_deleted() for leaf in before),
        "one chain alone": [type(run).__name__ for run in launch(1, 8)],
        "one device alone": [type(run).__name__ for run in launch(3, 1)],
    }


def how_often_it_compiles():
    """Compilations in the first block of two rounds, 3 chains and 2, and in all later ones."""
    compiled = []

    def listen(event, seconds, **more):
        if "backend_compile" in event:
            compiled.append(event)

    rounds = launch(5, 4, CountingPixels())
    jax.monitoring.register_event_duration_secs_listener(listen)
    CountingPixels.traces.clear()
    rounds[0].advance(1)
    first, traces = len(compiled), len(CountingPixels.traces)
    for each in rounds:
        while each.done < each.steps:
            each.advance(7)
    return {
        "widths": [each.width for each in rounds],
        "idle": [each.idle for each in rounds],
        "idle steps": np.asarray(rounds[1].state.step).tolist(),
        "first": first,
        "later": len(compiled) - first,
        "traces": traces,
        "later traces": len(CountingPixels.traces) - traces,
    }


# --------------------------------------------------------------------- progress, and the ways out


def what_the_callback_sees():
    seen, images, means = [], [], []

    def look(progress):
        seen.append([progress.chain, progress.step, progress.steps, progress.warming_up])
        images.append(np.array(progress.image)[..., 0])
        means.append(np.array(progress.mean)[..., 0])

    posterior = restore(3, 2, callback=look)
    arrays = {"seen/images": np.stack(images), "seen/means": np.stack(means)}
    return seen, arrays | arrays_of("seen", posterior)


def stopped(chains, devices, at, how, **options):
    """A run that a callback stops at (chain, step), and whether it says so."""

    def look(progress):
        if (progress.chain, progress.step) == at:
            how()

    return restore(chains, devices, callback=look, **options)


def press_control_c():
    os.kill(os.getpid(), signal.SIGINT)


def raise_interrupt():
    raise KeyboardInterrupt


def ways_out():
    runs = {
        "time limit": restore(10, 8, time_limit=1e-9),
        "time limit, kept": restore(
            10, 8, time_limit=1e-9, settings=bdip.Settings(block=WARMUP + 5)
        ),
        "second round": stopped(3, 2, (2, 20), press_control_c),
        "second round, raised": stopped(3, 2, (2, 20), raise_interrupt),
        "first round": stopped(3, 2, (1, 20), press_control_c),
    }
    complete = {name: posterior.complete for name, posterior in runs.items()}
    summaries = {name: posterior.summary() for name, posterior in runs.items()}
    arrays = {}
    for name, posterior in runs.items():
        arrays |= arrays_of(name, posterior)
    return {"complete": complete, "summaries": summaries}, arrays


def cut_short_and_resumed():
    """Runs cut in their first and in their second round, resumed on as many devices and on others."""
    endless = {"steps": None, "warmup": None, "max_steps": 1800, "target_mcse": 0.5}
    rounds = {"first": (1, 20), "second": (2, 20)}
    arrays, complete = {}, []
    with tempfile.TemporaryDirectory() as folder:
        for name, at in rounds.items():
            for devices in (2, 1):
                path = f"{folder}/{name} {devices}"
                begun = stopped(3, 2, at, raise_interrupt, checkpoint=path)
                resumed = restore(3, devices, checkpoint=path)
                complete.append([begun.complete, resumed.complete])
                arrays |= arrays_of(f"resumed {name} on {devices}", resumed)
        path = f"{folder}/endless"
        stopped(3, 4, (1, 250), raise_interrupt, checkpoint=path, **endless)
        arrays |= arrays_of("resumed endless", restore(3, 4, checkpoint=path, **endless))
        arrays |= arrays_of("endless", restore(3, 4, **endless))
    return complete, arrays


LIMIT = 0.75  # which one number of four exceeds


@dataclass(frozen=True)
class Fragile(Pixels):
    """Pixels that start at 0, or at 10¹⁰ where a number drawn from the key exceeds LIMIT."""

    def init(self, key, image_shape):
        start = jnp.where(jax.random.uniform(key) > LIMIT, 1e10, 0.0)
        return {"image": jnp.full(image_shape, start)}, jnp.zeros((1, 1, 1))


def far_out(seed):
    """Which of four chains start far out."""
    keys = [jax.random.split(jax.random.fold_in(jax.random.key(seed), k))[0] for k in range(4)]
    return [k for k, key in enumerate(keys) if jax.random.uniform(key) > LIMIT]


def one_far_out():
    """For each of four chains a seed with which it starts far out and no other does."""
    seeds = {}
    for seed in itertools.count():
        if len(seeds) == 4:
            return seeds
        if len(found := far_out(seed)) == 1:
            seeds.setdefault(found[0], seed)


def what_is_said_of_it(seed):
    """The error of four chains, two a round."""
    try:
        restore(
            4, 2, Fragile(), seed=seed, sampler=Sgld(Constant(11.0)), noise_std=1.0, steps=14,
            warmup=4, weight_precision=1.0, settings=bdip.Settings(block=4, step_halvings=0),
        )  # fmt: skip
    except bdip.DivergedError as error:
        return str(error)
    return "no error"


def what_the_bar_shows():
    with redirect_stderr(io.StringIO()) as stream:
        restore(3, 2, progress=True)
    return stream.getvalue()


def devices_used(devices):
    """Numbers of the devices that the images of a run of two chains lie on."""
    used = []

    def look(progress):
        used.append(sorted(device.id for device in progress.image.devices()))

    options = {"sampler": Sgld(Constant(0.01)), "settings": bdip.Settings(block=STEPS)}
    restore(2, devices, callback=look, **options)
    return used


def main(output):
    seen, shown = what_the_callback_sees()
    stops, stopped_early = ways_out()
    resumed, resumed_arrays = cut_short_and_resumed()
    with jax.default_device(jax.devices()[5]):
        default = devices_used(None)
    facts = {
        "devices": jax.local_device_count(),
        "places": where_the_arrays_lie(),
        "compilations": how_often_it_compiles(),
        "seen": seen,
        "stops": stops,
        "resumed": resumed,
        "diverged": [[k, what_is_said_of_it(seed)] for k, seed in one_far_out().items()],
        "bar": what_the_bar_shows(),
        "used": {
            "all": devices_used(None),
            "one": devices_used(1),
            "one named": devices_used(jax.devices()[3:4]),
            "two named": devices_used([jax.devices()[6], jax.devices()[2]]),
            "default set": default,
        },
    }
    arrays = every_number_of_chains_and_devices() | shown | stopped_early | resumed_arrays
    np.savez(output, facts=json.dumps(facts), **arrays)


if __name__ == "__main__":
    main(sys.argv[1])
