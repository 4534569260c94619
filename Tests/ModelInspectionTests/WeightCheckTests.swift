import ModelCore
import ModelInspection
import Testing

@Suite struct WeightCheckTests {
  func findings(_ state: StateDict) throws -> [String] {
    try WeightCheck(state).findings.map { "\($0.severity.rawValue) \($0.name): \($0.what)" }
  }

  @Test func nothing() throws {
    #expect(try findings(StateDict(["weight": try Tensor([1, 2, 3, 4], [2, 2])])).isEmpty)
    #expect(try findings(StateDict(["empty": try Tensor(.float32, [0, 3])])).isEmpty)
  }

  @Test func numbers() throws {
    let state = StateDict([
      "a": try Tensor([.nan, .infinity, 65520, 1e-9]), "c.weight": try Tensor([0, 0, 1, 0], [2, 2]),
      "c.running_var": try Tensor([0, -1, 1]),
    ])
    #expect(
      try findings(state) == [
        "broken a: 1 of 4 elements are NaN", "broken a: 1 of 4 elements are infinite",
        "warning a: 1 elements would become infinite in float16", "info a: 1 elements would become zero in float16",
        "warning c.weight: 1 of 2 channels are dead: all their weights are zero",
        "broken c.running_var: 1 running variances are negative", "warning c.running_var: 1 running variances are zero",
      ])
  }

  @Test func epsilonThatAStateDictLoses() throws {
    let norm = Module(
      ClassName("torch.nn.modules.batchnorm", "BatchNorm2d"), layer: .batchNorm(.init(rank: 2, features: 1, eps: 1e-3)))
    let model = Module(ClassName("a", "A"), children: ["bn": norm])
    #expect(try WeightCheck(model).findings.map(\.name) == ["bn"])
  }
}
