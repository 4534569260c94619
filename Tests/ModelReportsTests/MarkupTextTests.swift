import Testing

@testable import ModelReports

@Suite struct MarkupTextTests {
  @Test func escaping() {
    #expect(MarkupText.escaped("<a href=\"x\">'&amp;</a>") == "&lt;a href=&quot;x&quot;&gt;&#39;&amp;amp;&lt;/a&gt;")
    #expect(MarkupText.escaped("a\0b\u{1b}\u{ffff}\n") == "a\u{fffd}b\u{fffd}\u{fffd}\n")
    #expect(MarkupText.cut("abcdef", to: 4) == "abc…" && MarkupText.cut("abcd", to: 4) == "abcd")
  }

  @Test func base64() {
    let texts = ["", "f", "fo", "foo", "foob", "fooba", "foobar"]
    let coded = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]
    #expect(texts.map { MarkupText.base64(Array($0.utf8)) } == coded)
    #expect(MarkupText.base64([0, 255, 254, 251, 240]) == "AP/++/A=")
  }

  @Test func numbers() {
    #expect([1.005, -0.001, 3, 2.5, 1e20].map(MarkupText.place) == ["1", "0", "3", "2.5", "1e+20"])
    #expect(MarkupText.percent(0.12345) == "12.3%" && MarkupText.percent(nil) == "–")
  }
}
