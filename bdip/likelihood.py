"""How data scatter about A g_θ(z): one class a law of the noise, with what it adds to the energy.

Each has `misfit(prediction, data, mask)`, minus the log likelihood up to a constant, and
`std_at(signal)`, the noise's standard deviation where the clean data are `signal`, which tells a
sampler how much the data know. All are in the unit range; n is the number of observed values.
"""

import math
from typing import ClassVar, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike, NDArray

from bdip.trees import frozen_pytree
from bdip.types import Data, PRNGKey, Scalar

Mask = Float[Array, "h w 1"]
Std = Scalar | Data

# A σ that is not known has a prior worth so many observed values, all of them at the estimate.
PRIOR_COUNT = 1.0
# Of the variance of one photon's charge: what a pixel without light and without read noise is given,
# for a normal law must have some. (A Poisson law of mean below ¼ is no normal law anyway.)
DARK_SHARE = 0.25
# Of a step, the least standard deviation before rounding: within it a sampler turns at the step's ends.
SOFTEST = 0.1


class Misfit(NamedTuple):
    """The likelihood's part of the energy; χ²; and σ given the weights, None where σ is known."""

    energy: Scalar
    chi2: Scalar
    noise_std: Scalar | None = None


class Noise(Protocol):
    """A law of the noise: a frozen pytree of numbers. `sampled` says whether σ is drawn too."""

    sampled: ClassVar[bool]

    def misfit(self, prediction: Data, data: Data, mask: Mask) -> Misfit: ...

    def std_at(self, signal: Data) -> Std: ...


def count(data: Data, mask: Mask) -> Scalar:
    """Number n of observed values, all channels counted."""
    return jnp.sum(mask) * data.shape[-1]


@frozen_pytree()
class Gaussian:
    """Normal noise of known standard deviation σ, one number or one a value (h, w, 1 or C):

        −log p(y | x) = Σ_i m_i (x − y)_i² / (2σ_i²)  + constant,    χ² = Σ_i m_i (x − y)_i² / (nσ_i²)

    The posterior expectation of χ² is 1 under a right model.
    """

    sampled: ClassVar[bool] = False

    std: Std

    def misfit(self, prediction: Data, data: Data, mask: Mask) -> Misfit:
        residual = mask * (prediction - data)
        if jnp.ndim(self.std):
            energy = jnp.sum((residual / self.std) ** 2) / 2
        else:  # one division in all
            energy = jnp.sum(residual**2) / (2 * self.std**2)
        return Misfit(energy, 2 * energy / count(data, mask))

    def std_at(self, signal: Data) -> Std:
        return self.std


@frozen_pytree()
class UnknownGaussian:
    """Normal noise of unknown standard deviation σ, sampled together with the weights.

    The prior is worth w observed values at `start`, s: σ² ~ InvGamma(a, b) with a = w/2 and
    b = ws²/2. It is proper, has the data's own scale, and is forgotten as 1/n. With
    S = Σ_i m_i (x − y)_i² the conditional law is

        σ² | θ, y ~ InvGamma(a + n/2, b + S/2)                                                  (1)

    Minus the log of the joint density has the terms S/(2σ²) + n log σ + …, and σ can be integrated
    out of it by hand, which leaves the weights alone with

        −log p(y | θ) = (a + n/2) log(b + S/2) + constant                                        (2)

    So a Gibbs sampler's two kernels need not alternate: the weights move on (2) by whatever
    kernel, be it kinetic, preconditioned or with an acceptance test, and leave their marginal law
    invariant as exactly as that kernel does for any fixed energy; and at each step σ is drawn
    from (1), which is exact. The pairs (θ_t, σ_t) then have the joint posterior as their law. The gradient of
    (2) is that of S/(2σ̂²) with σ̂² = (b + S/2)/(a + n/2): what alternation would use with a σ
    drawn from (1), without the scatter √(2/n) of that draw in each step's force. Nothing of σ is
    needed by the next step, and what a kernel remembers of the last one stays valid. (At another
    temperature than 1 the weights' marginal law is the tempered one; σ given the weights is not tempered.)

    χ² = S/(nσ²) averaged over (1) is (n + w)S / (n(S + ws²)): about 1 whatever the weights, for σ
    goes with them. It tells nothing here; see whether σ stands still, and compare it with its estimate.

    References: Gelman et al., Bayesian Data Analysis (2013), section 3.2; Liu, J. Am. Stat. Assoc.
    89 (1994) 958, on integrating out rather than alternating.
    """

    sampled: ClassVar[bool] = True

    start: Scalar
    prior_count: float = PRIOR_COUNT

    def misfit(self, prediction: Data, data: Data, mask: Mask) -> Misfit:
        square = jnp.sum((mask * (prediction - data)) ** 2)
        observed = count(data, mask)
        shape = self._shape(observed)
        rate = (self.prior_count * self.start**2 + square) / 2
        noise_std = jnp.sqrt(rate / shape)
        return Misfit(shape * jnp.log(rate), square / (observed * noise_std**2), noise_std)

    def draw(self, key: PRNGKey, noise_std: Scalar, observed: Scalar) -> Scalar:
        """One σ of the conditional law (1), whose σ̂ is `noise_std`, from n values `observed`.

        If γ ~ Gamma(α, 1), then β/γ ~ InvGamma(α, β); here α = a + n/2 and β = ασ̂².
        """
        shape = self._shape(observed)
        return noise_std * jnp.sqrt(shape / jax.random.gamma(key, shape))

    def std_at(self, signal: Data) -> Std:
        return self.start

    def _shape(self, observed: Scalar) -> Scalar:
        return (self.prior_count + observed) / 2


