"""The page of a run, ``RUN/report.html``: one self-contained file, made from the run's folder alone. Free of TensorFlow."""
