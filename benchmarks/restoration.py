"""How good are the pictures? bdip beside descent stopped by an oracle, the published heuristic, and classical methods.

    python -m benchmarks.restoration --protocol quick                          # minutes
    python -m benchmarks.restoration --tasks denoise-25 --seeds 0 1 2          # the `cpu` protocol, 128 × 128 pixels
    python -m benchmarks.restoration --protocol crops                          # 128 × 128 pixels cut out of each, not averaged
    python -m benchmarks.restoration --protocol long                           # as `cpu`, with three times the steps
    python -m benchmarks.restoration --protocol full                           # the papers' sizes, for a GPU
    python -m benchmarks.restoration --methods --sheets build/sheets           # tables and pictures of what is there

Tasks are those of `degrading.py`; noise, masks and weights are new for each seed. No setting of ours looks at the truth: `bdip-4-chains` runs with the
defaults until it ends by itself, and `bdip`, on request, in one chain for as many steps. "dip (oracle)" is the Deep Image Prior's recipe (Adam, 0.01, jitter 1/30), of whose outputs and averages the
best one *with the truth at hand* is taken; "dip" is the last average. Rows are kept in `results/NAME.json`, a run adds those that are not there;
two runs at once need two names, and `--merge` joins them.
"""

import argparse
from collections.abc import Callable, Iterable
from functools import cache
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import bdip
from bdip.compare import follow
from bdip.diagnostics import coverage, psnr
from bdip.plot import plot_rows
from benchmarks import images, record
from benchmarks.degrading import TASKS, Degraded
from benchmarks.generators import sized
from benchmarks.scoring import luminance, ssim

Image = NDArray[Any]
Restored = dict[str, tuple[Image, dict[str, Any]]]  # images by method, each with what it tells


class Protocol(NamedTuple):
    """Pixels a side (None: the whole picture), scales, channels of the hourglass, pictures of a group, steps of what cannot end by itself, and the others' most.

    `cut`: the middle is cut out of the picture, which otherwise is averaged to so many pixels.
    """

    pixels: int | None
    scales: int
    channels: int
    pictures: int | None
    steps: int
    most: int
    cut: bool = False

    def clean(self, picture: str, pixels: int | None) -> Image:
        """The picture in the size of the protocol, or in another."""
        if self.cut and pixels is not None:
            return images.middle(images.load(picture), pixels)
        return images.reduced(picture, pixels)


PROTOCOLS = {
    "quick": Protocol(48, 3, 16, 2, 600, 1500),
    "cpu": Protocol(128, 4, 48, None, 3000, 20_000),
    "crops": Protocol(128, 4, 48, None, 3000, 20_000, cut=True),
    # As `cpu`: what `bdip.sample` does by itself, and as many steps as the descent's paper has for half-missing pictures.
    "long": Protocol(128, 4, 48, None, 11_000, 60_000),
    "full": Protocol(None, 5, 128, None, 3000, 20_000),
}
CHAINS, ONE = "bdip-4-chains", "bdip"
METHODS = ("classical", "dip", "gp-dip", CHAINS)
# On request: one chain, of the same network, and of the descent's without skip connections.
NO_SKIPS = "bdip-no-skips"
ORACLE = "dip (oracle)"
SKIPS = 4  # channels of the hourglass, the network of the others' papers
SCORES = {"psnr": "", "psnr_filled": ", data put back"}
SAME = 1e-3  # dB, by which pictures kept in single precision may differ
BLOCK = 25  # steps between two of the outputs among which the oracle chooses
KEY = ("protocol", "pixels", "task", "picture", "seed", "run")


def measure(
    protocol: str, pixels: int | None, task: str, picture: str, seed: int, run: str
) -> list[dict[str, Any]]:
    """The rows of one run: one of a method of ours, one of each classical method."""
    clean = PROTOCOLS[protocol].clean(picture, pixels)
    degraded = TASKS[task].degrade(clean, seed)
    key = {"protocol": protocol, "pixels": pixels, "task": task, "picture": picture, "seed": seed}
    key |= {"run": run, "commit": record.surroundings()["commit"]}
    if run == "classical":
        found: Restored = {name: (image, {}) for name, image in degraded.peers.items()}
    else:
        found = restored(run, clean, degraded, PROTOCOLS[protocol], seed)
    judge = judged_by(task)
    rows = []
    for method, (image, told) in found.items():
        scores = {
            "psnr": psnr(judge(clean), judge(image)),
            "ssim": ssim(judge(clean), judge(image)),
        }
        if degraded.noiseless:
            filled = told.pop("filled") if "filled" in told else degraded.put_back(image)
            scores["psnr_filled"] = psnr(judge(clean), judge(filled))
        rows.append({**key, "method": method, **scores, **told})
        keep(image, key, method)
    return rows


