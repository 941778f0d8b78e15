"""Sets of options under one name: what a restoration costs."""

from typing import Any

# A name for each; None stands for the option's own default.
PRESETS: dict[str, dict[str, Any]] = {
    "fast": {"generator": "hourglass", "channels": 16, "scales": 3, "steps": 1000},
    "standard": {"generator": "hourglass", "channels": None, "scales": None, "steps": None},
    # The Deep Image Prior's network: Ulyanov et al. (CVPR 2018), supplementary material.
    "paper": {"generator": "hourglass", "channels": 128, "scales": 5, "steps": None},
}
