"""Microcanonical Langevin dynamics: each part against its differential equation, and the law of its chain."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
from scipy.stats import kstest

import bdip
from bdip.samplers import Constant, Mclmc
from bdip.samplers.mclmc import kick, refreshed
from bdip.trees import inner, normal_like
from tests.fakes import Pixels

# A few float32 operations on numbers of order one.
ROUNDING = 2.0**-20


def pair(vector):
    """A vector as a tree of two leaves, of which one is a matrix."""
    vector = jnp.asarray(vector, jnp.float32)
    return {"a": vector[:2], "b": vector[2:].reshape(-1, 1)}


def flat(tree):
    return np.concatenate([np.ravel(leaf).astype(np.float64) for leaf in jax.tree.leaves(tree)])


def unit_velocity(seed, size):
    """A vector of length √d."""
    vector = np.random.default_rng(seed).normal(size=size)
    return vector * np.sqrt(size / (vector @ vector))


def time_of(momentum, step_size):
    """The decoherence L that gives this c = exp(−√ε/L)."""
    return -np.sqrt(step_size) / np.log(momentum) if momentum else 0.0


# -------------------------------------------------------------------------------- the kick


@pytest.mark.parametrize("time", [0.01, 0.7, 3.0])
@pytest.mark.parametrize("size", [3, 6])
def test_a_kick_solves_its_differential_equation_and_counts_its_work(size, time):
    # u' = (I − uuᵀ/d) f d/(d − 1), and the work is the integral of f·u: what U loses in that time.
    velocity, force = unit_velocity(0, size), 0.8 * np.random.default_rng(1).normal(size=size)

    def derivative(_, state):
        u = state[:-1]
        turn = (force - u * (u @ force) / size) * size / (size - 1)
        return np.append(turn, u @ force)

    times = [0, time / 2, time]
    solved = solve_ivp(
        derivative, times[::2], np.append(velocity, 0), t_eval=times, rtol=1e-10, atol=1e-10
    ).y
    found = jax.jit(kick)(pair(velocity), pair(force), jnp.float32(time))
    np.testing.assert_allclose(flat(found.velocity), solved[:-1, -1], rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.first, solved[-1, 1], rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.second, solved[-1, 2] - solved[-1, 1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("strength", [0.0, 1e-20, 1.0, 1e3, 1e10])
def test_no_kick_changes_the_length_of_the_velocity_however_strong(strength):
    velocity, force = unit_velocity(0, 50), strength * unit_velocity(1, 50)
    found = kick(pair(velocity), pair(force), jnp.float32(0.5))
    assert np.linalg.norm(flat(found.velocity)) == pytest.approx(np.sqrt(50), rel=1e-5)
    assert np.isfinite([found.first, found.second]).all()
    if strength >= 1e3:  # it turns all the way
        np.testing.assert_allclose(flat(found.velocity), unit_velocity(1, 50), rtol=0, atol=1e-5)
    if strength <= 1e-20:
        np.testing.assert_allclose(flat(found.velocity), velocity, rtol=0, atol=ROUNDING * 8)


def test_from_rest_a_kick_goes_along_the_force():
    # u = 0 is a = 0, and K(0) = √d e tanh δ; δ = h‖f‖√d/(d − 1) with d = 5, ‖f‖ = √5.
    force = unit_velocity(1, 5)
    found = kick(pair(np.zeros(5)), pair(force), jnp.float32(0.4))
    np.testing.assert_allclose(flat(found.velocity), np.tanh(0.4 * 5 / 4) * force, rtol=1e-5)


# ------------------------------------------------------------------------- the refreshment


@pytest.mark.parametrize("momentum", [0.0, 0.6, 0.99])
def test_a_refreshment_keeps_the_length_and_forgets_all_but_the_momentum(momentum):
    # With d = 20,000: ‖n‖²/d = 1 + O(1/√d), so that n/‖n‖ √d is n, and what is not c u is normal.
    size = 20_000
    velocity, noise = unit_velocity(0, size), np.random.default_rng(1).normal(size=size)
    found = flat(jax.jit(refreshed)(pair(velocity), pair(noise), momentum))
    assert found @ found == pytest.approx(size, rel=1e-5)
    # c is kept up to the correlation of two normal vectors, 1/√d, and the spread of ‖n‖, 1/√(2d).
    assert abs(found @ velocity / size - momentum) < 4 * 1.5 / np.sqrt(size)
    fresh = (found - momentum * velocity) / np.sqrt(1 - momentum**2)
    assert kstest(fresh, "norm").pvalue > 1e-4


# -------------------------------------------------------------------------------- the step


move = jax.jit(lambda sampler, *args: sampler.step(*args))


def kicked_by_numpy(u, f, time):
    size = len(u)
    strength = np.sqrt(f @ f)
    e, angle = f / strength, time * strength * np.sqrt(size) / (size - 1)
    a = e @ u / np.sqrt(size)
    z = np.cosh(angle) + a * np.sinh(angle)
    return (u + np.sqrt(size) * e * (np.sinh(angle) + a * (np.cosh(angle) - 1))) / z


@pytest.mark.parametrize("power", [0.5, 0.75])
@pytest.mark.parametrize("temperature", [1.0, 0.4])
@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_it_follows_its_formula_through_the_warm_up_and_after_it(momentum, temperature, power):
    step_size, decay, damping, warmup, size = 0.3, 0.8, 0.3, 3, 30
    sampler = Mclmc(
        Constant(step_size), temperature, warmup, time_of(momentum, step_size), decay, damping,
        power=power,
    )  # fmt: skip
    rng, time = np.random.default_rng(0), np.sqrt(step_size)
    theta, u, square = rng.normal(size=size), np.zeros(size), np.zeros(size)
    params = pair(theta)
    state = sampler.init(params)
    for t in range(6):
        key, g = jax.random.key(t), rng.normal(size=size)
        noise = flat(normal_like(key, params))
        params, state = move(sampler, key, params, pair(g), state, jnp.float32(0))
        if t < warmup:
            square = decay * square + (1 - decay) * g**2
        gain = 1 / ((square / (1 - decay ** min(t + 1, warmup))) ** power + damping)
        scale = np.sqrt(temperature * gain)
        kicked = kicked_by_numpy(u, -scale / temperature * g, time)
        u = momentum * kicked + np.sqrt(1 - momentum**2) * noise
        u = u * np.sqrt(size / (u @ u))
        theta = theta + time / 2 * scale * (kicked + u)
    np.testing.assert_allclose(flat(params), theta, rtol=0, atol=1e-5)
    np.testing.assert_allclose(flat(state.velocity), u, rtol=0, atol=1e-5)


def test_two_velocities_take_turns_each_with_half_a_kick_where_it_begins_and_ends():
    # G = 1/δ, for all gradients before the end of the warm-up are zero; c = 0.7, then 0 of the steps that relax.
    step_size, damping, warmup, size, momentum = 0.3, 2.0, 3, 30, 0.7
    sampler = Mclmc(
        Constant(step_size), 1.0, warmup, time_of(momentum, step_size), decay=0.5, damping=damping,
        cycle=5, relaxing=2,
    )  # fmt: skip
    rng, scale = np.random.default_rng(0), 1 / np.sqrt(damping)
    theta = rng.normal(size=size)
    velocities, keeps = [np.zeros(size), np.zeros(size)], [momentum, 0.0]
    sizes = [step_size, step_size / 2]
    turns = [int(t in (5, 6, 10, 11)) for t in range(15)]  # images 7 and 12 are kept
    params = pair(theta)
    state = sampler.init(params)
    for t, turn in enumerate(turns):
        key = jax.random.key(t)
        g = rng.normal(size=size) if t >= warmup else np.zeros(size)
        noise = flat(normal_like(key, params))
        params, state = move(sampler, key, params, pair(g), state, jnp.float32(0))
        if t >= warmup:
            for before in {turns[t - 1], turn}:
                time = np.sqrt(sizes[before]) * (1 if turns[t - 1] == turn else 0.5)
                velocities[before] = kicked_by_numpy(velocities[before], -scale * g, time)
        kicked, kept = velocities[turn], keeps[turn]
        u = kept * kicked + np.sqrt(1 - kept**2) * noise
        velocities[turn] = u = u * np.sqrt(size / (u @ u))
        theta = theta + np.sqrt(sizes[turn]) / 2 * scale * (kicked + u)
        assert state.step_size == pytest.approx(sizes[turn])
    np.testing.assert_allclose(flat(params), theta, rtol=0, atol=2e-5)
    np.testing.assert_allclose(flat(state.velocity), velocities[0], rtol=0, atol=2e-5)
    np.testing.assert_allclose(flat(state.resting), velocities[1], rtol=0, atol=2e-5)


@pytest.mark.parametrize("temperature", [1.0, 0.4])
def test_the_energy_error_under_a_constant_force_is_the_one_of_theory(temperature):
    # U = −F·θ with every F = ±1, so that √V̂ = 1 and, with δ = 1, G = 1/2; no noise, c = 1. With
    # f = √(G/T) F and s = artanh a each kick is s ← s + δ', δ' = h‖f‖√d/(d − 1), and each move changes
    # U/T by −h f·u = −(d − 1) δ' tanh s. The work from the middle of one kick to that of the next
    # is (d − 1) log(cosh(s + δ'/2)/cosh(s − δ'/2)).
    size, step_size, gain = 12, 0.5, 1 / 2
    force, u = np.sign(unit_velocity(0, size)), unit_velocity(1, size)
    sampler = Mclmc(
        Constant(step_size), temperature, 0, jnp.float32(np.inf), decay=0.0, damping=1.0
    )
    params = pair(np.zeros(size))
    state = sampler.init(params)._replace(velocity=pair(u))
    strength = np.sqrt(gain / temperature) * np.sqrt(size)
    delta = np.sqrt(step_size) * strength * np.sqrt(size) / (size - 1)
    s = np.arctanh(force @ u / size) + delta
    errors = []
    for t in range(5):
        energy = jnp.float32(-force @ flat(params))
        params, state = move(sampler, jax.random.key(t), params, pair(-force), state, energy)
        errors.append(float(state.energy_error))
    assert errors[0] == 0
    for error in errors[1:]:
        work = np.log(np.cosh(s + delta / 2) / np.cosh(s - delta / 2))
        wanted = (size - 1) * (work - delta * np.tanh(s))
        assert error == pytest.approx(wanted, abs=2e-5)
        s += delta


# ------------------------------------------------------------------------- the stationary law

COLUMNS = 1500  # weights of each curvature
BURN, BATCHES, BATCH = 300, 40, 50  # steps; the slowest chain below forgets in about ten
CURVATURES = np.array([0.5, 1.0, 3.0])
SQUARES = np.array([0.02, 0.5, 4.0])


def heat(step_size, mean_curvature):
    """The temperature that a step makes of T = 1: x coth x, with x tanh x = ε mean(G l)/4.

    A kick turns the velocity from one orthogonal to the force halfway, w, by δ/2 further:
    u = w/cosh(δ/2) + √d e tanh(δ/2), where by the reversal of time E θ_i w_i = 0 and E u_i² = 1. That Var θ_i
    stays under θ + (h/2)(u + c u + √(1 − c²) ξ) then is (1 + c) h (l_i v_i tanh(δ/2)/F − h/2) = 0, where
    F² = mean(l² v) and δ = hF for many weights. So l_i v_i = (δ/2) coth(δ/2), for each i.
    """
    x = brentq(lambda x: x * np.tanh(x) - step_size * mean_curvature / 4, 1e-6, 20)
    return x / np.tanh(x)


@partial(jax.jit, static_argnames="steps")
def squares_seen(sampler, state, key, steps):
    """Means over the columns of θ_t², a row a curvature (t, 3), of a chain on U = Σ l θ²/2."""
    curvature = jnp.asarray(CURVATURES, jnp.float32)[:, None]

    def body(carry, key):
        params, state = carry
        energy = jnp.sum(curvature * params["w"] ** 2) / 2
        moved, state = sampler.step(key, params, {"w": curvature * params["w"]}, state, energy)
        return (moved, state), jnp.mean(params["w"] ** 2, 1)

    start = {"w": jnp.ones((3, COLUMNS))}
    return jax.lax.scan(body, (start, state), jax.random.split(key, steps))[1]


def scores(sampler, wanted, seed=0):
    """z-scores of the variances, by the spread of the means of batches."""
    state = sampler.init({"w": jnp.zeros((3, COLUMNS))})
    state = state._replace(
        step=jnp.int32(5), square={"w": jnp.tile(jnp.asarray(SQUARES)[:, None], (1, COLUMNS))}
    )
    seen = squares_seen(sampler, state, jax.random.key(seed), BURN + BATCHES * BATCH)
    batches = np.asarray(seen, np.float64)[BURN:].reshape(BATCHES, BATCH, 3).mean(1)
    error = batches.std(0, ddof=1) / np.sqrt(BATCHES)
    return (batches.mean(0) - wanted) / error


def frozen(step_size, temperature, momentum, **more):
    """A sampler after its warm-up of 5, and the gains G of its rows."""
    lasting = time_of(momentum, step_size)
    sampler = Mclmc(
        Constant(step_size), temperature, 5, lasting, decay=0.8, damping=0.1, power=0.5, **more
    )
    return sampler, 1 / (np.sqrt(SQUARES / (1 - 0.8**5)) + 0.1)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize(("step_size", "temperature"), [(0.1, 1.0), (0.8, 1.0), (0.8, 0.3)])
def test_the_stationary_variance_is_the_one_of_theory(step_size, temperature, momentum):
    sampler, gain = frozen(step_size, temperature, momentum)
    wanted = temperature / CURVATURES * heat(step_size, np.mean(gain * CURVATURES))
    # Of 27 scores with 39 degrees of freedom: P(|t| > 5) = 1.3e-5 each.
    assert np.abs(scores(sampler, wanted)).max() < 5


def test_the_harness_tells_the_heat_of_a_step_from_none():
    sampler, _ = frozen(0.8, 1.0, 0.5)
    assert scores(sampler, 1 / CURVATURES).min() > 5


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("step_size", [0.1, 0.8])
def test_where_velocities_take_turns_the_variance_lies_between_what_each_leaves(
    step_size, momentum
):
    sampler, gain = frozen(step_size, 1.0, momentum, cycle=6, relaxing=3)
    stiffness = np.mean(gain * CURVATURES)
    high, low = (
        scores(sampler, heat(s, stiffness) / CURVATURES) for s in (step_size, step_size / 2)
    )
    assert high.max() < 5
    assert low.min() > -5


@partial(jax.jit, static_argnames="steps")
def heat_of_stiff_ones(sampler, key, steps):
    """Means of b ∂U/∂b (t,) over 200 pairs with U = a²/2 + l b²/2 − log √l, l = exp(3 tanh 2a): its law's is 1."""

    def potential(params):
        a, b = params["a"], params["b"]
        log_l = 3 * jnp.tanh(2 * a)
        pairs = a**2 / 2 + jnp.exp(log_l) * b**2 / 2 - log_l / 2
        return jnp.sum(pairs) + jnp.sum(params["many"] ** 2) / 2

    def body(carry, key):
        params, state = carry
        energy, grad = jax.value_and_grad(potential)(params)
        moved = sampler.step(key, params, grad, state, energy)
        return moved, jnp.mean(params["b"] * grad["b"])

    start = {"a": jnp.zeros(200), "b": jnp.ones(200), "many": jnp.ones(5000)}
    return jax.lax.scan(body, (start, sampler.init(start)), jax.random.split(key, steps))[1]


