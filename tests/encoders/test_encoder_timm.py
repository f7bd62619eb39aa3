"""timm encoders on weights that the tests make: loading, errors, batches, preprocessing, devices."""

import hashlib
import os
import time

import numpy as np
import pytest
from PIL import Image

from m2s_index.encoders.registry import make_encoder
from m2s_index.encoders.torchvision_shim import import_torchvision
from m2s_index.encoders.weights import hub_file, read_weights
from m2s_index.errors import EncoderError, UsageError, WeightsError

torch = pytest.importorskip("torch")
import_torchvision()
timm = pytest.importorskip("timm")
from safetensors.torch import save_file  # noqa: E402

VIT, RESNET, CONVNEXT = "test_vit.r160_in1k", "test_resnet.r160_in1k", "test_convnext.r160_in1k"


def full_network(model):
    """The model with its classifier and random weights, the same each time."""
    torch.manual_seed(0)
    return timm.create_model(model).eval()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Weights files of the small models, as timm lays them out, classifiers included."""
    folder = tmp_path_factory.mktemp("weights")
    paths = {}
    for model in (VIT, RESNET, CONVNEXT):
        paths[model] = folder / f"{model}.safetensors"
        save_file(full_network(model).state_dict(), paths[model])
    return paths


@pytest.fixture(scope="module")
def vit(saved):
    return make_encoder(f"timm:{VIT}", weights=saved[VIT], device="cpu")


def frames_of(*shapes):
    generator = np.random.default_rng(1)
    return [generator.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]


def prepared(frame, size_px, crop, interpolation, mean, std):
    """timm's evaluation transform, written out: resize the short side, cut the centre, normalise."""
    height, width = frame.shape[:2]
    short = int(size_px / crop)
    scale = short / min(height, width)
    size = (short, int(height * scale)) if width <= height else (int(width * scale), short)
    pixels = np.asarray(Image.fromarray(frame).resize(size, interpolation), np.float32) / 255
    top, left = round((size[1] - size_px) / 2), round((size[0] - size_px) / 2)
    pixels = pixels[top : top + size_px, left : left + size_px]
    return torch.from_numpy(((pixels - np.float32(mean)) / np.float32(std)).transpose(2, 0, 1))


@pytest.mark.parametrize("model", [VIT, RESNET, CONVNEXT])
def test_features_are_those_of_the_whole_network_before_its_classifier(saved, model):
    """Against timm's own forward pass on frames that the test prepares itself."""
    frames = frames_of((200, 320), (321, 180))
    network = full_network(model)
    config = network.pretrained_cfg
    way = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}[config["interpolation"]]
    inputs = torch.stack([prepared(f, 160, 0.95, way, config["mean"], config["std"]) for f in frames])
    with torch.inference_mode():
        wanted = network.forward_head(network.forward_features(inputs), pre_logits=True).numpy()
    encoder = make_encoder(f"timm:{model}", weights=saved[model], device="cpu")
    features = encoder.encode_frames(frames)
    assert features.shape == (2, encoder.identity.dimension) == wanted.shape
    assert features.dtype == np.float32
    assert features.flags.c_contiguous
    np.testing.assert_allclose(features, wanted, atol=2e-4, rtol=1e-3)


def test_the_identity_names_model_file_and_preprocessing(vit, saved):
    """All that makes two vectors comparable; making it again gives the same."""
    identity = vit.identity
    assert identity.name == f"timm:{VIT}"
    assert identity.architecture == f"timm:{VIT}"
    assert identity.weights_sha256 == hashlib.sha256(saved[VIT].read_bytes()).hexdigest()
    assert identity.preprocessing.startswith("RGB; bicubic resize and center crop to 3×160×160 of 0.95; mean ")
    assert (identity.dimension, identity.metric) == (64, "cosine")
    assert make_encoder(f"timm:{VIT}", weights=saved[VIT], device="cpu").identity == identity


