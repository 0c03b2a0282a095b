"""Probes as scikit-learn estimators: what each can read off, from one coordinate to a tree."""

from probes.estimators.attention_pooled import AttentionPooledProbe as AttentionPooledProbe
from probes.estimators.centroid import NearestCentroidProbe as NearestCentroidProbe
from probes.estimators.contrast import ContrastConsistentProbe as ContrastConsistentProbe
from probes.estimators.k_sparse import KSparseProbe as KSparseProbe
from probes.estimators.linear import LogisticProbe as LogisticProbe
from probes.estimators.mean_difference import MeanDifferenceProbe as MeanDifferenceProbe
from probes.estimators.multilayer import MultilayerProbe as MultilayerProbe
from probes.estimators.ridge import RidgeProbe as RidgeProbe
from probes.estimators.structural import TreeDepthProbe as TreeDepthProbe
from probes.estimators.structural import TreeDistanceProbe as TreeDistanceProbe
from probes.estimators.tree_scores import attachment_score as attachment_score
from probes.estimators.tree_scores import depth_spearman as depth_spearman
from probes.estimators.tree_scores import distance_spearman as distance_spearman
from probes.estimators.tree_scores import root_accuracy as root_accuracy
