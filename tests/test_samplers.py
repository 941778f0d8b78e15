"""How the weights move: each rule against its formula, and the laws its chain must obey."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy.stats import kstest

from bdip.samplers import (
    REGISTRY,
    Adam,
    Constant,
    Cooling,
    GpDip,
    Mclmc,
    Polynomial,
    Psgld,
    Sgd,
    Sgld,
    schedule,
)
from bdip.samplers.base import moves_alike
from bdip.trees import frozen_pytree, normal_like
from tests import laws

STEP = 0.02
CASES = {
    "sgld": Sgld(Constant(STEP)),
    "psgld": Psgld(Constant(STEP), warmup=2),
    "psgld, a gain a tensor": Psgld(Constant(STEP), warmup=2, granularity="tensor"),
    "psgld, no momentum": Psgld(Constant(STEP), warmup=2, momentum=None),
    "mclmc": Mclmc(Constant(STEP), warmup=2),
    "mclmc, cycles": Mclmc(Constant(STEP), warmup=2, cycle=5, relaxing=3),
    "sgd": Sgd(Constant(STEP)),
    "sgd, momentum": Sgd(Constant(STEP), momentum=0.9),
    "adam": Adam(Constant(STEP)),
    "gp-dip": GpDip(Constant(STEP), loss_scale=0.1),
}
SLOWING = {name: replace(s, step_size=Polynomial(0.1, 2.0, 0.5)) for name, s in CASES.items()}
ALIKE = {name: each for name, each in SLOWING.items() if moves_alike(each)}
every_sampler = pytest.mark.parametrize("sampler", SLOWING.values(), ids=SLOWING)
# A few float32 operations on numbers of order one.
ROUNDING = 2.0**-20


def tree(seed):
    """Weights of every rank a network has, with entries of order one."""
    rng = np.random.default_rng(seed)
    shapes = {"kernel": (3, 3, 2, 5), "dense": (4, 3), "bias": (7,), "gain": ()}
    return {k: jnp.asarray(rng.normal(size=s), jnp.float32) for k, s in shapes.items()}


def key(seed):
    return jax.random.key(seed)


move = jax.jit(lambda sampler, *args: sampler.step(*args))


def as_float64(params):
    return {name: np.asarray(leaf, np.float64) for name, leaf in params.items()}


def assert_trees_close(found, wanted, tolerance=ROUNDING):
    for name in wanted:
        np.testing.assert_allclose(found[name], wanted[name], rtol=tolerance, atol=tolerance)


def assert_trees_equal(found, wanted):
    for got, want in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_array_equal(got, want)


def structure(thing):
    return jax.tree.map(lambda leaf: (jnp.shape(leaf), jnp.result_type(leaf)), thing)


# ---------------------------------------------------------------- what every sampler promises


def test_the_registry_holds_a_sampler_of_each_kind():
    assert {type(sampler) for sampler in CASES.values()} == set(REGISTRY.values())
    assert {name: type(CASES[name]) for name in REGISTRY} == REGISTRY


def test_those_that_tell_tensors_apart_do_not_say_that_they_move_all_alike():
    assert set(SLOWING) - set(ALIKE) == {"psgld, a gain a tensor", "gp-dip"}


def test_who_gives_a_sampler_another_step_must_say_anew_that_it_moves_all_alike():
    class Another(Sgld):
        def step(self, *arguments):
            return super().step(*arguments)

    class Said(Another):
        alike = True

    found = [moves_alike(kind(0.001)) for kind in (Sgld, Another, Said)]
    assert found == [True, False, True]


@pytest.mark.parametrize("sampler", ALIKE.values(), ids=ALIKE)
def test_weights_move_as_one_vector_as_they_do_as_tensors(sampler):
    params, state = tree(0), sampler.init(tree(0))
    vector, _ = ravel_pytree(params)
    moved = sampler.init(vector)
    for count in (1, 2, 3, 4):
        grad = tree(count)
        told = key(count), jnp.float32(count)
        params, state = move(sampler, told[0], params, grad, state, told[1])
        vector, moved = move(sampler, told[0], vector, ravel_pytree(grad)[0], moved, told[1])
        # Sums over all weights are of another order.
        wanted, _ = ravel_pytree(params)
        np.testing.assert_allclose(vector, wanted, rtol=8 * ROUNDING, atol=8 * ROUNDING)


@every_sampler
def test_a_step_keeps_the_structure_counts_itself_and_says_its_size(sampler):
    params = tree(0)
    state = sampler.init(params)
    assert state.step == 0
    for count in (1, 2, 3):
        moved, later = move(sampler, key(count), params, tree(count), state, jnp.float32(1))
        assert structure(moved) == structure(params)
        assert structure(later) == structure(state)
        assert later.step == count
        # The schedule a (b + t)^−γ at t = the steps done before.
        assert later.step_size == pytest.approx(0.1 * (2 + count - 1) ** -0.5, rel=1e-6)
        for new, old in zip(jax.tree.leaves(moved), jax.tree.leaves(params), strict=True):
            assert np.isfinite(new).all()
            assert (new != old).all()
        params, state = moved, later


@every_sampler
def test_the_key_alone_decides_the_noise_and_descents_draw_none(sampler):
    params, grad, energy = tree(0), tree(1), jnp.float32(1)
    first, again, other = (
        move(sampler, key(seed), params, grad, sampler.init(params), energy)[0]
        for seed in (0, 0, 1)
    )
    assert_trees_equal(first, again)
    assert sampler.uncertain == bool((first["kernel"] != other["kernel"]).all())


@every_sampler
def test_changing_a_number_does_not_compile_again(sampler):
    params = tree(0)
    state = sampler.init(params)
    compiled = []
    for value in (0.1, 0.2, 0.3):
        changes = {"step_size": Polynomial(value, 10 * value, value), "warmup": int(10 * value)}
        if hasattr(sampler, "temperature"):
            changes["temperature"] = value
        move(replace(sampler, **changes), key(0), params, tree(1), state, jnp.float32(1))
        compiled.append(move._cache_size())
    assert compiled[0] == compiled[-1]


@pytest.mark.parametrize("name", REGISTRY)
@pytest.mark.parametrize("information", [10.0, 1e4, 1e9])
def test_the_default_for_any_amount_of_data_is_finite_and_positive(name, information):
    sampler = REGISTRY[name].default(information, 100, 1000)
    assert isinstance(sampler, REGISTRY[name])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(sampler))
    assert sampler.step_size(jnp.int32(0), jnp.int32(10)) > 0


@pytest.mark.parametrize("momentum", [-0.1, 1.0, 1])
def test_a_momentum_that_never_forgets_is_refused(momentum):
    with pytest.raises(ValueError, match="momentum is .*expected None"):
        Psgld(Constant(STEP), momentum=momentum)


def test_an_unknown_granularity_is_refused():
    with pytest.raises(ValueError, match="granularity is \"?'?layer.*expected"):
        Psgld(Constant(STEP), granularity="layer")


# ------------------------------------------------------------------------------- schedules


def sizes(step_size, warmup, steps):
    steps = jnp.asarray(steps, jnp.int32)
    return np.array(jax.vmap(lambda t: step_size(t, jnp.int32(warmup)))(steps))


def test_a_constant_is_constant_and_a_number_is_a_constant():
    np.testing.assert_array_equal(sizes(schedule(0.25), 7, range(20)), np.full(20, 0.25))
    polynomial = Polynomial(1.0)
    assert schedule(polynomial) is polynomial


@pytest.mark.parametrize(("a", "b", "gamma"), [(0.1, 1.0, 0.55), (2.0, 30.0, 1.0)])
def test_a_polynomial_is_a_times_b_plus_t_to_the_minus_gamma(a, b, gamma):
    t = np.array([0, 1, 10, 5000])
    np.testing.assert_allclose(sizes(Polynomial(a, b, gamma), 7, t), a * (b + t) ** -gamma, 1e-6)


def test_cooling_is_hot_for_half_the_warm_up_then_geometric_to_cold():
    # Progress 2t/100 − 1 beyond the middle: at t = 75 half the way, √(hot · cold).
    found = sizes(Cooling(0.4, 0.1), 100, [0, 20, 50, 75, 100, 101, 100_000])
    np.testing.assert_allclose(found, [0.4, 0.4, 0.4, 0.2, 0.1, 0.1, 0.1], rtol=1e-6)


@pytest.mark.parametrize("warmup", [0, 1, 7, 100])
def test_cooling_is_bitwise_constant_once_draws_are_kept(warmup):
    kept = sizes(Cooling(0.02, 0.006), warmup, range(warmup, warmup + 50))
    assert (kept == kept[0]).all()
    assert kept[0] == pytest.approx(0.006, rel=1e-6)


# --------------------------------------------------------- each rule against its own formula


def at_zero(sampler):
    return replace(sampler, temperature=0.0)


def test_sgld_at_temperature_zero_is_gradient_descent_with_half_the_step_size():
    params, grad = tree(0), tree(1)
    moved, _ = move(at_zero(CASES["sgld"]), key(0), params, grad, CASES["sgld"].init(params), 0.0)
    p, g = as_float64(params), as_float64(grad)
    assert_trees_close(moved, {name: p[name] - STEP / 2 * g[name] for name in p})


@pytest.mark.parametrize("seed", range(3))
def test_sgd_without_momentum_is_sgld_at_temperature_zero_bit_for_bit(seed):
    langevin, descent = at_zero(CASES["sgld"]), CASES["sgd"]
    params = other = tree(seed)
    state, other_state = langevin.init(params), descent.init(params)
    for t in range(5):
        grad = tree(10 * seed + t)
        params, state = move(langevin, key(t), params, grad, state, 0.0)
        other, other_state = move(descent, key(t), other, grad, other_state, 0.0)
    assert_trees_equal(params, other)


def test_momentum_is_the_heavy_ball():
    # v ← μv + ∇U, θ ← θ − (ε/2) v.
    sampler, params = CASES["sgd, momentum"], tree(0)
    state, theta = sampler.init(params), as_float64(params)
    ball = dict.fromkeys(theta, 0.0)
    for t in range(5):
        grad = tree(t + 1)
        params, state = move(sampler, key(t), params, grad, state, 0.0)
        ball = {n: 0.9 * ball[n] + g for n, g in as_float64(grad).items()}
        theta = {n: theta[n] - STEP / 2 * ball[n] for n in theta}
    assert_trees_close(params, theta)


class NumpyAdam:
    """Kingma & Ba (2015), algorithm 1, with their defaults."""

    def __init__(self):
        self.t, self.m, self.v = 0, {}, {}

    def update(self, grad, rate):
        self.t += 1
        out = {}
        for name, g in grad.items():
            self.m[name] = 0.9 * self.m.get(name, 0.0) + 0.1 * g
            self.v[name] = 0.999 * self.v.get(name, 0.0) + 0.001 * g**2
            m = self.m[name] / (1 - 0.9**self.t)
            v = self.v[name] / (1 - 0.999**self.t)
            out[name] = -rate * m / (np.sqrt(v) + 1e-8)
        return out


def test_adam_is_kingma_and_bas():
    sampler, params = CASES["adam"], tree(0)
    state, theta, adam = sampler.init(params), as_float64(params), NumpyAdam()
    for t in range(5):
        grad = tree(t + 1)
        params, state = move(sampler, key(t), params, grad, state, 0.0)
        update = adam.update(as_float64(grad), STEP)
        theta = {n: theta[n] + update[n] for n in theta}
    assert_trees_close(params, theta, 1e-5)  # Optax's bias corrections lose some digits


@pytest.mark.parametrize("granularity", ["weight", "tensor"])
@pytest.mark.parametrize("warmup", [1, 3])
@pytest.mark.parametrize("momentum", [None, 0.0, 0.7])
def test_psgld_follows_its_formula_through_the_warm_up_and_after_it(granularity, warmup, momentum):
    # At T = 0: v ← v − √ε G ∇U, θ ← θ + (√ε/2) v, v ← cv, θ ← θ + (√ε/2) v; without momentum and
    # with momentum 0 it is θ ← θ − (ε/2) G ∇U.
    decay, damping = 0.8, 0.3
    sampler = Psgld(
        Constant(STEP), temperature=0.0, warmup=warmup, decay=decay, damping=damping,
        granularity=granularity, momentum=momentum,
    )  # fmt: skip
    params = tree(0)
    velocity = dict.fromkeys(params, 0.0)
    state, theta = sampler.init(params), as_float64(params)
    mean_square = dict.fromkeys(theta, 0.0)
    for t in range(6):
        grad = tree(t + 1)
        params, state = move(sampler, key(t), params, grad, state, 0.0)
        for name, g in as_float64(grad).items():
            square = g**2 if granularity == "weight" else np.mean(g**2)
            if t < warmup:
                mean_square[name] = decay * mean_square[name] + (1 - decay) * square
            unbiased = mean_square[name] / (1 - decay ** min(t + 1, warmup))
            kicked = velocity[name] - np.sqrt(STEP) * g / (np.sqrt(unbiased) + damping)
            velocity[name] = (momentum or 0.0) * kicked
            theta[name] = theta[name] + np.sqrt(STEP) / 2 * (kicked + velocity[name])
    assert_trees_close(params, theta, 1e-5)


@pytest.mark.parametrize("granularity", ["weight", "tensor"])
def test_the_preconditioner_is_frozen_after_the_warm_up_whatever_the_gradients(granularity):
    sampler = Psgld(Constant(STEP), warmup=3, granularity=granularity)
    params = tree(0)
    state, seen = sampler.init(params), []
    for t in range(6):
        grad = jax.tree.map(lambda g, t=t: 10.0**t * g, tree(t))
        params, state = move(sampler, key(t), params, grad, state, 0.0)
        seen.append(state.square)
    assert (seen[2]["kernel"] != seen[1]["kernel"]).all()  # it did adapt, to the last
    for later in seen[3:]:
        assert_trees_equal(later, seen[2])


# ------------------------------------------------------------------------ the published recipe


def good(sampler, params):
    return sampler.init(params)._replace(good_params=params, good_energy=jnp.float32(1))


@pytest.mark.parametrize("seed", range(3))
def test_gp_dip_is_adam_on_the_mean_squared_error_with_noise_on_kernels_only(seed):
    # loss_scale ∇U + decay θ into Adam; then N(0, (2 lr)²) where a weight has four dimensions.
    sampler = GpDip(Constant(STEP), loss_scale=0.01, weight_decay=0.5)
    params = {**tree(seed), "kernel": jax.random.normal(key(seed), (3, 3, 20, 30))}
    state, adam = sampler.init(params), NumpyAdam()
    for t in range(3):
        grad = {**tree(t + 1), "kernel": jax.random.normal(key(100 + t), (3, 3, 20, 30))}
        moved, state = move(sampler, key(t), params, grad, state, jnp.float32(1))
        p, g = as_float64(params), as_float64(grad)
        update = adam.update({n: 0.01 * g[n] + 0.5 * p[n] for n in p}, STEP)
        noiseless = {n: p[n] + update[n] for n in p}
        excess = (as_float64(moved)["kernel"] - noiseless.pop("kernel")) / (2 * STEP)
        assert_trees_close(moved, noiseless, 1e-5)
        assert kstest(excess.ravel(), "norm").pvalue > 1e-4
        params = moved


def test_gp_dips_weight_decay_is_the_published_one():
    assert GpDip(Constant(STEP), loss_scale=1.0).weight_decay == 5e-8
    # n/σ² = 8: the mean squared error is (2σ²/n) U, and 2/8 = 0.25.
    assert GpDip.default(8.0, 1, 0).loss_scale == 0.25


def test_gp_dip_goes_back_to_the_last_good_weights_when_the_energy_rises_by_five_decibels():
    sampler, before, bad = CASES["gp-dip"], tree(0), tree(1)
    state = good(sampler, before)
    factor = 10 ** (5 / 10)  # an energy 5 dB up is a PSNR 5 dB down
    moved, later = move(sampler, key(0), bad, tree(2), state, jnp.float32(factor * 1.001))
    assert_trees_equal(moved, before)
    assert_trees_equal(later.good_params, before)
    assert_trees_equal(later.optimizer, state.optimizer)
    assert later.good_energy == 1
    assert later.step == 1


def test_gp_dip_goes_on_when_the_energy_rises_by_less():
    sampler, before, here = CASES["gp-dip"], tree(0), tree(1)
    energy = jnp.float32(10 ** (5 / 10) * 0.999)
    moved, later = move(sampler, key(0), here, tree(2), good(sampler, before), energy)
    assert_trees_equal(later.good_params, here)
    assert later.good_energy == energy
    for name in here:
        assert (
            np.abs(moved[name] - here[name]).max() < 10 * STEP
        )  # a step from here, not from before


# --------------------------------------------------------------------------- the law of the noise

MANY = {"a": (50, 100), "b": (5, 5, 40, 10), "c": (5000,)}  # 20,000 weights


def many(seed):
    keys = jax.random.split(key(seed), len(MANY))
    return {
        name: jax.random.normal(k, shape)
        for k, (name, shape) in zip(keys, MANY.items(), strict=True)
    }


def flat(tree):
    return np.concatenate([np.ravel(tree[name]).astype(np.float64) for name in MANY])


def sgld_noise(seed, step_size=0.5, temperature=2.0):
    """(θ' − θ + ε/2 ∇U)/√(εT) of one step."""
    sampler = Sgld(Constant(step_size), temperature)
    params, grad = many(100), many(200)
    moved, _ = move(sampler, key(seed), params, grad, sampler.init(params), 0.0)
    drift = flat(params) - step_size / 2 * flat(grad)
    return (flat(moved) - drift) / np.sqrt(step_size * temperature)


@pytest.mark.parametrize(("step_size", "temperature"), [(0.5, 1.0), (0.5, 3.0), (0.02, 0.2)])
@pytest.mark.parametrize("seed", range(2))
def test_sgld_adds_normal_noise_of_variance_step_size_times_temperature(
    seed, step_size, temperature
):
    assert kstest(sgld_noise(seed, step_size, temperature), "norm").pvalue > 1e-4


def test_the_noise_differs_across_weights_and_keys():
    first, second = sgld_noise(0), sgld_noise(1)
    assert len(np.unique(first)) > 0.99 * len(first)  # float32 leaves few ties
    for other in (second, np.roll(first, 1), np.roll(first, 5000), np.roll(first, 10_000)):
        # Independent normals have a correlation of 0 ± 1/√n.
        assert abs(np.corrcoef(first, other)[0, 1]) < 4 / np.sqrt(len(first))


def frozen_psgld(squares, **options):
    """A Psgld after its warm-up of 5, whose V is `squares`, and its gain G."""
    sampler = Psgld(Constant(0.3), warmup=5, decay=0.8, damping=0.1, **options)
    state = sampler.init(squares)
    state = state._replace(step=jnp.int32(5), square=squares)
    gain = jax.tree.map(
        lambda v: 1 / (np.sqrt(np.asarray(v, np.float64) / (1 - 0.8**5)) + 0.1), squares
    )
    return sampler, state, gain


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_psglds_noise_has_the_variance_of_its_own_gain(temperature):
    squares = jax.tree.map(jnp.abs, many(1))
    sampler, state, gain = frozen_psgld(squares, temperature=temperature, momentum=None)
    params, grad = many(100), many(200)
    moved, _ = move(sampler, key(0), params, grad, state, 0.0)
    gain = flat(gain)
    excess = flat(moved) - flat(params) + 0.3 / 2 * gain * flat(grad)
    assert kstest(excess / np.sqrt(0.3 * temperature * gain), "norm").pvalue > 1e-4


@pytest.mark.parametrize("momentum", [0.0, 0.6])
@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_psglds_velocity_is_refreshed_by_noise_of_the_variance_of_its_own_gain(
    momentum, temperature
):
    # From rest and without force: v' = √((1 − c²) T G) ξ and θ' = θ + (√ε/2) v'.
    squares = jax.tree.map(jnp.abs, many(1))
    sampler, state, gain = frozen_psgld(squares, temperature=temperature, momentum=momentum)
    params, still = many(100), jax.tree.map(jnp.zeros_like, squares)
    moved, state = move(sampler, key(0), params, still, state, 0.0)
    velocity = flat(state.velocity)
    scale = np.sqrt((1 - momentum**2) * temperature * flat(gain))
    assert kstest(velocity / scale, "norm").pvalue > 1e-4
    travelled = flat(moved) - flat(params)
    np.testing.assert_allclose(travelled, np.sqrt(0.3) / 2 * velocity, rtol=0, atol=2e-6)


# ------------------------------------------------------------------------- the stationary law


COLUMNS = 1500  # weights of each curvature
BURN = 250  # steps: the slowest chain below has a = 0.95, and 0.95^(2 · 250) < 1e-11


@partial(jax.jit, static_argnames="steps")
def averages(sampler, state, curvature, key, steps):
    """Means of θ_t² and θ_t θ_{t+1} of a chain on U = Σ l θ²/2, a row a curvature."""

    def body(carry, key):
        params, state = carry
        grad = {"w": curvature[:, None] * params["w"]}
        moved, state = sampler.step(key, params, grad, state, 0.0)
        now = params["w"]
        return (moved, state), (jnp.mean(now**2, 1), jnp.mean(now * moved["w"], 1))

    start = {"w": jnp.zeros((len(curvature), COLUMNS))}
    _, means = jax.lax.scan(body, (start, state), jax.random.split(key, BURN + steps))
    return [jnp.mean(mean[BURN:], 0) for mean in means]


def stationary_scores(sampler, state, gain, seed=0, steps=800, momentum=None):
    """z-scores of the variance and of the lag-1 product, a pair for each of CURVATURES."""
    step_size, temperature = float(sampler.step_size.value), float(sampler.temperature)
    found = averages(sampler, state, jnp.array(CURVATURES), key(seed), steps)
    square, product = (np.asarray(mean, np.float64) for mean in found)
    scores, n = [], steps * COLUMNS
    for j, curvature in enumerate(CURVATURES):
        gamma = laws.autocovariances(step_size, curvature, temperature, gain[j], momentum)
        scores.append((square[j] - gamma[0]) / laws.error_of_square(gamma, n))
        scores.append((product[j] - gamma[1]) / laws.error_of_product(gamma, n))
    return np.array(scores)


CURVATURES = (0.5, 1.0, 3.0)
LAWS = [(0.2, 1.0), (0.5, 2.5), (1.0, 0.1), (1.2, 1.0)]  # εl up to 3.6: the limit is 4


def scores_of(sampler, **options):
    state = sampler.init({"w": jnp.zeros((3, COLUMNS))})
    return stationary_scores(sampler, state, (1.0,) * 3, **options)


@pytest.mark.parametrize(("step_size", "temperature"), LAWS)
def test_sglds_stationary_variance_is_the_one_of_theory(step_size, temperature):
    sampler = Sgld(Constant(step_size), temperature)
    assert np.abs(scores_of(sampler, seed=1)).max() < 4.5  # of 24 scores: P = 1.6e-4


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("step_size", "temperature"), LAWS)
def test_sglds_stationary_variance_is_the_one_of_theory_over_a_long_run(
    step_size, temperature, seed
):
    sampler = Sgld(Constant(step_size), temperature)
    assert np.abs(scores_of(sampler, seed=seed, steps=20_000)).max() < 4.5


