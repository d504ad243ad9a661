import pytest

from vepscore.model.official.textproto import Malformed, Message, parse


def string(value: str) -> str:
    return parse(f"name: {value}").string("name")


def test_fields_of_nested_messages() -> None:
    message = parse('a { b { c: 1 } b { c: 2 } } a { } d: "x"')
    first, second = message.messages("a")
    assert [b.scalar("c") for b in first.messages("b")] == ["1", "2"]
    assert second.messages("b") == []
    assert message.string("d") == "x"


@pytest.mark.parametrize(
    "text",
    [
        "a{b:1 c:2}",
        "a : { b : 1 , c : 2 ; } ;",
        "a:{b:1,c:2,},",
        "\r\na {\r\n\tb: 1\r\n\tc: 2\r\n}\r\n",
        "# a { b: 3 }\na { # }\n b: # 4\n 1 c: 2 # '\n}\n# \"",
    ],
)
def test_ways_to_write_the_same(text: str) -> None:
    (a,) = parse(text).messages("a")
    assert (a.scalar("b"), a.scalar("c")) == ("1", "2")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('"T-cell"', "T-cell"),
        ("'T-cell'", "T-cell"),
        ('""', ""),
        ('"Wharton\'s # jelly { }"', "Wharton's # jelly { }"),
        (r"'Ammon\'s horn'", "Ammon's horn"),
        (r'"a \"b\" \\ \? c"', 'a "b" \\ ? c'),
        (r'"\\n"', "\\n"),
        (r'"\a\b\f\n\r\t\v"', "\a\b\f\n\r\t\v"),
        (r'"\x41\x4a\x9"', "AJ\t"),
        (r'"\101\60\0608"', "A008"),
        (r'"caf\303\251, \xc3\xa9, é"', "café, é, é"),
        ('"two " \'parts\' # not "three"\n "."', "two parts."),
    ],
)
def test_strings(written: str, expected: str) -> None:
    assert string(written) == expected


@pytest.mark.parametrize(
    ("written", "expected"), [("1", 1.0), ("-2.5e-1", -0.25), ("+.5", 0.5), ("inf", float("inf"))]
)
def test_numbers(written: str, expected: float) -> None:
    assert parse(f"mean: {written}").number("mean", float, default=1.0) == expected


def test_what_is_not_there() -> None:
    message = Message(0)
    assert message.messages("a") == []
    assert message.scalar("a") == message.string("a") == ""
    assert message.number("a", int, default=7) == 7


def test_the_last_of_several_values_counts() -> None:
    assert parse("id: 1 id: 2").number("id", int, default=0) == 2


def test_lists_are_passed_over() -> None:
    message = parse("""a: [1, 2] b: ["]", ']'] c: [] d: 4""")
    assert message.scalar("d") == "4"


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("¦a {\n b: 1", "a { that is not closed"),
        ("¦a { b { c: 1 }", "a { that is not closed"),
        ("a { ¦b { c: 1 ", "a { that is not closed"),
        ("a { } ¦}", "a } that closes nothing"),
        ('a: 1 ¦b: "x\n"', 'a string that is not closed: b: "x$'),
        ("a: 1 ¦b: 'x\"", "a string that is not closed"),
        (r'¦a: "x\"', "a string that is not closed"),
        ("a: 1 ¦b", "found 'b', expected name: value"),
        ("a: 1 ¦b:", "found 'b:', expected name: value"),
        ("a: 1 ¦{}", "found '{}', expected name: value"),
        ("¦a <b: 1>", "found 'a <b: 1>', expected name: value"),
        ("# x\n¦chr1\tHAVANA\tgene\n", r"found 'chr1\\tHAVANA\\tgene', expected"),
        ("¦\0\0", r"found '\\x00\\x00'"),
        ("¦a: " + "@" * 100, "found 'a: @{57}…', expected"),
    ],
)
def test_malformed_text(marked: str, expected: str) -> None:
    """`¦` marks the place of the error."""
    with pytest.raises(Malformed, match=expected) as caught:
        parse(marked.replace("¦", ""))
    assert caught.value.offset == marked.index("¦")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x: 1", "found x: 1, expected x {"),
        ("x { }", "found x: { … }, expected x: and a value"),
        ("y: 1", "found x: nothing, expected one of A, B"),
        ("x: C", "found x: C, expected one of A, B"),
        ('x: "A"', 'found x: "A", expected one of A, B'),
    ],
)
def test_fields_of_another_kind(text: str, expected: str) -> None:
    message = parse(text)
    with pytest.raises(Malformed, match=expected):
        message.messages("x") if expected.endswith("{") else message.choice("x", {"A": 1, "B": 2})


@pytest.mark.parametrize("value", ["1.5", "4O", "true", '"7"', "[7]", "1" * 5000])
def test_no_whole_number(value: str) -> None:
    with pytest.raises(Malformed, match="expected a number"):
        parse(f"id: {value}").number("id", int, default=0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("T_cell", "a string in quotes"),
        (r'"\q"', r"no escape \\q"),
        (r'"\xZZ"', r"no escape \\x"),
        (r'"\377"', "UTF-8"),
        ("'é' \"\\303\"", "UTF-8"),
    ],
)
def test_no_string(value: str, expected: str) -> None:
    with pytest.raises(Malformed, match=expected):
        string(value)


@pytest.mark.parametrize(
    "text",
    [
        "a { " * 100_000,
        "a" * 10**6,
        "a" + " " * 10**6,
        'a: "' + "\\x" * 10**6,
        "a: [" + "'" * 10**6,
        "#" * 10**6,
    ],
    ids=["braces", "letters", "spaces", "escapes", "quotes", "comment"],
)
def test_odd_text_takes_no_longer(text: str) -> None:
    try:
        parse(text)
    except Malformed as error:
        assert len(str(error)) < 200
