import ModelCore
import ModelSurgery
import Testing

@Suite struct RenamingTests {
  private func state(_ names: String...) throws -> StateDict {
    StateDict(OrderedDictionary(uniqueKeysWithValues: try names.map { ($0, try Tensor(.float32, [1])) }))
  }

  @Test(arguments: [
    ("module.*=*", "module.conv.weight", "conv.weight"), ("*.gamma=*.weight", "norm.gamma", "norm.weight"),
    ("layers.?.*=blocks.?.*", "layers.3.w", "blocks.3.w"), ("a[0-9].*=b?.*", "a7.w", "b7.w"), ("a=b", "a", "b"),
    ("fc=head", "fc.weight", "head.weight"),
    ("layer?=stage?", "layer1.0.w", "stage1.0.w"),
    ("a=b=c", "a", "b=c"), ("*=*.x", "é", "é.x"),
  ]) func names(rule: String, old: String, new: String) throws {
    #expect(try RenamePattern(rule).renamed(old) == new)
  }

  @Test func whatDoesNotMatchKeepsItsName() throws { #expect(try RenamePattern("a.*=*").renamed("b.a.c") == nil) }

  @Test(arguments: ["", "a", "=a", "a=", "a=*", "a.*=*.*"]) func noRules(text: String) {
    #expect(throws: ModelError.self) { try RenamePattern(text) }
  }

  @Test func edits() throws {
    var state = try state("model.0.w", "model.0.b", "model.1.w", "head.w", "extra")
    let report = try state.edit(
      keep: [Glob("model"), Glob("head")], drop: [Glob("model.0.b"), Glob("nothing")],
      rename: [RenamePattern("model.*=*")],
      merging: [self.state("new")])
    #expect(state.names == ["0.w", "1.w", "head.w", "new"])
    #expect((report.renamed, report.dropped, report.added) == (2, 2, 1))
    #expect(report.unmatched == ["nothing"])
  }

  @Test func twoOfOneName() throws {
    var state = try state("a.w", "b.w")
    #expect(throws: ModelError.self) { try state.edit(rename: [RenamePattern("a.*=b.*")]) }
    #expect(throws: ModelError.self) { try state.edit(merging: [self.state("b.w")]) }
    #expect(state.names == ["a.w", "b.w"])
  }

  @Test(arguments: [
    ("model.2", "model.2.cv1.weight", true), ("model.2", "model.24.weight", false),
    ("model.2*", "model.24.weight", true),
    ("*.bias", "a.bias", true), ("weight", "a.weight", false), ("a", "a", true), ("", "a", false),
  ]) func ancestors(glob: String, name: String, isMatch: Bool) {
    #expect(Glob(glob).matches(withAncestors: name) == isMatch)
  }
}