@frozen_pytree()
class WithoutTemperature(Sgld):
    """√ε in the place of √(εT)."""

    def step(self, *args):
        return Sgld(self.step_size, 1.0, self.warmup).step(*args)


@frozen_pytree()
class TwiceTheStep(Sgld):
    """2ε in the place of ε."""

    def step(self, *args):
        return Sgld(Constant(2 * self.step_size.value), self.temperature).step(*args)


@frozen_pytree()
class WholeDrift(Sgld):
    """ε∇U in the place of (ε/2)∇U."""

    def step(self, key, params, grad, state, energy):
        return super().step(key, params, jax.tree.map(lambda g: 2 * g, grad), state, energy)


@frozen_pytree()
class NoiseOfTwiceTheVariance(Sgld):
    """√(2εT) in the place of √(εT)."""

    def step(self, key, params, grad, state, energy):
        return Sgld(self.step_size, 2 * self.temperature).step(key, params, grad, state, energy)


@frozen_pytree()
class OneNoiseForAll(Sgld):
    """The same ξ at every step."""

    def step(self, key, *args):
        return super().step(jax.random.key(0), *args)


@pytest.mark.parametrize(
    "mutant",
    [WithoutTemperature, TwiceTheStep, WholeDrift, NoiseOfTwiceTheVariance, OneNoiseForAll],
)
def test_the_harness_rejects_a_wrong_rule(mutant):
    averages.clear_cache()  # so that no program of another rule can stand in for this one
    assert np.abs(scores_of(mutant(Constant(0.5), 2.5))).max() > 20