@frozen_pytree()
class PoissonGaussian:
    """Photon noise and read noise: the variance of a pixel grows with its clean value x.

        v(x) = gain · (x − offset) + read_noise²,   never below max(read_noise², gain²/4)
        −log p(y | x) = Σ_i m_i [(x − y)_i² / (2v(x_i)) + ½ log v(x_i)] + constant
        χ² = Σ_i m_i (x − y)_i² / (n v(x_i))

    The variance is that of the *generated* image, with its log-determinant: taken at the data it
    would trust pixels that are dark by chance. A Poisson law is here replaced by the normal law of
    the same mean and variance, which is good from a few photons a pixel upwards.

    All in the image's own units: `gain` is the image's units a photon (electron), `read_noise` the
    standard deviation in the dark, and `offset` the value without light, by default the low end of the data range.

    Example:
        >>> import bdip
        >>> counts = bdip.PoissonGaussian(gain=1.0)                     # an image of photon counts
        >>> camera = bdip.PoissonGaussian(gain=2.1, read_noise=3.5, offset=100)

    Reference: Foi, Trimeche, Katkovnik & Egiazarian, IEEE Trans. Image Process. 17 (2008) 1737.
    """

    sampled: ClassVar[bool] = False

    gain: float | Scalar
    read_noise: float | Scalar = 0.0
    offset: float | Scalar | Data | NDArray[np.float64] | None = None

    def misfit(self, prediction: Data, data: Data, mask: Mask) -> Misfit:
        variance = self._variance(prediction)
        square = (mask * (prediction - data)) ** 2 / variance
        energy = jnp.sum(square + mask * jnp.log(variance)) / 2
        return Misfit(energy, jnp.sum(square) / count(data, mask))

    def std_at(self, signal: Data) -> Std:
        return jnp.sqrt(self._variance(signal))

    def scaled(self, low: float | NDArray[np.float64], span: float) -> "PoissonGaussian":
        """The same law for (image − low)/span, with the offset filled in; low may be one a value."""
        offset = low if self.offset is None else self.offset
        gain, read_noise = self.gain / span, self.read_noise / span
        return PoissonGaussian(gain, read_noise, (offset - low) / span)

    def _variance(self, signal: Data) -> Data:
        least = jnp.maximum(self.read_noise**2, DARK_SHARE * self.gain**2)
        dark = 0.0 if self.offset is None else self.offset  # the low end of the unit range
        variance = self.gain * (signal - dark) + self.read_noise**2
        # Selected by comparison, so that the gradient in the dark is zero and never lost elsewhere.
        return jnp.where(variance > least, variance, least)


