"""Workflows: how one kind of model is settled, built, fed, watched, kept and sampled. One module a kind.

A workflow module offers

* ``SETTINGS``: its settings dataclass, and ``resolve(task, config, said) -> Resolved``; free of TensorFlow;
* ``prepare(task, settings, source) -> (method, stream)``;
* ``actions(task, config, method, run, plan, writers, …)``: pictures and weights on the way;
* ``infer(task, arguments)``: what ``infer.py`` does, and ``infer_arguments(parser)``.

Everything that imports TensorFlow is imported inside the functions, so that ``--help`` answers at once.
"""
