"""CLIP's image encoder against a second implementation in plain torch, on random weights."""

import numpy as np
import pytest
from PIL import Image

from m2s_index.encoders.registry import list_encoders, make_encoder
from m2s_index.errors import WeightsError

torch = pytest.importorskip("torch")
from safetensors.torch import save_file  # noqa: E402
from torch.nn import functional  # noqa: E402

WIDTH, LAYERS, HEADS, PATCHES = 768, 12, 12, 14 * 14


def random_weights():
    """All tensors of OpenAI's ViT-B/16 image encoder, by OpenAI's names and shapes, at half precision."""
    generator = torch.Generator().manual_seed(7)

    def draw(*shape, scale=0.02, around=0.0):
        return (around + scale * torch.randn(shape, generator=generator)).half()

    tensors = {
        "conv1.weight": draw(WIDTH, 3, 16, 16),
        "class_embedding": draw(WIDTH),
        "positional_embedding": draw(PATCHES + 1, WIDTH),
        "proj": draw(WIDTH, 512, scale=WIDTH**-0.5),
    }
    for layer in range(LAYERS):
        block = f"transformer.resblocks.{layer}"
        tensors |= {
            f"{block}.attn.in_proj_weight": draw(3 * WIDTH, WIDTH, scale=0.04),
            f"{block}.attn.in_proj_bias": draw(3 * WIDTH, scale=0.1),
            f"{block}.attn.out_proj.weight": draw(WIDTH, WIDTH),
            f"{block}.attn.out_proj.bias": draw(WIDTH),
            f"{block}.mlp.c_fc.weight": draw(4 * WIDTH, WIDTH),
            f"{block}.mlp.c_fc.bias": draw(4 * WIDTH),
            f"{block}.mlp.c_proj.weight": draw(WIDTH, 4 * WIDTH),
            f"{block}.mlp.c_proj.bias": draw(WIDTH),
        }
    norms = ["ln_pre", "ln_post"] + [f"transformer.resblocks.{i}.ln_{j}" for i in range(LAYERS) for j in (1, 2)]
    for norm in norms:
        tensors |= {
            f"{norm}.weight": draw(WIDTH, scale=0.1, around=1.0),
            f"{norm}.bias": draw(WIDTH, scale=0.1),
        }
    return {f"visual.{key}": value for key, value in tensors.items()}


def preprocess(frame):
    """OpenAI's: short side to 224 by bicubic, centre crop, CLIP's mean and deviation."""
    height, width = frame.shape[:2]
    scale = 224 / min(height, width)
    size = (max(224, int(width * scale)), max(224, int(height * scale)))
    pixels = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC), np.float32) / 255
    top, left = round((size[1] - 224) / 2), round((size[0] - 224) / 2)
    pixels = pixels[top : top + 224, left : left + 224]
    mean = np.asarray([0.48145466, 0.4578275, 0.40821073], np.float32)
    deviation = np.asarray([0.26862954, 0.26130258, 0.27577711], np.float32)
    return torch.from_numpy(((pixels - mean) / deviation).transpose(2, 0, 1))


def second_clip(tensors, image):
    """The image encoder of Radford et al. (2021), one picture, step by step: [3, 224, 224] to [512]."""
    w = {key.removeprefix("visual."): value.float() for key, value in tensors.items()}

    def norm(x, name):
        x = x - x.mean(-1, keepdim=True)
        return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * w[f"{name}.weight"] + w[f"{name}.bias"]

    patches = image.reshape(3, 14, 16, 14, 16).permute(1, 3, 0, 2, 4).reshape(PATCHES, -1)
    x = patches @ w["conv1.weight"].reshape(WIDTH, -1).T
    x = torch.cat([w["class_embedding"][None], x]) + w["positional_embedding"]
    x = norm(x, "ln_pre")
    for layer in range(LAYERS):
        block = f"transformer.resblocks.{layer}"
        y = norm(x, f"{block}.ln_1") @ w[f"{block}.attn.in_proj_weight"].T + w[f"{block}.attn.in_proj_bias"]
        heads = []
        for q, k, v in zip(*(part.split(WIDTH // HEADS, 1) for part in y.split(WIDTH, 1)), strict=True):
            heads.append(torch.softmax(q @ k.T / (WIDTH // HEADS) ** 0.5, -1) @ v)
        attended = torch.cat(heads, 1)
        x = x + functional.linear(attended, w[f"{block}.attn.out_proj.weight"], w[f"{block}.attn.out_proj.bias"])
        y = functional.linear(norm(x, f"{block}.ln_2"), w[f"{block}.mlp.c_fc.weight"], w[f"{block}.mlp.c_fc.bias"])
        y = y * torch.sigmoid(1.702 * y)  # QuickGELU
        x = x + functional.linear(y, w[f"{block}.mlp.c_proj.weight"], w[f"{block}.mlp.c_proj.bias"])
    return norm(x[0], "ln_post") @ w["proj"]


@pytest.fixture(scope="module")
def openai(tmp_path_factory):
    """Random weights in OpenAI's layout, and the file that holds them."""
    tensors = random_weights()
    path = tmp_path_factory.mktemp("clip") / "openai.safetensors"
    save_file(tensors, path)
    return tensors, path


def test_clip_agrees_with_a_second_implementation(openai, tmp_path):
    """512 numbers, close to 1e-4 of their size; timm's layout loads the same weights as OpenAI's."""
    tensors, path = openai
    generator = np.random.default_rng(3)
    frames = [generator.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in ((260, 420), (300, 224))]
    encoder = make_encoder("clip", weights=path, device="cpu")
    features = encoder.encode_frames(frames)
    with torch.inference_mode():
        wanted = torch.stack([second_clip(tensors, preprocess(frame)) for frame in frames]).numpy()
    assert features.shape == wanted.shape == (2, 512)
    np.testing.assert_allclose(features, wanted, atol=1e-4 * np.abs(wanted).max())

    assert encoder.identity.dimension == next(r.dimension for r in list_encoders() if r.name == "clip")
    assert "bicubic resize and center crop to 3×224×224 of 1;" in encoder.identity.preprocessing
    assert encoder.identity.architecture == "timm:vit_base_patch16_clip_quickgelu_224.openai+head"

    native = tmp_path / "timm.safetensors"
    save_file(encoder._network.half().state_dict(), native)
    again = make_encoder("clip", weights=native, device="cpu")._network.state_dict()
    for key, value in encoder._network.state_dict().items():
        assert torch.equal(again[key], value.float()), key


def test_clip_without_its_projection_is_refused(openai, tmp_path):
    """Pooled features alone are another encoder: the missing projection is named."""
    tensors, _ = openai
    path = tmp_path / "headless.safetensors"
    save_file({key: value for key, value in tensors.items() if key != "visual.proj"}, path)
    with pytest.raises(WeightsError, match=r"2 missing \(head.bias, head.weight\)"):
        make_encoder("clip", weights=path, device="cpu")