@pytest.mark.parametrize("seed", range(3))
def test_the_heat_of_large_steps_in_stiff_directions_is_gone_where_a_cycle_ends(seed):
    # Curvatures from e⁻³ to e³: √ε = 0.39 times the root of the greatest is 1.7, and 2 is where leapfrogs end.
    warmup, steps, cycle = 4, 6000, 20
    hot = Mclmc(Constant(0.15), warmup=warmup, decay=0.0, damping=0.0, power=0.0)
    found = [
        np.asarray(heat_of_stiff_ones(sampler, jax.random.key(seed), steps))
        for sampler in (hot, replace(hot, cycle=cycle, relaxing=4))
    ]
    every, kept = found[0][500:], found[1][500 + warmup + cycle - 1 :: cycle]
    assert every.mean() > 3
    assert 1 < kept.mean() < 1.25


# -------------------------------------------------------------------------- the tuned step size


@partial(jax.jit, static_argnames="steps")
def chain_on_a_slope(sampler, curvature, key, steps):
    """ε_t, |energy error| and G of one weight of a chain on U = Σ l θ²/2, and the chain's last state."""

    def body(carry, key):
        params, state = carry
        energy = jnp.sum(curvature * params["w"] ** 2) / 2
        moved = sampler.step(key, params, {"w": curvature * params["w"]}, state, energy)
        return moved, (moved[1].step_size, jnp.abs(moved[1].energy_error), moved[1].square["w"][0])

    start = {"w": jax.random.normal(key, curvature.shape) / jnp.sqrt(curvature)}
    state = sampler.init(start)
    return jax.lax.scan(body, (start, state), jax.random.split(key, steps))[1]


