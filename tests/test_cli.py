"""The command line, as a user meets it: files in, files out, and one line for whatever is wrong."""

import imageio.v3 as imageio
import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

import bdip
from bdip import memory, networks
from bdip.cli import main
from bdip.posterior import Posterior
from tests.answers import answer
from tests.fakes import Pixels

# The network and sampler taken unasked.
USUAL = ["--channels", "4", "--scales", "2", "--steps", "12", "--quiet"]
PIXELS = ["--generator", "pixels", "--steps", "12", "--quiet"]  # `folder` gives it its name
TINY = ["--sampler", "sgld", *PIXELS]  # which compiles in a fifth of the time


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(networks.REGISTRY, "pixels", Pixels)
    rng = np.random.default_rng(0)
    photo = np.clip(rng.normal(128, 40, (16, 16)), 0, 255).astype(np.uint8)
    imageio.imwrite("photo.png", photo)
    imageio.imwrite("known.png", (rng.random((16, 16)) < 0.5).astype(np.uint8) * np.uint8(255))
    imageio.imwrite("small.png", np.full((15, 16), 255, np.uint8))
    imageio.imwrite("black.png", np.zeros((16, 16), np.uint8))
    np.save("nan.npy", np.full((16, 16), np.nan, np.float32))
    np.save("infinite.npy", np.full((16, 16), np.inf, np.float32))
    return tmp_path


def test_restore_writes_the_image_its_uncertainty_and_the_posterior(folder):
    assert main(["restore", "photo.png", "-o", "out.png", "--known", "known.png", "--save", "p.npz",
                 "--noise-std", "20", *USUAL]) == 0  # fmt: skip
    restored, std = imageio.imread("out.png"), imageio.imread("out-std.tif")
    posterior = Posterior.load("p.npz")
    assert restored.shape == (16, 16)
    assert restored.dtype == np.uint8
    assert np.array_equal(restored, np.rint(np.clip(posterior.mean, 0, 255)))
    assert std.dtype == np.float32
    assert np.array_equal(std, posterior.std)
    assert posterior.settings["noise_std"] == pytest.approx(20)
    assert posterior.settings["sampler"]["name"] == "Mclmc"
    assert posterior.settings["generator"]["name"] == "Pyramid"


@pytest.mark.parametrize("more", [[], ["--tile", "12"], ["--holdout", "0.25"]])
def test_known_pixels_are_kept_on_request(folder, more):
    photo, known = imageio.imread("photo.png"), imageio.imread("known.png") > 0
    assert main(["restore", "photo.png", "-o", "out.png", "--known", "known.png", "--keep-known", "--save", "p.npz",
                 "--noise-std", "20", *more, *TINY]) == 0  # fmt: skip
    restored, std, posterior = imageio.imread("out.png"), imageio.imread("out-std.tif"), Posterior.load("p.npz")  # fmt: skip
    assert np.array_equal(restored[known], photo[known])
    assert np.array_equal(restored[~known], np.rint(np.clip(posterior.mean, 0, 255))[~known])
    assert np.array_equal(std, posterior.filled()[1])
    assert np.array_equal(std == 0, known)
    assert (std > posterior.std)[~known].all()
    assert np.array_equal(np.isnan(posterior.input), ~known)
    assert np.array_equal(posterior.filled()[0], np.where(known, photo, posterior.mean))


def test_the_enlarged_picture_of_known_pixels_gives_them_when_made_small_again(folder):
    assert main(["restore", "photo.png", "-o", "out.tif", "--downsample", "2", "--keep-known", "--save", "p.npz", *TINY]) == 0  # fmt: skip
    photo, posterior = imageio.imread("photo.png"), Posterior.load("p.npz")
    expected, std = posterior.filled(bdip.Downsample(2))
    assert np.array_equal(imageio.imread("out-std.tif"), std)
    assert np.array_equal(imageio.imread("out.tif"), np.rint(np.clip(expected, 0, 255)))
    left = expected.reshape(16, 2, 16, 2).mean(axis=(1, 3)) - photo
    assert np.sqrt(np.mean(left**2)) < 1 / np.sqrt(12)  # the rounding to 256 levels


