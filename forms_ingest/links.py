"""What an upload cell of the response sheet holds: links to Drive files, or a file name."""

import re
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

_URL = re.compile(r"(?:https?://|(?:drive|docs)\.google\.com/)[^\s,;<>\"']+", re.IGNORECASE)
_ID = re.compile(r"[\w-]+", re.ASCII)
_PATH_ID = re.compile(r"/d/([\w-]+)(?:/|$)", re.ASCII)


class Reference(NamedTuple):
    """What a cell names.

    Attributes:
        file_id: id of a Drive file, empty where the cell gives none
        name: the cell's text where it is no link
        resource_key: key that some shared links carry beside the id; secret
    """

    file_id: str = ""
    name: str = ""
    resource_key: str = ""


def parse_references(cell: str) -> list[Reference]:
    """Read all files that a cell names, in order.

    Every form of link that Drive and Forms write is understood: `open?id=`, `/file/d/…/view`,
    `/u/0/open?usp=forms_web&id=`, `uc?export=download&id=`, each also with `resourcekey=`. A link
    without a file id, such as one to a folder, gives a reference that names neither.

    Args:
        cell: text of the cell; several links are divided by commas or blanks

    Returns:
        one reference per link, or one with the text as name; empty for an empty cell

    Examples:
        >>> parse_references("https://drive.google.com/open?id=A1")[0].file_id
        'A1'
        >>> parse_references("call_7 - Maria Lopez.wav")[0].name
        'call_7 - Maria Lopez.wav'
    """
    text = cell.strip()
    if not text:
        return []
    urls = _URL.findall(text)
    return [_parse_url(url) for url in urls] if urls else [Reference(name=text)]


def _parse_url(url: str) -> Reference:
    try:
        parts = urlsplit(url if re.match("https?:", url, re.IGNORECASE) else f"https://{url}")
    except ValueError:
        return Reference()
    host = (parts.hostname or "").casefold()
    if host != "google.com" and not host.endswith(".google.com"):
        return Reference()
    query = parse_qs(parts.query)
    in_path = _PATH_ID.search(parts.path)
    file_id = in_path.group(1) if in_path else query.get("id", [""])[0]
    if "/folders/" in parts.path or not _ID.fullmatch(file_id):
        return Reference()
    return Reference(file_id=file_id, resource_key=query.get("resourcekey", [""])[0])
