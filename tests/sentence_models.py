"""Sentence encoders that tests make: small, random, and saved by the libraries that will load them."""

from __future__ import annotations

from pathlib import Path

WORDS = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "the", "robot", "paints", "learns", "detective", "rain",
    "love", "pumpkin", "giant", "crew", "meets", "creature", "space", "marines", "fight", "thief", "in", "##s",
]  # fmt: skip


def save_bert(folder: Path, *, seed: int = 0) -> Path:
    """A BERT of one layer with a WordPiece tokenizer and mean pooling."""
    import torch

    from m2s_index.encoders.torchvision_shim import import_torchvision

    import_torchvision()
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast
    from transformers.utils import logging

    logging.disable_progress_bar()
    plain = folder.with_name(f"{folder.name}-plain")
    plain.mkdir(parents=True)
    (plain / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(str(plain / "vocab.txt")).save_pretrained(plain)
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        BertModel(BertConfig(vocab_size=len(WORDS), max_position_embeddings=32, **size)).save_pretrained(plain)
    SentenceTransformer(modules=[Transformer(str(plain)), Pooling(16)], device="cpu").save(str(folder))
    return folder


def save_static(folder: Path, *, seed: int = 0) -> Path:
    """A vector a word, drawn from a normal distribution, and their mean."""
    import numpy as np

    from m2s_index.encoders.torchvision_shim import import_torchvision

    import_torchvision()
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    vectors = np.random.default_rng(seed).normal(size=(len(WORDS), 24)).astype(np.float32)
    module = StaticEmbedding(tokenizer, embedding_weights=vectors)
    SentenceTransformer(modules=[module], device="cpu").save(str(folder))
    return folder