def test_kept_pixels_of_floats_are_the_same_to_the_last_digit(folder):
    values = np.random.default_rng(0).lognormal(0, 3, (16, 16)).astype(np.float32)
    values[4:8, 4:8] = np.nan
    imageio.imwrite("floats.tif", values)
    assert main(["restore", "floats.tif", "-o", "out.tif", "--keep-known", *TINY]) == 0
    restored = imageio.imread("out.tif")
    assert np.isfinite(restored).all()
    assert np.array_equal(restored[~np.isnan(values)], values[~np.isnan(values)])


def test_restore_checks_the_answer_on_pixels_held_out(folder, capsys):
    assert main(["restore", "photo.png", "-o", "out.png", "--holdout", "0.25", *TINY[:-1]]) == 0
    assert "held out  64 pixels: 90 % intervals cover" in capsys.readouterr().out


def test_the_noise_may_be_sampled_or_of_photons_or_rounding(folder):
    for name, words in {
        "a": ["--noise-std", "sample"], "b": ["--gain", "2", "--read-noise", "3"], "c": ["--rounding", "17"],
        "d": ["--noise-std", "9", "--clipped", "0", "255"], "e": ["--gain", "2", "--clipped", "-1", "200"],
    }.items():  # fmt: skip
        output = ["-o", f"{name}.png", "--save", f"{name}.npz"]
        assert main(["restore", "photo.png", *output, *words, *TINY]) == 0
    assert Posterior.load("a.npz").trace["noise_std"].shape == (1, 12)
    photons = Posterior.load("b.npz").settings["noise"]
    assert (photons["gain"], photons["read_noise"], photons["offset"]) == (2, 3, 0)
    assert Posterior.load("c.npz").settings["noise"] == {"name": "Rounding", "step": 17}
    clipped = {"name": "Gaussian", "std": 9, "clipped": [0, 255]}
    assert Posterior.load("d.npz").settings["noise"] == clipped
    saturated = Posterior.load("e.npz").settings["noise"]
    assert (saturated["gain"], saturated["clipped"]) == (2, [-1, 200])


def test_transparency_and_metadata_survive_a_restoration(folder):
    photo = np.dstack([imageio.imread("photo.png"), np.arange(256).reshape(16, 16)])
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 3, "maker"
    Image.fromarray(photo.astype(np.uint8)).save("alpha.png", icc_profile=bytes(200), exif=exif)
    assert main(["restore", "alpha.png", "-o", "out.png", *TINY]) == 0
    with Image.open("out.png") as picture:
        assert picture.mode == "LA"
        assert np.array_equal(np.asarray(picture)[..., 1], np.rot90(photo[..., 1], 2))
        assert picture.info["icc_profile"] == bytes(200)
        assert (picture.getexif()[0x0112], picture.getexif()[0x010F]) == (1, "maker")


def test_transparency_that_the_output_cannot_hold_is_refused_before_any_work(folder, capsys):
    Image.new("LA", (16, 16)).save("alpha.png")
    assert main(["restore", "alpha.png", "-o", "out.jpg", "--quiet"]) == 2
    assert "cannot hold the input's transparency" in capsys.readouterr().err


def test_a_page_is_chosen_and_notes_are_told(folder, capsys):
    pages = [
        Image.fromarray(page) for page in (imageio.imread("photo.png"), imageio.imread("known.png"))
    ]
    pages[0].save("pages.tif", save_all=True, append_images=pages[1:])
    assert main(["restore", "pages.tif", "-o", "out.tif", "--quiet"]) == 2
    assert "2 pages: choose one from 0 to 1 with page=N (--page N)" in capsys.readouterr().err
    wide = np.arange(256, dtype=np.int32).reshape(16, 16) + 2**24
    fits.PrimaryHDU(wide).writeto("wide.fits")
    assert main(["restore", "wide.fits", "-o", "out.fits", "--estimate", *TINY[:-1]]) == 0
    assert "bdip: note: wide.fits holds" in capsys.readouterr().err
    assert main(["restore", "pages.tif", "-o", "out.tif", "--page", "0", "--estimate", *TINY]) == 0


