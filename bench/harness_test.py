"""The harness without brokers: medians, shares, gates, plots and what is written into the page."""

import json
import tempfile
import unittest
import xml.etree.ElementTree as xml
from pathlib import Path

from harness import docs, plot
from harness.measure import costs
from harness.machine import Cpu
from harness.peers import Failure
from harness.report import FIGURES, GroupReport, mib_at
from harness.results import Results, load
from harness.rounds import KINDS, Chosen, rotated
from harness.rows import FACES, GROUPS, MQTT, OVERLOAD, SESSIONS

FAN_IN = "fan-in 100 to 1, QoS 0"


class Harness(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name) / "results.jsonl"
        self.results = Results(self.file, {"date": "today"})

    def add(self, broker, *rates, row=FAN_IN, group="mqtt"):
        for round_, rate in enumerate(rates):
            self.results.add(round_, (group, row, broker), {"per_cpu_s": rate})

    def test_the_first_round_does_not_count(self):
        self.add("sluice", 1, 300, 100, 200)
        self.assertEqual(self.results.median(("mqtt", FAN_IN, "sluice"), "per_cpu_s"), 200)

    def test_results_are_read_again_as_they_were(self):
        self.add("sluice", 1, 100)
        self.results.fail(("mqtt", FAN_IN, "sluice"), "lost", ours=True)
        again = load(self.file)
        self.assertEqual(again.values(("mqtt", FAN_IN, "sluice"), "per_cpu_s"), [100])
        self.assertEqual(again.failures, ["mqtt/fan-in 100 to 1, QoS 0 on sluice: lost"])

    def test_a_share_below_the_gate_is_missed_and_one_above_is_not(self):
        self.add("floor", 0, 1000)
        self.add("sluice", 0, 100)
        self.assertEqual(GroupReport(MQTT, self.results).missed_gates(), [f"mqtt/{FAN_IN}: 0.10 of floor, wanted 0.11"])
        self.add("sluice", 0, 900, 900)
        self.assertEqual(GroupReport(MQTT, self.results).missed_gates(), [])

    def test_a_gate_without_any_figure_of_ours_is_missed(self):
        self.add("floor", 0, 1000)
        self.assertEqual(len(GroupReport(MQTT, self.results).missed_gates()), 1)

    def test_the_table_tells_median_share_range_and_aims(self):
        self.add("floor", 0, 10_000_000)
        self.add("sluice", 0, 1_900_000, 2_100_000)
        line = GroupReport(MQTT, self.results).headline().splitlines()[2]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        self.assertEqual(cells, [FAN_IN, "10,000", "2,000 (0.20)", "1,900 to 2,100", "0.22", "0.18", "0.11"])

    def test_a_row_can_be_compared_with_another_row(self):
        same, across = FACES.rows[:2]
        self.add("sluice", 0, 1000, row=same.name, group="faces")
        self.add("sluice", 0, 500, row=across.name, group="faces")
        self.assertEqual(GroupReport(FACES, self.results).subject_ratio(across, "per_cpu_s"), 0.5)

    def test_nothing_counted_is_no_result(self):
        with self.assertRaises(Failure):
            costs(0, Cpu(), 1.0)

    def test_every_row_has_a_measurement_and_every_figure_a_title(self):
        for group in GROUPS:
            self.assertLessEqual({row.kind for row in group.rows}, set(KINDS))
            self.assertLessEqual({*group.figures, *group.details}, set(FIGURES))
            self.assertLessEqual({*(group.plotted or ())}, set(group.figures))
            self.assertEqual(len({row.name for row in group.rows}), len(group.rows))

    def test_rows_are_given_only_to_brokers_that_have_their_quality_of_service(self):
        twice = next(row for row in MQTT.rows if row.qos == 2)
        self.assertNotIn("nats", [peer.name for peer in Chosen.peers_of(twice, MQTT.peers)])

    def test_each_broker_comes_first_in_its_turn(self):
        self.assertEqual([rotated(["a", "b", "c"], by)[0] for by in range(4)], ["a", "b", "c", "a"])

    def test_plots_are_well_formed(self):
        self.add("floor", 0, 1000)
        self.add("sluice", 0, 100)
        xml.fromstring(plot.of_group(GroupReport(MQTT, self.results)))
        over_time = {"rss_over_time": [[0.0, 50.0], [1.0, 60.0]]}
        self.results.add(1, ("overload", OVERLOAD.rows[0].name, "sluice"), over_time)
        xml.fromstring(plot.of_group(GroupReport(OVERLOAD, self.results)))

    def test_lines_over_time_stand_below_the_bars_one_for_each_broker(self):
        slow = SESSIONS.rows[-1].name
        for peer in SESSIONS.peers:
            figures = {"cpu_us": 2.5, "rss_over_time": [[0.0, 50.0], [1.0, 60.0]]}
            self.results.add(1, ("sessions", slow, peer.name), figures)
        drawn = xml.fromstring(plot.of_group(GroupReport(SESSIONS, self.results)))
        kinds = [part.tag.split("}")[1] for part in drawn]
        self.assertEqual(kinds.count("polyline"), 2)
        self.assertLess(max(at for at, kind in enumerate(kinds) if kind == "rect"), kinds.index("polyline"))

    def test_memory_over_time_is_that_of_the_sample_before_and_ends_with_the_last(self):
        series = [(0.0, 50.0), (2.0, 60.0)]
        self.assertEqual([mib_at(series, second) for second in (0, 1.9, 2, 3)], ["50", "50", "60", "-"])

    def test_only_what_is_between_the_marks_is_replaced(self):
        page = "before <!-- bench:a --> old <!-- /bench:a --> after"
        self.assertEqual(docs.replaced(page, "a", "new"), "before <!-- bench:a -->\n\nnew\n\n<!-- /bench:a --> after")
        with self.assertRaises(SystemExit):
            docs.replaced(page, "b", "new")

    def test_the_page_has_marks_for_all_groups(self):
        page = docs.PAGE.read_text()
        for group in GROUPS:
            docs.replaced(page, group.name, "new")

    def test_each_result_is_a_line_of_json(self):
        self.add("sluice", 0, 100)
        self.assertEqual([list(json.loads(line))[0] for line in self.file.read_text().splitlines()], ["about", "round", "round"])


if __name__ == "__main__":
    unittest.main()
