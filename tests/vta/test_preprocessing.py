"""From photos to inputs: the numbers by hand, descriptions as TOML, and what is refused."""

import numpy as np
import pytest
from PIL import Image

from vta.preprocessing import NAMED, Preprocessing, PreprocessingError, load_photo


def test_a_value_by_hand():
    photo = np.zeros((4, 6, 3), np.uint8)
    photo[:, :] = (10, 20, 30)
    made = Preprocessing("bgr", 4, 0.5, (1.0, 2.0, 3.0), (1.0, 2.0, 4.0))
    values = made.apply(photo, (1, 3, 2, 2))
    assert values.dtype == np.float32
    assert values.shape == (1, 3, 2, 2)
    assert values[0, :, 0, 0].tolist() == [14.0, 4.0, 0.5]  # blue, green, red


def test_the_centre_is_cropped():
    photo = np.arange(9, dtype=np.uint8).reshape(3, 3)
    made = Preprocessing("gray", 3, 1.0, (0.0,), (1.0,))
    assert made.apply(photo, (1, 1, 1, 1)).tolist() == [[[[4.0]]]]


def test_the_whole_photo_is_resized():
    photo = np.full((50, 20), 7, np.uint8)
    made = Preprocessing("gray", 0, 1.0, (0.0,), (1.0,))
    assert (made.apply(photo, (1, 1, 8, 9)) == 7).all()


@pytest.mark.parametrize("name", NAMED)
def test_text_and_back(name):
    made = Preprocessing.named(name)
    assert Preprocessing.from_text(made.text(), "x") == made


def test_a_photo_is_turned_upright(tmp_path):
    image = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned by a quarter
    image.save(tmp_path / "p.png", exif=exif)
    assert load_photo(tmp_path / "p.png", "L").tolist() == [[3, 0], [4, 1], [5, 2]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("channels = 'rgba'", "x: channels is 'rgba'; must be rgb, bgr, gray"),
        ("scale = 1", "x: channels is None"),
        ("channels = 'rgb'\nsize = 3", "x: unknown key size; the keys are channels, short_side"),
        ("channels = 'rgb'\nmean = [1, 2]", "x: mean is [1, 2]; must be 3 numbers"),
        ("channels = 'rgb'\nmean = [1, 2, nan]", "must be 3 numbers"),
        ("channels = 'gray'\ndeviation = [0]", "x: deviation is (0.0,); must be positive"),
        ("channels = 'gray'\nscale = true", "x: scale is True; must be 1 number"),
        ("channels = 'gray'\nshort_side = -1", "x: short_side is -1; must be 0 to"),
        ("channels = ", "x: not TOML"),
    ],
)
def test_wrong_descriptions(text, said):
    with pytest.raises(PreprocessingError, match=r"^x: ") as error:
        Preprocessing.from_text(text, "x")
    assert said in str(error.value)


def test_no_such_name():
    with pytest.raises(PreprocessingError, match="preprocessing is torch; must be imagenet, caffe"):
        Preprocessing.named("torch")
    with pytest.raises(PreprocessingError, match=r"cannot read the preprocessing none\.toml"):
        Preprocessing.named("none.toml")


@pytest.mark.parametrize(
    ("shape", "photo", "said"),
    [
        ((1, 1, 8, 8), (9, 9, 3), "are for inputs of shape (1, 3, height, width)"),
        ((2, 3, 8, 8), (9, 9, 3), "the input has shape (2, 3, 8, 8)"),
        ((1, 10), (9, 9, 3), "the input has shape (1, 10)"),
        ((1, 3, 300, 300), (9, 9, 3), "short_side is 256; must be at least the input's 300"),
    ],
)
def test_an_input_that_is_no_photo(shape, photo, said):
    with pytest.raises(PreprocessingError) as error:
        NAMED["imagenet"].apply(np.zeros(photo, np.uint8), shape)
    assert said in str(error.value)


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P"])
def test_other_colours_are_refused(tmp_path, mode):
    path = tmp_path / "p.tiff"
    Image.new(mode, (8, 8)).save(path)
    with pytest.raises(PreprocessingError, match=r"the model takes colour \(RGB\), and nothing is"):
        load_photo(path, "RGB")


def test_files_that_are_no_pictures(tmp_path):
    (tmp_path / "p.png").write_bytes(b"no picture")
    with pytest.raises(PreprocessingError, match=r"p\.png: not a picture, or damaged"):
        load_photo(tmp_path / "p.png", "RGB")
    Image.new("RGB", (64, 64)).save(tmp_path / "q.png")
    (tmp_path / "q.png").write_bytes((tmp_path / "q.png").read_bytes()[:60])
    with pytest.raises(PreprocessingError, match=r"q\.png: cannot read the picture"):
        load_photo(tmp_path / "q.png", "RGB")
    with pytest.raises(PreprocessingError, match=r"none\.png: cannot read the picture"):
        load_photo(tmp_path / "none.png", "RGB")


def test_a_picture_that_is_too_large(tmp_path, monkeypatch):
    Image.new("RGB", (64, 64)).save(tmp_path / "p.png")
    monkeypatch.setattr("vta.preprocessing._MAX_PIXELS", 4095)
    with pytest.raises(PreprocessingError, match="64 x 64 pixels; at most 4095 in all"):
        load_photo(tmp_path / "p.png", "RGB")


def test_a_photo_that_would_become_too_large():
    """A line of pixels, whose short side is resized to 256."""
    with pytest.raises(PreprocessingError, match="100000 x 1 pixels would have 25600000 x 256"):
        NAMED["imagenet"].apply(np.zeros((1, 100_000, 3), np.uint8), (1, 3, 224, 224))


def test_a_picture_is_what_apply_is_given():
    rng = np.random.default_rng(3)
    for channels, count in (("rgb", 3), ("bgr", 3), ("gray", 1)):
        own = Preprocessing(channels, 0, 1 / 255, (0.4, 0.5, 0.6)[:count], (0.2, 0.3, 0.4)[:count])
        shape = (6, 5, 3) if count == 3 else (6, 5)
        pixels = rng.integers(0, 256, shape).astype(np.uint8)
        values = own.apply(pixels, (1, count, 6, 5))
        np.testing.assert_array_equal(own.picture(values), pixels)
        assert (own.picture(values + 100) == 255).all()


def test_outputs_that_are_no_picture():
    own = Preprocessing("rgb", 0, 1.0, (0.0,) * 3, (1.0,) * 3)
    with pytest.raises(PreprocessingError, match=r"shape \(1, 2, 4, 4\); pictures with channels"):
        own.picture(np.zeros((1, 2, 4, 4), np.float32))
    with pytest.raises(PreprocessingError, match="not finite"):
        own.picture(np.full((1, 3, 4, 4), np.nan, np.float32))


def test_an_error_names_the_photo(tmp_path):
    Image.new("RGB", (5000, 1)).save(tmp_path / "wide.png")
    with pytest.raises(PreprocessingError, match=r"wide\.png: the photo of 5000 x 1 pixels would"):
        NAMED["imagenet"].load(tmp_path / "wide.png", (1, 3, 32, 32))
