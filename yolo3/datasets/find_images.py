"""Find the image that a name in an annotation file means: one rule for all formats.

1. The name as written, where the format says that images are.
2. The name unquoted ("images%20(1).jpg", Label Studio's "...?d=images/1.jpg"), composed and decomposed Unicode alike.
3. Of the images below the data folder with this file name, the one that shares the longest run of trailing path parts
   with the name, so that "C:\\set\\video1\\1.jpg" of another machine means "video1/1.jpg" here; of several, the one
   nearest to the annotation file.

Several that fit equally well are an error that lists them, and never a guess, unless they are copies byte by byte. An
image in the place of another one is none: "val/1.jpg" does not mean "train/1.jpg", nor "video2/1.jpg" where there are
images in "video1".
"""

from __future__ import annotations

import filecmp
import functools
import os
import unicodedata
from collections.abc import Callable, Iterable, Sequence

from yolo3.datasets.annotation import Annotation, Finding
from yolo3.datasets.images import IMAGE_FOLDERS, IMAGE_SUFFIXES, UNREAD_SUFFIXES
from yolo3.datasets.known_files import KnownFiles
from yolo3.datasets.lists import list_role
from yolo3.datasets.written_names import file_in, spellings
from yolo3.files import base_name, has_suffix, stem_of, walk_files

_ANNOTATION_SUFFIXES = (".txt", ".xml", ".json", ".csv")
_SHOWN = 5  # images that a message lists
_HOW_TO_CONVERT = "convert it to JPEG or PNG, with ImageMagick for example: mogrify -format jpg *.heic"


class ImageIndex:
    """The images below a folder, found by file name or by stem.

    Args:
        folder: The data folder.

    Attributes:
        paths: All images, sorted.
        unread: Images of kinds that are not read, such as HEIC, sorted.
    """

    def __init__(self, folder: str):
        self._folder = folder
        self._roles: dict[str, str] | None = None  # folder of images to the list that it is of
        self._files = list(walk_files(folder))
        self.paths = [path for path in self._files if has_suffix(path, IMAGE_SUFFIXES)]
        self.unread = [path for path in self._files if has_suffix(path, UNREAD_SUFFIXES)]
        self._folders: KnownFolders | None = None

    @functools.cached_property
    def _by_name(self) -> dict[str, list[str]]:
        return _grouped(self.paths, os.path.basename)

    @functools.cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        return _grouped(self.paths, stem_of)

    @functools.cached_property
    def known_files(self) -> KnownFiles:
        """All files below the folder."""
        return KnownFiles(self._files)

    def find(self, name: str, near: str | None = None) -> list[str]:
        """Find the images that a name fits best.

        Args:
            name: File name or path, as an annotation file gives it. Of a kind that is not read, a converted image of
                the same stem is found.
            near: Path of the annotation file, or of the folder where it expects its images.

        Returns:
            One path if the name is clear, several if they fit equally well, [] if no image has this file name.
        """
        if has_suffix(name, UNREAD_SUFFIXES):
            return self.find_stem(os.path.splitext(name)[0], near)
        return self._best(name, self._named_alike(name, self._by_name), near)

    def find_stem(self, name: str, near: str | None = None) -> list[str]:
        """Find the images whose name before the suffix is the last part of `name`; else as `find`."""
        return self._best(name, self._named_alike(name, self._by_stem), near)

    def of_list(self, paths: Sequence[str], list_name: str, file: str) -> list[str]:
        """Return the images that may belong to a list.

        Where the list has a folder, with images or with its annotation file, an image in the folder of another list is
        not meant. Where it has none the images of all lists lie together, in a folder that may be called train_images.

        Args:
            paths: Images that fit a name.
            list_name: Name of the list.
            file: Its annotation file.
        """
        paths = [path for path in paths if not in_another_list(path, file)]
        if self._roles is None:
            self._roles = {}
            for folder in {os.path.dirname(path) for path in self.paths}:
                parts = _parts(os.path.relpath(folder, self._folder))[::-1]
                self._roles[folder] = next(filter(None, map(list_role, parts)), "")
        role = list_role(list_name)
        if role not in self._roles.values():
            return paths
        return [path for path in paths if not _are_of_two_lists({role, self._roles.get(os.path.dirname(path), "")})]

    def why_missing(self, name: str) -> str:
        """Return what is known of a name that no image fits: "", or a clause to end a message with."""
        stems = {file_key(stem_of(base_name(spelling))) for spelling in spellings(name)}
        unread = next((path for path in self.unread if file_key(stem_of(path)) in stems), None)
        if unread is not None:
            return f"; {unread} is of a kind that is not read: {_HOW_TO_CONVERT}"
        alike = self._named_alike(name, self._by_name)
        return f"; {alike[0]} has this file name, but is another image" if alike else ""

    def _named_alike(self, name: str, paths: dict[str, list[str]]) -> list[str]:
        keys = dict.fromkeys(file_key(base_name(spelling)) for spelling in spellings(name))
        return [path for key in keys for path in paths.get(key, [])]

    def _best(self, name: str, candidates: list[str], near: str | None) -> list[str]:
        best = _best(name, candidates, near)
        if self._folders is None:
            self._folders = KnownFolders(self.paths)
        return [path for path in best if not self._folders.tell_apart(name, path)]


