"""The command line as scripts use it: presets, files of options, JSON, completions."""

import json
import shutil
import subprocess
import sys

import imageio.v3 as imageio
import numpy as np
import pytest

import bdip
from bdip.cli import main
from bdip.cli.arguments import sampling
from bdip.cli.config import read_config
from bdip.cli.parser import parser
from bdip.cli.presets import PRESETS
from bdip.cli.shells import SHELLS, completion_script
from bdip.cli.words import parse

IMAGE = ["photo.png", "-o", "out.png"]
TINY = ["--channels", "2", "--scales", "1", "--steps", "6", "--noise-std", "20"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photo = np.random.default_rng(0).integers(0, 256, (8, 8)).astype(np.uint8)
    imageio.imwrite("photo.png", photo)
    return tmp_path


def options(*words):
    return parse(["restore", *IMAGE, *words])


def written(text, name="some.toml"):
    with open(name, "w", encoding="utf-8") as file:
        file.write(text)
    return ["--config", name]


def refused(capsys, *words):
    """The one line that says why; words that are none leave as argparse does."""
    try:
        code = main(["restore", *words])
    except SystemExit as leaving:
        code = leaving.code
    (line,) = capsys.readouterr().err.splitlines()
    assert code == 2
    return line


# ---------------------------------------------------------------------------------- presets


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_sets_its_options_and_those_typed_replace_them(name):
    chosen, preset = options("--preset", name), PRESETS[name]
    assert {option: getattr(chosen, option) for option in preset} == preset
    assert options("--preset", name, "--steps", "7").steps == 7
    assert options("--channels", "5", "--preset", name).channels == 5


def test_a_large_hole_is_filled_without_skips_on_the_command_line_as_in_python(folder):
    assert main(["restore", *IMAGE, "--preset", "large-hole", "--quiet", *TINY]) == 0
    record = json.loads((folder / "out-run.json").read_text(encoding="utf-8"))
    assert record["settings"]["generator"]["channels_skip"] == 0
    assert options("--preset", "large-hole", "--skips", "16").skips == 16


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], None),
        (["--generator", "hourglass"], "hourglass"),
        (["--channels", "3"], bdip.Pyramid(channels=3)),
        (["--scales", "2", "--skips", "0"], bdip.Hourglass(scales=2, channels_skip=0)),
        (["--channels", "3", "--sampler", "adam"], bdip.Hourglass(channels_down=3, channels_up=3)),
        (
            ["--channels", "3", "--sampler", "adam", "--generator", "pyramid"],
            bdip.Pyramid(channels=3),
        ),
    ],
)
def test_a_size_is_that_of_the_generator_named_or_of_the_samplers_own(words, expected):
    assert sampling(options(*words))["generator"] == expected


def test_a_comparison_of_a_size_with_a_descent_is_one_of_hourglasses():
    chosen = parse(["compare", "photo.png", "--samplers", "adam+jitter", "mclmc", "--scales", "2"])
    assert sampling(chosen)["generator"] == bdip.Hourglass(scales=2)


def test_the_standard_preset_is_no_preset():
    given, chosen = vars(options()), vars(options("--preset", "standard"))
    told = {"preset", "arguments", "words"}
    assert {k: v for k, v in chosen.items() if k not in told} == {
        k: v for k, v in given.items() if k not in told
    }


def test_presets_are_for_batches_and_comparisons_too():
    assert parse(["batch", "photo.png", "-o", "out", "--preset", "fast"]).steps == 1000
    assert parse(["compare", "photo.png", "--preset", "paper"]).channels == 128


def test_a_preset_of_another_generator_or_of_no_name_is_refused(folder, capsys):
    for name in ("paper", "large-hole"):
        line = refused(capsys, *IMAGE, "--preset", name, "--generator", "unet")
        assert f"--preset {name} is of hourglass, but --generator is unet" in line
    assert options("--preset", "fast", "--generator", "unet").generator == "unet"
    assert "'fast', 'standard', 'paper', 'large-hole'" in refused(
        capsys, *IMAGE, "--preset", "quick"
    )


# ------------------------------------------------------------------------- files of options


def test_a_config_gives_options_by_their_long_names_with_either_dash(folder):
    file = written(
        'noise-std = 12.5\ndata_range = [-1e-5, 255]\nsampler = "psgld"\nquiet = true\nchains = 2\n'
        "time-limit = 1e30\nestimate = false"
    )
    chosen = options(*file)
    assert (chosen.noise_std, chosen.data_range) == (12.5, [-1e-5, 255])
    assert (chosen.sampler, chosen.chains, chosen.time_limit) == ("psgld", 2, 1e30)
    assert chosen.quiet
    assert not chosen.estimate


