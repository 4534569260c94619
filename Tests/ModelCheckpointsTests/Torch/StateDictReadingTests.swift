import ModelCheckpoints
import ModelCore
import TestSupport
import Testing

/// Weights in dicts inside a state dict, and what is no weight.
@Suite struct StateDictReadingTests {
  static let tensor = ModelSelectionTests.tensor

  private func open(_ root: [UInt8]) throws -> Checkpoint { try Checkpoint(Pickled.file(root, storage: 16)) }

  @Test func nestedDicts() throws {
    let encoder = Pickled.dict(["a.weight": Self.tensor, "count": Pickled.int(3)])
    var file = try open(Pickled.dict(["model": Pickled.dict(["embed": Self.tensor, "encoder": encoder])]))
    #expect(Array(file.preferred.stateDict().names) == ["embed", "encoder.a.weight"])
    #expect(file.leftOut == ["encoder.count"])
    let new = try Tensor([1, 2, 3])
    file.updateModels { _, model in model.setTensors { $0 == "encoder.a.weight" ? new : nil } }
    let folder = try TemporaryFolder()
    try file.write(to: folder["o.pt"])
    let again = try Checkpoint(contentsOf: folder["o.pt"]).preferred.stateDict()
    #expect(again["encoder.a.weight"]?.shape == [3] && again["embed"]?.shape == [4])
  }

  @Test func anOptimizerInsideIsNoWeight() throws {
    let file = try open(Pickled.dict(["c.weight": Self.tensor, "optimizer": Pickled.dict(["m": Self.tensor])]))
    #expect(Array(file.preferred.stateDict().names) == ["c.weight"] && file.leftOut == ["optimizer"])
  }

  @Test func namesThatOccurTwice() {
    let forms = Pickled.dict([("\u{e9}", Self.tensor), ("e\u{301}", Self.tensor)])
    #expect(refusal { _ = try open(forms) }?.contains("in this or another Unicode form") == true)
    let dotted = Pickled.dict([("a.b", Self.tensor), ("a", Pickled.dict(["b": Self.tensor]))])
    #expect(refusal { _ = try open(dotted) }?.contains("two entries have this name") == true)
  }

  @Test func packedTensorsAreNotLost() throws {
    let file = try open(Pickled.dict(["c.weight": Self.tensor, "packed": Pickled.tuple([Self.tensor])]))
    let folder = try TemporaryFolder()
    #expect(refusal { try file.write(to: folder["o.safetensors"]) }?.contains("would be lost") == true)
    try file.write(to: folder["o.pt"])
  }
}