@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.parametrize("tolerance", [0.1, 0.5])
def test_half_of_the_kept_steps_have_an_error_within_the_tolerance(scale, tolerance):
    # Where G follows the gradients the error of a step goes as ε^1.5: tuned steps of spread r in log ε have
    # errors of spread 1.5 r. With r the rate, ±log(200)·1.5/1000 a step, r ≤ 0.1: the median within a sixth.
    curvature = scale * jnp.linspace(0.5, 2.0, 4000)
    sampler = Mclmc(Constant(1.0), warmup=2000, decoherence=1.0, energy_tolerance=tolerance)
    sizes, errors, _ = chain_on_a_slope(sampler, curvature, jax.random.key(0), 6000)
    assert (sizes[:1000] == 1).all()
    assert (sizes[2000:] == sizes[2000]).all()
    assert 1 / 200 < sizes[-1] < 1
    assert float(jnp.median(errors[2000:])) == pytest.approx(tolerance, rel=1 / 3)


def test_what_is_tuned_is_frozen_at_the_end_of_the_warm_up_and_the_gains_before():
    curvature = jnp.linspace(0.5, 2.0, 50)
    sampler = Mclmc(
        Constant(0.5), warmup=10, decoherence=1.0, damping=1.0, energy_tolerance=1e-3, power=0.5
    )
    sizes, _, square = map(np.asarray, chain_on_a_slope(sampler, curvature, jax.random.key(0), 20))
    # The share starts to move at step 5, where the fastest rate of ¼ holds; G is frozen from 8 on.
    np.testing.assert_allclose(
        sizes[:11], 0.5 * np.exp(-0.25 * np.clip(np.arange(11) - 4, 0, 5)), rtol=1e-5
    )
    assert (sizes[10:] == sizes[9]).all()
    assert (np.diff(square)[:7] != 0).all()
    assert (np.diff(square)[7:] == 0).all()