def judged_by(task: str) -> Callable[[Image], Image]:
    """What of a picture the scores of a task are of: its luminance, or all of it."""
    return luminance if TASKS[task].luminance else np.asarray


def restored(run: str, clean: Image, degraded: Degraded, protocol: Protocol, seed: int) -> Restored:
    """The images of a method of ours by name, each with what it tells."""
    ours = run in (ONE, NO_SKIPS, CHAINS)
    fixed = {} if ours else {"steps": protocol.steps}
    scales = protocol.scales
    hourglass = sized(scales, protocol.channels, 0 if ours else SKIPS)
    generator = sized(scales) if run in (ONE, CHAINS) else hourglass
    data, operator = degraded.data, degraded.operator
    noise: dict[str, Any] = {"noise_std": degraded.noise_std}
    if ours and degraded.coded is not None:
        data, operator = degraded.coded
        noise = {}  # which the operator says
    elif ours and degraded.law is not None:
        noise = {"noise": degraded.law}
    started = perf_counter()
    posterior, curve, best = followed(
        data, degraded.mask, clean, operator=operator, **noise,
        sampler="mclmc" if ours else {"dip": "adam+jitter+average"}.get(run, run), seed=seed,
        generator=generator, chains=4 if run == CHAINS else 1,
        **(fixed or {"max_steps": protocol.most}),
    )  # fmt: skip
    told = {
        "seconds": perf_counter() - started, "steps": int(curve["step"][-1]),
        "chi2": float(curve["chi2"][-1]), "settings": posterior.settings,
    }  # fmt: skip
    if run == "dip":
        step, image = best
        return {"dip": (posterior.mean, told), ORACLE: (image, {**told, "steps": step})}
    draws = posterior.draws.reshape(-1, *clean.shape)
    told |= {
        **posterior.diagnostics, "stopped": posterior.settings.get("stopped"),
        "draw": float(np.mean([psnr(clean, draw) for draw in draws])),
        "coverage": coverage(clean, posterior.mean, posterior.std),
        "std": float(np.sqrt(np.mean(posterior.std**2))),
    }  # fmt: skip
    if degraded.noiseless and (ours or degraded.coded is None):  # else it was given decoded pixels
        image, std = posterior.filled(operator)
        unseen = ... if degraded.mask is None else ~degraded.mask
        told |= {
            "filled": image, "coverage_filled": coverage(clean[unseen], image[unseen], std[unseen]),
        }  # fmt: skip
    return {run: (posterior.mean, told)}


def followed(
    data: Image, mask: Image | None, clean: Image, **options: Any
) -> tuple[bdip.Posterior, dict[str, Any], tuple[int, Image]]:
    """The posterior, its curve, and the step and image of the best that an oracle could have stopped at."""
    best: dict[str, Any] = {"psnr": -np.inf, "looks": 0}

    def look(truth: Image, image: Image) -> float:
        best["looks"] += 1
        score = psnr(truth, image)
        if score > best["psnr"]:
            best.update(psnr=score, image=image.reshape(clean.shape), look=best["looks"])
        return score

    posterior, curve = follow(
        data, mask, clean=clean, scores={"oracle": look}, block=BLOCK, data_range=(0, 1),
        channel_axis=-1 if data.ndim == 3 else None, progress=False, **options,
    )  # fmt: skip
    step = int(curve["step"][(best["look"] - 1) % len(curve["step"])])
    return posterior, curve, (step, best["image"])


def keep(image: Image, key: dict[str, Any], method: str) -> None:
    """Write the image for the sheets, outside the repository's files."""
    path = kept_at(key, method)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, image.astype(np.float32))


def kept_at(key: dict[str, Any], method: str) -> Path:
    """Where the image of a method is written."""
    name = "-".join(str(key[part]).replace("/", "_") for part in KEY[:5])
    return record.RESULTS.parents[1] / "build" / "restoration" / f"{name}-{method}.npy"


