"""SlowFast on random weights: the network against plain sums, the authors' figures, their three file layouts."""

import os
import pickle
import re

import numpy as np
import pytest

from m2s_index.encoder import ClipEncoder
from m2s_index.encoders import caffe2_pickle
from m2s_index.encoders.caffe2_pickle import read_caffe2
from m2s_index.encoders.registry import make_encoder
from m2s_index.errors import EncoderError, UsageError, WeightsError

torch = pytest.importorskip("torch")
from m2s_index.encoders.slowfast import SlowFastEncoder  # noqa: E402
from m2s_index.encoders.slowfast_network import SlowFast, Variant, slow_frames  # noqa: E402
from m2s_index.encoders.slowfast_weights import load_slowfast, read_checkpoint, variant_of  # noqa: E402

KINETICS, PAPER = Variant(), Variant(6, 6)
AVA = Variant(6, 6, (6, 13, 20), dilated=True, classes=80)


def random_network(variant):
    """A network with random weights and statistics, the same each time."""
    torch.manual_seed(0)
    network = SlowFast(variant).eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.weight.uniform_(0.3, 0.6)
            module.bias.normal_(0, 0.2)
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    return network


@pytest.fixture(scope="module")
def network():
    return random_network(KINETICS)


@pytest.fixture(scope="module")
def checkpoint(network, tmp_path_factory):
    """As PySlowFast saves it, with what it saves beside the network."""
    path = tmp_path_factory.mktemp("slowfast") / "checkpoint_epoch_00196.pyth"
    content = {"epoch": 195, "model_state": network.state_dict(), "optimizer_state": {"state": {}}, "cfg": "A: 1\n"}
    torch.save(content, path)
    return path


@pytest.fixture(scope="module")
def encoder(checkpoint):
    return make_encoder("slowfast_r101", weights=checkpoint, device="cpu", precision="fp32")


# --- the network --------------------------------------------------------------------------------------


def counted(variant, side_px=256):
    """(parameters, multiply-adds of convolutions and the classifier, numbers normalised) of one clip."""
    with torch.device("meta"):
        network = SlowFast(variant).eval()
    products, normalised = network.head.projection.weight.numel(), 0

    def count(module, _, output):
        nonlocal products, normalised
        if isinstance(module, torch.nn.Conv3d):
            products += output.numel() * module.weight[0].numel()
        else:
            normalised += output.numel()

    for module in network.modules():
        if isinstance(module, torch.nn.Conv3d | torch.nn.BatchNorm3d):
            module.register_forward_hook(count)
    with torch.inference_mode():
        assert network(torch.empty(1, 3, 32, side_px, side_px, device="meta")).shape == (1, 2304)
    return sum(p.numel() for p in network.parameters()), products, normalised


def test_size_and_work_are_those_of_the_authors_zoo():
    """PyTorchVideo's zoo: 62.83 million parameters, 127.20 GFLOPs at 256 pixels. Its counter, fvcore's, takes a
    multiply-add for one and a normalised number for five; all printed decimals agree.
    """
    parameters, products, normalised = counted(KINETICS)
    assert round(parameters / 1e6, 2) == 62.83
    assert round((products + 5 * normalised) / 1e9, 2) == 127.20


def test_size_and_work_are_those_of_the_paper():
    """ICCV 2019, table 2: 106 GFLOPs for 8×8 R101, multiply-adds alone, which is the network with temporal
    kernels in six blocks; the zoo gives 53.77 million parameters for it (16×8, the same layers).
    """
    parameters, products, _ = counted(PAPER)
    assert round(parameters / 1e6, 2) == 53.77
    assert 106 <= products / 1e9 < 107


def test_each_stage_has_the_shape_of_the_papers_table(network):
    """Table 1 of the paper, at a seventh of its resolution: channels, frames and pixels of both pathways."""
    shapes = {}

    def note(name):
        return lambda _, __, output: shapes.update({name: [tuple(part.shape[1:4]) for part in output]})

    hooks = [getattr(network, f"s{n}").register_forward_hook(note(f"s{n}")) for n in range(1, 6)]
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 32, 32, 32)).shape == (1, 2304)
    for hook in hooks:
        hook.remove()
    assert shapes == {
        "s1": [(64, 8, 8), (8, 32, 8)],
        "s2": [(256, 8, 8), (32, 32, 8)],
        "s3": [(512, 8, 4), (64, 32, 4)],
        "s4": [(1024, 8, 2), (128, 32, 2)],
        "s5": [(2048, 8, 1), (256, 32, 1)],
    }


