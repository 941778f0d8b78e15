"""Sets of options under one name: what a restoration costs."""

from typing import Any

# A name for each; None stands for the option's own default.
PRESETS: dict[str, dict[str, Any]] = {
    "fast": {"generator": None, "channels": 16, "scales": 3, "steps": 1000},
    "standard": {"generator": None, "channels": None, "scales": None, "steps": None},
    # The Deep Image Prior's network: Ulyanov et al. (CVPR 2018), supplementary material.
    "paper": {"generator": "hourglass", "channels": 128, "scales": 5, "steps": None},
    # Better by 0.5 to 1.3 dB in three holes of three: docs/decisions/0024.
    "large-hole": {"generator": "hourglass", "skips": 0},
}

# From `python -m benchmarks.speed`, which has 16, 32, 64 and 128 channels; with one chain.
COST = (
    "A step on 128 × 128 grey pixels takes two cores some 10, 30 and 120 ms; the last two take thousands, until "
    "the mean is known."
)