def put_back(rows: list[dict[str, Any]], tasks: list[str]) -> list[dict[str, Any]]:
    """The rows, those of these tasks with the score of their pictures with the data put back, where it is missing and they are kept."""

    @cache
    def degraded(
        task: str, protocol: str, pixels: int, picture: str, seed: int
    ) -> tuple[Image, Degraded]:
        clean = PROTOCOLS[protocol].clean(picture, pixels)
        return clean, TASKS[task].degrade(clean, seed)

    found = []
    for row in rows:
        protocol, pixels, task, picture, seed = (row[part] for part in KEY[:5])
        path = kept_at(row, row["method"])
        if task in tasks and "psnr_filled" not in row and path.exists():
            clean, data = degraded(task, protocol, pixels, picture, seed)
            judge = judged_by(task)
            image = np.load(path)
            same = abs(psnr(judge(clean), judge(image)) - row["psnr"]) < SAME  # else of another run
            if data.noiseless and same:
                score = psnr(judge(clean), judge(data.put_back(image)))
                row = row | {"psnr_filled": score}
        found.append(row)
    return found


def table(rows: list[dict[str, Any]]) -> str:
    """Means over pictures and seeds with standard errors, of each protocol, task and method."""
    lines = [
        "| protocol | task | method | pictures | runs | PSNR, dB | SSIM | gain over BM3D or the best peer, dB | filled, dB "
        "| mean − draw | χ² | 90 % coverage | filled | s |",
        "|" + "---|" * 14,
    ]
    for group in sorted({(r["protocol"], r["pixels"] or 0, r["task"]) for r in rows}):
        some = [r for r in rows if (r["protocol"], r["pixels"] or 0, r["task"]) == group]
        for method in dict.fromkeys(r["method"] for r in some):
            lines.append(line(f"{group[0]} {group[1] or ''}".strip(), group[2], method, some))
    return "\n".join(lines)


def line(protocol: str, task: str, method: str, rows: list[dict[str, Any]]) -> str:
    """A line of the table."""
    own = [row for row in rows if row["method"] == method]
    cells = [protocol, task, method, str(len({row["picture"] for row in own})), str(len(own))]
    cells += [averaged(row["psnr"] for row in own), f"{np.mean([row['ssim'] for row in own]):.3f}"]
    peer = rival(rows)
    found = gains(rows, method, peer)
    cells.append("–" if method == peer or not found else f"{averaged(found, '+')} ({peer})")
    kept = [row["psnr_filled"] for row in own if "psnr_filled" in row]
    cells.append(averaged(kept) if kept else "–")
    gaps = [row["psnr"] - row["draw"] for row in own if "draw" in row]
    cells.append(f"{np.mean(gaps):.2f}" if gaps else "–")
    for name, digits in (("chi2", 3), ("coverage", 3), ("coverage_filled", 3), ("seconds", 0)):
        values = [row[name] for row in own if name in row]
        cells.append(f"{np.mean(values):.{digits}f}" if values else "–")
    return "| " + " | ".join(cells) + " |"


def averaged(values: Iterable[float], sign: str = "") -> str:
    """Their mean with its standard error, over runs as they are, in words; of one run, without."""
    runs = list(values)
    mean = f"{np.mean(runs):{sign}.2f}"
    return mean if len(runs) == 1 else f"{mean} ± {np.std(runs, ddof=1) / len(runs) ** 0.5:.2f}"


def rival(rows: list[dict[str, Any]]) -> str:
    """BM3D, or else the classical method that is best on average."""
    peers = {row["method"] for row in rows if row["run"] == "classical"}
    if "BM3D" in peers or not peers:
        return "BM3D"
    return max(peers, key=lambda p: np.mean([row["psnr"] for row in rows if row["method"] == p]))


def gains(rows: list[dict[str, Any]], method: str, other: str, score: str = "psnr") -> list[float]:
    """A score of a method less that of another on the same picture and seed, where both have it."""
    scores = {(r["method"], r["picture"], r["seed"]): r[score] for r in rows if score in r}
    return [
        value - scores[other, picture, seed]
        for (name, picture, seed), value in scores.items()
        if name == method and (other, picture, seed) in scores
    ]


