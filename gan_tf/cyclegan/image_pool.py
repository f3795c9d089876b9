"""The pool of earlier fake images that discriminators are trained on (Shrivastava et al. 2017, section 2.3)."""

import keras
import tensorflow as tf


class ImagePool(keras.layers.Layer):
    """The last fake images of one generator, uint8, in variables, so that checkpoints hold them.

    Until the pool is full, each new image is stored and returned. After that, each is returned itself with probability 1/2,
    or else replaces a random image of the pool, which is returned.

    Args:
        size: images of the pool; 0 returns all new images.
        image_shape: height, width and channels.
        name: of the layer.
    """

    def __init__(self, size: int, image_shape: tuple[int, int, int], name: str):
        super().__init__(name=name, trainable=False)
        self.size = size
        if size:
            self.images = self.add_weight(
                shape=(size, *image_shape), dtype="uint8", initializer="zeros", trainable=False, name="images"
            )
            self.count = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False, name="count")
        self.built = True

    def call(self, images: tf.Tensor, random: tf.Tensor) -> tf.Tensor:
        """Exchanges new images for images of the pool, one after the other.

        Args:
            images: ``[batch, height, width, channels]`` in [-1, 1].
            random: uniform numbers in [0, 1), ``[batch, 2]``: whether an image is exchanged, and for which one.

        Returns:
            As many images, float32 in [-1, 1]. Those of the pool have been rounded to 256 levels, as real images are.
        """
        if not self.size:
            return images
        exchanged = [self._exchange(images[i], random[i]) for i in range(images.shape[0])]
        return tf.stack(exchanged)

    def _exchange(self, image: tf.Tensor, random: tf.Tensor) -> tf.Tensor:
        count = tf.convert_to_tensor(self.count)
        is_full = count >= self.size
        slot = tf.where(is_full, tf.cast(random[1] * self.size, tf.int32), count)
        stored = tf.gather(tf.convert_to_tensor(self.images), slot)
        is_stored = tf.logical_or(tf.logical_not(is_full), random[0] < 0.5)
        levels = tf.cast(tf.clip_by_value(tf.round((image + 1.0) * 127.5), 0.0, 255.0), tf.uint8)
        self.images.value.scatter_nd_update([[slot]], [tf.where(is_stored, levels, stored)])
        self.count.assign(tf.minimum(count + 1, self.size))
        is_exchanged = tf.logical_and(is_full, is_stored)
        return tf.where(is_exchanged, tf.cast(stored, tf.float32) / 127.5 - 1.0, image)
