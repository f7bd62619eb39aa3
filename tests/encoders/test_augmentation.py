"""How much views are changed: crops, colours and grey are as strong as they are asked to be."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("kornia")

from m2s_index.encoders.training.augmentation import Augmentation, Changes  # noqa: E402

PX = 32
PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


def views(pictures, **changes):
    """Views of uint8 pictures, in [0, 1]."""
    torch.manual_seed(0)
    return Augmentation(PX, PLAIN["mean"], PLAIN["std"], Changes(**changes))(pictures)


def ramps(count):
    """Pictures whose red grows from the left to the right, from 0 to 1."""
    pictures = torch.zeros(count, 3, PX, PX, dtype=torch.uint8)
    pictures[:, 0] = torch.linspace(0, 255, PX).to(torch.uint8)
    return pictures


def is_grey(made):
    """Which views have three equal channels."""
    return ((made - made.mean(dim=1, keepdim=True)).abs().amax(dim=(1, 2, 3)) < 1e-4).float()


def test_the_share_of_grey_views():
    """All, none, and about the share that is asked for."""
    pictures = ramps(400)
    assert is_grey(views(pictures, grey=1)).all()
    assert not is_grey(views(pictures, grey=0)).any()
    assert is_grey(views(pictures, grey=0.5)).mean().item() == pytest.approx(0.5, abs=0.1)


def test_the_least_crop():
    """A view shows no less than the share of the picture that is asked for: its red spans as much."""

    def widths(least_crop):
        made = views(ramps(200), least_crop=least_crop, colour=0, grey=0)
        red = made.amax(dim=1)  # a turned hue puts it into another channel
        return red.amax(dim=(1, 2)) - red.amin(dim=(1, 2))

    assert widths(1).min() > 0.8
    # The aspect ratio is at least 3/4: a view of the least area is at least sqrt(area · 3/4) wide.
    assert widths(0.6).min() > (0.6 * 0.75) ** 0.5 - 0.15
    assert widths(0.1).min() < 0.4


def test_how_much_colours_change():
    """Nothing but the hue where nothing is asked for; the more, the further brightness is from what it was."""
    grey = torch.full((300, 3, PX, PX), 128, dtype=torch.uint8)

    def spread(colour):
        return (views(grey, colour=colour) - 128 / 255).abs().amax().item()

    assert spread(0) < 0.01
    assert 0.1 < spread(0.3) < spread(0.9)


def test_what_is_changed_where_nothing_is_said():
    """MoCo v2's changes (Chen et al., 2020)."""
    assert Changes() == Changes(least_crop=0.2, colour=0.4, grey=0.2)
