import Testing

@testable import ModelWorkflows

@Suite struct PythonNamesTests {
  @Test(arguments: [
    ("{0: 'person', 1: \"it's\"}", [0: "person", 1: "it's"]), ("{'0': 'a', '7': 'b', }", [0: "a", 7: "b"]),
    ("{\"0\":\"\\u00e9\",\"1\":\"\\\\\"}", [0: "é", 1: "\\"]), (" ['a', 'b'] ", [0: "a", 1: "b"]),
    ("('a',)", [0: "a"]), ("{0: 'line\\nbreak', 1: '\\x41'}", [0: "line\nbreak", 1: "A"]), ("{}", [:]),
  ])
  func names(text: String, expected: [Int: String]) {
    #expect(PythonText.names(text) == ClassNames(expected))
  }

  @Test(arguments: [
    "", "{", "{0", "{0:", "{0: 'a'", "{0: 'a}", "{'a': 'b'}", "{0: 1}", "[1]", "['a'", "{0: 'a'} x", "{0 'a'}",
    "{-1: 'a'}", "{99999999999999999999: 'a'}", "{0: '\\q'}", "{0: '\\ud800'}", "__import__('os')", "{0: 'a',, 1: 'b'}",
  ])
  func whatIsNone(text: String) {
    #expect(PythonText.names(text) == nil)
  }

  /// What is written is read.
  @Test func bothWays() {
    let names = ClassNames([0: "it's", 3: "a\\b\n\u{1}", 80: "größe 模型"])
    #expect(PythonText.names(PythonText.dictionary(names)) == names)
  }

  @Test func integers() {
    #expect(PythonText.integers("[17, 3]") == [17, 3])
    #expect(PythonText.integers("(5, 2)") == [5, 2])
    for text in ["", "[", "[]x", "17, 3", "[17; 3]", "[a]"] { #expect(PythonText.integers(text) == nil) }
  }
}
