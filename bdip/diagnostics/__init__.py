"""Checks of an answer: have the chains mixed, does it fit the data as the noise says, do its intervals cover?"""

from bdip.diagnostics.calibration import (
    ause,
    coverage,
    crps,
    negative_log_likelihood,
    psnr,
    scores,
    sparsification,
    z_scores,
)
from bdip.diagnostics.chi2 import Blocks, chi2_blocks, chi2_drift, relative_chi2
from bdip.diagnostics.mixing import Mixing, mixing_maps, mixing_numbers
from bdip.diagnostics.verdict import verdict

__all__ = [
    "Blocks", "Mixing", "ause", "chi2_blocks", "chi2_drift", "coverage", "crps", "mixing_maps",
    "mixing_numbers",
    "negative_log_likelihood", "psnr", "relative_chi2", "scores", "sparsification", "verdict", "z_scores",
]  # fmt: skip