def test_known_and_missing_are_complements(folder):
    known = imageio.imread("known.png")
    imageio.imwrite("missing.png", 255 - known)
    for mask in (["--known", "known.png"], ["--missing", "missing.png"]):
        common = ["restore", "photo.png", "-o", f"{mask[1][:1]}.png", "--noise-std", "20"]
        assert main([*common, *mask, *TINY]) == 0
    assert np.array_equal(imageio.imread("k.png"), imageio.imread("m.png"))


def test_restore_says_what_it_did(folder, capsys):
    assert main(["restore", "photo.png", "-o", "out.png", "--known", "known.png", *TINY[:-1]]) == 0
    seen = capsys.readouterr()
    for words in ("% of pixels observed", "(estimated)", "χ²", "out-std.tif"):
        assert words in seen.out
    assert "steps/s" in seen.err


def test_restore_writes_a_report_and_keeps_a_preview(folder, capsys):
    assert main(["restore", "photo.png", "-o", "out.png", "--report", "r.html", "--preview", "now.png",
                 "--save", "p.npz", *TINY[:-1]]) == 0  # fmt: skip
    assert "<h1>photo.png</h1>" in (folder / "r.html").read_text(encoding="utf-8")
    assert imageio.imread("now.png").shape == (16, 16)
    assert "r.html (to look at in a browser)" in capsys.readouterr().out


def test_report_writes_a_page_of_a_saved_posterior(folder, capsys):
    answer().save("p.npz")
    assert main(["report", "p.npz", "-o", "page.html"]) == 0
    assert "<h1>p.npz</h1>" in (folder / "page.html").read_text(encoding="utf-8")
    assert "wrote page.html" in capsys.readouterr().out
    imageio.imwrite("given.png", np.full((16, 20), 51, np.uint8))
    words = ["--input", "given.png", "--title", "My <b>cells", "--overwrite"]
    assert main(["report", "p.npz", "-o", "page.html", *words]) == 0
    assert "<h1>My &lt;b&gt;cells</h1>" in (folder / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["photo.png", "-o", "page.html"], "photo.png is not a whole file saved by bdip"),
        (["absent.npz", "-o", "page.html"], "absent.npz"),
        (["p.npz", "-o", "known.png"], "add --overwrite"),
        (["p.npz", "-o", "nowhere/page.html"], "nowhere"),
        (["p.npz", "-o", "page.html", "--input", "photo.png"], "pass the picture that was restored"),
        (["p.npz", "-o", "p.npz", "--overwrite"], "the input itself"),
    ],
)  # fmt: skip
def test_a_report_of_what_is_none_gets_one_line_and_writes_nothing(folder, capsys, words, expected):
    answer().save("p.npz")
    before = sorted(folder.iterdir())
    assert main(["report", *words]) == 2
    message = capsys.readouterr().err
    assert expected in message
    assert message.count("\n") == 1
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("words", "expected"),
    [(["--preview", "now.jpg"], "end its name in .png"), (["--preview", "known.png"], "--overwrite"),
     (["--report", "nowhere/r.html"], "there is no folder"), (["--report", "out.png"], "out.png is out.png itself")],
)  # fmt: skip
def test_bad_names_of_pages_and_previews_are_refused_before_any_work(
    folder, capsys, words, expected
):
    assert main(["restore", "photo.png", "-o", "out.png", *words, "--quiet"]) == 2
    assert expected in capsys.readouterr().err
    assert not (folder / "out.png").exists()


@pytest.mark.parametrize("more", [[], ["--known", "known.png", "--keep-known"]])
def test_a_descent_writes_no_uncertainty(folder, more):
    assert main(["restore", "photo.png", "-o", "out.png", *more, *PIXELS, "--sampler", "adam"]) == 0
    assert not (folder / "out-std.tif").exists()


def test_compare_draws_curves_and_pictures(folder, capsys):
    assert main(["compare", "photo.png", "--add-noise", "20", "-o", "both", *PIXELS]) == 0
    assert imageio.imread("both/curves.png").ndim == 3
    assert imageio.imread("both/side-by-side.png").ndim == 3
    table = capsys.readouterr().out
    assert "adam" in table
    assert "mclmc" in table
    assert "dB" in table


def test_info_names_samplers_and_devices(capsys):
    assert main(["info"]) == 0
    seen = capsys.readouterr().out
    assert "psgld" in seen
    assert "devices" in seen


