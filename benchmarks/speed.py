"""How fast is a step? bdip and PyTorch by turns in one run, on the standard network and the default sampler.

    python -m benchmarks.speed                            # the table of benchmarks/README.md
    python -m benchmarks.speed --device gpu --name speed-gpu
    python -m benchmarks.speed --sizes 128 --channels 64 --against torch torch.compile

Each contestant is a process of its own; they do a few steps by turns, in an order that changes, so that
what else the machine does hits all alike. Reported are medians, and the median of the rounds' ratios.
PyTorch is optional (`pip install torch`, or `pip install -e '.[benchmark]'`): without it bdip runs alone.
"""

import argparse
import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from statistics import median
from typing import Any

import numpy as np

from benchmarks import record
from benchmarks.contestants import Case

TURN_SECONDS = 1.0  # of one contestant, for each of its chains: they take turns as seldom in a run
HEADER = "| image | channels | bdip, ms a step | {} | GF/s | of matmul rate | first step, s | peak, MiB |\n"


class Contestant:
    """A contestant's process, built and past its first step."""

    def __init__(self, name: str, case: Case) -> None:
        command = [sys.executable, "-m", "benchmarks.contestants", name, json.dumps(asdict(case))]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.turn_seconds = TURN_SECONDS * case.chains
        self.first_step: float = self._read()["first_step"]
        self.times: list[float] = []
        self.peak_bytes = 0

    def turn(self, steps: int) -> float:
        """Do so many steps, and return the seconds one took."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        answer = self._read()
        self.peak_bytes = answer["peak_bytes"]
        return float(answer["seconds"]) / steps

    def close(self) -> None:
        """End the process."""
        self.process.communicate()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the contestant {self.process.args!r} ended early")
        return dict(json.loads(line))


def by_turns(contestants: list[Contestant], rounds: int) -> None:
    """Let them do some steps each by turns, in an order that turns round, and end them."""
    steps = []
    for each in contestants:
        each.turn(2)  # PyTorch chooses its algorithms in the first steps
        steps.append(max(1, round(each.turn_seconds / each.turn(2))))
    order = list(zip(contestants, steps, strict=True))
    for number in range(rounds):
        for each, count in order if number % 2 == 0 else order[::-1]:
            each.times.append(each.turn(count))
    for each in contestants:
        each.close()


def race(case: Case, names: list[str], rounds: int) -> dict[str, Any]:
    """One row: the contestants on one case."""
    contestants = [Contestant(name, case) for name in names]
    by_turns(contestants, rounds)
    ours = contestants[0].times
    return {
        "case": asdict(case),
        "rounds": rounds,
        "gflops": case.operations / median(ours) / 1e9,
        "contestants": {
            name: {
                "step": median(each.times),
                "quartiles": list(np.quantile(each.times, [0.25, 0.75])),
                "bdip_ratio": ratio(ours, each.times),
                "first_step": each.first_step,
                "peak_bytes": each.peak_bytes,
            }
            for name, each in zip(names, contestants, strict=True)
        },
    }


def growth(cases: list[Case], rounds: int) -> dict[str, Any]:
    """Bdip alone on several cases by turns: seconds a step, and each one's ratio to the first."""
    contestants = [Contestant("bdip", case) for case in cases]
    by_turns(contestants, rounds)
    times = [each.times for each in contestants]
    return {
        "cases": [asdict(case) for case in cases],
        "step": [median(each) for each in times],
        "ratio": [ratio(each, times[0]) for each in times],
    }


def exponent(found: dict[str, Any], size: Callable[[dict[str, Any]], float]) -> float:
    """P of time ∝ size^p, by least squares on logarithms."""
    sizes = [size(case) for case in found["cases"]]
    return float(np.polyfit(np.log(sizes), np.log(found["ratio"]), 1)[0])


def ratio(times: list[float], others: list[float]) -> float:
    """The median of the rounds' ratios."""
    return median(a / b for a, b in zip(times, others, strict=True))


def matmul_rate(case: Case) -> float:
    """Operations a second of a large product of matrices."""
    command = [sys.executable, "-m", "benchmarks.contestants", "matmul", json.dumps(asdict(case))]
    return float(json.loads(subprocess.check_output(command, text=True))["rate"])


def line(row: dict[str, Any], rate: float) -> str:
    """The row as a line of a Markdown table."""
    case, all_of_them = row["case"], row["contestants"]
    ours = all_of_them["bdip"]
    others = [name for name in all_of_them if name != "bdip"]
    cells = [f"{case['size']}² × {case['colours']}", case["channels"]]
    cells.append(f"{1e3 * ours['step']:.1f}")
    cells += [
        f"{1e3 * all_of_them[n]['step']:.1f} ({all_of_them[n]['bdip_ratio']:.2f})" for n in others
    ]
    cells += [f"{row['gflops']:.0f}", f"{row['gflops'] * 1e9 / rate:.2f}"]
    cells.append(" / ".join(f"{each['first_step']:.1f}" for each in all_of_them.values()))
    cells.append(" / ".join(f"{each['peak_bytes'] / 2**20:.0f}" for each in all_of_them.values()))
    return "| " + " | ".join(map(str, cells)) + " |"