def test_a_frame_does_not_depend_on_its_neighbours(vit):
    """In the same place of a batch to the bit; wherever it stands, to the last digits."""
    frames = frames_of(*[(60 + i, 90) for i in range(vit.batch_size + 3)])
    together = vit.encode_frames(frames)
    assert together.shape[0] == len(frames)
    np.testing.assert_array_equal(vit.encode_frames(frames[:1])[0], together[0])
    np.testing.assert_array_equal(vit.encode_frames([frames[0], *frames[5:9]])[0], together[0])
    for i, frame in enumerate(frames):
        np.testing.assert_allclose(vit.encode_frames([frame])[0], together[i], atol=1e-5)
    assert vit.encode_frames([]).shape == (0, 64)


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (9, 4000), (1080, 1920)])
def test_frames_of_any_size(vit, shape):
    """One pixel and long strips are encoded without scaling them to gigabytes."""
    assert np.isfinite(vit.encode_frames(frames_of(shape))).all()


def test_what_is_no_frame_is_refused(vit):
    """The message shows what came."""
    with pytest.raises(EncoderError, match=r"float32 \[4, 4, 3\]; expected uint8"):
        vit.encode_frames([np.zeros((4, 4, 3), np.float32)])


def test_a_scene_is_the_mean_of_its_frames(vit):
    """float32, not normalised."""
    features = vit.encode_frames(frames_of((50, 50), (60, 60)))
    np.testing.assert_allclose(vit.encode_scene(features), features.mean(0), rtol=1e-6)


def test_weights_saved_by_torch_load_as_well(vit, saved, tmp_path):
    """Plain or wrapped state dicts give the same features as safetensors."""
    frames = frames_of((80, 80))
    for number, content in enumerate((read_weights(saved[VIT]), {"state_dict": read_weights(saved[VIT])})):
        path = tmp_path / f"{number}.pth"
        torch.save(content, path)
        encoder = make_encoder(f"timm:{VIT}", weights=path, device="cpu")
        np.testing.assert_array_equal(encoder.encode_frames(frames), vit.encode_frames(frames))


def refuse(path, said, model=VIT):
    with pytest.raises(WeightsError, match=said) as caught:
        make_encoder(f"timm:{model}", weights=path, device="cpu")
    assert str(path) in str(caught.value)


def test_weights_that_cannot_be_read(tmp_path):
    """Missing, empty, damaged, pickled objects, no tensors: each says which file and what was expected."""
    refuse(tmp_path / "no.safetensors", "no such weights file")
    for name, content in (("empty.safetensors", b""), ("text.safetensors", b"hello" * 50), ("text.pth", b"x")):
        (tmp_path / name).write_bytes(content)
        refuse(tmp_path / name, "cannot be read as weights .*expected safetensors")
    torch.save({"state_dict": {"a": 1}}, tmp_path / "numbers.pth")
    refuse(tmp_path / "numbers.pth", "no state dict")
    torch.save(torch.nn.Linear(1, 1), tmp_path / "module.pth")
    refuse(tmp_path / "module.pth", "cannot be read as weights")


def test_weights_of_another_model_are_never_loaded_in_part(saved, tmp_path):
    """Missing, unknown and misshapen parameters are named."""
    refuse(saved[VIT], "another|not of this model: .* missing .*unknown", RESNET)
    tensors = read_weights(saved[VIT])
    save_file({k: v for k, v in tensors.items() if k != "norm.bias"}, tmp_path / "less.safetensors")
    refuse(tmp_path / "less.safetensors", r"1 missing \(norm.bias\)")
    save_file({**tensors, "extra.weight": torch.zeros(1)}, tmp_path / "more.safetensors")
    refuse(tmp_path / "more.safetensors", r"1 unknown \(extra.weight\)")
    save_file({**tensors, "norm.bias": torch.zeros(3)}, tmp_path / "shape.safetensors")
    refuse(tmp_path / "shape.safetensors", r"norm.bias is \[3\], expected \[64\]")


