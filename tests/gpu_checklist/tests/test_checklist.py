"""The whole checklist with programs that stand for likeness and PyTorch: what it reports, skips, and takes for a failure."""

import contextlib
import functools
import importlib.util
import io
import json
import lzma
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

import pytorch
import settings

HERE = Path(__file__).resolve().parent
LIKENESS = HERE / "fake_likeness.py"


def load():
    """The program's own module, which python calls __main__."""
    spec = importlib.util.spec_from_file_location("checklist", HERE.parent / "__main__.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Checklist(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.out = Path(scratch.name) / "out"
        before = signal.getsignal(signal.SIGTERM)
        self.addCleanup(signal.signal, signal.SIGTERM, before)

    def run_it(self, *words, likeness="", reference="", deadlines=None):
        """The exit code and the report."""
        environment = {"FAKE_LIKENESS": likeness, "FAKE_REFERENCE": reference}
        with contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch.dict(os.environ, environment))
            stack.enter_context(mock.patch.object(pytorch, "PROGRAM", HERE / "fake_reference.py"))
            stack.enter_context(mock.patch.dict(settings.DEADLINES, deadlines or {}))
            stack.enter_context(mock.patch("shutil.disk_usage", lambda _: mock.Mock(free=1e12)))
            self.printed = stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
            self.said = stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
            code = load().main(["--likeness", str(LIKENESS), "--out", str(self.out), *words])
        path = self.out / "report.json"
        return code, json.loads(path.read_text()) if path.exists() else None

    def statuses(self, report):
        return {name: part["status"] for name, part in report["parts"].items()}

    def verdicts(self, report):
        return {verdict["name"]: verdict["verdict"] for verdict in report["verdicts"]}

    def test_on_a_card_every_part_is_made_and_every_limit_judged(self):
        code, report = self.run_it(reference="graphs")
        self.assertEqual(self.statuses(report), {part: "passed" for part in settings.PARTS}, self.said.getvalue())
        self.assertEqual(set(self.verdicts(report).values()), {"passed"}, report["verdicts"])
        self.assertEqual((code, report["ok"]), (0, True))
        batches = {row["batch"] for row in report["parts"]["speed"]["found"]["rows"] if row["what"] == "train"}
        self.assertEqual(batches, {1, 4, 8, 16, 32})
        self.assertEqual(report["verdicts"][0]["value"], 40.0 / 30.61)
        # 2.6e9 and 0.6e9 a row: 72 GiB of an 80 GiB card.
        self.assertEqual(report["cards"]["likeness"]["cards"][-1], {"gib": 80, "batch": 124})
        self.assertIn("graphs", report["parts"]["pytorch"]["found"]["not_working"])
        markdown = (self.out / "report.md").read_text()
        self.assertIn("| training step | 8 | 40 | 50.4 (compile) | 0.794 | 18.9 / 30.6 | 1.31 | 6.89 | 6.30 |", markdown)
        self.assertIn("| guided sampler step | 16 | 48 |  |  | ~34.2 / 51.5 |", markdown)
        self.assertLess(markdown.index("| training step | 1 |"), markdown.index("| training step | 8 |"))
        self.assertIn("780 TFLOP/s", markdown)
        self.assertEqual(self.printed.getvalue().strip(), markdown.strip())

    def test_the_dry_form_judges_no_speed(self):
        code, report = self.run_it("--dry")
        self.assertEqual((code, report["dry"]), (0, True), self.said.getvalue())
        self.assertEqual(set(self.verdicts(report).values()) - {"not measured"}, {"not judged"})

    def test_without_diffusers_pytorchs_side_is_skipped_with_the_reason_and_never_made_up(self):
        code, report = self.run_it(reference="missing")
        part = report["parts"]["pytorch"]
        self.assertEqual((part["status"], part["found"].get("rows")), ("skipped", None))
        self.assertIn("No module named 'diffusers'", part["reason"])
        self.assertEqual(report["parts"]["cold"]["status"], "passed")
        self.assertIn("No module named 'diffusers'", report["parts"]["cold"]["found"]["weights"])
        self.assertEqual(self.verdicts(report)["8 users of a row each, together"], "not measured")
        self.assertEqual(code, 0)

    def test_the_real_side_tells_a_missing_library_from_a_broken_one(self):
        stub = self.out.parent / "broken"
        stub.mkdir()
        (stub / "torch.py").write_text("raise ImportError('libcudart is not here')")
        line = [sys.executable, str(HERE.parent / "reference"), "versions"]
        ended = subprocess.run(line, env={**os.environ, "PYTHONPATH": str(stub)}, capture_output=True, text=True)
        self.assertEqual(ended.returncode, 3)
        self.assertRegex(ended.stderr, "needs torch, diffusers and transformers: (ImportError|ModuleNotFoundError): ")

    def test_a_part_that_fails_says_why_and_the_others_go_on(self):
        code, report = self.run_it(likeness="fails:users")
        self.assertEqual(code, 1)
        self.assertEqual(report["parts"]["speed"]["status"], "failed")
        self.assertIn("a made-up failure", report["parts"]["speed"]["reason"])
        failed = [command for command in report["parts"]["speed"]["commands"] if command["code"] != 0]
        self.assertIn("a made-up failure", failed[0]["tail"])
        self.assertEqual(self.verdicts(report)["training step of 8 rows"], "passed")
        self.assertEqual(report["parts"]["cold"]["status"], "passed")

    def test_a_program_that_hangs_is_ended_at_its_deadline_and_what_it_wrote_counts(self):
        began = time.monotonic()
        code, report = self.run_it("--only", "speed,cold", likeness="partial:--only load,train", deadlines={"speed": 12})
        self.assertLess(time.monotonic() - began, 60)
        self.assertEqual((code, report["parts"]["speed"]["status"]), (1, "timed out"))
        self.assertIn("deadline", report["parts"]["speed"]["reason"])
        self.assertEqual(self.verdicts(report)["training step of 8 rows"], "passed")
        self.assertEqual(report["parts"]["cold"]["status"], "passed")

    def test_parity_over_a_limit_fails_with_the_row(self):
        code, report = self.run_it("--only", "parity", likeness="short")
        folder = report["parts"]["parity"]["found"]["folders"][0]
        self.assertEqual((code, folder["ok"], folder["short"][0]["compared"]), (1, False, "out_batch"))
        worst = {group["group"]: group["worst"] for group in folder["groups"]}
        self.assertEqual(worst["unet"]["compared"], "out_batch")
        self.assertIsNone(worst["vae"])
        self.assertIn("| unet | 2 | out_batch | 0.09 | 0.03 | FAILS |", (self.out / "report.md").read_text())

    def test_a_missed_limit_is_a_failure_of_the_whole(self):
        with mock.patch("judge.TOGETHER", 9.0):
            code, report = self.run_it("--only", "speed,pytorch", reference="graphs")
        self.assertEqual((code, self.statuses(report)), (1, {"speed": "passed", "pytorch": "passed"}))
        self.assertEqual(self.verdicts(report)["8 users of a row each, together"], "missed")

    def test_no_profile_fails_nothing(self):
        _, report = self.run_it("--only", "speed", likeness="fails:--profile")
        found = report["parts"]["speed"]["found"]
        self.assertEqual((report["parts"]["speed"]["status"], found["profile"], report["kernels"]), ("passed", None, []))
        self.assertIn("a made-up failure", found["profile_missing"])

    def test_reports_of_several_calls_become_one(self):
        self.run_it("--only", "speed")
        first = self.out.rename(self.out.with_name("first"))
        self.run_it("--only", "pytorch", reference="graphs")
        second = self.out.rename(self.out.with_name("second"))
        code, report = self.run_it("--merge", str(first / "report.json"), str(second / "report.json"))
        self.assertEqual((code, list(report["parts"])), (0, ["speed", "pytorch"]))
        self.assertEqual(self.verdicts(report)["training step of 8 rows, one user"], "passed")
        self.assertEqual(len(report["command_lines"]), 2)

        other = json.loads((second / "report.json").read_text())
        other["facts"]["card"] = {"name": "another"}
        (second / "report.json").write_text(json.dumps(other))
        code, _ = self.run_it("--merge", str(first / "report.json"), str(second / "report.json"))
        self.assertEqual(code, 2)
        self.assertIn("different cards: None, another", self.said.getvalue())

    def test_an_interrupt_writes_what_there_is(self):
        environment = {**os.environ, "FAKE_LIKENESS": "hangs:cold"}
        line = [sys.executable, str(HERE.parent), "--likeness", str(LIKENESS), "--out", str(self.out), "--dry", "--only", "sd15,cold"]
        # A shell starts what it puts into the background with interrupts ignored: the tests may be there.
        heard = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        quiet = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, "text": True}
        for kind in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=kind), subprocess.Popen(line, env=environment, preexec_fn=heard, **quiet) as running:
                for said in running.stderr:
                    if said.startswith("cold: ") and "bench" in said:
                        break
                time.sleep(0.2)
                running.send_signal(kind)
                running.stderr.read()
                self.assertEqual(running.wait(timeout=60), 130)
            report = json.loads((self.out / "report.json").read_text())
            self.assertEqual(self.statuses(report), {"sd15": "passed", "cold": "interrupted"})

    def test_a_compressed_program_is_unpacked(self):
        packed = self.out.parent / "likeness.xz"
        packed.write_bytes(lzma.compress(LIKENESS.read_bytes()))
        code, report = self.run_it("--dry", "--only", "parity", "--likeness", str(packed))
        self.assertEqual((code, report["facts"]["likeness"]), (0, "likeness 0.0.0-fake"))

    def test_what_makes_no_sense_is_refused_before_anything_runs(self):
        for words, why in ((["--likeness", "/nowhere"], "no such file"), (["--wheels", str(self.out.parent)], "no wheels")):
            with self.subTest(words=words):
                code, report = self.run_it("--dry", *words)
                self.assertEqual((code, report), (2, None))
                self.assertIn(why, self.said.getvalue())
        with self.assertRaises(SystemExit) as refused:
            self.run_it("--only", "speed,beauty")
        self.assertEqual(refused.exception.code, 2)
        self.assertIn("there is no part 'beauty'", self.said.getvalue())

    def test_all_of_it_fits_in_25_minutes_and_each_part_in_ten(self):
        self.assertLess(sum(settings.DEADLINES.values()), 25 * 60)
        self.assertLess(max(settings.DEADLINES.values()), 10 * 60)


if __name__ == "__main__":
    unittest.main()
