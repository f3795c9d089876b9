"""Networks that turn images into features, their weights and the cache of features."""
