import ModelCore
import Testing

@Suite struct StateDictTests {
  private func state(_ names: [String]) throws -> StateDict {
    var state = StateDict()
    for (index, name) in names.enumerated() { state[name] = try Tensor([Float(index)]) }
    return state
  }

  @Test func namesKeepTheirOrder() throws {
    var state = try state(["b", "a", "c"])
    #expect(Array(state.names) == ["b", "a", "c"])
    #expect(state.count == 3)
    state["a"] = nil
    state["a"] = try Tensor([9])
    #expect(Array(state.names) == ["b", "c", "a"])
    #expect(state["missing"] == nil)
  }

  @Test(
    arguments: [
      (["module.a", "module.b"], "module.", ["a", "b"]),
      (["_orig_mod.a"], "_orig_mod.", ["a"]),
      (["module._orig_mod.a.x", "module._orig_mod.b"], "module._orig_mod.", ["a.x", "b"]),
      (["_orig_mod.module.a"], "_orig_mod.module.", ["a"]),
      (["module.module.a"], "module.module.", ["a"]),
      (["module.a", "b"], "", ["module.a", "b"]),
      (["model.a", "model.b"], "", ["model.a", "model.b"]),
      (["modulea"], "", ["modulea"]),
      (["module."], "", ["module."]),
      (["module.module."], "module.", ["module."]),
      ([], "", []),
    ] as [([String], String, [String])])
  func wrapperPrefixesGoWhenEveryNameBearsThem(names: [String], removed: String, left: [String]) throws {
    var state = try state(names)
    #expect(state.removeWrapperPrefixes() == removed)
    #expect(Array(state.names) == left)
    #expect(try state.tensors.values.map { try $0.doubles()[0] } == names.indices.map(Double.init))
  }

  @Test func whatCountsAsAParameter() throws {
    let floating = try Tensor([1])
    let integer = try Tensor(.int64, [])
    for name in ["weight", "a.weight", "running", "a.running_mean.weight"] {
      #expect(StateDict().isParameter(name, floating), "\(name)")
      #expect(!StateDict().isParameter(name, integer), "\(name)")
    }
    for name in ["running_mean", "a.running_mean", "a.b.running_var", "a.num_batches_tracked"] {
      #expect(!StateDict().isParameter(name, floating), "\(name)")
    }
  }

  @Test func aModelIsEitherOfThem() throws {
    var model = Model.stateDict(try state(["a"]))
    #expect(model.module == nil)
    #expect(Array(model.stateDict().names) == ["a"])
    let kind = try model.update(
      module: { _ in "module" },
      stateDict: { state in
        state["b"] = try Tensor([2])
        return "state"
      })
    #expect(kind == "state")
    #expect(Array(model.stateDict().names) == ["a", "b"])
    struct Stop: Error {}
    #expect(throws: Stop.self) {
      try model.update(module: { _ in }, stateDict: { _ in throw Stop() })
    }
    #expect(Array(model.stateDict().names) == ["a", "b"])
  }
}
