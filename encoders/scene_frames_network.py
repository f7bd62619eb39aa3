"""E_scene over key frames: a ViT that sees the patches of all of a scene's key frames together."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor, nn

from m2s_index.encoders.shot_positions import ShotPositions
from m2s_index.encoders.timm_image import pretrained_config
from m2s_index.encoders.torchvision_shim import import_torchvision
from m2s_index.errors import UsageError, first_line


class FramesNetwork(nn.Module):
    """Key frames and which of them there are, to one vector a scene: the class token, after the last block.

    Patches, their positions, blocks and norms are those of any of timm's plain ViTs with a class token; each
    shot's patches are told apart from the next shot's by a position of the shot. Of a scene of one shot, were
    that position zero, it makes what the ViT makes of a picture.
    """

    def __init__(self, backbone: str, image_px: int) -> None:
        """Random weights, drawn from torch's generator.

        Raises:
            UsageError: timm has no such model, it is no such ViT, or does not take pictures of this size.
        """
        super().__init__()
        import_torchvision()
        timm = importlib.import_module("timm")
        pretrained_config(f"timm:{backbone}", backbone)
        try:
            vit = timm.create_model(backbone, num_classes=0, img_size=image_px)
            with torch.inference_mode():
                vit(torch.zeros(1, 3, image_px, image_px))
        except (RuntimeError, AssertionError, ValueError, TypeError) as exc:
            raise UsageError(
                f"backbone {backbone} does not take pictures of {image_px} pixels ({first_line(exc)}); "
                "set another image_px or backbone"
            ) from exc
        plain = isinstance(vit, timm.models.vision_transformer.VisionTransformer)
        if not plain or vit.global_pool != "token":
            raise UsageError(
                f"backbone {backbone}: E_scene takes a plain ViT with a class token; set another, "
                "e.g. vit_base_patch16_224"
            )
        self.vit: Any = vit
        self.width: int = vit.embed_dim
        self.position = ShotPositions(self.width)

    def forward(self, frames: Tensor, present: Tensor) -> Tensor:
        """Scenes' vectors, float32 [N, width].

        Args:
            frames: float32 [N, S, 3, px, px], a key frame of each shot in order; any S.
            present: bool [N, S], False where there is no shot; at least one is True in each row.
        """
        vit, (scenes, shots) = self.vit, present.shape
        tokens = vit._pos_embed(vit.patch_embed(frames.flatten(0, 1))).unflatten(0, (scenes, shots))
        first, patches = tokens[:, 0, : vit.num_prefix_tokens], tokens[:, :, vit.num_prefix_tokens :]
        patches = patches + self.position(shots)[:, None]
        tokens = vit.norm_pre(torch.cat([first, patches.flatten(1, 2)], dim=1))
        seen = None
        if not present.all():
            prefix = present.new_ones(scenes, first.shape[1])
            of_patches = present.repeat_interleave(patches.shape[2], dim=1)
            seen = torch.cat([prefix, of_patches], dim=1)[:, None, None]
        for block in vit.blocks:
            tokens = block(tokens, attn_mask=seen)
        vectors: Tensor = vit.forward_head(vit.norm(tokens))
        return vectors
