"""Protocol buffer messages as text (textproto): what the track metadata uses of that format, checked as it is read.

Nested messages, quoted strings with escapes, numbers, names, separators and comments are read; a list in square
brackets is passed over. There is no schema, so a field of any name is taken in.

Source: https://protobuf.dev/reference/protobuf/textformat-spec/
"""

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

# Possessive quantifiers (`*+`) keep the time linear in the length of the text, whatever it holds.
_SPACE = r"(?:\s++|\#[^\n]*+)*+"
_STRING = r"""(?: " (?:[^"\\\n] | \\.)*+ " | ' (?:[^'\\\n] | \\.)*+ ' )"""
_TOKEN = re.compile(
    rf"""
    (?: [\s,;]++ | \#[^\n]*+ )*+
    (?: (?P<close> }} )
      | (?P<name> [A-Za-z_]\w*+ ) {_SPACE}
        (?: :?+ {_SPACE} (?P<open> {{ )
          | : {_SPACE} (?P<value> {_STRING} (?:{_SPACE} {_STRING})*+ | \[ (?:[^\]"'] | {_STRING})*+ \] | [-+.\w]++ ) )
      | (?P<end> \Z )
      | (?P<strange> . ) )
    """,
    re.VERBOSE,
)
_STRING_PART = re.compile(rf"\#[^\n]*+ | ({_STRING})", re.VERBOSE)
_OPEN_STRING = re.compile(r"""\w+\s*:\s*["']""")
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{1,2})|([0-3]?[0-7]{1,2})|(.))")
_ESCAPED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_ESCAPED |= {mark: mark for mark in (b"\\", b"'", b'"', b"?")}

_T = TypeVar("_T")


class Malformed(ValueError):
    """What was found and expected in the text, and at which offset."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class Message:
    """The fields of one message. What they hold is checked where it is asked for."""

    __slots__ = ("_fields", "offset")

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self._fields: list[tuple[str, Message | str, int]] = []  # name, value as it stands there, offset

    def add(self, name: str, value: "Message | str", offset: int) -> None:
        """Takes in one field."""
        self._fields.append((name, value, offset))

    def messages(self, name: str) -> list["Message"]:
        """All messages of that name, in order."""
        values = [value for field, value, _ in self._fields if field == name]
        if not all(isinstance(value, Message) for value in values):
            raise self.unexpected(name, f"{name} {{ … }}")
        return values

    def scalar(self, name: str) -> str:
        """The value of that name, as it stands there: the last where there are several, "" where there is none."""
        value, _ = self._last(name)
        if isinstance(value, Message):
            raise self.unexpected(name, f"{name}: and a value")
        return value

    def choice(self, name: str, choices: Mapping[str, _T]) -> _T:
        """What `choices` has for the value."""
        value = self.scalar(name)
        if value not in choices:
            raise self.unexpected(name, f"one of {', '.join(choices)}")
        return choices[value]

    def number(self, name: str, convert: Callable[[str], _T], *, default: _T) -> _T:
        """A number, by way of `int` or `float`."""
        value = self.scalar(name)
        try:
            return convert(value) if value else default
        except ValueError as error:
            raise self.unexpected(name, "a number") from error

    def string(self, name: str) -> str:
        """A string without its quotes and escapes; "" where there is none."""
        value = self.scalar(name)
        if value and value[0] not in "\"'":
            raise self.unexpected(name, "a string in quotes")
        try:
            return b"".join(_unquote(part) for part in _STRING_PART.findall(value)).decode()
        except ValueError as error:
            raise self.unexpected(name, f"a string of UTF-8: {error}") from error

    def unexpected(self, name: str, expected: str) -> Malformed:
        """The error where a field is not what it should be."""
        value, offset = self._last(name)
        found = "{ … }" if isinstance(value, Message) else _start(value) or "nothing"
        return Malformed(f"found {name}: {found}, expected {expected}", offset)

    def _last(self, name: str) -> "tuple[Message | str, int]":
        for field, value, offset in reversed(self._fields):
            if field == name:
                return value, offset
        return "", self.offset


def parse(text: str) -> Message:
    """The whole text as one message.

    Raises:
        Malformed: it is not textproto, or ends too early.
    """
    open_messages = [Message(0)]
    for token in _TOKEN.finditer(text):
        match token.lastgroup:
            case "value":
                open_messages[-1].add(token["name"], token["value"], token.start("name"))
            case "open":
                message = Message(token.start("name"))
                open_messages[-1].add(token["name"], message, message.offset)
                open_messages.append(message)
            case "close" if len(open_messages) > 1:
                open_messages.pop()
            case "close":
                raise Malformed("found a } that closes nothing", token.start("close"))
            case "strange":
                raise _strange(text, token.start("strange"))
    if len(open_messages) > 1:
        raise Malformed("found a { that is not closed: the text is not whole", open_messages[-1].offset)
    return open_messages[0]


def _strange(text: str, offset: int) -> Malformed:
    found = _start(text[offset : offset + 100])
    if _OPEN_STRING.match(found):
        return Malformed(f"found a string that is not closed: {found}", offset)
    return Malformed(f"found {found!r}, expected name: value or name {{ … }}", offset)


def _start(text: str) -> str:
    """What of a text is shown in an error."""
    line = text.partition("\n")[0]
    return line if len(line) <= 60 else f"{line[:60]}…"


def _unquote(string: str) -> bytes:
    return _ESCAPE.sub(_unescape, string[1:-1].encode())


def _unescape(escape: re.Match[bytes]) -> bytes:
    hexadecimal, octal, letter = escape.groups()
    if letter is None:
        return bytes([int(hexadecimal, 16) if hexadecimal else int(octal, 8)])
    if letter not in _ESCAPED:
        raise ValueError(f"no escape \\{letter.decode(errors='replace')}")
    return _ESCAPED[letter]
