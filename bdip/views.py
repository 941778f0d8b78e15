"""What an answer can be turned into: pictures, quantiles, other libraries' objects, a page.

Each is a shorthand for a function of another module, which is imported when it is asked for. Figures
are matplotlib's, datasets xarray's.
"""

import os
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bdip.errors import TooFewDrawsError


class Views:
    """The part of `bdip.Posterior` that shows it to people and to other programs."""

    def plot(
        self: Any,
        image: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        clean: ArrayLike | None = None,
        draws: int = 2,
    ) -> Any:
        """Input, posterior mean, standard deviation with its colour bar, and a few draws.

        `image` and `mask` (True = observed) are the input and its mask, by default those that were
        sampled; `clean` is the truth where it is known; each (H, W) or (H, W, C), in the image's units. Of a
        volume it shows the slice in the middle, of a signal a curve with its interval of 90 %.

        Example:
            >>> figure = posterior.plot(draws=1)
            >>> [axes.get_title() for axes in figure.axes][:3]
            ['input', 'posterior mean', 'one draw']
        """
        from bdip.plot import plot_posterior

        return plot_posterior(self, image, mask, clean, draws)

    def plot_trace(self: Any) -> Any:
        """χ², energy, step size and what else the trace has against the step, a line a chain.

        Example:
            >>> len(posterior.plot_trace().axes)
            3
        """
        from bdip.plot import plot_trace

        return plot_trace(self)

    def plot_mixing(self: Any) -> Any:
        """Maps of R-hat, effective draws and Monte Carlo error of each pixel.

        Example:
            >>> posterior.plot_mixing().axes[0].get_title()
            'R-hat'
        """
        from bdip.plot import plot_mixing

        return plot_mixing(self)

    def plot_calibration(self: Any, clean: ArrayLike | None = None) -> Any:
        """Observed against nominal coverage of the central intervals, with a binomial band.

        Of the truth `clean` (H, W) or (H, W, C) where it is given, otherwise of the pixels held out (`holdout=`).
        Raises ValueError where there is neither.

        Example:
            >>> figure = posterior.plot_calibration(posterior.draws[0, 0])
            >>> figure.axes[0].get_xlabel()
            'nominal coverage'
        """
        from bdip.plot import plot_calibration

        return plot_calibration(self, clean)

    def quantile(self: Any, q: float) -> NDArray[np.float32]:
        """The q-quantile of each pixel, in the image's axes and units, from the stored draws.

        Interpolated at rank q(n + 1) of the n draws of all chains together, for with this rank a
        further draw falls below it with probability q, whatever the law (Weibull 1939). That needs
        1/(n + 1) ≤ q ≤ n/(n + 1). From n effective draws its own level has a standard error of
        √(q(1 − q)/n): 0.03 at q = 0.1 and n = 100.

        Raises ValueError where q is not between 0 and 1, and TooFewDrawsError where the draws do not
        reach so far into the tail.

        Example:
            >>> posterior.quantile(0.5).shape
            (16, 16)
        """
        if not 0 < q < 1:
            raise ValueError(f"q is {q}: expected a number between 0 and 1, such as 0.05.")
        draws = self.draws.reshape(-1, *self.mean.shape)
        needed = round(1 / min(q, 1 - q), 6) - 1
        if len(draws) < needed:
            raise TooFewDrawsError(
                f"{len(draws)} draws are stored, but the {q:g} quantile needs {int(np.ceil(needed))} "
                "or more: sample with more draws, or ask for one nearer to 0.5."
            )
        found: NDArray[np.float32] = np.quantile(draws, q, axis=0, method="weibull")
        return found.astype(np.float32)

    def interval(self, level: float = 0.9) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Lower and upper bound of the central interval of each pixel: the (1 ∓ level)/2 quantiles.

        Unlike mean ± 1.645 std it need not be symmetric. Errors as for `quantile`; 0.9 needs 19 draws.

        Example:
            >>> low, high = posterior.interval(0.9)
            >>> bool((low < high).all())
            True
        """
        if not 0 < level < 1:
            raise ValueError(f"level is {level}: expected a number between 0 and 1, such as 0.9.")
        return self.quantile((1 - level) / 2), self.quantile((1 + level) / 2)

    def to_xarray(self: Any) -> Any:
        """Everything as an xarray Dataset with named axes (see `bdip.interchange.to_xarray`).

        Example:
            >>> posterior.to_xarray()["mean"].dims
            ('y', 'x')
        """
        from bdip.interchange import to_xarray

        return to_xarray(self)

    def to_datatree(self: Any) -> Any:
        """Draws and trace as ArviZ reads them (see `bdip.interchange.to_datatree`).

        Example:
            >>> posterior.to_datatree()["posterior"]["image"].dims
            ('chain', 'draw', 'y', 'x')
        """
        from bdip.interchange import to_datatree

        return to_datatree(self)

    def report(
        self: Any,
        path: str | os.PathLike[str],
        *,
        input: ArrayLike | None = None,
        title: str | None = None,
        filled: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
    ) -> None:
        """Write one HTML page that shows the answer, and needs nothing else (see `bdip.report`).

        `input` is what was restored, in the mean's shape (H, W) or (H, W, C), for files that do not have it; `title`
        heads the page; `filled` is what `filled()` returned, to be shown for mean and standard deviation.

        Example:
            >>> import tempfile, pathlib
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     posterior.report(f"{folder}/answer.html", title="Cells")
            ...     [path.name for path in pathlib.Path(folder).iterdir()]
            ['answer.html']
        """
        from bdip.report import write_report

        write_report(self, path, input=input, title=title, filled=filled)