@frozen_pytree()
class Rounding:
    """Rounding to whole steps h, of values that had noise of standard deviation τ before it, one number each or one a value:

        −log p(y | x) = −Σ_i m_i log [S((h/2 + r_i)/s) − S((−h/2 + r_i)/s)],    r = x − y,    s = τ√3/π
        χ² = Σ_i m_i r_i² / (n (h²/12 + τ²))

    the probability that x with its noise lies within half a step of y: nearly 1 there, whatever x is, and small beyond. Normal noise of the same variance
    would pull each x towards its y, and many values together would say much more than they do. The noise is logistic, S(z) = 1/(1 + exp(−z)): its tails are
    those of exp(−|z|), so that a chain that starts far off is not pushed harder than one at a step's end. χ² is 1 of values that are anywhere
    within their step, and less where most are small beside it.

    All in the data's own units. A τ below a tenth of a step is taken for that, so that a sampler can turn at the step's ends.

    Example:
        >>> import bdip, numpy as np
        >>> four_bits = bdip.Rounding(step=255 / 15)    # a picture of 16 grey levels, from 0 to 255
        >>> file = bdip.JPEG(np.full((1, 8, 8), 16.0), (8, 8)).noise    # the numbers in a JPEG file
        >>> file.step, file.noise_std.shape
        (1.0, (1, 64))

    Reference: Salimans, Karpathy, Chen & Kingma, PixelCNN++, ICLR 2017, section 2.1.
    """

    sampled: ClassVar[bool] = False

    step: float | Std | NDArray[np.float64] = 1.0
    noise_std: float | Std | NDArray[np.float64] = 0.0

    def misfit(self, prediction: Data, data: Data, mask: Mask) -> Misfit:
        step, scale = jnp.asarray(self.step), math.sqrt(3) / math.pi * self._soft
        off = prediction - data
        # S(a) − S(b) = S(a) S(−b) (1 − exp(b − a)), the last of which is a constant.
        above, below = (jax.nn.softplus((side * off - step / 2) / scale) for side in (1, -1))
        energy = jnp.sum(mask * (above + below - jnp.log(-jnp.expm1(-step / scale))))
        square = jnp.sum(mask * (off / self.std_at(data)) ** 2)
        return Misfit(energy, square / count(data, mask))

    def std_at(self, signal: Data) -> Std:
        return jnp.sqrt(jnp.asarray(self.step) ** 2 / 12 + self._soft**2)

    def scaled(self, span: float) -> "Rounding":
        """The same law for data divided by `span`."""
        return Rounding(self.step / span, self.noise_std / span)

    @property
    def allowed(self) -> float | Std | NDArray[np.float64]:
        """How far the data may well be from x: half a step, and τ."""
        return self.step / 2 + self.noise_std

    @property
    def _soft(self) -> Std:
        return jnp.maximum(jnp.asarray(self.noise_std), SOFTEST * jnp.asarray(self.step))


@frozen_pytree()
class Clipped:
    """Normal noise that was cut off at the ends of what a file or a detector holds: a value at an end may be anywhere beyond.

        −log p(y | x) = Σ_i m_i [(x − y)_i² / (2σ_i²) + log σ_i]    of values between the ends    + constant
                      − Σ_i m_i log Φ((x − high)_i/σ_i)             of those at the high end
                      − Σ_i m_i log Φ((low − x)_i/σ_i)              of those at the low end

    the censored normal law. Taken as they are, clipped values are never above white nor below black, and their
    mean is greyer than the clean picture. `noise` is σ as `noise_std` has it (by default estimated, far from
    the ends), or a `PoissonGaussian`, whose σ goes with the clean value. χ² has, of a clipped
    value, the mean square of noise that goes beyond the end, and the posterior expectation 1.

    All in the data's own units. `low` and `high` are by default the ends of `data_range`; an end that no value
    reaches does nothing. How far beyond a saturated pixel is, no datum says; where `data_range` goes on beyond
    `high`, the answer there is what the network likes, which may be all of it.

    Example:
        >>> import bdip
        >>> photograph = bdip.Clipped(25)    # uint8: at 0 and 255
        >>> camera = bdip.Clipped(bdip.PoissonGaussian(gain=2.1, read_noise=3.5), high=4095)

    References: Tobin, Econometrica 26 (1958) 24; Foi, Signal Processing 89 (2009) 2609, on clipped noisy images.
    """

    sampled: ClassVar[bool] = False

    noise: ArrayLike | Gaussian | PoissonGaussian | None = None
    low: float | Std | None = None
    high: float | Std | None = None

    def misfit(self, prediction: Data, data: Data, mask: Mask) -> Misfit:
        low, high = jnp.asarray(self.low), jnp.asarray(self.high)
        above, below = data >= high, data <= low
        std = self._within.std_at(prediction)
        square = ((prediction - data) / std) ** 2
        # How far beyond its end each is, in σ.
        beyond = jnp.where(above, prediction - high, jnp.where(below, low - prediction, 0)) / std
        tail = jax.scipy.special.log_ndtr(beyond)
        spread = jnp.log(std / self._within.std_at(data))  # nothing, where σ is one for all
        energy = jnp.sum(mask * jnp.where(above | below, -tail, square / 2 + spread))
        # E[ε² | ε > a] = 1 + a φ(a)/Φ(−a) of a standard normal ε, with a = −beyond.
        ratio = jnp.exp(-(beyond**2) / 2 - tail) / math.sqrt(2 * math.pi)
        square = jnp.where(above | below, 1 - beyond * ratio, square)
        return Misfit(energy, jnp.sum(mask * square) / count(data, mask))

    def std_at(self, signal: Data) -> Std:
        return self._within.std_at(signal)

    @property
    def _within(self) -> Noise:
        """The law of values between the ends."""
        assert isinstance(self.noise, Gaussian | PoissonGaussian)
        return self.noise


Law = Clipped | PoissonGaussian | Rounding  # what users may say instead of a σ


def is_map(noise: Noise) -> bool:
    """Whether σ was given as one number a value, of the normal law, of one that is clipped, or of rounding."""
    within = noise.noise if isinstance(noise, Clipped) else noise
    return isinstance(within, Gaussian | Rounding) and jnp.ndim(within.std_at(jnp.float32(0))) > 0
