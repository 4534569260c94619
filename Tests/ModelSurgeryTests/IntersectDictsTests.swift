import ModelCore
import ModelSurgery
import Testing

@Suite struct IntersectDictsTests {
  func state(_ entries: [(String, [Int])], _ dtype: DType = .float32, _ value: Float = 0) throws -> StateDict {
    var state = StateDict()
    for (name, shape) in entries {
      state[name] = try Tensor([Float](repeating: value, count: shape.reduce(1, *)), shape).converted(to: dtype)
    }
    return state
  }

  @Test func theFunctionItself() throws {
    let a = try state([("a", [2]), ("b.anchor", [2]), ("c", [3]), ("d", [1])])
    let b = try state([("c", [4]), ("b.anchor", [2]), ("a", [2])], .float16)
    #expect(Array(intersectDicts(a, b).names) == ["a", "b.anchor"])
    #expect(Array(intersectDicts(a, b, exclude: ["anchor"]).names) == ["a"])
  }

  @Test func transfer() throws {
    let source = try state([("model.x", [2]), ("model.y", [2]), ("model.z", [3]), ("model.only", [1])], .float32, 5)
    var target = try state([("module.w", [1]), ("module.x", [2]), ("module.y", [2]), ("module.z", [4])], .float16, 1)
    let report = try target.transfer(from: source, exclude: ["y"])
    #expect(report.description == "Transferred 1/4 items" && report.transferred == ["module.x"])
    #expect(report.pretrainedPrefix == "model." && report.targetPrefix == "module." && report.prefixNote != nil)
    #expect(
      report.skipped.map { "\($0.name): \($0.reason)" } == [
        "module.y: excluded by 'y'", "module.z: shape [3] against [4]", "model.only: not in target",
        "module.w: not in pretrained",
      ])
    #expect(target["module.x"]?.dtype == .float16)
    #expect(try target["module.x"]?.floats() == [5, 5] && target["module.y"]?.floats() == [1, 1])
  }

  @Test func aSharedParameterOfAModule() throws {
    let weight = Parameter(try Tensor([1]))
    var module = Module(ClassName("a", "A"))
    for name in ["p", "q"] { module.children[name] = Module(ClassName("a", "B"), parameters: ["w": weight]) }
    try module.transfer(from: StateDict(["p.w": try Tensor([7])]))
    #expect(try module["p"]?.parameters["w"]?.tensor.floats() == [7])
    #expect(try module["q"]?.parameters["w"]?.tensor.floats() == [7])
  }
}
