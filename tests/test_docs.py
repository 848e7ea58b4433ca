"""The documents say what is true."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_the_map_names_every_folder_and_every_file_at_the_top():
    text = (ROOT / "docs" / "map.md").read_text()
    folders = [f"`{path.parent.relative_to(ROOT)}/`" for path in (ROOT / "yolo3").rglob("__init__.py")]
    files = [f"`yolo3/{path.name}`" for path in (ROOT / "yolo3").glob("[a-z]*.py")]
    assert [name for name in [*folders, *files] if name not in text] == []


def test_every_path_that_the_documents_name_exists():
    for document in [*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")]:
        words = re.findall(r"`((?:yolo3|tests|benchmarks|docs|model_data)/[\w/.]+)`", document.read_text())
        assert [word for word in words if not (ROOT / word).exists()] == [], document.name


@pytest.mark.parametrize(
    "command",
    [
        "pip install -e . && python train.py --anchors model_data/yolo_anchors.txt",
        "pip install -e '.[test]' && pytest",
    ],
)
def test_the_readme_holds_the_commands_of_a_newcomer_word_for_word(command):
    assert command in (ROOT / "README.md").read_text()


def test_every_file_that_the_readme_links_exists():
    text = (ROOT / "README.md").read_text()
    links = [part.split(")")[0] for part in text.split("](")[1:]]
    assert links
    assert [link for link in links if not link.startswith("http") and not (ROOT / link).exists()] == []