WRONG = {
    "a missing file": (["absent.png"], "absent.png"),
    "a mask of another shape": (["photo.png", "--known", "small.png"], "(15, 16)"),
    "an all-missing mask": (["photo.png", "--known", "black.png"], "no pixel is observed"),
    "a photograph as mask": (["photo.png", "--known", "photo.png"], "0 and 255"),
    "an image of NaN": (["nan.npy"], "no pixel is observed"),
    "infinite values": (["infinite.npy"], "infinite"),
    "a noise std of zero": (["photo.png", "--noise-std", "0"], "noise_std is 0"),
    "a negative noise std": (["photo.png", "--noise-std", "-3"], "noise_std is -3"),
    "a noise std of NaN": (["photo.png", "--noise-std", "nan"], "noise_std is nan"),
    "a gain beside a noise std": (["photo.png", "--noise-std", "3", "--gain", "1"], "pass one"),
    "a rounding beside a noise std": (["photo.png", "--noise-std", "3", "--rounding", "17"], "pass one"),
    "a rounding beside a gain": (["photo.png", "--gain", "3", "--rounding", "17"], "pass one"),
    "a rounding beside ends": (["photo.png", "--clipped", "0", "9", "--rounding", "17"], "pass one"),
    "a gain beside a noise std, clipped": (
        ["photo.png", "--noise-std", "3", "--gain", "1", "--clipped", "0", "255"], "pass one",
    ),
    "no end before the other": (["photo.png", "--clipped", "255", "0"], "expected the low end first"),
    "a step of zero": (["photo.png", "--rounding", "0"], "step is 0"),
    "a read noise without a gain": (["photo.png", "--read-noise", "3"], "goes with --gain"),
    "a descent that samples noise": (
        ["photo.png", "--noise-std", "sample", "--sampler", "adam"], "unless the sampler is exact",
    ),
    "an unknown sampler": (["photo.png", "--sampler", "sgdl"], "psgld"),
    "an unknown generator": (["photo.png", "--generator", "glass"], "hourglass"),
    "no scales": (["photo.png", "--scales", "0"], "scales"),
    "nothing held out": (["photo.png", "--holdout", "0"], "holdout is 0"),
    "no steps": (["photo.png", "--steps", "0"], "steps is 0"),
    "nothing to fill in": (["photo.png", "--keep-known"], "all pixels are known"),
    "channels of another generator": (["photo.png", "--generator", "unet", "--channels", "4"], "hourglass"),
    "skips of a pyramid": (
        ["photo.png", "--generator", "pyramid", "--skips", "4"], "--skips: of --generator hourglass, not of pyramid",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_gets_one_line_and_writes_nothing(folder, capsys, name):
    arguments, expected = WRONG[name]
    before = sorted(folder.iterdir())
    suffix = ".npy" if arguments[0].endswith(".npy") else ".png"
    assert main(["restore", *arguments, "-o", f"out{suffix}", "--quiet"]) == 2
    message = capsys.readouterr().err
    assert expected in message
    assert message.startswith("bdip: ")
    assert message.count("\n") == 1
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("output", "expected"),
    [("photo.png", "the input itself"), ("known.png", "--overwrite"), ("out.xyz", ".png"),
     ("absent/out.png", "no folder")],
)  # fmt: skip
def test_a_bad_output_is_refused_before_any_work(folder, capsys, output, expected):
    before = (folder / "photo.png").read_bytes()
    assert main(["restore", "photo.png", "-o", output, "--quiet"]) == 2
    assert expected in capsys.readouterr().err
    assert (folder / "photo.png").read_bytes() == before


def test_a_posterior_that_could_not_be_saved_is_refused_before_any_work(folder, capsys):
    words = ["restore", "photo.png", "-o", "out.png", "--save", "absent/p.npz", "--quiet"]
    assert main(words) == 2
    assert "no folder absent" in capsys.readouterr().err
    assert not (folder / "out.png").exists()


def test_a_comparison_into_a_file_is_refused_before_any_work(folder, capsys):
    assert main(["compare", "photo.png", "-o", "known.png", "--quiet"]) == 2
    assert "known.png is a file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [["restore", "photo.png", "-o", "out.png", "--noise_sd", "3"], ["restoer", "photo.png"], [],
     ["restore", "photo.png"], ["restore", "photo.png", "-o", "out.png", "--noise-std", "loud"]],
)  # fmt: skip
def test_a_misspelt_command_gets_one_line_too(folder, capsys, words):
    with pytest.raises(SystemExit) as leaving:
        main(words)
    message = capsys.readouterr().err
    assert leaving.value.code == 2
    assert message.count("\n") == 1
    assert "--help" in message


