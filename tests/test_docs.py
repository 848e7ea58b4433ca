"""The documents say what is true."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for path in (ROOT / "yolo3").rglob("*.py") if path.name != "__init__.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_the_map_names_every_module(path):
    text = (ROOT / "docs" / "map.md").read_text()
    assert f"{path.name}`" in text or (path.parent.name == "cli" and f"`{path.stem}`" in text)


def test_the_map_names_no_module_that_is_gone():
    names = {path.name for path in MODULES} | {path.name for path in ROOT.glob("*.py")} | {"darknet_reference.py"}
    words = (ROOT / "docs" / "map.md").read_text().replace("`", " ").replace(",", " ").split()
    named = {Path(word).name for word in words if word.endswith(".py") and "<" not in word}
    assert named - names - {"test_imports.py"} == set()


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
