"""What the page says in words and tables, as HTML. Every string from elsewhere is escaped here."""

import json
import math
from collections.abc import Iterator
from html import escape
from typing import Any

from bdip._version import __version__
from bdip.diagnostics.verdict import NOTHING, RHAT_LIMIT
from bdip.posterior import Posterior, cut_off

Row = tuple[str, str, str]  # what, found, what would be right

TARGET_MCSE = 0.15  # of files that do not have their own


def what(posterior: Posterior) -> str:
    """The run in one line."""
    settings = posterior.settings
    chains, steps = posterior.trace["chi2"].shape
    law = settings.get("noise", {})
    noise = f"noise std {posterior.noise_std[0]:.4g}{cut_off(law)}"
    if law.get("name") == "Rounding":
        noise = f"rounded to steps of {law['step']:.4g}"
    parts = [
        f"{' × '.join(map(str, posterior.mean.shape))}: {name_of(settings, 'sampler')} on {name_of(settings, 'generator')}",
        f"{chains} chain{'s' * (chains > 1)} of {steps:,} steps, {posterior.warmup:,} of them warm-up",
        f"{100 * settings['observed']:.1f} % of pixels observed, {noise}",
    ]
    return "; ".join(unbroken(part) for part in parts)


def verdict(posterior: Posterior) -> tuple[str, str]:
    """The verdict, and "good" or "doubt", which is how it looks."""
    found = posterior.verdict
    tone = "good" if found[0].startswith(NOTHING) else "doubt"
    sentences = [escape(each[:1].upper() + each[1:] + ".") for each in found]
    if len(sentences) == 1:
        return f"<p>{sentences[0]}</p>", tone
    return f"<ul>{''.join(f'<li>{each}</li>' for each in sentences)}</ul>", tone


def diagnostics(posterior: Posterior) -> str:
    """The rows of the table of diagnostics; those without a number are left out."""
    rows = [row for row in _diagnostics(posterior) if "nan" not in row[1]]
    return "\n".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{unbroken(found)}</td><td>{unbroken(right)}</td></tr>'
        for name, found, right in rows
    )


def _diagnostics(posterior: Posterior) -> Iterator[Row]:
    found = posterior.diagnostics
    error = significant(found["chi2_error"], 1)
    right = "at most 1" if posterior.settings.get("rounded") else "1"
    yield "χ² of the kept draws", f"{found['chi2']:.3f} ± {error}", right
    first, last = found["chi2_block_1"], found["chi2_block_4"]
    yield "χ² in the first and last quarter", f"{first:.3f}, {last:.3f}", "the same"
    rhat = f"{found['rhat_median']:.2f}, {found['rhat_95']:.2f}"
    yield "R-hat, median and 95th percentile", rhat, f"below {RHAT_LIMIT:g}"
    yield "effective draws a pixel", f"{found['ess_median']:.0f}", "many"
    target = posterior.settings.get("target_mcse") or TARGET_MCSE
    ratio = 100 * found["mcse_ratio"]
    yield "Monte Carlo error over std", f"{ratio:.1f} %", f"below {100 * target:g} %"
    if "holdout_pixels" in found:
        cover, doubt = found["holdout_coverage_90"], found["holdout_coverage_90_error"]
        name = f"90 % intervals cover, of {found['holdout_pixels']} held-out pixels"
        yield name, f"{100 * cover:.1f} ± {100 * doubt:.1f} %", "90 %"
        yield "held-out errors over their std", f"{found['holdout_z_std']:.2f}", "1"
    mean, spread = posterior.noise_std
    if spread > 0:
        yield "noise std, sampled", f"{mean:.4g} ± {spread:.2g}", ""


def settings(posterior: Posterior) -> str:
    """The rows of the table of settings."""
    return "\n".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in flat(posterior.settings)
    )


def flat(thing: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Dotted names and values of nested mappings; all other JSON types as JSON writes them."""
    if isinstance(thing, dict) and thing:
        for key, value in thing.items():
            yield from flat(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, thing if isinstance(thing, str) else json.dumps(thing, ensure_ascii=False)


def notes(posterior: Posterior) -> str:
    """What was inferred rather than given."""
    if not posterior.reported:
        return ""
    return f"<ul>{''.join(f'<li>{escape(note)}</li>' for note in posterior.reported)}</ul>"


def legend(posterior: Posterior) -> str:
    """Which side of the line is right where not the line is, and which colours are which chains where there are several."""
    chains = len(posterior.trace["chi2"])
    below = (
        ", or below it, for most of what was rounded was small"
        if posterior.settings.get("rounded")
        else ""
    )
    return below + (f"; the colours are {chains} chains" if chains > 1 else "")


def footer() -> str:
    """Where the page comes from."""
    return f"Made by bdip {escape(__version__)}. The page holds all that it shows and asks nothing of the network."


def unbroken(text: str) -> str:
    """Escaped, with numbers and what belongs to them on one line."""
    for mark in (" %", " ±", " ×", "± ", "× "):
        text = text.replace(mark, mark.replace(" ", "\u00a0"))
    return escape(text)


def in_script(data: Any) -> str:
    """JSON that can stand within a script element: no "<" closes it or opens a comment."""
    text = json.dumps(data, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def significant(value: float, digits: int = 3) -> str:
    """A number of so many digits, never in powers of ten where it can be read without."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}" if decimals <= 6 else f"{value:.{digits}g}"


def name_of(settings: dict[str, Any], of: str) -> str:
    """The class name of the sampler or the generator."""
    described = settings.get(of)
    return str(described.get("name", "")) if isinstance(described, dict) else str(described)