def test_an_estimate_is_printed_and_nothing_written(folder, capsys):
    before = sorted(folder.iterdir())
    words = ["restore", "photo.png", "-o", "out.png", "--save", "p.npz", "--estimate", *TINY]
    assert main(words) == 0
    seen = capsys.readouterr().out
    assert seen.startswith("needs ")
    assert "12 steps in about" in seen
    assert seen.count("\n") == 1
    assert sorted(folder.iterdir()) == before


def test_what_does_not_fit_gets_one_line_and_writes_nothing(folder, capsys, monkeypatch):
    monkeypatch.setattr(memory, "free", lambda: 1000)
    before = sorted(folder.iterdir())
    assert main(["restore", "photo.png", "-o", "out.png", *TINY]) == 2
    message = capsys.readouterr().err
    assert message.startswith("bdip: 16 × 16 pixels need ")
    assert message.count("\n") == 1
    assert main(["restore", "photo.png", "-o", "out.png", "--estimate", *TINY]) == 2
    assert "does not fit" in capsys.readouterr().out
    assert main(["restore", "photo.png", "-o", "out.png", "--memory-limit", "inf", *TINY]) == 0
    assert sorted(folder.iterdir()) != before


def test_restore_enlarges_and_sharpens(folder):
    words = ["--downsample", "2", "--blur-sigma", "0.8", "--noise-std", "20"]
    assert main(["restore", "photo.png", "-o", "out.png", *words, *TINY]) == 0
    assert imageio.imread("out.png").shape == imageio.imread("out-std.tif").shape == (32, 32)
    imageio.imwrite("psf.png", np.uint8([[0, 50, 0], [50, 200, 50], [0, 50, 0]]))
    assert (
        main(
            ["restore", "photo.png", "-o", "b.png", "--psf", "psf.png", "--noise-std", "20", *TINY]
        )
        == 0
    )
    assert imageio.imread("b.png").shape == (16, 16)


def test_restore_undoes_jpeg(folder, capsys):
    pixels = imageio.imread("photo.png")
    imageio.imwrite("photo.jpg", pixels, quality=20)
    words = ["--jpeg", "--report", "page.html", *TINY]
    assert main(["restore", "photo.jpg", "-o", "out.png", *words]) == 0
    assert imageio.imread("out.png").shape == imageio.imread("out-std.tif").shape == pixels.shape
    with open("page.html", encoding="utf-8") as page:
        text = page.read()
    assert ">input</span>" in text
    assert ">restored image</span>" in text
    assert "where it should stay, or below it" in text
    assert (
        main(["restore", "photo.jpg", "-o", "b.png", "--downsample", "2", *words[:1], *TINY]) == 0
    )
    assert imageio.imread("b.png").shape == (32, 32)
    options = ("--noise-std=3", "--holdout=0.02", "--tile=16")
    for wrong in (["photo.png"], *(["photo.jpg", option] for option in options)):
        assert main(["restore", *wrong, "-o", "c.png", "--jpeg", *TINY]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "JPEG" in line
    assert main(["batch", "photo.jpg", "-o", "many", "--jpeg", *TINY]) == 0
    np.testing.assert_array_equal(imageio.imread("many/photo.png"), imageio.imread("out.png"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--downsample", "0"], "factor is 0: expected an integer of at least 1"),
        (["--blur-sigma", "-1"], "std is -1.0: expected a number of pixels above 0"),
        (["--psf", "black.png"], "--psf black.png: expected a grey picture of a point of light"),
        (["--psf", "absent.png"], "absent.png does not exist"),
    ],
)
def test_what_is_no_operator_is_refused_in_one_line(folder, capsys, words, message):
    assert main(["restore", "photo.png", "-o", "out.png", *words, *TINY]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
