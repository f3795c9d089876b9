"""What a directory of weights says about them."""

import hashlib
import json

import pytest
from helpers.exports import CARD, small_network, write_small_export

from gan_tf import cards
from pipelines.errors import UserError


def test_read_card_has_the_digest_of_the_weights(tmp_path):
    write_small_export(tmp_path)
    digest = hashlib.sha256((tmp_path / cards.WEIGHTS).read_bytes()).hexdigest()
    assert cards.read_card(tmp_path) == {"format": 2, **CARD, "sha256": digest}


def test_add_scores_adds_them_to_the_card(tmp_path):
    write_small_export(tmp_path)
    before, scores = cards.read_card(tmp_path), {"fid": {"value": 1.5, "protocol": {"images": 9}}}
    cards.write_scores(tmp_path, scores)
    assert cards.read_card(tmp_path) == {**before, "scores": scores}
    assert json.loads((tmp_path / "scores.json").read_text()) == scores
    cards.remove_scores(tmp_path)
    cards.remove_scores(tmp_path)
    assert not (tmp_path / "scores.json").exists()


def test_has_step_only_of_a_whole_export(tmp_path):
    assert not cards.has_step(tmp_path, CARD["step"])
    write_small_export(tmp_path)
    assert cards.has_step(tmp_path, CARD["step"])
    assert not cards.has_step(tmp_path, CARD["step"] + 1)
    digest = hashlib.sha256((tmp_path / cards.WEIGHTS).read_bytes()).hexdigest()
    assert cards.weights_identity(tmp_path) == {"model_step": CARD["step"], "model_sha256": digest}
    write_small_export(tmp_path / "other", generator=small_network(2.0))
    (tmp_path / cards.WEIGHTS).write_bytes((tmp_path / "other" / cards.WEIGHTS).read_bytes())
    assert not cards.has_step(tmp_path, CARD["step"])


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"{",
        b"[]",
        b"{}",
        *(json.dumps({k: v for k, v in CARD.items() if k != key}).encode() for key in CARD),
        *(json.dumps({**CARD, key: [5]}).encode() for key in (*CARD, "scores")),
        *(json.dumps({**CARD, "initialized_from": stages}).encode() for stages in (5, None, ["x"], {})),
    ],
)
def test_read_card_other_content_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / cards.CARD).write_bytes(content)
    with pytest.raises(UserError, match=r"card\.json"):
        cards.read_card(tmp_path)
