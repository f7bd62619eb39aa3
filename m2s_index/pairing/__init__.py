"""Which scenes of two films are alike: similarities of windows and scenes, and which pairs are taken."""