def header(names: list[str]) -> str:
    """The table's two first lines."""
    others = [f"{name}, ms (ratio)" for name in names if name != "bdip"]
    text = HEADER.format(" | ".join(others)) if others else HEADER.replace("| {} ", "")
    return text + "|" + "---|" * (text.count("|") - 1)


def cases(options: argparse.Namespace) -> list[Case]:
    """The sizes and channels asked for; or a row of channels, and columns of sizes."""
    if options.sizes or options.channels:
        pairs = [(s, c) for s in options.sizes or [128] for c in options.channels or [64]]
    else:
        pairs = [(128, 16), (128, 32), (128, 64), (128, 128), (64, 32), (256, 32), (512, 32)]
        pairs += [(64, 64), (256, 64), (64, 128), (256, 128)]
    return [Case(size, channels, **common(options)) for size, channels in sorted(set(pairs))]


def common(options: argparse.Namespace) -> dict[str, Any]:
    """What all cases share."""
    return {name: getattr(options, name) for name in ("scales", "colours", "device", "precision")}


def measure_growth(options: argparse.Namespace) -> dict[str, Any]:
    """Step time with pixels, channels and chains."""
    pixels = growth(
        [Case(size, 32, **common(options)) for size in (64, 96, 128, 192, 256)], options.rounds
    )
    channels = growth(
        [Case(128, count, **common(options)) for count in (16, 32, 64, 128)], options.rounds
    )
    chains = growth(
        [Case(128, 32, chains=count, **common(options)) for count in (1, 2, 4)], options.rounds
    )
    pixels["exponent"] = exponent(pixels, lambda case: case["size"] ** 2)
    channels["exponent"] = exponent(channels, lambda case: case["channels"])
    counts = [case["chains"] for case in chains["cases"]]
    chains["cost a chain"] = [r / n for r, n in zip(chains["ratio"], counts, strict=True)]
    print(f"time ∝ pixels^{pixels['exponent']:.3f}, channels^{channels['exponent']:.3f}")
    for count, cost in zip(counts, chains["cost a chain"], strict=True):
        print(f"{count} chains cost {count} × {cost:.3f} of one")
    return {"pixels": pixels, "channels": channels, "chains": chains}


def plot(rows: list[dict[str, Any]], path: str) -> None:
    """Step time against pixels, a line for each number of channels and contestant."""
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(6, 4.2), layout="constrained")
    styles = {"bdip": "-o", "torch": "--s", "torch.compile": ":^"}
    counts = sorted({row["case"]["channels"] for row in rows})
    for colour, channels in zip(
        pyplot.cm.viridis(np.linspace(0, 0.85, len(counts))), counts, strict=True
    ):
        of_this = sorted(
            (r for r in rows if r["case"]["channels"] == channels), key=lambda r: r["case"]["size"]
        )
        for name in of_this[0]["contestants"]:
            axis.loglog(
                [r["case"]["size"] ** 2 for r in of_this],
                [1e3 * r["contestants"][name]["step"] for r in of_this],
                styles[name], color=colour, markersize=4, label=f"{name}, {channels} channels",
            )  # fmt: skip
    axis.set(xlabel="pixels", ylabel="ms a step")
    axis.legend(fontsize=7)
    axis.grid(alpha=0.3, which="both")
    figure.savefig(path, dpi=130)


def main() -> None:
    """Race all cases, print a table, write results/NAME.json and NAME.png."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", type=int)
    parser.add_argument("--channels", nargs="+", type=int)
    parser.add_argument("--no-growth", action="store_true", help="leave out the growth with sizes")
    parser.add_argument("--scales", type=int, default=5)
    parser.add_argument("--colours", type=int, default=1)
    parser.add_argument("--device", default="cpu", choices=["cpu", "gpu"])
    parser.add_argument("--precision", default="float32", choices=["float32", "tf32", "bfloat16"])
    parser.add_argument(
        "--against", nargs="*", default=["torch"], choices=["torch", "torch.compile"]
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--name", default="speed", help="of the files in results/")
    options = parser.parse_args()
    against = options.against if torch_version() else []
    names = ["bdip", *against]
    rate = matmul_rate(Case(128, 64, **common(options)))
    print(f"matmul {rate / 1e9:.0f} GF/s\n{header(names)}", flush=True)
    rows = []
    for case in cases(options):
        rows.append(race(case, names, options.rounds))
        print(line(rows[-1], rate), flush=True)
    grown = {} if options.no_growth else measure_growth(options)
    path = record.save(options.name, rows, matmul_rate=rate, growth=grown, torch=torch_version())
    plot(rows, str(path.with_suffix(".png")))
    print(f"written to {path}")


def torch_version() -> str | None:
    """PyTorch's version, where it is installed."""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
