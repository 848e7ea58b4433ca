"""Progress bars."""

import io
import time

import tqdm

from yolo3 import progress
from yolo3.files import is_file
from yolo3.progress import data_bar, progress_bar


def test_a_bar_follows_the_count_and_restarts_for_a_second_set(monkeypatch):
    bars = []
    monkeypatch.setattr(tqdm, "tqdm", lambda **options: bars.append(Bar(**options)) or bars[0])
    with progress_bar("image", title="checking") as show:
        for done, total in ((1, 4), (4, 4), (1, 2)):
            show(done, total)
    assert (bars[0].seen, bars[0].closed) == ([(1, 4), (4, 4), (1, 2)], True)
    assert (bars[0].options["unit"], bars[0].options["desc"], bars[0].options["disable"]) == ("image", "checking", None)


class Terminal(io.StringIO):
    """Stands in for a terminal on stderr."""

    def isatty(self):
        return True


def test_a_bar_of_data_counts_files_then_images_and_is_drawn_ten_times_a_second_at_most(monkeypatch):
    monkeypatch.setattr(progress, "_DELAY", 0)
    monkeypatch.setattr(progress.sys, "stderr", Terminal())
    started = time.perf_counter()
    with data_bar() as show:
        for number in range(300):
            is_file(f"{number}.jpg")
        time.sleep(0.25)
        is_file("last.jpg")
        for number in range(3000):
            show(number + 1, 3000)
        time.sleep(0.12)
        show(3000, 3000)
    drawn = [line for line in progress.sys.stderr.getvalue().split("\r") if line.strip()]
    assert any("301 files" in line for line in drawn) and any("checking images: 100%" in line for line in drawn)
    assert len(drawn) <= 10 * (time.perf_counter() - started) + 4


def test_a_bar_of_data_shows_the_time_while_nothing_is_counted(monkeypatch):
    monkeypatch.setattr(progress, "_DELAY", 0)
    monkeypatch.setattr(progress, "_REDRAW", 0.05)
    monkeypatch.setattr(progress.sys, "stderr", Terminal())
    with data_bar():
        time.sleep(0.5)
    assert progress.sys.stderr.getvalue().count("reading: 0 files") >= 3


def test_work_that_is_done_soon_shows_no_bar(monkeypatch):
    monkeypatch.setattr(progress.sys, "stderr", Terminal())
    with data_bar() as show:
        show(1, 1)
    assert not progress.sys.stderr.getvalue().strip()


class Bar:
    """Stands in for a bar of tqdm."""

    def __init__(self, **options):
        self.options, self.n, self.total, self.seen, self.closed = options, 0, None, [], False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True

    def update(self, n):
        self.n += n
        self.seen.append((self.n, self.total))
