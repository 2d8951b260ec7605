"""One dashboard: lights, numbers, lines and tables, each with one question to Prometheus."""

from __future__ import annotations

from typing import Any, Literal

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as dashboard_builders
from grafana_foundation_sdk.builders import prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    GridPos,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from schoolstack.messages import say

# The data source that the role behind the pages provides under this name.
SOURCE = "school"
# Columns of a dashboard, as Grafana counts them.
COLUMNS = 24
# What schoolstack_finding says with a number, and in which colour that is shown.
STATES = (("good", "green"), ("look", "orange"), ("wrong", "red"))
# A page that opens or does not, a program that runs or does not.
OPEN = (("closed", "red"), ("open", "green"))
RUNS = (("stopped", "red"), ("runs", "green"))

Words = tuple[tuple[str, str], ...]
_Panel = stat.Panel | statetimeline.Panel | table.Panel | timeseries.Panel
Unit = Literal["", "percent", "bytes", "Bps", "s", "short", "ops", "d"]


class Board:
    """A dashboard that is put together panel by panel, from left to right and then below.

    Attributes:
        uid: its name in addresses.
        title: what people call it.
        everybody: whether it is also for who is not a coordinator.
    """

    def __init__(self, uid: str, title: str, *, everybody: bool = False, since: str = "now-24h") -> None:
        """Begin with an empty one.

        Args:
            uid: its name in addresses, at most 40 characters.
            title: what people call it.
            everybody: whether it is also for who is not a coordinator.
            since: how far its lines go back, as Grafana writes it.
        """
        self.uid, self.title, self.everybody = uid, title, everybody
        self._panels = 0
        # Where the next panel goes, in columns and rows, and where the line below it begins.
        self._x = self._y = self._below = 0
        self._builder = (
            dashboard_builders.Dashboard(title)
            .uid(uid)
            .tags(["school"])
            .timezone("browser")
            .refresh("1m")
            .time(since, "now")
            .readonly()
        )

    def lights(
        self,
        title: str,
        expr: str,
        legend: str = "",
        *,
        words: Words = STATES,
        width: int = 6,
        height: int = 4,
    ) -> Board:
        """Add traffic lights in words: one for each answer, by the numbers that *words* stand for."""
        panel = (
            stat.Panel()
            .mappings([_words(words)])
            .color_scheme(dashboard_builders.FieldColor().mode(FieldColorModeId.THRESHOLDS))
            .color_mode(common.BigValueColorMode.BACKGROUND)
            .graph_mode(common.BigValueGraphMode.NONE)
            .text_mode(common.BigValueTextMode.VALUE_AND_NAME if legend else common.BigValueTextMode.VALUE)
            .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
            .with_target(_now(expr, legend))
        )
        return self._add(panel, title, width, height)

    def number(
        self,
        title: str,
        expr: str,
        unit: Unit,
        legend: str = "",
        *,
        look: float | None = None,
        wrong: float | None = None,
        width: int = 6,
        height: int = 4,
    ) -> Board:
        """Add a number: orange from *look* on, red from *wrong* on, green below, and blue without both."""
        steps = [Threshold(value=None, color="blue" if look is None and wrong is None else "green")]
        steps += [
            Threshold(value=value, color=color)
            for value, color in ((look, "orange"), (wrong, "red"))
            if value is not None
        ]
        panel = (
            stat.Panel()
            .unit(unit)
            .decimals(0)
            .thresholds(dashboard_builders.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
            .graph_mode(common.BigValueGraphMode.NONE)
            .text_mode(common.BigValueTextMode.VALUE_AND_NAME if legend else common.BigValueTextMode.VALUE)
            .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
            .with_target(_now(expr, legend))
        )
        return self._add(panel, title, width, height)

    def lines(
        self,
        title: str,
        expr: str,
        unit: Unit,
        legend: str,
        *,
        most: float | None = None,
        width: int = 12,
        height: int = 8,
    ) -> Board:
        """Add lines over time, one for each answer, from 0 to *most* where that is known."""
        panel = (
            timeseries.Panel()
            .unit(unit)
            .min(0)
            .fill_opacity(10)
            .legend(
                common_builders.VizLegendOptions()
                .show_legend(True)
                .placement(common.LegendPlacement.BOTTOM)
                .display_mode(common.LegendDisplayMode.LIST)
            )
            .with_target(prometheus.Dataquery().expr(expr).range().legend_format(legend).ref_id("A"))
        )
        return self._add(panel if most is None else panel.max(most), title, width, height)

    def states(self, title: str, expr: str, legend: str, *, width: int = COLUMNS, height: int = 6) -> Board:
        """Add how findings were over time: a coloured bar for each answer."""
        panel = (
            statetimeline.Panel()
            .mappings([_words(STATES)])
            .show_value(common.VisibilityMode.NEVER)
            .with_target(prometheus.Dataquery().expr(expr).range().legend_format(legend).ref_id("A"))
        )
        return self._add(panel, title, width, height)

    def findings(self, title: str, condition: str = "", *, width: int = COLUMNS, height: int = 10) -> Board:
        """Add what was found, in sentences, the worst first.

        Args:
            title: its heading.
            condition: labels that findings have, as Prometheus writes them between braces; all when empty.
            width: its columns.
            height: its lines, of some 30 pixels each.
        """
        shown = {
            "Value": say("dashboard.column.state"),
            "server": say("dashboard.column.server"),
            "title": say("dashboard.column.application"),
            "sentence": say("dashboard.column.sentence"),
        }
        hidden = dict.fromkeys(("Time", "__name__", "about", "application", "check", "instance", "job"), True)
        panel = (
            table.Panel()
            .mappings([_words(STATES)])
            .with_target(
                _now(
                    f"schoolstack_finding{{{condition}}}" if condition else "schoolstack_finding", ""
                ).format(PromQueryFormat.TABLE)
            )
            .with_transformation(
                DataTransformerConfig(id_val="sortBy", options={"sort": [{"field": "Value", "desc": True}]})
            )
            .with_transformation(
                DataTransformerConfig(
                    id_val="organize",
                    options={
                        "excludeByName": hidden,
                        "indexByName": {name: place for place, name in enumerate(shown)},
                        "renameByName": shown,
                    },
                )
            )
            .override_by_name(shown["Value"], _cells(width_px=90, coloured=True))
            .override_by_name(shown["server"], _cells(width_px=120))
            .override_by_name(shown["title"], _cells(width_px=160))
        )
        return self._add(panel, title, width, height)

    def json(self) -> str:
        """Return the dashboard as Grafana reads it."""
        return (
            str(JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False).encode(self._builder.build()))
            + "\n"
        )

    def _add(self, panel: _Panel, title: str, width: int, height: int) -> Board:
        source = common.DataSourceRef(type_val="prometheus", uid=SOURCE)
        # Links to a panel hold its number: it follows from its place, and not from who loads the file.
        self._panels += 1
        panel.id(self._panels)
        # The library's own layout begins a new line only when one is full to its end.
        if self._x + width > COLUMNS:
            self._x, self._y = 0, self._below
        place = GridPos(x=self._x, y=self._y, w=width, h=height)
        self._x, self._below = self._x + width, max(self._below, self._y + height)
        self._builder.with_panel(panel.title(title).datasource(source).grid_pos(place))
        return self


def _now(expr: str, legend: str) -> prometheus.Dataquery:
    """Return the question how something is now."""
    return prometheus.Dataquery().expr(expr).instant().legend_format(legend).ref_id("A")


def _words(words: Words) -> ValueMapping:
    """Return what to show instead of the numbers 0, 1 and so on."""
    return ValueMap(
        {
            str(number): ValueMappingResult(text=say(f"dashboard.word.{word}"), color=colour, index=number)
            for number, (word, colour) in enumerate(words)
        }
    )


def _cells(width_px: int, *, coloured: bool = False) -> list[Any]:
    found = [DynamicConfigValue(id_val="custom.width", value=width_px)]
    if coloured:
        found.append(
            DynamicConfigValue(
                id_val="custom.cellOptions", value={"type": "color-background", "mode": "basic"}
            )
        )
    return found
