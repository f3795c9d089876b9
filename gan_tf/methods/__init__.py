"""Methods: ``keras.Model`` subclasses whose ``train_step`` computes one update from one batch, and nothing else."""