def test_a_dilated_network_keeps_its_resolution():
    """AVA's last stage sees as finely as the one before, with kernels of the same reach."""
    with torch.device("meta"):
        network = SlowFast(AVA).eval()
        before, after = torch.empty(1, 1024 + 256, 8, 16, 16), torch.empty(1, 128, 32, 16, 16)
        slow, fast = network.s5(before, after)
    assert (slow.shape[1:], fast.shape[1:]) == ((2048, 8, 16, 16), (256, 32, 16, 16))
    assert {m.dilation for m in network.s5.modules() if getattr(m, "kernel_size", 0) == (1, 3, 3)} == {(1, 2, 2)}


def test_the_slow_pathway_sees_the_frames_that_the_authors_take():
    """Theirs: torch.linspace(0, 31, 8).long()."""
    assert slow_frames().tolist() == torch.linspace(0, 31, 8).long().tolist() == [0, 4, 8, 13, 17, 22, 26, 31]


def convolved(x, weight, padding, stride=1, dilation=1):
    """A convolution as a sum over its kernel's places. x [C, T, H, W], weight [O, C, t, h, w], float64."""
    x = np.pad(x, [(0, 0), *((size, size) for size in padding)])
    reach = [(size - 1) * step for size, step in zip(weight.shape[2:], (1, dilation, dilation), strict=True)]
    frames, height, width = (size - far for size, far in zip(x.shape[1:], reach, strict=True))
    out = 0
    for t, i, j in np.ndindex(weight.shape[2:]):
        i0, j0 = i * dilation, j * dilation
        seen = x[:, t : t + frames, i0 : i0 + height : stride, j0 : j0 + width : stride]
        out = out + np.einsum("oc,cthw->othw", weight[:, :, t, i, j], seen)
    return out


