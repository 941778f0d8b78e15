"""The chain: exact properties of its bookkeeping and of its randomness."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest

from bdip import chain, moments
from bdip.chain import BLOCK_CAPACITY, DivergedError, Plan, run_block
from bdip.potential import energy
from bdip.samplers import Adam, Constant, Mclmc, Polynomial, Psgld, Sgd, Sgld
from tests.fakes import CountingPixels, JitteredPixels, Perceptron, Pixels, unit_problem

KEY = jax.random.key(7)
SLOWING = Polynomial(0.02, 1.0, 0.55)  # so that the weights ε_t differ
SGLD = Sgld(SLOWING)


def start(
    sampler=SGLD, generator=Pixels(), steps=60, draws=5, warmup=20, thin=8, key=KEY, number=0, **more  # noqa: B008 -- frozen
):  # fmt: skip
    problem = more.pop("problem", None)
    problem = unit_problem() if problem is None else problem
    sampler = replace(sampler, warmup=warmup)
    plan = Plan(warmup, thin, **more)
    return chain.start(problem, generator, sampler, plan, steps, draws, key, number)


def finish(run, block=50):
    """The run at its end, in blocks of `block` steps."""
    while run.done < run.steps:
        run.advance(block)
    return run


def everything(run):
    """All that a run holds, as NumPy arrays."""
    state = run.state._replace(key=jax.random.key_data(run.state.key))
    return [np.asarray(leaf) for leaf in jax.tree.leaves((state, run.kept, run.trace))]


def equal(first, second):
    return all(
        np.array_equal(a, b, equal_nan=True)
        for a, b in zip(everything(first), everything(second), strict=True)
    )


def images_of(run):
    """Every image of the run, one step a block (t, H, W, C)."""
    images = []
    while run.done < run.steps:
        run.advance(1)
        images.append(np.array(run.kept.image))
    return np.stack(images)


# ----------------------------------------------------------------------- exact reproducibility

EXACT = {
    "sgld, pixels": (SGLD, Pixels()),
    "psgld, perceptron": (Psgld(SLOWING), Perceptron()),
    "mclmc, perceptron": (Mclmc(SLOWING), Perceptron()),
    "mclmc in cycles, perceptron": (Mclmc(SLOWING, cycle=4, relaxing=2), Perceptron()),
    "adam, perceptron": (Adam(Constant(0.01)), Perceptron()),
}
every_chain = pytest.mark.parametrize(("sampler", "generator"), EXACT.values(), ids=EXACT)


@every_chain
def test_blocks_of_one_of_fifty_and_of_any_length_give_the_same_chain_bit_for_bit(
    sampler, generator
):
    whole = finish(start(sampler, generator), 50)
    assert equal(finish(start(sampler, generator), 1), whole)
    uneven = start(sampler, generator)
    for _ in uneven.blocks():  # lengths that depend on the clock
        pass
    assert equal(uneven, whole)


def test_jitter_on_the_latent_is_the_same_whatever_the_blocks():
    generator = JitteredPixels()
    ones = finish(start(generator=generator, jitter=0.1), 1)
    assert equal(ones, finish(start(generator=generator, jitter=0.1), 50))


@every_chain
def test_the_same_key_gives_the_same_chain_and_another_key_another(sampler, generator):
    first = finish(start(sampler, generator))
    assert equal(first, finish(start(sampler, generator)))
    other = finish(start(sampler, generator, key=jax.random.key(8)))
    assert (first.kept.image != other.kept.image).all()


def test_chains_of_one_key_have_their_own_weights_and_noise():
    zero, one = start(number=0), start(number=1)
    assert (zero.state.params["image"] != one.state.params["image"]).all()
    shared = start(generator=Pixels(scale=0.0)), start(generator=Pixels(scale=0.0), number=1)
    assert (shared[0].state.params["image"] == shared[1].state.params["image"]).all()
    zero, one = (finish(run) for run in shared)
    assert (zero.kept.image != one.kept.image).all()


def test_a_block_longer_than_its_capacity_is_cut_to_it():
    run = start(steps=BLOCK_CAPACITY + 10)
    assert len(run.advance(10 * BLOCK_CAPACITY).energy) == BLOCK_CAPACITY
    assert len(run.advance(10 * BLOCK_CAPACITY).energy) == 10
    assert run.done == run.steps == int(run.state.step)


def test_a_generator_keeps_the_arrays_it_returns():
    # A block gives its buffers away to the next (donation); these are not the chain's to give.
    stored = jnp.ones((6, 5, 1))

    class Stored(Pixels):
        def init(self, key, image_shape):
            return {"image": stored}, stored

    first, second = finish(start(generator=Stored())), finish(start(generator=Stored()))
    assert equal(first, second)
    np.testing.assert_array_equal(stored, np.ones((6, 5, 1)))


# --------------------------------------------------------------------- temperature zero is descent


@pytest.mark.parametrize("generator", [Pixels(), Perceptron()], ids=["pixels", "perceptron"])
@pytest.mark.parametrize("seed", range(2))
def test_sgld_at_temperature_zero_is_gradient_descent_bit_for_bit(generator, seed):
    options = {"generator": generator, "key": jax.random.key(seed)}
    langevin = finish(start(Sgld(SLOWING, temperature=0.0), **options))
    descent = finish(start(Sgd(SLOWING), **options))
    for got, wanted in zip(langevin.trace, descent.trace, strict=True):
        np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(langevin.kept.image, descent.kept.image)
    for got, wanted in zip(
        jax.tree.leaves(langevin.state.params), jax.tree.leaves(descent.state.params), strict=True
    ):
        np.testing.assert_array_equal(got, wanted)


def test_sgld_at_temperature_zero_is_a_recursion_written_in_numpy():
    mask = np.random.default_rng(3).random((6, 5)) < 0.7
    problem = unit_problem(mask=mask, noise_std=0.5, weight_precision=2.0)
    run = start(Sgld(Constant(0.1), temperature=0.0), problem=problem)
    x = np.asarray(run.state.params["image"], np.float64)
    y, m = np.asarray(problem.data, np.float64), mask[..., None]
    images = images_of(run)
    for image in images:
        np.testing.assert_allclose(image, x, rtol=0, atol=1e-5)
        x = x - 0.1 / 2 * (m * (x - y) / 0.5**2 + 2.0 * x)


# ---------------------------------------------------------------------------- what is kept


def kept_by_numpy(images, sizes, warmup):
    """Weighted mean and standard deviation of the images after the warm-up, in float64."""
    kept, weights = images[warmup:].astype(np.float64), sizes[warmup:].astype(np.float64)
    mean = np.average(kept, axis=0, weights=weights)
    return mean, np.sqrt(np.average((kept - mean) ** 2, axis=0, weights=weights))


def test_of_a_cycle_the_last_image_alone_is_kept():
    warmup, cycle = 20, 4
    run = start(Mclmc(SLOWING, cycle=cycle, relaxing=2), warmup=warmup, thin=2 * cycle)
    images = images_of(run)
    due = np.arange(warmup + cycle - 1, 60, cycle)
    np.testing.assert_array_equal(chain.kept_steps(np.arange(60)[None], warmup, cycle), [due])
    mean, std = kept_by_numpy(images[due], run.trace.step_size[due], 0)
    np.testing.assert_allclose(run.kept.moments.mean, mean, rtol=0, atol=2e-6)
    np.testing.assert_allclose(np.sqrt(moments.variance(run.kept.moments)), std, rtol=0, atol=2e-6)
    np.testing.assert_array_equal(run.kept.draws, images[due[1::2]])
    # These are of weights after steps that relax, which are half as large: the two before each.
    whole = 0.02 * (1.0 + np.arange(60)) ** -0.55
    relaxing = np.isin(np.arange(60), [due - 1, due - 2])
    np.testing.assert_allclose(run.trace.step_size, np.where(relaxing, whole / 2, whole), rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("warmup", [0, 20, 59])
def test_the_mean_is_that_of_the_kept_images_each_weighted_by_its_step_size(seed, warmup):
    run = start(warmup=warmup, key=jax.random.key(seed))
    images = images_of(run)
    sizes = 0.02 * (1.0 + np.arange(60)) ** -0.55
    mean, std = kept_by_numpy(images, sizes, warmup)
    np.testing.assert_allclose(run.kept.moments.mean, mean, rtol=0, atol=2e-6)
    np.testing.assert_allclose(
        np.sqrt(moments.variance(run.kept.moments)), std, rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(run.kept.moments.weight, sizes[warmup:].sum(), rtol=1e-5)


def test_the_warm_up_leaves_no_trace_in_the_mean():
    # The weights start at 10⁴ and, with ε = 2/l, reach their minimum in one step: had any warm-up
    # image entered with a weight of even 10⁻⁴, the mean would be off by 0.02 and more.
    curvature = 1 / 0.5**2 + 2.0
    run = start(Sgld(Constant(2 / curvature)), Pixels(scale=0.0, offset=1e4), warmup=20)
    images = images_of(run)
    assert (images[0] == 1e4).all()
    mean, std = kept_by_numpy(images, np.ones(60), 20)
    np.testing.assert_allclose(run.kept.moments.mean, mean, rtol=0, atol=2e-6)
    np.testing.assert_allclose(np.sqrt(moments.variance(run.kept.moments)), std, rtol=1e-4)


def test_nothing_is_kept_before_the_warm_up_is_over():
    run = start(warmup=20)
    for _ in range(20):
        run.advance(1)
        assert run.kept.moments.weight == 0
        assert not run.kept.moments.mean.any()
        assert not run.kept.draws.any()
        assert run.stored("draws") == 0
    run.advance(1)
    np.testing.assert_array_equal(run.kept.moments.mean, run.kept.image)


def test_the_draws_are_every_thin_th_kept_image():
    run = start(warmup=20, thin=8, draws=5)
    images = images_of(run)
    # Kept steps 20, …, 59; the 8th is 27, then 35, 43, 51, 59.
    np.testing.assert_array_equal(run.kept.draws, images[[27, 35, 43, 51, 59]])
    assert run.stored("draws") == 5


def test_only_so_many_draws_are_stored_as_there_is_room():
    run = start(warmup=20, thin=3, draws=2)
    images = images_of(run)
    np.testing.assert_array_equal(run.kept.draws, images[[22, 25]])
    assert run.stored("draws") == 2
    assert finish(start(draws=0)).kept.draws.shape == (0, 6, 5, 1)


def test_a_memory_below_one_is_an_exponential_average():
    run = start(Sgd(Constant(0.02)), warmup=0, memory=0.9)
    images = images_of(run)
    weights = 0.9 ** np.arange(60)[::-1]
    mean = np.average(images.astype(np.float64), axis=0, weights=weights)
    np.testing.assert_allclose(run.kept.moments.mean, mean, rtol=0, atol=2e-6)


def test_the_trace_holds_energy_chi2_and_step_size_of_every_step():
    run = start(key=jax.random.key(2))
    values = []
    while run.done < run.steps:
        params = jax.tree.map(jnp.copy, run.state.params)
        value, terms = jax.jit(energy, static_argnums=1)(
            params, Pixels(), run.state.latent, run.problem
        )
        values.append((value, terms.chi2))
        run.advance(1)
    np.testing.assert_allclose(run.trace.energy, [v for v, _ in values], rtol=1e-5)
    np.testing.assert_allclose(run.trace.chi2, [c for _, c in values], rtol=1e-5)
    np.testing.assert_allclose(run.trace.step_size, 0.02 * (1 + np.arange(60)) ** -0.55, rtol=1e-5)


def test_a_run_before_its_first_step_is_valid():
    run = start()
    assert run.done == run.stored("draws") == run.stored("probe") == 0
    assert [column.shape for column in jax.tree.leaves(run.trace)] == [(0,)] * 4


# --------------------------------------------------------------------------------- progress


@pytest.mark.parametrize("block", [1, 7, 60, None])
def test_progress_says_where_the_chain_stands(block):
    run = start(warmup=20, number=3)
    reports = []
    for report in run.blocks(block):
        reports.append(report)
        assert (report.chain, report.step, report.steps) == (3, run.done, 60)
        assert report.warming_up == (report.step <= 20)
        assert report.steps_per_second > 0
        np.testing.assert_array_equal(report.image, run.kept.image)
        np.testing.assert_array_equal(report.mean, run.kept.moments.mean)
        assert bool(np.any(report.mean)) != report.warming_up
        length = len(run.traces[-1].chi2)
        assert report.chi2 == pytest.approx(run.trace.chi2[-length:].mean(), rel=1e-6)
    assert reports[-1].step == 60
    steps = [report.step for report in reports]
    assert steps == sorted(set(steps))
    if block is not None:
        assert steps == [*range(block, 60, block), 60]


# ------------------------------------------------------------------------------ divergence


@pytest.mark.parametrize("block", [1, 50])
def test_a_chain_that_diverges_says_at_which_step(block):
    # θ grows by εl/2 = 3·10⁹ a step and U with its square: finite at steps 0 and 1 (about 10²⁰ at
    # 1), over 3.4·10³⁸ at step 2 at the latest.
    problem = unit_problem(noise_std=0.5, weight_precision=2.0)
    run = start(Sgld(Constant(1e9)), problem=problem)
    with pytest.raises(DivergedError, match="at step 2: use a smaller step_size"):
        finish(run, block)
    assert np.isfinite(run.trace.energy[:2]).all()
    assert not np.isfinite(run.trace.energy[2])


# -------------------------------------------------------------------------- one compilation


def test_changing_numbers_does_not_compile_again():
    finish(start(Sgld(Constant(0.01)), CountingPixels()), 50)
    traces, compiled = len(CountingPixels.traces), run_block.jitted._cache_size()
    assert traces >= 1
    finish(
        start(
            Sgld(Constant(0.02), temperature=0.3),
            CountingPixels(),
            steps=90,
            warmup=31,
            thin=2,
            memory=0.99,
            problem=unit_problem(noise_std=0.1, weight_precision=7.0, seed=3),
            key=jax.random.key(1),
        ),
        11,
    )
    assert len(CountingPixels.traces) == traces
    assert run_block.jitted._cache_size() == compiled


# --------------------------------------------------------------------- the noise of the chain


def noises(number, steps=4, size=(40, 40), step_size=0.5):
    """ξ_t of every step of chain `number`: (θ' − θ + ε/2 ∇U)/√ε, on pixels with curvature l."""
    problem = unit_problem(size, noise_std=1.0, weight_precision=1.0)
    run = start(Sgld(Constant(step_size)), problem=problem, steps=steps, warmup=0, number=number)
    images = images_of(run).astype(np.float64)
    gradients = (images - np.asarray(problem.data)) / 1.0**2 + 1.0 * images
    moved = images[1:] - images[:-1] + step_size / 2 * gradients[:-1]
    return (moved / np.sqrt(step_size)).reshape(steps - 1, -1)


def test_the_noise_of_the_chain_is_standard_normal_at_every_step_and_in_every_chain():
    for number in (0, 1):
        for noise in noises(number):
            assert kstest(noise, "norm").pvalue > 1e-4


def test_the_noise_differs_across_steps_and_chains():
    every = np.concatenate([noises(0), noises(1)])
    correlations = np.corrcoef(every)[np.triu_indices(len(every), 1)]
    assert np.abs(correlations).max() < 4.5 / np.sqrt(every.shape[1])  # of 15 pairs: P = 1e-4


def test_jitter_is_normal_with_its_standard_deviation_and_fresh_at_each_step():
    # A descent whose step is next to nothing: the image moves by the jitter alone.
    problem = unit_problem((60, 60), weight_precision=0.0)
    run = start(
        Sgd(Constant(1e-12)), JitteredPixels(scale=0.0), problem=problem, steps=3, jitter=0.25
    )
    images = images_of(run).reshape(3, -1) / 0.25
    for image in images:
        assert kstest(image, "norm").pvalue > 1e-4
    correlations = np.corrcoef(images)[np.triu_indices(3, 1)]
    assert np.abs(correlations).max() < 4 / np.sqrt(images.shape[1])
