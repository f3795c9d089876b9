"""Unsupervised domain adaptation: labels of one domain, images of another (Ganin et al. 2016)."""
