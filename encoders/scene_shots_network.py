"""E_scene over shot features: a small transformer whose tokens are a scene's shots."""

from __future__ import annotations

import importlib

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from m2s_index.encoders.shot_positions import ShotPositions
from m2s_index.encoders.torchvision_shim import import_torchvision


class ShotsNetwork(nn.Module):
    """Shot features and which of them there are, to one vector a scene.

    A shot's features count by their direction alone, as in shot adjacency: how long vectors are is a habit of
    the encoder that they come from.
    """

    def __init__(self, features: int, width: int, layers: int, heads: int) -> None:
        """Args: numbers of a shot, numbers of a scene, and the transformer's blocks, each of so many heads."""
        super().__init__()
        import_torchvision()
        block = importlib.import_module("timm.models.vision_transformer").Block
        self.features = features
        self.width = width
        self.embed = nn.Linear(features, width)
        self.position = ShotPositions(width)
        self.scene_token = nn.Parameter(torch.zeros(width))
        self.blocks = nn.ModuleList(block(width, heads, qkv_bias=True) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, features: Tensor, present: Tensor) -> Tensor:
        """Scenes' vectors, float32 [N, width].

        Args:
            features: float32 [N, S, ``features``], the shots of each scene in order; any S.
            present: bool [N, S], False where there is no shot; at least one is True in each row.
        """
        scenes, shots, numbers = features.shape
        embedded = self.embed(normalize(features, dim=2) * numbers**0.5) + self.position(shots)
        tokens = torch.cat([self.scene_token.expand(scenes, 1, -1), embedded], dim=1)
        seen = torch.cat([present.new_ones(scenes, 1), present], dim=1)[:, None, None]
        for block in self.blocks:
            tokens = block(tokens, attn_mask=seen)
        vectors: Tensor = self.norm(tokens[:, 0])
        return vectors
