"""The judge: from all that a run has left to its document."""

from deploy.loadtest.judging.evidence import Evidence
from deploy.loadtest.report.document import RunDocument


def judge(evidence: Evidence) -> RunDocument:
    """The verdict and all figures. Pure."""
    raise NotImplementedError
