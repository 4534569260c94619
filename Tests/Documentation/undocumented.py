"""Names the public declarations that have no doc comment: undocumented.py SYMBOLS, a folder of symbol graphs."""

import json
import pathlib
import sys


def is_exempt(symbol):
    """What a conformance asks for and another declaration documents, and what the compiler makes."""
    name = symbol["names"]["title"]
    return (
        "::SYNTHESIZED::" in symbol["identifier"]["precise"]
        or "location" not in symbol
        or name in EXEMPT
    )


def says_what_it_is(symbol):
    """Whether it has a doc comment that does not begin with its parameters."""
    lines = symbol.get("docComment", {}).get("lines", [])
    return bool(lines) and not lines[0]["text"].startswith("- ")


# Requirements of protocols of the standard library.
EXEMPT = {
    "description",
    "hash(into:)",
    "encode(to:)",
    "init(from:)",
    "==(_:_:)",
    "<(_:_:)",
    "startIndex",
    "endIndex",
    "init(dictionaryLiteral:)",
}


def main(folder):
    symbols = [
        symbol
        for graph in sorted(pathlib.Path(folder).glob("*.symbols.json"))
        for symbol in json.loads(graph.read_text())["symbols"]
        if symbol["accessLevel"] in ("public", "open")
    ]
    missing = [s for s in symbols if not says_what_it_is(s) and not is_exempt(s)]
    for symbol in missing:
        place = symbol["location"]
        path = place["uri"].removeprefix("file://").split("/Sources/", 1)[-1]
        line = place["position"]["line"] + 1
        print(f"Sources/{path}:{line}: {'.'.join(symbol['pathComponents'])} has no doc comment")
    print(f"{len(symbols)} public declarations, {len(missing)} without a doc comment")
    return 1 if missing else 0


if __name__ == "__main__":
    if not (len(sys.argv) == 2 and pathlib.Path(sys.argv[1]).is_dir()):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
