"""Training: one idea of the method a module, and one loop. It is fed by any ``TrainingSource``."""
