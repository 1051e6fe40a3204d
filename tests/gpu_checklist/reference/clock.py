"""Times and memory of a piece of work, as rows of the same form as those of `likeness bench`."""

import gc
import statistics
import time

import torch

WARM_UPS = 3
LEAST_REPEATS = 3


class Clock:
    """Measures on a device until the time runs out, and tells every row at once."""

    def __init__(self, device, variant, repeats, seconds, tell):
        self.device, self.variant, self.repeats, self.tell = device, variant, repeats, tell
        self.ends = time.monotonic() + seconds
        self.on_card = device.type == "cuda"

    def measure(self, what, batch, make, warm_ups=WARM_UPS, most=5.0):
        """Warms up and repeats for `most` seconds; a batch that memory does not hold becomes a row that says so. False where there is
        no more of it to be tried."""
        row = {"list": "rows", "variant": self.variant, "what": what, "batch": batch, "error": None}
        if time.monotonic() >= self.ends:
            self.tell({**row, "error": "no time was left"})
            return False
        try:
            self.tell({**row, **self.times(make, warm_ups, most, batch)})
            return True
        except Exception as error:  # What does not work in one way of running PyTorch is a row, not the end of the others.
            short = self.on_card and isinstance(error, torch.cuda.OutOfMemoryError)
            first_line = (str(error).strip().splitlines() or [""])[0]
            self.tell({**row, "error": "out of memory" if short else f"{type(error).__name__}: {first_line[:300]}"})
            return False
        finally:
            self.clean()

    def times(self, make, warm_ups, most, batch):
        self.clean()
        work = make()
        for _ in range(warm_ups):
            work()
        self.wait()
        if self.on_card:
            torch.cuda.reset_peak_memory_stats()
        times, ends = [], time.monotonic() + most
        while len(times) < self.repeats and (len(times) < LEAST_REPEATS or time.monotonic() < min(ends, self.ends)):
            began = time.perf_counter()
            work()
            self.wait()
            times.append((time.perf_counter() - began) * 1e3)
        times.sort()
        median = statistics.median(times)
        return {
            "repeats": len(times),
            "median_ms": median,
            "p90_ms": times[-(-9 * (len(times) - 1) // 10)],
            "min_ms": times[0],
            "per_second": batch * 1e3 / median,
            "peak_bytes": torch.cuda.max_memory_allocated() if self.on_card else None,
        }

    def wait(self):
        if self.on_card:
            torch.cuda.synchronize()

    def clean(self):
        gc.collect()
        if self.on_card:
            torch.cuda.empty_cache()
