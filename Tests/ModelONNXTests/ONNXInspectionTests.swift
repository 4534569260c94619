import ModelCheckpoints
import ModelCore
import Testing

@testable import ModelONNX

@Suite struct ONNXInspectionTests {
  private func product() throws -> ONNXModel {
    try model(
      [
        ONNXNode("MatMul", ["x", "w"], ["m"]), ONNXNode("Relu", ["m"], ["r"]), ONNXNode("Gemm", ["r", "w2"], ["g"]),
        ONNXNode("MatMul", ["g", "w3"], ["y"]),
      ],
      inputs: [("x", .float32, [.symbol("batch"), .fixed(4)])],
      weights: [("w", try counted([4, 8])), ("w2", try counted([8, 8])), ("w3", try counted([8, 2]))])
  }

  @Test func multiplicationsByOperator() throws {
    var inputs = ONNXInputs()
    inputs.batchSize = 3
    let info = try ONNXInfo(product(), inputs)
    // Three rows by 4 x 8 and by 8 x 2, and by 8 x 8.
    #expect(info.operatorMacs["MatMul"] == 144)
    #expect(info.operatorMacs["Gemm"] == 192)
    #expect(info.operatorMacs.count == 2)
    #expect(info.operatorMacs.values.reduce(0, +) == info.modules.reduce(0) { $0 + $1.macs })
  }

  @Test func multiplicationsWithinABranch() throws {
    var then = ONNXGraph(name: "then", nodes: [ONNXNode("MatMul", ["x", "w"], ["m"])])
    then.outputs = [ONNXValueInfo("m", .float32, shape: nil)]
    let choice = ONNXNode(
      "If", ["always"], ["y"],
      attributes: [ONNXAttribute("then_branch", .graph(then)), ONNXAttribute("else_branch", .graph(then))])
    let model = try model(
      [choice], inputs: [("x", .float32, [.fixed(3), .fixed(4)])],
      weights: [("w", try counted([4, 8])), ("always", try Tensor(integers: [1] as [Int], .bool, []))])
    let macs = try ONNXInfo(model).operatorMacs
    #expect(macs["MatMul"] == 96)
    #expect(macs.count == 1)
  }

  private func findings(recording name: String, _ type: ONNXElementType, _ shape: [ONNXValueInfo.Dimension]?) throws
    -> [String]
  {
    var model = try product()
    model.graph.valueInfo = [ONNXValueInfo(name, type, shape: shape)]
    return ONNXCheck(model).findings.map { "\($0.severity.rawValue) \($0.name): \($0.what)" }
  }

  @Test(
    arguments: [
      [.symbol("batch"), .fixed(8)], [.symbol("other"), .symbol("?")], [.unknown, .fixed(8)], [.unknown, .unknown],
      // Exported for one size, and the batch opened afterwards.
      [.fixed(1), .fixed(8)], [.fixed(16), .fixed(8)], [.fixed(0), .fixed(-1)], nil,
    ] as [[ONNXValueInfo.Dimension]?])
  func shapesThatMayBe(_ shape: [ONNXValueInfo.Dimension]?) throws {
    #expect(try findings(recording: "m", .float32, shape) == [])
  }

  @Test func shapesThatContradict() throws {
    #expect(
      try findings(recording: "m", .float32, [.symbol("batch"), .fixed(7)])
        == ["warning m: is recorded as float32 [batch, 7] and computed as float32 [?, 8]"])
    #expect(
      try findings(recording: "g", .float32, [.symbol("batch")])
        == ["warning g: is recorded as float32 [batch] and computed as float32 [?, 8]"])
    #expect(
      try findings(recording: "r", .int64, [.symbol("batch"), .fixed(8)])
        == ["broken r: is recorded as int64 [batch, 8] and computed as float32 [?, 8]"])
  }

  @Test func whatCannotBeSizedContradictsNothing() throws {
    var model = try model(
      [ONNXNode("Unique", ["x"], ["u"]), ONNXNode("Relu", ["u"], ["y"])], inputs: [("x", .float32, [.fixed(9)])])
    model.graph.valueInfo = [ONNXValueInfo("u", .float32, shape: [.fixed(3)])]
    model.graph.outputs = [ONNXValueInfo("y", .float32, shape: [.fixed(3)])]
    #expect(ONNXCheck(model).findings.isEmpty)
  }

  @Test func shapesOfOneSizeAreComparedWhole() throws {
    var model = try model(
      [ONNXNode("Relu", ["x"], ["m"]), ONNXNode("Abs", ["m"], ["y"])],
      inputs: [("x", .float32, [.fixed(2), .fixed(4)])])
    model.graph.valueInfo = [ONNXValueInfo("m", .float32, shape: [.fixed(1), .fixed(4)])]
    model.graph.outputs = [ONNXValueInfo("y", .float32, shape: [.fixed(2), .fixed(5)])]
    #expect(ONNXCheck(model).findings.map(\.name) == ["m", "y"])
  }

  @Test func examplesOfShapesHaveTheInputsAxes() {
    func example(_ shape: [ONNXValueInfo.Dimension]?) -> String {
      ONNXValueInfo("in", .float32, shape: shape).exampleShape
    }
    #expect(example([.fixed(2), .unknown, .symbol("n")]) == "in=2x16x16" && example(nil) == "in=1x16")
    #expect(example([.symbol("n"), .fixed(3)]) == "in=1x3")
  }
}
