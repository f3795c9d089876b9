"""Networks: ``build_*`` functions that return a ``keras.Model`` of stock layers, and nothing else."""
