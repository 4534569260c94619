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
    func counts(_ name: String, _ tensor: Tensor, beside others: [String] = []) throws -> Bool {
      var state = StateDict([name: tensor])
      for other in others { state[other] = try Tensor([1]) }
      return state.isParameter(name)
    }
    let floating = try Tensor([1])
    let integer = try Tensor(.int64, [])
    let counter = try Tensor(.float64, [1])
    for name in [
      "weight", "a.weight", "running", "a.running_mean.weight", "a.total_ops", "a.weight_mask", "weight_u", "a_v",
    ] {
      #expect(try counts(name, floating), "\(name)")
      #expect(try !counts(name, integer), "\(name)")
    }
    for name in ["running_mean", "a.running_mean", "a.b.running_var", "a.num_batches_tracked"] {
      #expect(try !counts(name, floating), "\(name)")
    }
    for name in ["total_ops", "a.total_params"] { #expect(try !counts(name, counter), "\(name)") }
    #expect(try counts("a.total_params", Tensor(.float64, [2])))
    for name in ["a.weight_mask", "a.weight_u", "a.weight_v"] {
      #expect(try !counts(name, floating, beside: ["a.weight_orig"]), "\(name)")
    }
    #expect(try counts("a.weight_mask", Tensor([1, 2]), beside: ["a.weight_orig"]))
    #expect(try counts("a.weight_v", floating, beside: ["a.weight_g"]))
    #expect(try !counts("a.parametrizations.weight.0._u", floating))
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