@pytest.mark.parametrize(("tolerance", "size"), [(1e-9, 0.5 / 200), (1e9, 0.5)])
def test_no_step_is_tuned_out_of_bounds(tolerance, size):
    sampler = Mclmc(Constant(0.5), warmup=400, decoherence=1.0, energy_tolerance=tolerance)
    sizes, _, _ = chain_on_a_slope(sampler, jnp.ones(50), jax.random.key(0), 401)
    assert sizes[-1] == pytest.approx(size, rel=1e-5)


def test_a_tolerance_goes_with_the_root_of_what_was_observed_and_a_given_step_size_has_none():
    image = np.random.default_rng(0).normal(0.5, 0.1, (8, 8))
    options = {"generator": Pixels(), "noise_std": 0.1, "steps": 4, "progress": False}
    mask = np.arange(64).reshape(8, 8) < 16
    found = [
        bdip.sample(image, seen, **options).settings["sampler"]["energy_tolerance"]
        for seen in (None, mask)
    ]
    np.testing.assert_allclose(found, [0.03 * 8, 0.03 * 4])
    given = bdip.sample(image, step_size=0.001, **options)
    assert given.settings["sampler"]["energy_tolerance"] is None
    assert (given.trace["step_size"] == np.float32(0.001)).all()


# ------------------------------------------------------------------------------- at the door