def normalised(x, state, name):
    scale, shift, mean, variance = (
        state[f"{name}.{part}"][:, None, None, None] for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / np.sqrt(variance + 1e-5) * scale + shift


def stage_by_sums(x, state, prefix, blocks, stride=1, dilation=1):
    """A stage of one pathway as the paper describes it, from the tensors by the authors' names."""
    for number in range(blocks):
        name = f"{prefix}_res{number}"
        step = stride if number == 0 else 1
        a = state[f"{name}.branch2.a.weight"]
        y = convolved(x, a, (a.shape[2] // 2, 0, 0))
        y = np.maximum(normalised(y, state, f"{name}.branch2.a_bn"), 0)
        y = convolved(y, state[f"{name}.branch2.b.weight"], (0, dilation, dilation), step, dilation)
        y = np.maximum(normalised(y, state, f"{name}.branch2.b_bn"), 0)
        y = convolved(y, state[f"{name}.branch2.c.weight"], (0, 0, 0))
        y = normalised(y, state, f"{name}.branch2.c_bn")
        if f"{name}.branch1.weight" in state:
            past = convolved(x, state[f"{name}.branch1.weight"], (0, 0, 0), step)
            x = normalised(past, state, f"{name}.branch1_bn")
        x = np.maximum(x + y, 0)
    return x


@pytest.mark.parametrize(
    ("stage", "pathway", "width", "stride"), [(2, 1, 8, 1), (3, 1, 32, 2), (2, 0, 80, 1), (5, 1, 128, 2)]
)
def test_stages_are_the_sums_of_the_paper(network, stage, pathway, width, stride):
    """Residual stages of either pathway against loops over kernel places, in double precision."""
    state = {name: tensor.double().numpy() for name, tensor in network.state_dict().items()}
    x = torch.randn(1, width, 5, 6, 8, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        got = getattr(network, f"s{stage}")._run(pathway, x)[0].numpy()
    blocks = {2: 3, 3: 4, 5: 3}[stage]
    expected = stage_by_sums(x[0].double().numpy(), state, f"s{stage}.pathway{pathway}", blocks, stride)
    assert expected.std() > 0.1
    np.testing.assert_allclose(got, expected, atol=1e-4 * np.abs(expected).max())


def test_non_local_and_dilated_blocks_are_the_sums_of_their_papers():
    """Every place's answer is the mean over all pooled places of ⟨θ, φ⟩ g: with the matrix of pairs written out."""
    network = random_network(Variant(6, 6, (0,), dilated=True))
    state = {name: tensor.double().numpy() for name, tensor in network.state_dict().items()}
    x = torch.randn(1, 1024, 4, 4, 6, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        got = network.s4.pathway0_nonlocal0(x)[0].numpy()
    x = x[0].double().numpy()
    pooled = x.reshape(1024, 2, 2, 2, 2, 3, 2).max(axis=(2, 4, 6))

    def projected(seen, name):
        weight, bias = (state[f"s4.pathway0_nonlocal0.conv_{name}.{part}"] for part in ("weight", "bias"))
        return weight[:, :, 0, 0, 0] @ seen.reshape(seen.shape[0], -1) + bias[:, None]

    theta, phi, g = projected(x, "theta"), projected(pooled, "phi"), projected(pooled, "g")
    pairs = theta.T @ phi / (2 * 2 * 3)
    out = projected(np.einsum("tp,cp->ct", pairs, g), "out").reshape(x.shape)
    expected = x + normalised(out, state, "s4.pathway0_nonlocal0.bn")
    np.testing.assert_allclose(got, expected, atol=1e-4 * np.abs(expected).max())

    y = torch.randn(1, 128, 3, 5, 7, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        got = network.s5._run(1, y)[0].numpy()
    expected = stage_by_sums(y[0].double().numpy(), state, "s5.pathway1", 3, 1, dilation=2)
    np.testing.assert_allclose(got, expected, atol=1e-4 * np.abs(expected).max())


def test_the_fast_pathway_is_fused_into_the_slow_one(network):
    """Every fourth frame of a convolution over five, normalised, behind the slow pathway's own channels."""
    state = {name: tensor.double().numpy() for name, tensor in network.state_dict().items()}
    generator = torch.Generator().manual_seed(4)
    slow, fast = torch.randn(1, 64, 8, 3, 3, generator=generator), torch.randn(1, 8, 32, 3, 3, generator=generator)
    with torch.inference_mode():
        got = network.s1_fuse(slow, fast)[0].numpy()
    seen = convolved(fast[0].double().numpy(), state["s1_fuse.conv_f2s.weight"], (2, 0, 0))[:, ::4]
    np.testing.assert_array_equal(got[:64], slow[0].numpy())
    np.testing.assert_allclose(got[64:], np.maximum(normalised(seen, state, "s1_fuse.bn"), 0), atol=1e-5)


# --- the published files ------------------------------------------------------------------------------

AVA_LOG = """
conv1_w: (64, 3, 1, 7, 7) => s1.pathway0_stem.conv.weight
t_conv1_w: (8, 3, 5, 7, 7) => s1.pathway1_stem.conv.weight
res_conv1_bn_riv: (64,) => s1.pathway0_stem.bn.running_var
t_res_conv1_bn_riv: (8,) => s1.pathway1_stem.bn.running_var
t_pool1_subsample_w: (16, 8, 5, 1, 1) => s1_fuse.conv_f2s.weight
t_pool1_subsample_bn_s: (16,) => s1_fuse.bn.weight
t_pool1_subsample_bn_b: (16,) => s1_fuse.bn.bias
t_pool1_subsample_bn_riv: (16,) => s1_fuse.bn.running_var
t_res3_3_branch2c_bn_subsample_bn_riv: (128,) => s3_fuse.bn.running_var
t_res4_22_branch2c_bn_subsample_w: (256, 128, 5, 1, 1) => s4_fuse.conv_f2s.weight
res2_0_branch1_bn_rm: (256,) => s2.pathway0_res0.branch1_bn.running_mean
res2_0_branch2a_bn_s: (64,) => s2.pathway0_res0.branch2.a_bn.weight
t_res2_0_branch2a_w: (8, 8, 3, 1, 1) => s2.pathway1_res0.branch2.a.weight
t_res2_1_branch2b_w: (8, 8, 1, 3, 3) => s2.pathway1_res1.branch2.b.weight
t_res2_0_branch2c_w: (32, 8, 1, 1, 1) => s2.pathway1_res0.branch2.c.weight
res3_0_branch1_w: (512, 320, 1, 1, 1) => s3.pathway0_res0.branch1.weight
t_res3_0_branch1_w: (64, 32, 1, 1, 1) => s3.pathway1_res0.branch1.weight
t_res3_0_branch1_bn_riv: (64,) => s3.pathway1_res0.branch1_bn.running_var
res3_1_branch2a_w: (128, 512, 1, 1, 1) => s3.pathway0_res1.branch2.a.weight
t_res3_1_branch2a_w: (16, 64, 3, 1, 1) => s3.pathway1_res1.branch2.a.weight
res4_2_branch2a_w: (256, 1024, 3, 1, 1) => s4.pathway0_res2.branch2.a.weight
res4_6_branch2a_w: (256, 1024, 1, 1, 1) => s4.pathway0_res6.branch2.a.weight
t_res4_5_branch2a_w: (32, 128, 3, 1, 1) => s4.pathway1_res5.branch2.a.weight
t_res4_6_branch2a_w: (32, 128, 1, 1, 1) => s4.pathway1_res6.branch2.a.weight
res4_10_branch2b_w: (256, 256, 1, 3, 3) => s4.pathway0_res10.branch2.b.weight
res4_22_branch2b_bn_b: (256,) => s4.pathway0_res22.branch2.b_bn.bias
res4_22_branch2c_w: (1024, 256, 1, 1, 1) => s4.pathway0_res22.branch2.c.weight
res4_20_branch2c_bn_rm: (1024,) => s4.pathway0_res20.branch2.c_bn.running_mean
nonlocal_conv4_6_phi_w: (512, 1024, 1, 1, 1) => s4.pathway0_nonlocal6.conv_phi.weight
nonlocal_conv4_20_theta_b: (512,) => s4.pathway0_nonlocal20.conv_theta.bias
nonlocal_conv4_13_g_w: (512, 1024, 1, 1, 1) => s4.pathway0_nonlocal13.conv_g.weight
nonlocal_conv4_20_out_w: (1024, 512, 1, 1, 1) => s4.pathway0_nonlocal20.conv_out.weight
nonlocal_conv4_13_bn_rm: (1024,) => s4.pathway0_nonlocal13.bn.running_mean
nonlocal_conv4_13_bn_s: (1024,) => s4.pathway0_nonlocal13.bn.weight
res5_0_branch1_w: (2048, 1280, 1, 1, 1) => s5.pathway0_res0.branch1.weight
res5_1_branch2b_w: (512, 512, 1, 3, 3) => s5.pathway0_res1.branch2.b.weight
t_res5_1_branch2a_w: (64, 256, 3, 1, 1) => s5.pathway1_res1.branch2.a.weight
t_res5_0_branch2c_bn_b: (256,) => s5.pathway1_res0.branch2.c_bn.bias
pred_w: (80, 2304) => head.projection.weight
pred_b: (80,) => head.projection.bias
"""
"""What the authors' program printed of the published SLOWFAST_32x2_R101_50_50_v2.1.pkl as it converted it: a line
of every kind, from a log that a user of theirs put on the web."""


def logged():
    """By Caffe2's name: PySlowFast's, and the shape."""
    lines = (re.fullmatch(r"(\w+): \((.*)\) => (.*)", line) for line in AVA_LOG.strip().splitlines())
    return {line[1]: (line[3], [int(size) for size in line[2].rstrip(",").split(",")]) for line in lines}


def caffe2_name(name):
    """Caffe2's name of a parameter, from PySlowFast's."""
    layer, parameter = name.rsplit(".", 1)
    norm = re.search(r"bn$", layer)
    suffix = {"weight": "s" if norm else "w", "bias": "b", "running_mean": "rm", "running_var": "riv"}[parameter]
    t = "t_" if "pathway1" in layer else ""
    for pattern, old in (
        (r"s1\.pathway\d_stem\.conv", f"{t}conv1"),
        (r"s1\.pathway\d_stem\.bn", f"{t}res_conv1_bn"),
        (r"s(\d)\.pathway\d_res(\d+)\.branch1(_bn)?", f"{t}res{{0}}_{{1}}_branch1{{2}}"),
        (r"s(\d)\.pathway\d_res(\d+)\.branch2\.(\w)(_bn)?", f"{t}res{{0}}_{{1}}_branch2{{2}}{{3}}"),
        (r"s1_fuse\.conv_f2s", "t_pool1_subsample"),
        (r"s1_fuse\.bn", "t_pool1_subsample_bn"),
        (r"s(\d)_fuse\.conv_f2s", "t_res{0}_{last}_branch2c_bn_subsample"),
        (r"s(\d)_fuse\.bn", "t_res{0}_{last}_branch2c_bn_subsample_bn"),
        (r"s(\d)\.pathway0_nonlocal(\d+)\.(?:conv_)?(\w+)", "nonlocal_conv{0}_{1}_{2}"),
        (r"head\.projection", "pred"),
    ):
        if match := re.fullmatch(pattern, layer):
            groups = [group or "" for group in match.groups()]
            last = {"2": 2, "3": 3, "4": 22}.get(groups[0]) if groups else None
            return f"{old.format(*groups, last=last)}_{suffix}"
    raise AssertionError(name)


def pytorchvideo_name(name):
    """PyTorchVideo's name of a parameter, from PySlowFast's."""
    name = re.sub(r"^s(\d)_fuse\.", lambda m: f"blocks.{int(m[1]) - 1}.multipathway_fusion.", name)
    name = name.replace("head.projection", "blocks.6.proj").replace("conv_f2s", "conv_fast_to_slow")
    name = re.sub(r"^s(\d)\.pathway(\d)_stem\.", r"blocks.0.multipathway_blocks.\2.", name)
    name = re.sub(
        r"^s(\d)\.pathway(\d)_res(\d+)\.",
        lambda m: f"blocks.{int(m[1]) - 1}.multipathway_blocks.{m[2]}.res_blocks.{m[3]}.",
        name,
    )
    name = re.sub(r"branch1\.", "branch1_conv.", name).replace("branch1_bn", "branch1_norm")
    name = re.sub(r"branch2\.([abc])\.", r"branch2.conv_\1.", name)
    name = re.sub(r"branch2\.([abc])_bn\.", r"branch2.norm_\1.", name)
    return re.sub(r"\.bn\.", ".norm.", name)


def thin(state):
    """The same names and shapes in small files: each tensor holds one number, its own."""
    return {name: torch.tensor(float(i)).expand(tensor.shape) for i, (name, tensor) in enumerate(state.items())}


@pytest.fixture(scope="module")
def thin_state():
    """By variant, without numbers of batches."""

    def make(variant):
        with torch.device("meta"):
            state = SlowFast(variant).state_dict()
        return thin({name: tensor for name, tensor in state.items() if "num_batches" not in name})

    return make


def test_names_and_shapes_are_those_of_the_published_file():
    """A line of every kind of the authors' log: what they call it, and how large it is."""
    with torch.device("meta"):
        state = SlowFast(AVA).state_dict()
    assert {name: list(state[name].shape) for name, _ in logged().values()} == dict(logged().values())
    kinds = {re.sub(r"\d+", "0", name) for name in state if "num_batches" not in name}
    seen = {re.sub(r"\d+", "0", name) for name, _ in logged().values()}
    layers = {kind.rpartition(".")[0] for kind in kinds} - {kind.rpartition(".")[0] for kind in seen}
    assert layers == set()


@pytest.mark.parametrize("variant", [KINETICS, PAPER, Variant(6, 23, classes=600), AVA])
@pytest.mark.parametrize("renamed", [str, pytorchvideo_name])
def test_a_checkpoint_says_which_network_it_is_of_and_fills_it(thin_state, tmp_path, variant, renamed):
    """Nothing is missing, nothing left over: also AVA's, with 80 classes, non-local blocks and dilation."""
    state = thin_state(variant)
    if renamed is pytorchvideo_name and variant.nonlocal_blocks:
        pytest.skip("PyTorchVideo has no such network")
    torch.save({"model_state": {renamed(name): value for name, value in state.items()}}, tmp_path / "w.pyth")
    network, found = load_slowfast(tmp_path / "w.pyth")
    assert found == variant
    loaded = network.state_dict()
    assert {name: value.flatten()[0].item() for name, value in loaded.items() if name in state} == {
        name: value.flatten()[0].item() for name, value in state.items()
    }
    assert all(value == 0 for name, value in loaded.items() if name not in state)


def test_old_torch_files_and_caffe2_files_are_told_by_what_is_in_them(thin_state, tmp_path):
    """The zoo calls both .pkl: AVA 2.2's file is torch's of before 1.6, AVA 2.1's Caffe2's."""
    path = tmp_path / "SLOWFAST_32x2_R101_50_50.pkl"
    state = thin_state(AVA)
    torch.save({"model_state": state}, path, _use_new_zipfile_serialization=False)
    assert load_slowfast(path)[1] == AVA


def blobs(state):
    """Small Caffe2 blobs of a network: a number each, with what training left."""
    made = {caffe2_name(name): np.float32([value.flatten()[0].item()]) for name, value in state.items()}
    momenta = {f"{name}_momentum": value for name, value in made.items() if name.endswith(("_w", "_b", "_s"))}
    return made | momenta | {"lr": np.float32(0.1), "model_iter": 200}


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_caffe2_blobs_get_the_networks_names(thin_state, tmp_path, protocol):
    """Each of them its own, training's are left out, and none keeps its old name; by Python 2 and 3 alike."""
    state = thin_state(AVA)
    with (tmp_path / "c2.pkl").open("wb") as file:
        pickle.dump({"blobs": blobs(state)}, file, protocol)
    got = read_checkpoint(tmp_path / "c2.pkl")
    assert {name: value.item() for name, value in got.items()} == {
        name: value.flatten()[0].item() for name, value in state.items()
    }


def test_caffe2_names_in_the_authors_log(tmp_path):
    """Each is converted as their own program did."""
    with (tmp_path / "c2.pkl").open("wb") as file:
        pickle.dump({"blobs": {name: np.float32([i]) for i, name in enumerate(logged())}}, file, 2)
    got = read_checkpoint(tmp_path / "c2.pkl")
    assert {name: value.item() for name, value in got.items()} == {
        name: i for i, (name, _) in enumerate(logged().values())
    }
    assert [caffe2_name(name) for name, _ in logged().values()] == list(logged())


@pytest.mark.slow
def test_a_whole_caffe2_file_fills_the_network(network, tmp_path):
    """Every number arrives; the counts of batches that it lacks are nought."""
    arrays = {caffe2_name(n): v.numpy() for n, v in network.state_dict().items() if "num_batches" not in n}
    with (tmp_path / "SLOWFAST_8x8_R101.pkl").open("wb") as file:
        pickle.dump({"blobs": arrays}, file, 2)
    loaded, variant = load_slowfast(tmp_path / "SLOWFAST_8x8_R101.pkl")
    assert variant == KINETICS
    for name, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name


def test_python_2s_own_bytes_are_read(tmp_path):
    """As Python 2 wrote them: names and array data are its byte strings, with all 256 values."""
    data = bytes(range(256))
    written = (
        b"\x80\x02}U\x05blobs}U\x06pred_bcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x40\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89T" + len(data).to_bytes(4, "little") + data + b"tbss."
    )
    (tmp_path / "c2.pkl").write_bytes(written)
    got = read_caffe2(tmp_path / "c2.pkl")["pred_b"]
    np.testing.assert_array_equal(got.view(np.uint32), np.frombuffer(data, "<f4").view(np.uint32))


class Hostile:
    """Pickles to a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("function", "arguments", "named"),
    [
        (os.system, ("touch {marker}",), "system"),
        (eval, ("open('{marker}', 'w')",), "eval"),
        (exec, ("open('{marker}', 'w')",), "exec"),
        (getattr, (np, "load"), "getattr"),
        (np.lib.format.open_memmap, ("{marker}", "w+"), "open_memmap"),
        (np.fromfile, ("/etc/passwd",), "fromfile"),
        (torch.load, ("{marker}",), r"torch\.serialization"),
    ],
)
def test_a_pickle_that_calls_anything_is_refused_and_named(tmp_path, function, arguments, named):
    """Nothing but NumPy's makers of arrays is called, and nothing has happened afterwards."""
    marker = tmp_path / "was here"
    arguments = [a.format(marker=marker) if isinstance(a, str) else a for a in arguments]
    arguments = ["np" if a is np else a for a in arguments]
    (tmp_path / "w.pkl").write_bytes(pickle.dumps({"blobs": {"pred_w": Hostile(function, *arguments)}}, 2))
    with pytest.raises(WeightsError, match=rf"w\.pkl: .*names .*{named}"):
        make_encoder("slowfast_r101", weights=tmp_path / "w.pkl", device="cpu")
    assert not marker.exists()


def pickled(*values):
    return pickle.dumps({"blobs": {f"x{i}_w": value for i, value in enumerate(values)}}, 2)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (pickled(np.array([{"a": 1}], object)), "not numbers"),
        (pickled(np.array(["text"])), "not numbers"),
        (pickled([1.0, 2.0]), "no array of numbers"),
        (pickle.dumps({"blobs": {}}), "no 'blobs'"),
        (pickle.dumps([1, 2]), "no 'blobs'"),
        (pickled(Hostile(__import__("_codecs").encode, "x", "rot13")), "rot13"),
        (b"\x80\x02cnumpy\nndarray\nJ\xff\xff\xff\x7f\x85R.", "not callable"),
        (b"", "safely"),
        (b"hello", "safely"),
        (pickled(np.zeros(1000, np.float32))[:-2000], "safely"),
        (pickle.dumps(torch.zeros(3), 2), "names torch"),
    ],
)
def test_what_is_no_caffe2_checkpoint_is_refused(tmp_path, content, said):
    """With the reason, and what was expected instead."""
    (tmp_path / "w.pkl").write_bytes(content)
    with pytest.raises(WeightsError, match=rf"w\.pkl: .*{said}.*expected a pickle of NumPy arrays"):
        read_caffe2(tmp_path / "w.pkl")


def test_a_pickle_that_takes_all_memory_or_its_process_costs_its_child_alone(tmp_path, monkeypatch):
    """Ten gigabytes that are said to follow; a child that is simply gone."""
    (tmp_path / "w.pkl").write_bytes(b"\x80\x04\x8e" + (10 << 30).to_bytes(8, "little") + b"x.")
    with pytest.raises(WeightsError, match=r"w\.pkl: unpickling it takes more memory"):
        read_caffe2(tmp_path / "w.pkl")
    monkeypatch.setattr(caffe2_pickle, "_serve", os._exit)  # called with what it cannot take
    with pytest.raises(WeightsError, match=r"w\.pkl: unpickling it ended the process"):
        read_caffe2(tmp_path / "w.pkl")


def test_a_child_that_was_taken_over_is_not_believed(tmp_path, monkeypatch):
    """What it sends is bare numbers, or refused."""
    (tmp_path / "w.pkl").write_bytes(pickled(np.zeros(3, np.float32)))
    answers = iter([b"", pickle.dumps(np.zeros(3))])
    monkeypatch.setattr(caffe2_pickle, "_hear", lambda connection, path: next(answers))
    with pytest.raises(WeightsError, match=r"w\.pkl: .*damaged"):
        read_caffe2(tmp_path / "w.pkl")


def test_torch_files_that_could_run_code_are_refused(tmp_path):
    """Whatever else is in them beside the network."""
    torch.save({"model_state": {}, "cfg": Hostile(os.system, "true")}, tmp_path / "w.pyth")
    with pytest.raises(WeightsError, match="could run code"):
        make_encoder("slowfast_r101", weights=tmp_path / "w.pyth", device="cpu")


def test_a_checkpoint_of_another_network_is_refused(thin_state, tmp_path):
    """What is missing, left over or of another shape is named."""
    state = thin_state(KINETICS)
    state.pop("s2.pathway0_res0.branch1.weight")
    state["s9.weight"] = torch.zeros(1)
    state["s1_fuse.conv_f2s.weight"] = torch.zeros(16, 8, 7, 1, 1)
    torch.save(state, tmp_path / "w.pyth")
    with pytest.raises(WeightsError) as raised:
        load_slowfast(tmp_path / "w.pyth")
    for part in ("1 missing (s2.pathway0_res0.branch1.weight)", "1 unknown (s9.weight)", "1 of another shape"):
        assert part in str(raised.value)
    assert variant_of({}) == Variant(0, 0)


# --- the encoder --------------------------------------------------------------------------------------


def clip_of(seed):
    return np.random.default_rng(seed).integers(0, 256, (64, 256, 256, 3), np.uint8)


def test_both_pathways_are_pooled_and_joined(network):
    """2048 numbers of the slow one, then 256 of the fast one: means over time and place."""
    clip = torch.randn(1, 3, 32, 32, 32, generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        got = network(clip)[0].numpy()
        slow, fast = clip[:, :, [0, 4, 8, 13, 17, 22, 26, 31]], clip
        for number in range(1, 6):
            if number > 1:
                slow = getattr(network, f"s{number - 1}_fuse")(slow, fast)
            slow, fast = getattr(network, f"s{number}")(slow, fast)
    expected = np.concatenate([part.numpy()[0].reshape(part.shape[1], -1).mean(axis=1) for part in (slow, fast)])
    assert got.shape == (2304,)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


class Seeing(torch.nn.Module):
    """Keeps what it is given."""

    def forward(self, clips):
        self.seen = clips
        return torch.zeros(1, 2304)


def test_a_clip_is_prepared_as_the_authors_do(encoder):
    """Every second frame, red first, from 0…255 to (x − 0.45) / 0.225, as [1, 3, 32, 256, 256]."""
    seeing, frames = Seeing(), clip_of(0)
    SlowFastEncoder(seeing, encoder.identity, encoder.placement).encode_clip(frames)
    assert seeing.seen.shape == (1, 3, 32, 256, 256)
    for frame, colour in ((0, 0), (1, 1), (17, 2), (31, 0)):
        expected = (frames[2 * frame, :, :, colour] / 255 - 0.45) / 0.225
        np.testing.assert_allclose(seeing.seen[0, colour, frame].numpy(), expected, atol=1e-5)


@pytest.mark.slow
def test_a_clip_becomes_numbers(encoder, network):
    """The network's, in full size, as the library takes them."""
    got = encoder.encode_clip(clip_of(0))
    assert (got.dtype, got.shape, got.flags.c_contiguous) == (np.float32, (2304,), True)
    clip = (torch.from_numpy(clip_of(0)[::2]).permute(3, 0, 1, 2).float() / 255 - 0.45) / 0.225
    with torch.inference_mode():
        np.testing.assert_allclose(got, network(clip[None])[0].numpy(), rtol=1e-4, atol=1e-5)
    assert got.std() > 0.1 * got.mean()


def test_the_encoder_says_what_it_is(encoder, checkpoint):
    """What it is to be given, and all that makes its vectors comparable."""
    assert isinstance(encoder, ClipEncoder)
    assert (encoder.clip.frames, encoder.clip.rate, encoder.clip.side_px) == (64, 30, 256)
    identity = encoder.identity
    assert (identity.name, identity.dimension, identity.metric) == ("slowfast_r101", 2304, "cosine")
    assert len(identity.weights_sha256) == 64
    assert identity.architecture == "SlowFast 8×8 R101, temporal 23+23"
    for part in ("64 frames", "30 a second", "256", "RGB", "0.45", "0.225", "0 4 8 13 17 22 26 31"):
        assert part in identity.preprocessing


@pytest.mark.parametrize("frames", [np.zeros((64, 256, 256, 3), np.float32), np.zeros((32, 256, 256, 3), np.uint8)])
def test_a_clip_of_another_kind_is_refused(encoder, frames):
    with pytest.raises(EncoderError, match=r"expected uint8 \[64, 256, 256, 3\]"):
        encoder.encode_clip(frames)


def test_weights_are_asked_for_where_they_are(tmp_path):
    """No hub has them: the message names the authors' files."""
    with pytest.raises(WeightsError, match=r"SLOWFAST_8x8_R101\.pyth .*SLOWFAST_32x2_R101_50_50\.pkl .*--weights"):
        make_encoder("slowfast_r101")
    with pytest.raises(WeightsError, match="no such weights file"):
        make_encoder("slowfast_r101", weights=tmp_path / "none.pkl")
    with pytest.raises(UsageError, match="choose cpu"):
        make_encoder("slowfast_r101", weights=tmp_path / "none.pkl", device="tpu")


@pytest.mark.cuda
def test_on_cuda_in_half_precision(checkpoint, encoder):
    """bf16 changes the numbers little: their direction stays."""
    if not torch.cuda.is_available():
        if os.environ.get("FAIL_WITHOUT_CUDA"):
            pytest.fail("no CUDA device, and FAIL_WITHOUT_CUDA is set")
        pytest.skip("needs a GPU")
    whole = encoder.encode_clip(clip_of(1))
    for precision, least in ((None, 0.999), ("fp32", 0.99999)):
        on_cuda = make_encoder("slowfast_r101", weights=checkpoint, device="cuda", precision=precision)
        got = on_cuda.encode_clip(clip_of(1))
        assert got @ whole / np.linalg.norm(got) / np.linalg.norm(whole) > least
