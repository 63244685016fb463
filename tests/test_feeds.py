"""Feeds out of files, values and sizes: what comes of them is what is in them, or an error."""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

import onnxhybrid as oh
from onnxhybrid import feeds


def spec(dtype: str, *shape: int | str | None, name: str = "x") -> oh.TensorSpec:
    return oh.TensorSpec(name, dtype, shape)


def fed(path: Path | str, wanted: oh.TensorSpec) -> npt.NDArray[Any]:
    return feeds.gather([wanted], files={wanted.name: path})[wanted.name]


PIXELS = np.random.default_rng(1).integers(0, 256, (4, 6, 3), np.uint8)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool", "float16"])
def test_an_array_file_is_fed_as_it_is(tmp_path: Path, dtype: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    np.save(tmp_path / "x.npy", array)
    np.savez(tmp_path / "one.npz", other=array)
    np.savez(tmp_path / "named.npz", x=array, y=np.zeros(1))
    (tmp_path / "x.json").write_text(json.dumps(array.tolist()))
    (tmp_path / "named.json").write_text(json.dumps({"x": array.tolist(), "y": 1}))
    for name in ("x.npy", "one.npz", "named.npz", "x.json", "named.json"):
        given_array = fed(tmp_path / name, spec(dtype, "n", 3))
        assert given_array.dtype == dtype
        np.testing.assert_array_equal(given_array, array)


@given(array=arrays.arrays(np.int64, arrays.array_shapes(max_dims=3)))
def test_whole_numbers_pass_through_json_or_are_refused(array: npt.NDArray[np.int64]) -> None:
    wanted = spec("int8", *[None] * array.ndim)
    fits = bool(np.all((array >= -128) & (array <= 127)))
    try:
        given_array = feeds.gather([wanted], values={"x": array.tolist()})["x"]
    except oh.Error as problem:
        assert (problem.code, fits) == ("OH702", False)
    else:
        assert fits
        np.testing.assert_array_equal(given_array, array)


@given(value=st.floats(width=64))
def test_a_float_that_the_type_cannot_hold_is_refused(value: float) -> None:
    finite_in_half = not np.isfinite(value) or abs(value) < 65520
    try:
        given_array = feeds.gather([spec("float16", 1)], values={"x": value})["x"]
    except oh.Error as problem:
        assert (problem.code, finite_in_half) == ("OH702", False)
    else:
        assert finite_in_half
        assert given_array.shape == (1,)


def test_texts_come_from_json_and_from_text_files(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("how are you?\n", encoding="utf-8")
    (tmp_path / "x.json").write_text('["a", "b"]')
    assert fed(tmp_path / "x.txt", spec("str", "n")).tolist() == ["how are you?\n"]
    assert fed(tmp_path / "x.json", spec("str", "n")).tolist() == ["a", "b"]
    assert feeds.gather([spec("str", "n")], values={"x": "a"})["x"].tolist() == ["a"]


@pytest.mark.parametrize(("width", "kind", "middle"), [(1, "u1", 128), (2, "<i2", 0), (4, "<i4", 0)])
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_are_those_of_the_file(tmp_path: Path, width: int, kind: str, middle: int, channels: int) -> None:
    info = np.iinfo(kind)
    values = np.array([info.min, middle, info.max, middle + 1], kind)
    written(tmp_path / "x.wav", values.tobytes(), width, channels)
    shape = ["n"] if channels == 1 else ["n", 2]
    whole = values.astype(np.int64).reshape(-1, *[channels][: channels - 1]) - middle
    np.testing.assert_array_equal(fed(tmp_path / "x.wav", spec("int64", *shape)), whole)
    floats = fed(tmp_path / "x.wav", spec("float32", *shape))
    np.testing.assert_allclose(floats, whole / 2.0 ** (8 * width - 1), rtol=1e-6)
    assert floats.min() == -1


def test_samples_of_three_bytes_keep_their_sign(tmp_path: Path) -> None:
    values = [-(1 << 23), -1, 0, 1, (1 << 23) - 1]
    written(tmp_path / "x.wav", b"".join(value.to_bytes(3, "little", signed=True) for value in values), 3, 1)
    assert fed(tmp_path / "x.wav", spec("int32", "n")).tolist() == values


def written(path: Path, frames: bytes, width: int, channels: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(16000)
        file.writeframes(frames)


def test_a_file_of_any_kind_is_fed_as_its_bytes_where_bytes_are_taken(tmp_path: Path) -> None:
    for name in ("x.mp3", "x.wav", "x.png", "x"):
        (tmp_path / name).write_bytes(b"\x00\xff a")
        given_array = fed(tmp_path / name, spec("uint8", "bytes"))
        assert (given_array.dtype.name, given_array.tobytes()) == ("uint8", b"\x00\xff a")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (spec("uint8", 1, 3, "h", "w"), PIXELS.transpose(2, 0, 1)[None]),
        (spec("uint8", "n", "h", "w", 3), PIXELS[None]),
        (spec("uint8", 3, "h", "w"), PIXELS.transpose(2, 0, 1)),
        (spec("uint8", "h", "w", 3), PIXELS),
        (spec("float32", 1, 3, 4, 6), (PIXELS.transpose(2, 0, 1)[None] / 255).astype(np.float32)),
        (spec("uint8", None, None, None, None), PIXELS.transpose(2, 0, 1)[None]),
    ],
    ids=str,
)
def test_pixels_come_in_the_layout_of_the_input(tmp_path: Path, wanted: oh.TensorSpec, expected: Any) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "x.png")
    np.testing.assert_allclose(fed(tmp_path / "x.png", wanted), expected, rtol=1e-6)