@pytest.mark.parametrize("time", [-0.1, np.inf, -1])
def test_a_velocity_that_is_never_forgotten_is_refused(time):
    with pytest.raises(ValueError, match="decoherence is .*expected a time of at least 0"):
        Mclmc(Constant(0.1), decoherence=time)


@pytest.mark.parametrize(("kept", "cycle"), [(0, 1), (1999, 1), (2000, 20), (60_000, 20)])
def test_the_default_has_cycles_where_a_hundred_of_them_are_kept(kept, cycle):
    assert Mclmc.default(1.0, 100, kept).cycle == cycle


@pytest.mark.parametrize(
    ("std", "time"), [(25, 4.0), (12.5, 4 * 2**0.75), (5, 4 * 5**0.75), (1, 16.0), (255, 2.0)]
)
def test_the_default_remembers_its_velocity_the_longer_the_less_noise_there_is(std, time):
    values = 100
    default = Mclmc.default(values * (255 / std) ** 2, values, 0)
    assert default.decoherence == pytest.approx(time)


def test_the_default_for_no_data_forgets_its_velocity_soonest():
    assert Mclmc.default(0.0, 1, 0).decoherence == 2.0


@pytest.mark.parametrize(("cycle", "relaxing"), [(1, 1), (4, 0), (4, 4), (4, -1), (0, 0)])
def test_a_cycle_of_which_all_relaxes_or_nothing_is_refused(cycle, relaxing):
    with pytest.raises(ValueError, match="cycle is .* and relaxing .*expected 1 and 0"):
        Mclmc(Constant(0.1), cycle=cycle, relaxing=relaxing)


@pytest.mark.parametrize("tolerance", [0, -0.5])
def test_a_tolerance_that_no_step_meets_is_refused(tolerance):
    with pytest.raises(ValueError, match="energy_tolerance is .*expected None, or above 0"):
        Mclmc(Constant(0.1), energy_tolerance=tolerance)


@pytest.mark.parametrize("temperature", [0, 0.0, -1.0])
def test_a_temperature_of_zero_is_refused(temperature):
    with pytest.raises(ValueError, match="temperature is .*expected above 0.*sgd"):
        Mclmc(Constant(0.1), temperature=temperature)


def test_the_trace_shows_the_energy_error_of_samplers_that_have_one():
    image = np.random.default_rng(0).normal(0.5, 0.1, (8, 8))
    options = {"generator": Pixels(), "noise_std": 0.1, "steps": 10, "progress": False}
    mclmc = bdip.sample(image, sampler="mclmc", **options).trace["energy_error"][0]
    assert mclmc[0] == 0
    assert (mclmc[1:] != 0).all()
    assert "energy_error" not in bdip.sample(image, sampler="psgld", **options).trace


def test_the_inner_product_sums_over_all_leaves():
    assert inner(pair(np.arange(5)), pair(np.ones(5))) == 10
