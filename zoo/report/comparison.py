"""What may be compared: scores that one tool gave on one data set, and times of one run.

Scores of two tools differ by the arithmetic of the tools, and times of two runs by whatever else a machine did. Neither
is a difference between networks, so no difference and no ratio is ever made of them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from zoo.energy import run_of
from zoo.release import Metric
from zoo.study import Study, StudyPoint

__all__ = ["comparable_scores", "metric_by", "run_of_points", "score_key", "tool_words", "tools_on", "whole_of"]


def score_key(metric: Metric) -> tuple[object, ...]:
    """Returns what two scores must have in common to be compared."""
    return metric.dataset, metric.channels, metric.border, metric.pictures, metric.tool


def comparable_scores(
    metrics: Iterable[Metric], others: Sequence[Metric], dataset: str
) -> tuple[Metric, Metric] | None:
    """Returns the luma scores of two networks on a data set that one tool gave in one way; None where there are none.

    Args:
        metrics: Of the one network; the first of them that has a counterpart is taken.
        others: Of the other one.
        dataset: The data set.
    """
    theirs = {score_key(metric): metric for metric in reversed(others)}
    ours = (one for one in metrics if one.dataset == dataset and one.channels == "y" and score_key(one) in theirs)
    return next(((one, theirs[score_key(one)]) for one in ours), None)


def whole_of(study: Study) -> StudyPoint | None:
    """Returns the point of the whole network, or None where there is none."""
    return next((point for point in study.points if point.technique == "whole"), None)


def tools_on(points: Iterable[StudyPoint], dataset: str) -> tuple[str, ...]:
    """Returns the tools that scored luma on a data set, that of most points first."""
    found = (
        dict.fromkeys(one.tool for one in point.metrics if one.dataset == dataset and one.channels == "y")
        for point in points
    )
    counts = Counter(tool for tools in found for tool in tools)
    return tuple(tool for tool, _ in counts.most_common())


def tool_words(tools: Sequence[str]) -> Mapping[str, str]:
    """Returns each tool in as few words as tell them apart: the parts between commas that not all have."""
    parts = {tool: tool.split(", ") for tool in tools}
    common = set.intersection(*map(set, parts.values())) if parts else set[str]()
    return {tool: ", ".join(part for part in found if part not in common) or tool for tool, found in parts.items()}


def metric_by(point: StudyPoint, dataset: str, tools: Sequence[str]) -> Metric | None:
    """Returns the luma score of a point on a data set by the first of the tools that scored it, or None."""
    found = {one.tool: one for one in point.metrics if one.dataset == dataset and one.channels == "y"}
    return next((found[tool] for tool in tools if tool in found), None)


def run_of_points(points: Sequence[StudyPoint]) -> str | None:
    """Returns the run whose times may be compared: that in which the whole network was timed; None where it was not."""
    speeds = (point.speed for point in points if point.technique == "whole")
    return next((run_of(speed) for speed in speeds if speed is not None), None)