def test_no_hub_and_no_file_is_said_quickly(tmp_path, monkeypatch):
    """Which file, from where, to put where; without trying the network for half a minute."""
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    start = time.monotonic()
    with pytest.raises(WeightsError) as caught:
        make_encoder(f"timm:{VIT}", device="cpu")
    assert time.monotonic() - start < 5
    for part in ("timm/test_vit.r160_in1k", "model.safetensors", "--weights", str(tmp_path / "hub")):
        assert part in str(caught.value)


def test_an_unreachable_hub_is_asked_once(tmp_path, monkeypatch):
    """One refused connection is enough: its client's own retries take half a minute."""
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", "http://127.0.0.1:9/{repo_id}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    start = time.monotonic()
    with pytest.raises(WeightsError, match="cannot be reached"):
        hub_file("timm/test_vit.r160_in1k")
    assert time.monotonic() - start < 5


def test_the_hub_cache_is_used_where_it_has_the_file(tmp_path, monkeypatch, saved, vit):
    """A copied cache folder works without network, and is the same encoder as the file given by hand."""
    import huggingface_hub.constants as constants

    folder = tmp_path / "hub" / "models--timm--test_vit.r160_in1k"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("0" * 40)
    (folder / "snapshots" / ("0" * 40)).mkdir(parents=True)
    (folder / "snapshots" / ("0" * 40) / "model.safetensors").write_bytes(saved[VIT].read_bytes())
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    assert make_encoder(f"timm:{VIT}", device="cpu").identity == vit.identity


@pytest.mark.parametrize("model", ["test_vitt", "resnet50.no_such_tag", "hf-hub:timm/x", "../x"])
def test_an_unknown_model_is_a_usage_error(model):
    """With timm's near names where there are any."""
    with pytest.raises(UsageError, match="unknown encoder 'timm:") as caught:
        make_encoder(f"timm:{model}")
    if model == "test_vitt":
        assert "timm:test_vit" in str(caught.value)


@pytest.mark.parametrize("device", ["gpu", "mps", "meta", "cuda:99"])
def test_a_device_that_is_not_there(device, saved):
    """Refused before anything is loaded."""
    with pytest.raises(UsageError, match=f"device '{device}'"):
        make_encoder(f"timm:{VIT}", weights=saved[VIT], device=device)


def test_threads_and_precision(saved):
    """Threads are set for the process; bf16 on the CPU is near fp32 and still gives float32."""
    before = torch.get_num_threads()
    try:
        half = make_encoder(f"timm:{RESNET}", weights=saved[RESNET], device="cpu", precision="bf16", threads=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    whole = make_encoder(f"timm:{RESNET}", weights=saved[RESNET], device="cpu")
    assert whole.placement.channels_last
    assert half.identity == whole.identity
    assert_near(half, whole)


def assert_near(half, whole):
    frames = frames_of(*[(100, 150)] * 5)
    a, b = half.encode_frames(frames), whole.encode_frames(frames)
    assert a.dtype == np.float32
    cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosines.min() > 0.99


@pytest.fixture
def cuda():
    if not torch.cuda.is_available():
        if os.environ.get("FAIL_WITHOUT_CUDA"):
            pytest.fail("FAIL_WITHOUT_CUDA is set and torch sees no GPU")
        pytest.skip("torch sees no GPU")


@pytest.mark.cuda
@pytest.mark.parametrize("model", [VIT, RESNET])
def test_cuda_agrees_with_the_cpu(cuda, saved, model):
    """CUDA and bf16 are the choice without flags; both precisions are near the CPU's fp32."""
    on_cpu = make_encoder(f"timm:{model}", weights=saved[model], device="cpu")
    chosen = make_encoder(f"timm:{model}", weights=saved[model])
    assert chosen.placement.device.type == "cuda"
    assert chosen.placement.dtype == torch.bfloat16
    assert_near(chosen, on_cpu)
    assert_near(make_encoder(f"timm:{model}", weights=saved[model], device="cuda", precision="fp32"), on_cpu)
