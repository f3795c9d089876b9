"""The configuration of CycleGANs: the paper's defaults, and what is refused."""

import math

import pytest

from gan_tf.cyclegan.config import CYCLEGAN_FAMILY, CycleGanConfig
from gan_tf.tasks import YOSEMITE
from pipelines.errors import UserError


def resolve(**cli) -> CycleGanConfig:
    return CYCLEGAN_FAMILY.resolve(YOSEMITE, {}, cli).config


def test_defaults_are_those_of_the_paper_and_the_handout():
    config = resolve()
    assert (config.hidden_dim, config.num_blocks, config.load_size, config.crop_size) == (64, 6, 286, 256)
    assert (config.lambda_cycle, config.lambda_identity, config.pool_size, config.batch) == (10, 5, 50, 1)
    assert (config.learning_rate, config.beta1, config.beta2, config.ema_half_life) == (2e-4, 0.5, 0.999, 0)
    assert config.constant_steps == 100 * 1231  # 100 epochs of the larger domain
    assert config.last_step == 200 * 1231


@pytest.mark.parametrize("batch", [1, 4, 7])
def test_last_step_is_where_both_parts_have_been_seen(batch):
    config = resolve(lr_constant_images=100, lr_decay_images=50, batch=batch)
    assert config.last_step == math.ceil(100 / batch) + math.ceil(50 / batch)
    assert resolve(lr_decay_images=0, batch=batch).last_step is None


def test_data_is_read_at_the_load_size():
    assert YOSEMITE.family.data(YOSEMITE, resolve(load_size=144, crop_size=128)).size == 144
    assert YOSEMITE.variant_of(resolve(hidden_dim=32, load_size=144, crop_size=128)) == "w32-128px"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"crop_size": 130}, "--crop-size 130 is not a multiple of 4"),
        ({"crop_size": 288}, "--load-size 286 is smaller than --crop-size 288"),
        ({"crop_size": 28}, "from 32 to 4,096"),
        ({"lr_decay_images": 0, "lr_constant_images": 10}, "without a decay"),
        ({"upsample": "bilinear"}, "deconv, resize"),
        ({"batch": 0}, "from 1 to 65,536"),
    ],
)
def test_impossible_options_are_refused(options, words):
    with pytest.raises(UserError, match=words):
        resolve(**options)
