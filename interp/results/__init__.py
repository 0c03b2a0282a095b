"""Results: labelled arrays that carry their baselines, unit, control and provenance."""

from interp.results.provenance import Provenance as Provenance
from interp.results.provenance import hash_array as hash_array
from interp.results.provenance import library_versions as library_versions
from interp.results.result import CONTROL as CONTROL
from interp.results.result import RAN as RAN
from interp.results.result import Result as Result
