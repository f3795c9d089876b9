"""Workflows: how one kind of model is settled, built, fed, watched, kept and sampled. One module a kind.

A workflow module offers

* ``SETTINGS``: its settings dataclass, and ``resolve(task, config, said) -> Resolved``; free of TensorFlow;
* ``build(task, settings) -> method`` and ``stream_for(method, source) -> Stream``;
* ``actions(task, config, method, source, folder, plan, writers, args)``: pictures, scores and weights on the way;
* ``begin_with(method, folder, task) -> (stages, lines)``: the weights of another run, how they came to be, what did not fit;
* ``infer_arguments(parser)``, ``check_infer(arguments)`` and ``infer(task, arguments, folder)``: what ``infer.py`` does;
* ``EXAMPLE``: the words that follow ``infer.py --task T --run RUN`` in the line that ends a training;
* ``sample(task, folder, count, seed)``: images for ``evaluate.py``; or ``evaluate(task, folder, data) -> scores``, where
  what is scored isn't images.

Everything that imports TensorFlow is imported inside the functions, so that ``--help`` answers at once.
"""