GAIN_SQUARES = {"w": jnp.tile(jnp.array([0.02, 0.5, 4.0])[:, None], (1, COLUMNS))}


def frozen_scores(kind=None, momentum=None, **options):
    sampler, state, gain = frozen_psgld(GAIN_SQUARES, momentum=momentum, **options)
    sampler = kind(sampler) if kind else sampler
    return stationary_scores(sampler, state, gain["w"][:, 0], momentum=momentum)


@pytest.mark.parametrize("temperature", [1.0, 0.2])
@pytest.mark.parametrize("momentum", [None, 0.0, 0.5, 0.9])
def test_psglds_stationary_variance_with_a_frozen_gain_is_the_one_of_theory(momentum, temperature):
    # Without momentum T/(l(1 − εGl/4)); with it T/l exactly, whatever ε, G and c.
    assert np.abs(frozen_scores(momentum=momentum, temperature=temperature)).max() < 4.5


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_in_theory_momentum_leaves_no_discretisation_heat(momentum, gain):
    # The law that the test above compares with is that of the recursion, not of the claim.
    for l in CURVATURES:
        variance = laws.autocovariances(0.3, l, 1.7, gain, momentum)[0]
        assert variance == pytest.approx(1.7 / l, rel=1e-9)


@frozen_pytree()
class GainNotInTheNoise:
    """Psgld whose noise is √(εT) ξ without √G."""

    sampler: Psgld

    step_size = property(lambda self: self.sampler.step_size)
    temperature = property(lambda self: self.sampler.temperature)

    def step(self, key, params, grad, state, energy):
        still = replace(self.sampler, temperature=0.0)
        moved, state = still.step(key, params, grad, state, energy)
        noise = normal_like(key, params)
        scale = jnp.sqrt(self.step_size.value * self.temperature)
        return jax.tree.map(lambda p, xi: p + scale * xi, moved, noise), state


def test_the_harness_rejects_noise_that_is_not_preconditioned_as_the_drift_is():
    assert np.abs(frozen_scores(GainNotInTheNoise)).max() > 20


def test_the_harness_tells_momentum_zero_from_no_momentum():
    sampler, state, gain = frozen_psgld(GAIN_SQUARES, momentum=None)
    scores = stationary_scores(sampler, state, gain["w"][:, 0], momentum=0.0)
    assert np.abs(scores).max() > 20
