import ModelCheckpoints
import ModelCore
import ModelSurgery
import Testing

@Suite struct StateDictDiffTests {
  func state(_ tensors: [String: Tensor]) -> StateDict {
    StateDict(OrderedDictionary(uniqueKeysWithValues: tensors.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }))
  }

  @Test func equalAndNot() throws {
    let a = state(["x": try Tensor([1, 2, 4]), "y": try Tensor([0])])
    #expect(try StateDictDiff(a, a).equal)
    let b = state(["x": try Tensor([1, 2, 5]), "y": try Tensor([-0.0])])
    let diff = try StateDictDiff(a, b)
    #expect(!diff.equal && diff.differing.map(\.name) == ["x"] && diff.compared == 2)
    #expect(diff.differing[0].maxAbs == 1 && diff.differing[0].maxRelative == 0.2 && diff.differing[0].elements == 1)
    #expect(try StateDictDiff(a, b, tolerance: 1).equal && !StateDictDiff(a, b, tolerance: 0.99).equal)
  }

  @Test func names() throws {
    let x = try Tensor([1])
    let diff = try StateDictDiff(state(["a": x, "b": x]), state(["b": x, "c": x]))
    #expect(!diff.equal && diff.onlyInFirst == ["a"] && diff.onlyInSecond == ["c"] && diff.differing.isEmpty)
  }

  @Test func typesAndShapes() throws {
    let a = state(["x": try Tensor([1, 2])])
    let half = state(["x": try Tensor([1, 2]).converted(to: .float16)])
    #expect(try StateDictDiff(a, half).differing.first?.secondDType == .float16)
    #expect(try StateDictDiff(a, half, tolerance: 0).equal)
    let tall = state(["x": try Tensor([1, 2], [2, 1])])
    #expect(try StateDictDiff(a, tall, tolerance: 9).differing.first?.maxAbs == nil)
  }

  @Test func notFinite() throws {
    let a = state(["x": try Tensor([.nan, .infinity, 1])])
    #expect(try StateDictDiff(a, a).equal)
    let b = state(["x": try Tensor([.nan, -.infinity, .nan])])
    #expect(try StateDictDiff(a, b, tolerance: .infinity).differing.first?.nonFinite == 2)
  }

  @Test func filesOfSeveralModels() throws {
    func file(_ weight: Float, _ mean: Float) throws -> Checkpoint {
      var file = Checkpoint(StateDict(["c.weight": try Tensor([weight, weight])]))
      file.nestModel(under: "model")
      try file.setEntry("mean", to: .tensor(.init(try Tensor([mean]), requiresGrad: nil)))
      return file
    }
    #expect(try StateDictDiff(file(1, 2), file(1, 2)).equal)
    let models = try StateDictDiff(file(1, 2), file(2, 2))
    #expect(models.differing.map(\.name) == ["c.weight"] && models.compared == 2)
    #expect(try StateDictDiff(file(1, 1), file(1, 2)).differing.map(\.name) == ["mean"])
    let bare = try StateDictDiff(file(1, 2), Checkpoint(StateDict(["c.weight": Tensor([1, 1])]), name: "bare"))
    #expect(bare.equal && bare.compared == 1)
    #expect(bare.notCompared == ["1 tensors beside the models of state dict"])
  }
}
