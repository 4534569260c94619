import ModelCore
import TestSupport
import Testing

@Suite struct YAMLDocumentTests {
  private func entries(_ text: String) throws -> OrderedDictionary<String, YAMLNode> {
    try #require(try YAMLDocument(text.utf8).root.entries)
  }

  @Test func dataSets() throws {
    let root = try entries(
      """
      # a set
      path: ../datasets/coco8  # where
      train: images/train
      val:
        - images/val
        - 'more images'
      nc: 2
      names:
        0: person
        1: "a: b"
      download: |
        from x import y

          z: [1
      last: yes
      """)
    #expect(root["path"]?.text == "../datasets/coco8" && root["train"]?.text == "images/train")
    #expect(root["val"]?.items?.map(\.text) == ["images/val", "more images"] && root["val"]?.line == 5)
    #expect(root["names"]?.entries?["1"]?.text == "a: b")
    #expect(root["download"]?.text == "from x import y\n\n  z: [1\n" && root["download"]?.isQuoted == true)
    #expect(root["last"]?.text == "yes" && root["last"]?.line == 15)
  }

  @Test(arguments: [
    ("a: |", ""), ("a: |\n", ""), ("a: >-\n  b\n", "b\n"), ("a: |\n\n\n", "\n"), ("a: |  # why\n  b", "b\n"),
    ("a: |\r\n  b\r\n  c\r\n", "b\r\nc\r\n"), ("a: |\n    b\n  c\n", "b\nc\n"),
  ]) func textsOfSeveralLines(text: String, expected: String) throws {
    let found = try entries(text)["a"]?.text
    #expect(found == expected || found == expected + "\n")
  }

  @Test(arguments: [
    "", "a: &x 1", "a: *x", "a: !!int 1", "a: | b", "a: 'x", "a: [1", "a: 1\na: 2", "a", "- - 1", "a: {b 1}",
    "a: 1\n  b: 2",
    "a: | c\n  d", "? a", String(repeating: "[", count: 40),
  ]) func refusals(text: String) {
    #expect(refusal { _ = try YAMLDocument(text.utf8) } != nil)
  }
}