def test_json_says_what_toml_says_and_may_name_the_image(folder):
    file = written(
        '{"image": "photo.png", "output": "out.png", "noise_std": "sample"}', "some.json"
    )
    chosen = parse(["restore", *file])
    assert (chosen.image, chosen.output, chosen.noise_std) == ("photo.png", "out.png", "sample")
    assert parse(["restore", "other.png", *file]).image == "other.png"


def test_what_is_typed_counts_for_more_than_a_preset_and_that_for_more_than_a_file(folder):
    file = written('preset = "paper"\nsteps = 5\nscales = 2')
    alone, beside = options(*file), options(*file, "--preset", "fast", "--channels", "9")
    # Of the file's own preset, 128 channels and 5 scales, the file replaces the scales.
    assert (alone.channels, alone.scales, alone.steps) == (128, 2, 5)
    assert (beside.channels, beside.scales, beside.steps) == (9, None, 1000)


def test_the_words_of_a_checkpoint_do_without_the_file(folder):
    file = written('preset = "fast"\nimage = "photo.png"\nknown = "k.png"\nseed = 3')
    chosen = vars(parse(["restore", "-o", "out.png", *file, "--steps", "9"]))
    (folder / "some.toml").unlink()
    again = vars(parser().parse_args(chosen["words"]))
    assert again == {name: chosen[name] for name in again}
    assert (again["image"], again["seed"], again["steps"]) == ("photo.png", 3, 9)


def test_an_option_of_many_values_does_not_swallow_the_image(folder):
    file = written('samplers = ["sgd", "psgld"]')
    chosen = parse(["compare", *IMAGE, *file])
    assert (chosen.image, chosen.samplers) == ("photo.png", ["sgd", "psgld"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("noise-sd = 3", "noise-sd is no option of 'bdip restore': did you mean noise-std?"),
        ("xyz = 3", "xyz is no option of 'bdip restore': see 'bdip restore --help'."),
        ("data-range = 1", "data-range is 1: expected 2 values"),
        ("config = 'other.toml'", "config is no option"),
        ("chains = 'two'", "argument --chains: invalid int value: 'two'"),
        ("chains = [2, 3]", "chains is [2, 3]: expected one value"),
        ("chains = true", "chains is true: expected one value"),
        ("quiet = 1", "quiet is 1: expected true or false"),
        ("data-range = [1]", "data-range is [1]: expected 2 values"),
        ("[restore]\nchains = 2", "restore is no option"),
        ("chains: 2", "some.toml is no TOML"),
        ("[page]\nchains = 2", 'page is {"chains": 2}: expected numbers or texts'),
    ],
)
def test_what_is_no_config_gets_one_line(folder, capsys, text, expected):
    assert expected in refused(capsys, *IMAGE, *written(text))


def test_a_config_that_cannot_be_read_gets_one_line(folder, capsys):
    assert "absent.toml does not exist" in refused(capsys, *IMAGE, "--config", "absent.toml")
    assert "photo.png is no text" in refused(capsys, *IMAGE, "--config", "photo.png")
    assert "no JSON" in refused(capsys, *IMAGE, *written("{", "some.json"))
    assert "holds no names" in refused(capsys, *IMAGE, *written("[1]", "some.json"))


def test_without_an_image_the_command_says_so(folder, capsys):
    assert "IN is missing: see 'bdip restore --help'" in refused(capsys, "-o", "out.png")


# ----------------------------------------------------------- the record, as JSON and as config


