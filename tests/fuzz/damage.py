"""Ways to damage the content of a file, all drawn from a `random.Random`."""

import re
from random import Random

# What breaks parsers of text: numbers out of range, other types, deep nesting, encodings, commands to terminals.
TOKENS = [
    *(b"-1", b"0", b"1e999", b"NaN", b"-Infinity", b"1" * 400, b"0x10", b"1_0", b"\xd9\xa1", b"4294967296", b"1e-320"),
    *(b"null", b"true", b"[]", b"{}", b'""', b'"1155"', b"'", b'"', b"\\", b"\\ud800", b"[" * 3000, b'{"a":' * 3000),
    *(b"&x;", b"<!--", b"]]>", b"<a>" * 500, b"&#0;", b"*a", b"&a [*a,*a]", b"!!python/object:os.system", b"---\n"),
    *(b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\x1b[2J", b"\r", b"\n\n", b"\t", b" " * 1000, b"\xed\xa0\x80", b"%00"),
    *(b"/", b"../" * 50, b"C:\\", b"~", b"#", b",", b"=", b":", b"a" * 5000, b"\xe2\x80\xa8"),
]


def damage(content: bytes, random: Random) -> bytes:
    """Return the content with one to four damages."""
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        content = random.choice(WAYS)(content, random)
    return content


def flip_bytes(content: bytes, random: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(random.choice((1, 2, 8))):
        if changed:
            changed[_place(changed, random)] = random.randrange(256)
    return bytes(changed)


def truncate(content: bytes, random: Random) -> bytes:
    return content[: random.randrange(len(content) + 1)]


def remove_part(content: bytes, random: Random) -> bytes:
    start, end = _range(content, random)
    return content[:start] + content[end:]


def repeat_part(content: bytes, random: Random) -> bytes:
    start, end = _range(content, random)
    return content[:end] + content[start:end] * random.choice((1, 1, 20)) + content[end:]


def insert_token(content: bytes, random: Random) -> bytes:
    at = random.randrange(len(content) + 1)
    return content[:at] + random.choice(TOKENS) + content[at:]


def replace_value(content: bytes, random: Random) -> bytes:
    """Replace a number or a quoted text by something else."""
    values = list(re.finditer(rb'-?\d+(\.\d+)?|"[^"\n]{0,40}"', content))
    if not values:
        return insert_token(content, random)
    found = random.choice(values)
    return content[: found.start()] + random.choice(TOKENS) + content[found.end() :]


def overwrite_part(content: bytes, random: Random) -> bytes:
    start, end = _range(content, random)
    return content[:start] + random.randbytes(end - start) + content[end:]


WAYS = (flip_bytes, truncate, remove_part, repeat_part, insert_token, replace_value, overwrite_part)


def _place(content: bytes | bytearray, random: Random) -> int:
    """Draw a place; the beginning and the end, where headers and tables lie, are likelier."""
    near = min(len(content), 256)
    return random.choice(
        (random.randrange(len(content)), random.randrange(near), len(content) - 1 - random.randrange(near))
    )


def _range(content: bytes, random: Random) -> tuple[int, int]:
    start = random.randrange(len(content) + 1)
    return start, min(len(content), start + random.choice((1, 4, 40, 400)))
