import ModelCore
import Testing

@Suite struct GlobTests {
  @Test(
    arguments: [
      ("", ""), ("a", "a"), ("*", ""), ("*", "a.b.c"), ("a*", "a"), ("*a", "bca"), ("a*b*c", "axxbyyc"), ("?", "a"),
      ("a?c", "a.c"), ("[abc]", "b"), ("[a-c]", "c"), ("[!a-c]", "d"), ("[^a-c]", "d"), ("[]]", "]"), ("[!]]", "a"),
      ("[a-]", "-"), ("[a-]", "a"), ("[-a]", "-"), ("[", "["), ("[a", "[a"), ("[!", "[!"), ("a[]", "a[]"),
      ("**", "anything"), ("a**b", "ab"), ("layer?.conv[12]", "layer3.conv2"), ("é", "é"), ("?", "é"), ("?", "👍🏽"),
      ("\\*", "\\x"), ("a.b", "a.b"), ("model.24.*", "model.24.m.0.weight"), ("[z-a]", "-"), ("[a-c-e]", "-"),
    ])
  func matching(pattern: String, name: String) {
    #expect(Glob(pattern).matches(name))
  }

  @Test(
    arguments: [
      ("", "a"), ("a", ""), ("a", "A"), ("?", ""), ("?", "ab"), ("a*", "ba"), ("*a", "ab"), ("[abc]", "d"),
      ("[abc]", ""), ("[!a-c]", "b"), ("[!a]", ""), ("a*b*c", "axxcyyb"), ("a.b", "axb"), ("model.24.*", "model.24"),
      ("layer?.conv1", "layer10.conv1"), ("[a-c-e]", "d"), ("(a|b)", "a"), ("a+", "aa"),
    ])
  func notMatching(pattern: String, name: String) {
    #expect(!Glob(pattern).matches(name))
    #expect(Glob(pattern).captures(name) == nil)
  }

  @Test func capturesAreWhatTheWildcardsStoodFor() {
    #expect(Glob("a").captures("a") == [])
    #expect(Glob("layer*.*.conv?").captures("layer1.0.conv2") == ["1", "0", "2"])
    #expect(Glob("*").captures("") == [""])
    #expect(Glob("[ab]x[!ab]").captures("axc") == ["a", "c"])
    // Every star takes as little as it can.
    #expect(Glob("*.*").captures("a.b.c") == ["a", "b.c"])
    #expect(Glob("*.*.conv").captures("a.b.c.conv") == ["a", "b.c"])
    #expect(Glob("*a*").captures("banana") == ["b", "nana"])
    // Two stars in a row are one.
    #expect(Glob("a**b").captures("axyb") == ["xy"])
  }

  @Test func manyStarsTakeNoTime() {
    let pattern = String(repeating: "*a", count: 50) + "*b"
    #expect(!Glob(pattern).matches(String(repeating: "a", count: 500)))
    #expect(Glob(pattern).matches(String(repeating: "a", count: 500) + "b"))
  }

  @Test func thePatternIsKept() {
    #expect(Glob("layer[0-9].*").pattern == "layer[0-9].*")
    #expect(Glob("a*") == Glob("a*"))
    #expect(Glob("a*") != Glob("a?"))
  }
}
