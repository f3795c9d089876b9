"""Networks: ``build_*`` functions that return a ``keras.Model``, and nothing else; their weights fit stock Keras layers too."""