class KnownFolders:
    """Tells by the folders of a data set whether a name means another image than the one with its file name.

    Args:
        paths: All images of the data set.
    """

    def __init__(self, paths: Iterable[str]):
        folders = {os.path.dirname(file_key(path.replace("\\", "/"))) for path in paths}
        parts = [_parts(folder) for folder in folders]
        self._tails = {tuple(folder[start:]) for folder in parts for start in range(len(folder))}
        self._answers: dict[tuple[str, str], bool] = {}  # by the folders of a name and a path

    def tell_apart(self, name: str, path: str) -> bool:
        """Return whether a name means another image than `path`.

        It does if the first folders, from the end, in which they differ are those of two lists (train and val), or if
        there are images in the folder of the name.
        """
        if path.endswith(name):
            return False
        if "%" in name:  # its folders may be in any part
            return self._tell_apart(name, path)
        folders = name.replace("\\", "/").rpartition("/")[0], os.path.dirname(path)
        if folders not in self._answers:
            self._answers[folders] = self._tell_apart(name, path)
        return self._answers[folders]

    def _tell_apart(self, name: str, path: str) -> bool:
        spelling = file_key(spellings(name)[_rank_of(name, path)[1]])
        shared = num_fitting_parts(name, path)
        folders, others = _parts(spelling)[:-shared], _parts(file_key(path))[:-shared]
        if not folders or not others:
            return False
        roles = {list_role(folders[-1]), list_role(others[-1])}
        return _are_of_two_lists(roles) if "" not in roles else tuple(_parts(spelling)[-shared - 1 : -1]) in self._tails


class ListedPaths:
    """Finds the images that a text file names, wherever the data has moved since it was written.

    As written, a name is an absolute path or lies below the text file's folder, the current folder, or the three
    folders above the text file (Darknet's lists are written from its own folder); a name without a folder lies not
    further up than one. Else it is searched below `root`.

    Args:
        text_file: Path of the text file.
        root: The data folder; the text file's folder if None.
    """

    def __init__(self, text_file: str, root: str | None = None):
        self.folder = os.path.dirname(os.path.abspath(text_file))
        self.root = root if root is not None and os.path.isdir(root) else self.folder
        above = [os.path.join(self.folder, *[os.pardir] * count) for count in (1, 2, 3)]
        self._bases = [self.folder, os.curdir, *above]
        self._index: ImageIndex | None = None

    def existing(self, entry: str) -> str | None:
        """Return the path of the file that an entry names as written, as `file_in` does."""
        has_folder = any("/" in spelling for spelling in spellings(entry))
        return file_in(self._bases if has_folder else self._bases[:3], entry)

    def find(self, entry: str) -> list[str]:
        """Find the images that an entry fits best, as `ImageIndex.find` returns them."""
        path = self.existing(entry)
        return self._all_images().find(entry) if path is None else [path]

    def why_missing(self, entry: str) -> str:
        """Return what is known of an entry that no image fits, as `ImageIndex.why_missing` does."""
        return self._all_images().why_missing(entry)

    def _all_images(self) -> ImageIndex:
        if self._index is None:
            self._index = ImageIndex(self.root)
        return self._index


