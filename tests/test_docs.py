"""The documents match the code."""

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


def test_every_function_that_the_documents_place_in_a_file_is_there():
    places = []
    for document in [*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")]:
        places += re.findall(r"`([\w.]+)`\s+(?:in|of)\s+`(yolo3/[\w/.]+\.py)`", document.read_text())
    assert places
    names = [(name.split(".")[-1], ROOT / path) for name, path in places]
    assert [name for name, path in names if not re.search(rf"(def |class |^){name}\b", path.read_text(), re.M)] == []


@pytest.mark.parametrize(
    "command",
    [
        "pip install -e . && python train.py --anchors model_data/yolo_anchors.txt",
        "pip install -e '.[test]' && pytest",
    ],
)
def test_the_readme_holds_the_commands_of_a_newcomer_word_for_word(command):
    assert command in (ROOT / "README.md").read_text()


def heading_slugs(path):
    """The fragments by which links reach the headings of a page: lower case, spaces as hyphens, no punctuation."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_leads_to_a_file_and_a_heading():
    links = []
    for document in [*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")]:
        for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
            if not link.startswith("http"):
                links.append((document, *(f"{link}#".split("#")[:2])))
    assert links
    for document, name, fragment in links:
        target = (document.parent / name) if name else document
        assert target.exists(), f"{document.name}: {name}"
        assert not fragment or fragment in heading_slugs(target), f"{document.name}: {name}#{fragment}"
