"""Do the error bars hold? Scores of a normal prediction N(mean, std²) against what came true.

`truth` is the clean image, or measured values that the sampler never saw; `mean` and `std` have its
shape and unit. All is computed in float64.

Reference: Gneiting, Balabdaoui & Raftery (2007), "Probabilistic forecasts, calibration and sharpness",
J. R. Stat. Soc. B 69, 243–268.
"""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]

LEVELS = (0.5, 0.9, 0.95)  # of the central intervals that are reported

_erf = np.frompyfunc(math.erf, 1, 1)  # NumPy has none, and JAX's has seven digits


def coverage(truth: ArrayLike, mean: ArrayLike, std: ArrayLike, level: float = 0.9) -> float:
    """Share of the values of `truth` within the central normal interval of probability `level`.

    About `level` if the uncertainty is right; less if the answer is too sure. All three arrays have one
    shape, any.

    >>> coverage(truth=[0.0, 3.0], mean=[1.0, 1.0], std=[1.0, 1.0], level=0.9)
    0.5
    """
    return float(np.mean(covered(truth, mean, std, level)))


def covered(
    truth: ArrayLike, mean: ArrayLike, std: ArrayLike, level: float = 0.9
) -> NDArray[np.bool_]:
    """Whether each value lies in the central interval: |z| ≤ Φ⁻¹((1 + level)/2)."""
    error = np.abs(np.asarray(truth, np.float64) - np.asarray(mean, np.float64))
    return error <= half_width(level) * np.asarray(std, np.float64)


def half_width(level: float) -> float:
    """Half-width of the normal law's central interval of probability `level`, in std: 1.645 for 0.9."""
    return NormalDist().inv_cdf((1 + level) / 2)


def z_scores(truth: ArrayLike, mean: ArrayLike, std: ArrayLike) -> Values:
    """Errors in units of std, z = (truth − mean)/std: of mean 0 and standard deviation 1 if the prediction is right.

    Of the arrays' shape, which is any.

    >>> z_scores(truth=[3.0, 0.0], mean=[1.0, 1.0], std=[2.0, 0.5])
    array([ 1., -2.])
    """
    error = np.asarray(truth, np.float64) - np.asarray(mean, np.float64)
    return error / np.asarray(std, np.float64)


def crps(truth: ArrayLike, mean: ArrayLike, std: ArrayLike) -> Values:
    """Continuous ranked probability score ∫ (F(t) − [t ≥ truth])² dt of each value, in its unit:

        std · (z (2Φ(z) − 1) + 2φ(z) − 1/√π)

    of the normal prediction. Small is good; std/√π is expected of a right one, and |truth − mean| is the
    limit for std → 0 (Gneiting & Raftery 2007, JASA 102, 359–378, section 4.2). Of the arrays' shape.

    >>> crps(truth=[1.0, 3.0], mean=[1.0, 1.0], std=[1.0, 1.0]).round(3)  # of z = 0: √(2/π) − 1/√π
    array([0.234, 1.453])
    """
    z = z_scores(truth, mean, std)
    inside = np.asarray(_erf(z / math.sqrt(2)), np.float64)  # 2Φ(z) − 1
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    return np.asarray(std, np.float64) * (z * inside + 2 * density - 1 / math.sqrt(math.pi))


def negative_log_likelihood(truth: ArrayLike, mean: ArrayLike, std: ArrayLike) -> Values:
    """z²/2 + log std + log(2π)/2 of each value, in nats; it depends on the unit by a constant.

    Of the arrays' shape.

    >>> negative_log_likelihood(truth=[1.0], mean=[1.0], std=[1.0]).round(4)  # log(2π)/2
    array([0.9189])
    """
    scale = np.log(np.asarray(std, np.float64)) + math.log(2 * math.pi) / 2
    return z_scores(truth, mean, std) ** 2 / 2 + scale