def test_a_grey_input_gets_a_grey_picture(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "x.png")
    grey = np.asarray(Image.fromarray(PIXELS).convert("L"))
    np.testing.assert_array_equal(fed(tmp_path / "x.png", spec("uint8", 1, 1, "h", "w"))[0, 0], grey)
    np.testing.assert_array_equal(fed(tmp_path / "x.png", spec("uint8", "h", "w")), grey)


def test_what_is_no_picture_is_told_without_the_objects_of_this_process(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"no picture")
    with pytest.raises(oh.Error, match=r"OH701.*x\.png is no picture") as caught:
        fed(tmp_path / "x.png", spec("uint8", "h", "w"))
    assert "0x" not in str(caught.value)


def test_a_picture_of_another_size_is_refused_and_not_stretched(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "x.jpg")
    with pytest.raises(oh.Error, match=r"OH702.*1, 3, 4, 6"):
        fed(tmp_path / "x.jpg", spec("uint8", 1, 3, 224, 224))
    with pytest.raises(oh.Error, match="OH702"):
        fed(tmp_path / "x.jpg", spec("uint8", 1, 2, 3, 4, 5))


def test_without_pillow_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    (tmp_path / "x.png").write_bytes(b"")
    with pytest.raises(oh.Error, match=r"OH551.*pip install pillow"):
        fed(tmp_path / "x.png", spec("uint8", 1, 3, "h", "w"))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int64", "uint8", "bool", "str", "float64"])
def test_random_values_have_the_sizes_and_are_the_same_for_a_seed(dtype: str) -> None:
    wanted = spec(dtype, "n", 4)
    one, other = (feeds.gather([wanted], sizes={"x": (3, 4)}, seed=5)["x"] for _ in range(2))
    assert one.shape == (3, 4)
    assert one.tolist() == other.tolist()
    assert feeds.gather([wanted], sizes={"x": (3, 4)}, seed=6)["x"].tolist() != one.tolist()


def test_fixed_sizes_need_not_be_said() -> None:
    assert feeds.gather([spec("float32", 2, 3)], sizes={"x": None})["x"].shape == (2, 3)


def test_an_input_that_may_be_left_out_may_be_left_out() -> None:
    optional = oh.TensorSpec("t", "float32", (1,), optional=True)
    assert feeds.gather([optional]) == {}
    assert feeds.gather([optional], values={"t": 0.5})["t"].tolist() == [0.5]


@pytest.mark.parametrize("dtype", ["seq(tensor(float32))", "complex64"])
def test_what_has_no_random_values_is_told(dtype: str) -> None:
    with pytest.raises(oh.Error, match="OH702"):
        feeds.gather([spec(dtype, 2)], sizes={"x": (2,)})


@given(
    names=st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\\"), min_size=1), unique=True
    )
)
def test_arrays_are_saved_under_any_name(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    path = tmp_path_factory.mktemp("saved") / "out.npz"
    feeds.save(path, {name: np.array([place]) for place, name in enumerate(names)})
    assert [entry.name for entry in path.parent.iterdir()] == ["out.npz"]
    with np.load(path) as saved:
        assert sorted(saved[name][0] for name in saved.files) == list(range(len(names)))


def test_what_numpy_has_no_type_for_is_saved_as_numbers_and_texts(tmp_path: Path) -> None:
    import ml_dtypes

    half = np.array([0.5, 1], ml_dtypes.bfloat16)
    feeds.save(tmp_path / "out.npz", {"half": half, "text": np.array(["a", "bc"], object)})
    with np.load(tmp_path / "out.npz", allow_pickle=False) as saved:
        assert (saved["half"].dtype, saved["half"].tolist()) == (np.float32, [0.5, 1])
        assert saved["text"].tolist() == ["a", "bc"]


def test_a_save_that_fails_leaves_the_file_and_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "out.npz").write_bytes(b"mine")

    class Broken:
        def __array__(self, *_: object, **__: object) -> Any:
            raise OSError(28, "No space left on device")

    with pytest.raises(oh.Error, match=r"OH704.*No space"):
        feeds.save(tmp_path / "out.npz", {"x": Broken()})
    assert (tmp_path / "out.npz").read_bytes() == b"mine"
    assert len(list(tmp_path.iterdir())) == 1