def only_image(
    candidates: Sequence[str],
    name: str,
    where: str,
    findings: list[Finding],
    index: ImageIndex | ListedPaths | None = None,
) -> str | None:
    """Return the image that a name means, or report why there is none.

    Args:
        candidates: Images that fit the name equally well.
        name: The name.
        where: Where it is written.
        findings: Takes an error if there is no image or several; copies byte by byte count as one.
        index: Where the images were looked for; it may know why there is none.

    Returns:
        The path, None if it was reported.
    """
    if not candidates:
        why = index.why_missing(name) if index is not None else ""
        advice = "" if why else "; correct the path or remove the entry"
        message = f"expected an image, got '{name}', which does not exist{why or advice}"
        findings.append(Finding("error", "missing-image", where, message))
        return None
    if has_suffix(candidates[0], _ANNOTATION_SUFFIXES):
        message = f"expected an image, got '{name}', an annotation file; name the image, or remove the entry"
        findings.append(Finding("error", "missing-image", where, message))
        return None
    if all(filecmp.cmp(candidates[0], other, shallow=False) for other in candidates[1:]):
        return candidates[0]

    shown = ", ".join(candidates[:_SHOWN]) + (", ..." if len(candidates) > _SHOWN else "")
    message = (
        f"expected one image that '{name}' can mean, got {len(candidates)}: {shown}; write more of the path, or move "
        "the others elsewhere"
    )
    findings.append(Finding("error", "ambiguous-image", where, message))
    return None


def unread_findings(unread: Sequence[str], where: str) -> list[Finding]:
    """Return a warning that counts the images of kinds that are not read, if there are such.

    Args:
        unread: Paths of these images.
        where: The data set.
    """
    if not unread:
        return []
    suffixes = sorted({os.path.splitext(path)[1].lower() for path in unread})
    message = f"{len(unread)} images of kinds that are not read ({', '.join(suffixes)}), first {unread[0]}"
    return [Finding("warning", "unread-image", where, f"{message}; {_HOW_TO_CONVERT}")]


def without_contested(
    annotations: Sequence[Annotation], names: Sequence[str], findings: list[Finding]
) -> list[Annotation]:
    """Leave out annotations whose image belongs to another name.

    If "video1/1.jpg" exists and "video2/1.jpg" does not, both names lead to the one image; it belongs to the name that
    shares more of its path, and to none if both share equally much. Names that are matched as a whole, and names of
    which one ends in the other, are left alone.

    Args:
        annotations: Annotations, each with the image that was found for its name.
        names: The name of each.
        findings: Takes an error for each annotation that is left out.

    Returns:
        The others, in order.
    """
    names_of: dict[str, set[str]] = {}
    for annotation, name in zip(annotations, names, strict=True):
        names_of.setdefault(annotation.image_path, set()).add(name)

    kept = []
    for annotation, name in zip(annotations, names, strict=True):
        path = annotation.image_path
        if len(names_of[path]) == 1:
            kept.append(annotation)
            continue
        own = num_fitting_parts(name, path)
        others = (
            num_fitting_parts(other, path)
            for other in names_of[path]
            if num_shared_parts(name, other) < min(num_parts(name), num_parts(other))
        )
        if own >= num_parts(name) or all(own > number for number in others):
            kept.append(annotation)
            continue
        message = (
            f"expected an image of its own, got '{name}', for which only {annotation.image_path} was found, which "
            "another entry names too; add the image or remove the entry"
        )
        findings.append(Finding("error", "missing-image", annotation.source, message))
    return kept


