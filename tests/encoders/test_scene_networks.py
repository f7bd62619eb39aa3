"""E_scene's two networks: any number of shots, absent ones without effect, order seen, timm's ViT within."""

import pytest

torch = pytest.importorskip("torch")

from m2s_index.encoders.scene_frames_network import FramesNetwork  # noqa: E402
from m2s_index.encoders.scene_shots_network import ShotsNetwork  # noqa: E402
from m2s_index.errors import UsageError  # noqa: E402

PX = 32


def shots_network():
    torch.manual_seed(0)
    return ShotsNetwork(features=7, width=16, layers=2, heads=4).eval(), (7,)


def frames_network():
    torch.manual_seed(0)
    return FramesNetwork("test_vit", PX).eval(), (3, PX, PX)


@pytest.fixture(params=[shots_network, frames_network])
def network(request):
    """A network in double precision, where differences are no rounding, and the shape of what it sees of a shot."""
    made, shape = request.param()
    return made.double(), shape


def draw(scenes, shots, shape):
    generator = torch.Generator().manual_seed(scenes + shots)
    return torch.randn(scenes, shots, *shape, generator=generator, dtype=torch.float64)


@torch.no_grad()
def vectors(network, scenes):
    return network(scenes, torch.ones(scenes.shape[:2], dtype=torch.bool))


@pytest.mark.parametrize("shots", [1, 2, 9, 13])
def test_any_number_of_shots(network, shots):
    """One vector a scene, another for another scene; a scene's does not depend on its batch."""
    made, shape = network
    scenes = draw(3, shots, shape)
    found = vectors(made, scenes)
    assert found.shape == (3, made.width)
    assert torch.isfinite(found).all()
    assert (found[0] - found[1]).norm() > 1e-3
    for number in range(3):
        assert torch.allclose(vectors(made, scenes[number : number + 1])[0], found[number], atol=1e-6)


@torch.no_grad()
def test_absent_shots_have_no_effect(network):
    """Whatever stands where there is no shot, a vector is that of the shots there are, to 1e-6."""
    made, shape = network
    scenes = draw(2, 4, shape)
    alone = vectors(made, scenes)
    for filling in (0.0, 50.0):
        padded = torch.cat([scenes, torch.full((2, 3, *shape), filling)], dim=1)
        present = (torch.arange(7) < 4).expand(2, 7)
        assert torch.allclose(made(padded, present), alone, atol=1e-6)
    # Also where scenes of different lengths share a batch.
    present = torch.tensor([[True] * 4, [True, True, False, False]])
    mixed = made(scenes, present)
    assert torch.allclose(mixed[0], alone[0], atol=1e-6)
    assert torch.allclose(mixed[1], vectors(made, scenes[1:, :2])[0], atol=1e-6)


def test_the_order_of_shots_is_seen(network):
    """Shots in another order make another vector, unless positions are taken away."""
    made, shape = network
    scenes = draw(2, 5, shape)
    assert (vectors(made, scenes) - vectors(made, scenes.flip(1))).abs().max() > 1e-4
    torch.nn.init.zeros_(made.position.project.weight)
    assert torch.allclose(vectors(made, scenes), vectors(made, scenes.flip(1)), atol=1e-5)


def test_every_weight_is_trained(network):
    """Gradients reach all parameters."""
    made, shape = network
    made(draw(2, 3, shape), torch.ones(2, 3, dtype=torch.bool)).square().mean().backward()
    without = [name for name, weight in made.named_parameters() if weight.grad is None]
    assert without == []


def test_shots_count_by_direction():
    """Longer features of the same direction make the same vector."""
    made, shape = shots_network()
    made.double()
    scenes = draw(2, 3, shape)
    assert torch.allclose(vectors(made, scenes), vectors(made, 30 * scenes), atol=1e-5)


@pytest.mark.parametrize("backbone", ["test_vit", "vit_tiny_patch16_224"])
def test_one_shot_is_one_picture(backbone):
    """With the shot's position taken away, a scene of one shot is what timm's ViT gives for the picture."""
    torch.manual_seed(1)
    made = FramesNetwork(backbone, PX).eval()
    torch.nn.init.zeros_(made.position.project.weight)
    pictures = torch.randn(3, 3, PX, PX)
    with torch.no_grad():
        expected = made.vit(pictures)
    assert torch.allclose(vectors(made, pictures[:, None]), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("backbone", "image_px", "said"),
    [
        ("vit_of_nobody", 32, "timm has no model 'vit_of_nobody'"),
        ("test_vit", 50, "does not take pictures of 50 pixels"),
        ("test_convnext", 32, "test_convnext does not take pictures of 32 pixels|plain ViT with a class token"),
        ("test_vit2", 32, "plain ViT with a class token"),
    ],
)
def test_a_backbone_that_cannot_be(backbone, image_px, said):
    """It is named, with what it must be."""
    with pytest.raises(UsageError, match=said):
        FramesNetwork(backbone, image_px)
