import numpy as np
import pytest
import torch

from interp.errors import InputError
from probes.estimators import TreeDepthProbe, TreeDistanceProbe, root_accuracy
from probes.samples.trees import tree_depths, tree_distances

WIDTH = 40


def random_tree(rng: np.random.Generator) -> np.ndarray:
    """Heads of 5 to 11 words, whose order says nothing about the tree."""
    n = int(rng.integers(5, 12))
    parents = [0] + [int(rng.integers(node)) for node in range(1, n)]
    place = rng.permutation(n)
    heads = np.zeros(n, int)
    for node in range(1, n):
        heads[place[node]] = place[parents[node]] + 1
    return heads


def embedded(heads: np.ndarray, axes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each word is the sum of an axis for itself and for each of its ancestors but the root.

    Two words then differ by one axis for each edge between them: the squared distance is that in the tree, the squared
    length is the depth. Noise lies across the axes' span.
    """
    rows = np.zeros((len(heads), len(axes)))
    own = rng.permutation(len(axes))
    for word in range(len(heads)):
        node = word
        while heads[node]:
            rows[word, own[node]] = 1
            node = heads[node] - 1
    return rows @ axes


@pytest.fixture(scope="module")
def planted():
    rng = np.random.default_rng(0)
    mixing = np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))[0]
    trees = [random_tree(rng) for _ in range(160)]
    words = [
        np.hstack([embedded(heads, np.eye(12), rng), rng.normal(size=(len(heads), WIDTH - 12))]) @ mixing
        for heads in trees
    ]
    return words, [tree_distances(heads) for heads in trees], [tree_depths(heads) for heads in trees]


def shuffled(words, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.permutation(sentence) for sentence in words]


def test_planted_distances_are_found_and_those_of_shuffled_sentences_are_not(planted):
    words, distances, _ = planted
    probe = TreeDistanceProbe(rank=12, learning_rate=0.03).fit(words[:120], distances[:120])
    assert probe.score(words[120:], distances[120:]) > 0.9
    assert probe.spearman(words[120:], distances[120:]) > 0.85
    control = TreeDistanceProbe(rank=12, learning_rate=0.03, n_epochs=20).fit(shuffled(words[:120]), distances[:120])
    assert control.score(shuffled(words[120:]), distances[120:]) < 0.45
    # Not 0: a word is known to be nearest to itself.
    assert control.spearman(shuffled(words[120:]), distances[120:]) < 0.45


def test_planted_depths_are_found_and_those_of_shuffled_sentences_are_not(planted):
    words, _, depths = planted
    probe = TreeDepthProbe(rank=12, learning_rate=0.03).fit(words[:120], depths[:120])
    assert probe.score(words[120:], depths[120:]) > 0.8
    assert root_accuracy(probe.predict(words[120:]), depths[120:]) > 0.9
    control = TreeDepthProbe(rank=12, learning_rate=0.03, n_epochs=20).fit(shuffled(words[:120]), depths[:120])
    assert control.score(shuffled(words[120:]), depths[120:]) < 0.3
    assert root_accuracy(control.predict(shuffled(words[120:])), depths[120:]) < 0.4


def test_predictions_are_squared_lengths_under_the_projection(planted):
    words, distances, depths = planted
    far = TreeDistanceProbe(rank=3, n_epochs=1).fit(words[:5], distances[:5])
    deep = TreeDepthProbe(rank=3, n_epochs=1).fit(words[:5], depths[:5])
    assert far.projection_.shape == (3, WIDTH)
    mapped = words[0] @ far.projection_.T
    expected = ((mapped[:, None] - mapped) ** 2).sum(2)
    np.testing.assert_allclose(far.predict(words[:1])[0], expected, atol=1e-10)
    np.testing.assert_allclose(deep.predict(words[:1])[0], ((words[0] @ deep.projection_.T) ** 2).sum(1), atol=1e-10)


def test_the_loss_by_hand(planted):
    """Before any step: per sentence the mean over all pairs (or words) of |predicted - true|."""
    words, distances, depths = planted
    for kind, y, power in ((TreeDistanceProbe, distances, 2), (TreeDepthProbe, depths, 1)):
        probe = kind(rank=2, learning_rate=1e-12, n_epochs=1, batch_size=50).fit(words[:7], y[:7])
        losses = [
            np.abs(ours - theirs).sum() / len(theirs) ** power
            for ours, theirs in zip(probe.predict(words[:7]), y[:7], strict=True)
        ]
        assert probe.loss_ == pytest.approx(np.mean(losses), rel=1e-5)


def test_the_seed_makes_it_again_and_leaves_torchs_own_alone(planted):
    words, distances, _ = planted
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, again, other = (
        TreeDistanceProbe(rank=2, n_epochs=2, seed=seed).fit(words[:9], distances[:9]).projection_ for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3
    assert torch.equal(torch.get_rng_state(), before)


def test_refusals(planted):
    words, distances, depths = planted
    with pytest.raises(InputError, match="Expected all above zero"):
        TreeDistanceProbe(rank=0).fit(words, distances)
    with pytest.raises(InputError, match="3 sentences and 2 targets"):
        TreeDistanceProbe().fit(words[:3], distances[:2])
    with pytest.raises(InputError, match=r"Sentence 0 has \d+ words and a target of shape"):
        TreeDistanceProbe().fit(words[:2], depths[:2])
    with pytest.raises(InputError, match="The target of sentence 1 holds NaN"):
        TreeDepthProbe().fit(words[:2], [depths[0], depths[1] * np.nan])
    with pytest.raises(InputError, match="fitted to a width of 40"):
        TreeDepthProbe(n_epochs=1).fit(words[:2], depths[:2]).predict([words[0][:, 1:]])
