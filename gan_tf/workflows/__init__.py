"""Workflows: how one kind of model is settled, built, fed, watched, kept and sampled. One module a kind.

A workflow module offers

* ``SETTINGS``: its settings dataclass, and ``resolve(task, config, said) -> Resolved``; free of TensorFlow;
* ``TRAINED``: the attributes of its method that hold the networks which ``--init-from`` copies, first the one that is exported;
* ``load(folder, task) -> (network, settings)``: the exported one, of a run or shipped;
* ``build(task, settings) -> method`` and ``stream_for(method, source) -> Stream``;
* ``actions(task, config, method, source, folder, plan, writers, watched)``: pictures, scores and weights on the way;
* ``infer_arguments(parser)``, ``check_infer(arguments)`` and ``infer(task, arguments, folder)``: what ``infer.py`` does;
* ``ABOUT``: what ``infer.py`` does with it, in a few words; ``EXAMPLE``: words that follow ``infer.py --task T`` to show it;
* ``sample(task, folder, count, seed)``: images for ``evaluate.py``; or ``evaluate(task, folder, data) -> scores``, where
  what is scored isn't images.

Everything that imports TensorFlow is imported inside the functions, so that ``--help`` answers at once.
"""
