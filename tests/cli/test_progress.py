"""Progress bars."""

import tqdm

from yolo3.cli.progress import progress_bar


def test_a_bar_follows_the_count_and_restarts_for_a_second_set(monkeypatch):
    bars = []
    monkeypatch.setattr(tqdm, "tqdm", lambda **options: bars.append(Bar(**options)) or bars[0])
    with progress_bar("image", title="checking") as show:
        for done, total in ((1, 4), (4, 4), (1, 2)):
            show(done, total)
    assert (bars[0].seen, bars[0].closed) == ([(1, 4), (4, 4), (1, 2)], True)
    assert (bars[0].options["unit"], bars[0].options["desc"], bars[0].options["disable"]) == ("image", "checking", None)


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