def by_task(rows: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The rows of each task, protocol and size, with a name for them."""
    groups = sorted({(row["task"], row["protocol"], row["pixels"] or 0) for row in rows})
    return [
        (
            f"{group[0]}, {group[1]} {group[2] or 'whole'}",
            [r for r in rows if (r["task"], r["protocol"], r["pixels"] or 0) == group],
        )
        for group in groups
    ]  # fmt: skip


def margins(rows: list[dict[str, Any]]) -> str:
    """Of each task: our mean, in four chains and in one, less each other method's, with the least and the greatest of the runs.

    Where there is no noise on the data also of all images with these put back, by `Posterior.filled`.
    """
    lines = [
        "| task | mean, dB, of | less that of | mean | least | most |",
        "|---|---|---|---|---|---|",
    ]
    for name, some in by_task(rows):
        methods = dict.fromkeys(r["method"] for r in some)
        for (score, words), ours, other in product(SCORES.items(), (CHAINS, ONE), methods):
            if other not in (ours, CHAINS) and (found := gains(some, ours, other, score)):
                cells = f"{averaged(found, '+')} | {min(found):+.2f} | {max(found):+.2f}"
                lines.append(f"| {name}{words} | {ours} | {other} | {cells} |")
    return "\n".join(lines)


def duels(rows: list[dict[str, Any]]) -> str:
    """Of each task and picture: our mean against the oracle's choice, means over the seeds."""
    lines = [
        f"| task | picture | {CHAINS}, dB | {ONE}, dB | {ORACLE}, dB | BM3D or the best peer, dB |",
        "|---|---|---|---|---|---|",
    ]
    for name, some in by_task(rows):
        for picture in sorted({row["picture"] for row in some}):
            found = [
                np.mean(
                    [r["psnr"] for r in some if (r["picture"], r["method"]) == (picture, m)]
                    or [np.nan]
                )
                for m in (CHAINS, ONE, ORACLE, rival(some))
            ]
            cells = " | ".join("–" if np.isnan(v) else f"{v:.2f}" for v in found)
            lines.append(f"| {name} | {picture} | {cells} |")
    return "\n".join(lines)


def sheets(rows: list[dict[str, Any]], folder: Path) -> None:
    """A PNG a task: truth, data, the best peer, the oracle's choice, the posterior mean; of the first seed."""
    folder.mkdir(parents=True, exist_ok=True)
    for protocol, pixels, task in sorted(
        {(r["protocol"], r["pixels"], r["task"]) for r in rows}, key=str
    ):
        some = [
            r for r in rows if (r["protocol"], r["pixels"], r["task"]) == (protocol, pixels, task)
        ]
        seed, lines, judge = min(r["seed"] for r in some), [], judged_by(task)
        for picture in sorted({row["picture"] for row in some}):
            clean = PROTOCOLS[protocol].clean(picture, pixels)
            data = TASKS[task].degrade(clean, seed).data
            shown = [("truth", clean), (task, data)]
            for method in (rival(some), ORACLE, ONE, CHAINS):
                key = (protocol, pixels, task, picture, seed)
                path = kept_at(dict(zip(KEY, key, strict=False)), method)
                if path.exists():
                    image = np.load(path)
                    shown.append((f"{method} {psnr(judge(clean), judge(image)):.2f} dB", image))
            lines.append([(name, np.clip(image, 0, 1)) for name, image in shown])
        plot_rows(lines[:6], 1).savefig(folder / f"{protocol}-{pixels}-{task}.png", dpi=80)


def main() -> None:
    """Run what is asked for and not there yet, write each row, print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--protocol", default="cpu", choices=list(PROTOCOLS))
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--pictures", nargs="+", help="those whose names end so [all of the task]")
    parser.add_argument(
        "--methods", nargs="*", default=list(METHODS), choices=(*METHODS, ONE, NO_SKIPS)
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--pixels", type=int, help="a side [the protocol's]")
    parser.add_argument("--name", default="restoration", help="of the file in results/")
    parser.add_argument("--merge", nargs="+", metavar="NAME", help="join these files first")
    parser.add_argument(
        "--put-back", action="store_true", help="score kept pictures with the data put back, too"
    )
    parser.add_argument("--sheets", type=Path, metavar="DIR", help="write sheets of pictures there")
    options = parser.parse_args()
    record.merge(options.name, options.merge or (), (*KEY, "method"))
    pixels = options.pixels or PROTOCOLS[options.protocol].pixels
    for seed, task in product(options.seeds, options.tasks):
        for picture, run in product(chosen(task, options), options.methods):
            key = (options.protocol, pixels, task, picture, seed, run)
            if key not in record.keys(record.kept(options.name), KEY):
                rows = measure(*key)
                record.save(options.name, [*record.kept(options.name), *rows])
                for row in rows:
                    print(task, picture, seed, row["method"], f"{row['psnr']:.2f} dB", flush=True)
    rows = record.kept(options.name)
    if options.put_back:
        rows = put_back(rows, options.tasks)
        record.save(options.name, rows)
    print(f"{table(rows)}\n\n{margins(rows)}\n\n{duels(rows)}")
    if options.sheets:
        sheets(rows, options.sheets)


def chosen(task: str, options: argparse.Namespace) -> list[str]:
    """The pictures of a task that are asked for."""
    names = [
        name for group in TASKS[task].groups
        for name in images.names(group)[: PROTOCOLS[options.protocol].pictures]
    ]  # fmt: skip
    return [n for n in names if not options.pictures or n.endswith(tuple(options.pictures))]


if __name__ == "__main__":
    main()
