import ModelCore
import Testing

/// An error is one line whatever the file says.
@Suite struct ModelErrorTests {
  @Test func partsStandInOrder() {
    #expect(ModelError(.invalid, "is empty").description == "is empty")
    #expect(
      ModelError(.invalid, "is cut", file: "a.pt", offset: 17, subject: "conv.weight", advice: "download it again")
        .description
        == "a.pt: byte 17: conv.weight: is cut; download it again")
    #expect(ModelError(.invalid, "r", subject: "s").description == "s: r")
  }

  @Test func contextIsAddedWhereItIsMissing() {
    let error = ModelError(.invalid, "is cut")
    #expect(error.inFile("a").about("w").description == "a: w: is cut")
    #expect(error.inFile("a").inFile("b").description == "a: is cut")
    #expect(error.about("v").about("w").description == "v: is cut")
    #expect(error.description == "is cut")
  }

  @Test func theRootModuleHasNoName() {
    #expect(ModelError(.invalid, "is cut", subject: "").description == "is cut")
    #expect(ModelError(.invalid, "is cut").about("").inFile("a").description == "a: is cut")
    #expect("".printable() == "")
  }

  @Test(
    arguments: [
      ("a\nb", "a\\u{a}b"), ("a\r\nb", "a\\u{d}\\u{a}b"), ("\u{1b}[31mred", "\\u{1b}[31mred"), ("\0", "\\u{0}"),
      ("a\u{2028}b\u{2029}c", "a\\u{2028}b\\u{2029}c"), ("\u{85}", "\\u{85}"), ("\u{202e}evil", "\\u{202e}evil"),
      ("a\u{200b}b", "a\\u{200b}b"), ("\u{7f}", "\\u{7f}"), ("naïve 漢字 👍", "naïve 漢字 👍"),
    ])
  func controlCharactersAreEscaped(name: String, printed: String) {
    #expect(name.printable() == printed)
    let line = ModelError(.invalid, "is bad: \(name)", file: name, subject: name, advice: name).description
    #expect(!line.unicodeScalars.contains { $0.properties.generalCategory == .control })
    #expect(line == "\(printed): \(printed): is bad: \(printed); \(printed)")
  }

  @Test func longNamesAreCut() {
    let name = String(repeating: "x", count: 100_000)
    #expect(name.printable() == String(repeating: "x", count: 300) + "…")
    #expect(name.printable(limit: 3) == "xxx…")
    #expect("xxx".printable(limit: 3) == "xxx")
    #expect(ModelError(.invalid, name, file: name, subject: name, advice: name).description.count < 2000)
  }
}