def test_the_record_is_printed_as_json_and_repeats_the_run_bit_for_bit(folder, capsys):
    assert main(["restore", *IMAGE, "--seed", "3", "--json", *TINY]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((folder / "out-run.json").read_text(encoding="utf-8"))
    assert printed["seed"] == 3
    assert main(["restore", "--config", "out-run.json", "-o", "again.png", "--quiet"]) == 0
    seen = capsys.readouterr()
    assert (seen.out, seen.err) == ("", "")
    for end in (".png", "-std.tif"):
        assert (folder / f"out{end}").read_bytes() == (folder / f"again{end}").read_bytes()
    again = json.loads((folder / "again-run.json").read_text(encoding="utf-8"))
    assert again["settings"] == printed["settings"]

    # Of another photograph the same command makes another picture, and says why.
    imageio.imwrite("photo.png", np.arange(64, dtype=np.uint8).reshape(8, 8))
    assert main(["restore", "--config", "out-run.json", "-o", "late.png", "--quiet"]) == 0
    assert "photo.png is not what it was when out-run.json was written" in capsys.readouterr().err
    assert (folder / "out-std.tif").read_bytes() != (folder / "late-std.tif").read_bytes()


RECORD = {
    "options": {"command": "restore", "image": "photo.png", "chains": 2, "page": None,
                "preset": "fast", "overwrite": True, "checkpoint": "c", "quiet": True},
    "inputs": {},
}  # fmt: skip


def test_a_record_gives_what_made_the_answer_and_no_leave_to_overwrite(folder, capsys):
    file = written(json.dumps(RECORD), "a-run.json")
    assert read_config("a-run.json", "restore") == {"image": "photo.png", "chains": 2}
    assert main(["compare", "photo.png", *file]) == 2
    assert "a-run.json is a record of 'bdip restore'" in capsys.readouterr().err


# ------------------------------------------------------------------------------------- JSON


def test_a_shortened_json_is_json_for_errors_too(folder, capsys):
    assert main(["restore", "absent.png", "-o", "out.png", "--js"]) == 2
    assert "absent.png" in json.loads(capsys.readouterr().out)["error"]


def test_a_limit_without_an_end_is_in_the_record_and_given_back(folder):
    assert main(["restore", *IMAGE, "--quiet", "--memory-limit", "inf", *TINY]) == 0
    again = parse(["restore", "--config", "out-run.json", "-o", "again.png"])
    assert again.memory_limit == float("inf")


@pytest.mark.parametrize(
    ("words", "kind", "expected"),
    [
        (["absent.png", "-o", "out.png"], "ImageError", "absent.png"),
        ([*IMAGE, "--noise-std", "0"], "ProblemError", "noise_std is 0"),
        ([*IMAGE, "--preset", "quick"], "WordsError", "quick"),
        (["-o", "out.png"], "WordsError", "IN is missing"),
    ],
)
def test_errors_are_one_object_on_standard_output_too(folder, capsys, words, kind, expected):
    try:
        code = main(["restore", *words, "--json"])
    except SystemExit as leaving:
        code = leaving.code
    seen = capsys.readouterr()
    found = json.loads(seen.out)
    assert found.keys() == {"error", "kind", "exit_code"}
    assert found["exit_code"] == code == 2
    assert found["kind"] == kind
    assert expected in found["error"]
    assert found["error"] in seen.err


def test_estimates_and_what_is_there_are_objects_too(folder, capsys):
    assert main(["restore", *IMAGE, "--estimate", "--json", *TINY]) == 0
    estimate = json.loads(capsys.readouterr().out)
    assert estimate["fits"] is True
    assert estimate["steps"] == 6
    assert main(["info", "--json"]) == 0
    assert "mclmc" in json.loads(capsys.readouterr().out)["samplers"]


@pytest.mark.slow
def test_batches_and_comparisons_are_objects_too(folder, capsys):
    assert main(["batch", "photo.png", "-o", "many", "--json", *TINY]) == 0
    batch = json.loads(capsys.readouterr().out)
    assert [row["status"] for row in batch["rows"]] == ["done"]
    words = ["compare", "photo.png", "--add-noise", "20", "--samplers", "adam", *TINY]
    assert main([*words, "--json"]) == 0
    comparison = json.loads(capsys.readouterr().out)
    assert comparison["samplers"]["adam"]["curve"]["step"] == [6]


# ------------------------------------------------------------------------------ completions


def test_every_shell_gets_a_script_and_another_is_refused(capsys):
    for shell in SHELLS:
        assert main(["completion", shell]) == 0
        assert "restore" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        main(["completion", "csh"])
    assert "'bash', 'zsh', 'fish'" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_commands_options_names_and_files(folder):
    script = completion_script(parser(), "bash")
    tries = {
        "bdip resto": "restore", "bdip restore --pres": "--preset", "bdip restore --sampler psg": "psgld",
        "bdip restore --preset pa": "paper", "bdip restore pho": "photo.png", "bdip completion z": "zsh",
    }  # fmt: skip
    lines = [script]
    for typed in tries:
        lines += [f"COMP_WORDS=({typed}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))",
                  "COMPREPLY=(); _shtab_bdip; echo ${COMPREPLY[*]}"]  # fmt: skip
    found = subprocess.run(["bash", "-c", "\n".join(lines)], capture_output=True, text=True)
    assert found.stdout.split() == list(tries.values())


def test_without_shtab_the_command_says_how_to_get_it(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert capsys.readouterr().err == (
        "bdip: bdip completion needs shtab, which is not installed: pip install 'bdip[completion]'.\n"
    )


def test_the_help_tells_the_exit_codes_and_what_presets_cost(capsys):
    for words, expected in (
        (["--help"], "130 interrupted"),
        (["restore", "--help"], "10 ms, one of paper 120"),
    ):
        with pytest.raises(SystemExit, match="0"):
            main(words)
        assert expected in capsys.readouterr().out
