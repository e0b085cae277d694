"""Steps of temperatures.yaml: plain functions over Arrow tables."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc


def unusual_days(readings: pa.Table, params: Mapping[str, float]) -> pa.Table:
    """The days on which a station was more than `far` standard deviations from its mean."""
    usual = readings.group_by("station").aggregate([("celsius", "mean"), ("celsius", "stddev")])
    joined = readings.join(usual, "station")
    distance = pc.subtract(joined["celsius"], joined["celsius_mean"])
    deviations = pc.round(pc.divide(distance, joined["celsius_stddev"]), 3)
    kept = pc.greater(pc.abs(deviations), pa.scalar(params["far"]))
    table = joined.select(["station", "day", "celsius"]).append_column("deviations", deviations)
    return table.filter(kept).sort_by([("station", "ascending"), ("day", "ascending")])