def _grouped(paths: Iterable[str], part: Callable[[str], str]) -> dict[str, list[str]]:
    """Return the paths by the key of a part of them."""
    groups: dict[str, list[str]] = {}
    for path in paths:
        groups.setdefault(file_key(part(path)), []).append(path)
    return groups


def file_key(name: str) -> str:
    """Return a file name in composed Unicode and lower case, to compare names of any system by."""
    return unicodedata.normalize("NFC", name).lower()


def num_shared_parts(name: str, other: str) -> int:
    """Return how many trailing parts two paths share: 2 for "data/night/1.jpg" and "C:\\set\\night\\1.jpg"."""
    return len(os.path.commonprefix([_parts(name)[::-1], _parts(other)[::-1]]))


def num_fitting_parts(name: str, path: str) -> int:
    """Return how many trailing parts a name shares with an image in its best spelling, suffixes left aside."""
    return -_rank_of(name, path)[0]


def num_parts(name: str) -> int:
    """Return the number of folders and file names in a path."""
    return len(_parts(name))


def folder_distance(path: str, near: str) -> tuple[int, int]:
    """Return a key that sorts files by how well their folders agree with those of `near`.

    Folders that agree from the top count first, then those that agree from the bottom (images/monday/1.jpg and
    xml/monday/1.xml); more agreement sorts first.
    """
    parts, target = _folders(path), _folders(near)
    shared = len(os.path.commonprefix([parts, target]))
    tail = len(os.path.commonprefix([parts[: shared - 1 : -1], target[: shared - 1 : -1]]))
    return -shared, -tail


def in_another_list(path: str, other: str) -> bool:
    """Return whether two files lie in the folders of two lists, such as images/train/1.jpg and labels/val/1.txt."""
    folders, others = _folders(path), _folders(other)
    shared = len(os.path.commonprefix([folders, others]))
    own = next(filter(None, map(list_role, folders[: shared - 1 : -1])), "")
    return _are_of_two_lists({own, next(filter(None, map(list_role, others[: shared - 1 : -1])), "")})


def _are_of_two_lists(roles: set[str]) -> bool:
    return len(roles) == 2 and not roles & {"", "trainval"}


def _parts(name: str) -> list[str]:
    return [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]


def _folders(path: str) -> list[str]:
    return os.path.dirname(os.path.abspath(path)).split(os.sep)


def _best(name: str, candidates: list[str], near: str | None) -> list[str]:
    """Return the candidates that share the most trailing parts with a name, of these the nearest to `near`."""
    if len(candidates) < 2:
        return candidates

    ranks = []
    for path in candidates:
        shared, *exact = _rank_of(name, path)
        nearness: tuple = ()
        if near is not None:
            above, below = folder_distance(path, near)
            own = _folders(path)[-above:]
            nearness = above, below, bool(own) and not any(part.lower() in IMAGE_FOLDERS for part in own)
        ranks.append((shared, *nearness, *exact))
    best = min(ranks)
    return [path for path, rank in zip(candidates, ranks, strict=True) if rank == best]


def _rank_of(name: str, path: str) -> tuple[int, int, int, int]:
    """Return a key that sorts images by how well a name fits them: shared parts, spelling, letter case, suffix."""
    names = spellings(name)
    stems, known = [_without_suffix(spelling) for spelling in names], _without_suffix(path)
    shared = [-num_shared_parts(file_key(stem), file_key(known)) for stem in stems]
    best = shared.index(min(shared))
    return shared[best], best, -num_shared_parts(stems[best], known), -num_shared_parts(names[best], path)


def _without_suffix(path: str) -> str:
    return os.path.splitext(path)[0] if has_suffix(path, IMAGE_SUFFIXES) else path
