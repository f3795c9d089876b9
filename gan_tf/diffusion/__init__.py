"""Denoising diffusion (Ho et al. 2020), conditioned on labels where images have them."""
