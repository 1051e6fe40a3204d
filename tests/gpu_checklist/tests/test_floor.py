"""The floor's numbers, between and beyond what is counted."""

import unittest

import floor


class Floor(unittest.TestCase):
    def test_counted_rows_are_as_they_were_counted(self):
        step = floor.of("train", 8)
        self.assertEqual((step["tflop"], step["peak"], step["roofline"], step["unfused"]), (14.10, 17.84, 18.85, 30.61))
        self.assertTrue(step["counted"])
        self.assertEqual(floor.of("picture", 8)["unfused"], 1332.0)

    def test_no_level_is_below_the_one_before_it(self):
        for (what, batch), (tflop, peak, roofline, unfused) in floor.COUNTED.items():
            with self.subTest(what=what, batch=batch):
                self.assertLess(abs(tflop / floor.TFLOPS * 1e3 - peak), 0.012 * peak + 0.006)
                self.assertTrue(peak <= roofline <= unfused)

    def test_other_batches_lie_on_the_line_of_their_neighbours(self):
        self.assertAlmostEqual(floor.of("train", 12)["unfused"], (30.61 + 61.12) / 2)
        self.assertAlmostEqual(floor.of("train", 32)["unfused"], 61.12 + 2 * (61.12 - 30.61))
        self.assertFalse(floor.of("train", 32)["counted"])
        self.assertIsNone(floor.of("load", 1))

    def test_users_are_steps_of_all_rows_or_of_each_ones_rows(self):
        self.assertEqual(floor.of("users_batched", 8), floor.of("train", 8))
        self.assertAlmostEqual(floor.of("users_one_by_one", 8, 1)["unfused"], 8 * 4.64)
        self.assertAlmostEqual(floor.of("users_one_by_one", 64, 8)["unfused"], 8 * 30.61)

    def test_kinds_of_kernels_add_up_to_the_peak_of_the_step(self):
        kinds = floor.by_class("train", 8)
        self.assertAlmostEqual(sum(kinds.values()) - kinds["other"], floor.of("train", 8)["peak"], delta=0.3)
        self.assertAlmostEqual(kinds["other"], 35.29 / 3.0)
        self.assertEqual(floor.by_class("decode", 8), {})

    def test_the_least_memory_has_weights_and_activations(self):
        self.assertAlmostEqual(floor.least_bytes(8, 2e9), 2e9 + 3.90 * 2**30)


if __name__ == "__main__":
    unittest.main()