def sparsification(error: ArrayLike, doubt: ArrayLike) -> Values:
    """Mean |error| of the values left when the j most doubtful are removed, over that of all (n,).

    For j = 0 … n − 1, so that the first is 1 and a good `doubt` (std) makes it fall. With |error|
    itself for `doubt` it is the oracle's curve, the lowest there is (Ilg et al. 2018, ECCV, 5.2). The n
    values may have any shape.

    >>> sparsification(error=[3.0, -1.0], doubt=[0.5, 0.1])
    array([1. , 0.5])
    """
    size = np.abs(np.asarray(error, np.float64)).ravel()
    surest_first = size[np.argsort(np.asarray(doubt).ravel(), kind="stable")]
    left = np.cumsum(surest_first) / np.arange(1, len(size) + 1)
    return left[::-1] / left[-1]


def ause(truth: ArrayLike, mean: ArrayLike, std: ArrayLike) -> float:
    """Area under the sparsification error: between the curves by `std` and by the error itself.

    0 where std ranks the errors rightly, about that of a blind guess where it says nothing, more where
    it misleads (Ilg et al. 2018, ECCV, section 5.2). It judges the order of the error bars, not their size.
    All three arrays have one shape, any.

    >>> ause(truth=[3.0, 1.0], mean=[0.0, 0.0], std=[0.5, 0.1])
    0.0
    >>> ause(truth=[3.0, 1.0], mean=[0.0, 0.0], std=[0.1, 0.5])  # (1.5 − 0.5)/2
    0.5
    """
    error = np.asarray(truth, np.float64) - np.asarray(mean, np.float64)
    doubt = np.broadcast_to(std, error.shape)
    return float(np.mean(sparsification(error, doubt) - sparsification(error, np.abs(error))))


def scores(truth: ArrayLike, mean: ArrayLike, std: ArrayLike) -> dict[str, float]:
    """Every score of pixels (n, C), with its standard error under the name plus "_error".

    "coverage_50", "_90", "_95"; "z_mean" and "z_std"; "crps" and "nll", means over all values. Channels
    of a pixel err together, so that errors are those of n independent pixels: √(p(1 − p)/n) for a
    coverage of p (the level), s/√n for means of s among pixels, and by the delta method for z_std.

    >>> import numpy as np
    >>> truth = np.random.default_rng(0).normal(0, 2, (1000, 1))
    >>> found = scores(truth, mean=np.zeros((1000, 1)), std=np.full((1000, 1), 2.0))
    >>> abs(found["coverage_90"] - 0.9) < 4 * found["coverage_90_error"]
    True
    """
    n = len(np.asarray(truth))
    found = {}
    for level in LEVELS:
        name = f"coverage_{100 * level:.0f}"
        found[name] = coverage(truth, mean, std, level) if np.isfinite(std).all() else np.nan
        found[f"{name}_error"] = math.sqrt(level * (1 - level) / n)
    z = z_scores(truth, mean, std)
    found["z_mean"], found["z_mean_error"] = _averaged(z)
    square, square_error = _averaged((z - z.mean()) ** 2)
    found["z_std"], found["z_std_error"] = math.sqrt(square), square_error / (2 * math.sqrt(square))
    found["crps"], found["crps_error"] = _averaged(crps(truth, mean, std))
    found["nll"], found["nll_error"] = _averaged(negative_log_likelihood(truth, mean, std))
    return found


def _averaged(values: Values) -> tuple[float, float]:
    """Mean of values (n, C), and its standard error for n independent pixels; NaN for n = 1."""
    pixels = values.mean(axis=1)
    spread = pixels.std(ddof=1) if len(pixels) > 1 else math.nan
    return float(pixels.mean()), float(spread / math.sqrt(len(pixels)))


def psnr(truth: ArrayLike, image: ArrayLike, span: float = 1.0) -> float:
    """Peak signal-to-noise ratio in dB, 10 log₁₀(span²/MSE), `span` being the data range's width.

    Of two images of one shape, in the same units.

    >>> psnr(truth=[0.0, 0.0], image=[10.0, 10.0], span=1000.0)
    40.0
    """
    error = np.asarray(truth, np.float64) - np.asarray(image, np.float64)
    return float(10 * np.log10(span**2 / np.mean(error**2)))
