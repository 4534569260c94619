import ModelCore
import Testing

@Suite struct SoundTextTests {
  @Test(arguments: ["", "model.0.conv.weight", "größe", "模型", "e\u{301}\u{323}", "👩‍👩‍👧‍👦"])
  func textComesThrough(_ text: String) {
    #expect(String(sound: Array(text.utf8)) == text)
  }

  @Test func whatIsNoUTF8DoesNot() {
    #expect(String(sound: [0x61, 0xff]) == nil)
    #expect(String(sound: [0xed, 0xa0, 0x80]) == nil)
  }

  /// Sixty-four marks in a row are more than any language has; a hundred thousand would take minutes to compare.
  @Test(arguments: [(64, true), (65, false), (100_000, false)])
  func marksInARow(count: Int, isSound: Bool) {
    let marks = String(repeating: "\u{301}", count: count)
    #expect((String(sound: Array(("a" + marks).utf8)) != nil) == isSound)
    let twice = Array(("a" + marks + "b" + marks).utf8)
    #expect((String(sound: twice) != nil) == isSound)
  }
}
