"""What each GAN loss and each network brings with it: defaults that anything said by hand overrides.

Free of TensorFlow, so the command line can know the names. The formulas themselves stand in ``losses.py``.
"""

# Settings that a loss brings, on top of GanSettings' own defaults (which are the DCGAN paper's: Adam 2e-4, 0.5, 0.999).
LOSS_RECIPES: dict[str, dict] = {
    "gan": {},
    "lsgan": {},
    # Arjovsky et al. 2017, algorithm 1.
    "wgan": {"optimizer": "rmsprop", "g_rate": 5e-5, "d_rate": 5e-5, "clip": 0.01, "d_steps": 5},
    # Gulrajani et al. 2017, algorithm 1; section 4 "No critic batch normalization". beta1 0.5 follows the handout.
    "wgangp": {
        "g_rate": 1e-4,
        "d_rate": 1e-4,
        "beta1": 0.5,
        "beta2": 0.9,
        "d_steps": 5,
        "norm": "layer",
        "penalty": "two-sided",
        "penalty_weight": 10.0,
    },
    # Miyato et al. 2018: the hinge loss with a spectrally normalised discriminator.
    "hinge": {"norm": "spectral", "beta1": 0.0, "beta2": 0.9},
    # Huang et al. 2024 (R3GAN): relativistic pairs, zero-centred penalties on both sides, no normalisation in D.
    "rpgan": {"norm": "none", "penalty": "r1r2", "penalty_weight": 1.0, "beta1": 0.0, "beta2": 0.99},
}

# A network's own table wins over the loss's choice of normalisation.
NETWORK_RECIPES: dict[str, dict] = {
    "dcgan": {},
    "residual": {},
    "baseline": {"norm": "none", "hidden": 32},  # the table of the handout has no normalisation at all
}

# A gradient penalty judges each image alone, which batch norm in D makes impossible (Gulrajani et al. 2017, section 4).
PENALTY_RECIPE: dict = {"norm": "layer", "clip": 0.0}
