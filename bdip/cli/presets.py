"""Sets of options under one name: what a restoration costs."""

from typing import Any

# A name for each; None stands for the option's own default.
PRESETS: dict[str, dict[str, Any]] = {
    "fast": {"generator": None, "channels": None, "scales": None, "steps": 1000},
    "standard": {"generator": None, "channels": None, "scales": None, "steps": None},
    # The Deep Image Prior's network: Ulyanov et al. (CVPR 2018), supplementary material.
    "paper": {"generator": "hourglass", "channels": 128, "scales": 5, "steps": None},
    # Better by 0.5 to 1.3 dB in three holes of three: docs/decisions/0024.
    "large-hole": {"generator": "hourglass", "skips": 0},
}

# With one chain; of the paper's network from `python -m benchmarks.speed`.
COST = (
    "A step on 128 × 128 grey pixels takes two cores some 10 ms, one of paper 120; all but fast take thousands, "
    "until the mean is known."
)
