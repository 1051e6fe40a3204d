"""Which card has room for which batch."""

import unittest

import cards

GIB = cards.GIB


class Cards(unittest.TestCase):
    def test_peaks_on_a_line_give_the_line_back(self):
        line = cards.fit({batch: (3 + 0.5 * batch) * GIB for batch in (1, 4, 8)})
        self.assertAlmostEqual(line["base_bytes"] / GIB, 3)
        self.assertAlmostEqual(line["per_row_bytes"] / GIB, 0.5)
        # 24 GiB, less a tenth, less 3: 18.6 / 0.5
        self.assertEqual(cards.largest_batch(line, 24), 37)
        self.assertEqual(cards.largest_batch(line, 3), 0)

    def test_what_the_line_misses_is_kept_free(self):
        crooked = cards.fit({1: 4 * GIB, 4: 7 * GIB, 8: 8 * GIB})
        self.assertGreater(crooked["largest_miss_bytes"], 0.5 * GIB)
        for batch in (1, 4, 8):
            room = crooked["base_bytes"] + crooked["largest_miss_bytes"] + batch * crooked["per_row_bytes"]
            self.assertGreaterEqual(room * 1.000001, {1: 4, 4: 7, 8: 8}[batch] * GIB)

    def test_without_a_line_nothing_is_said(self):
        self.assertIsNone(cards.table({}))
        self.assertIsNone(cards.table({8: 5 * GIB}))
        self.assertIsNone(cards.table({1: 5 * GIB, 8: 5 * GIB}))


if __name__ == "__main__":
    unittest.main()
