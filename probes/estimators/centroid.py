"""Nearest centroid: each class is its mean, and nothing else is fitted."""

from sklearn.neighbors import NearestCentroid

from probes.estimators.linear import LinearClassifier, Samples, check_classes, check_samples
from probes.samples.data import Labels


class NearestCentroidProbe(LinearClassifier):
    """Answer with the class whose mean activation is nearest, by Euclidean distance in the model's own coordinates.

    Written as a linear decision about the mean of all class means, so that the directions do not hold what all classes
    share. With two classes it is the plain mean-difference probe with its threshold at the midpoint. Coordinates of
    large variance count for more; nothing is standardised. `direction_` points from the mean of the class means
    towards a class; with two classes towards `classes_[1]`.
    """

    def fit(self, X: Samples, y: Labels) -> "NearestCentroidProbe":
        """Fit to labelled activations.

        Raises:
            InputError: one class, or activations that are not finite.
        """
        X = check_samples(X)
        classes = check_classes(y, len(X))
        centroids = NearestCentroid().fit(X, y).centroids_
        centre = centroids.mean(0)
        # |x - m|^2 less what all classes have in common is -2 times this.
        coef = centroids - centre
        intercept = -(coef @ centre) - (coef**2).sum(1) / 2
        if len(classes) == 2:
            coef, intercept = coef[1:] - coef[:1], intercept[1:] - intercept[:1]
        self._keep(classes, coef, intercept)
        return self
