"""Reports: results, figures and words as one HTML file that opens without a network."""

from interp.report.parts import Report as Report
from interp.report.parts import Section as Section
from interp.report.parts import Table as Table
from interp.report.write import write_report as write_report
