import ModelCore
import SystemPackage
import TestSupport
import Testing

@testable import ModelCheckpoints

@Suite struct ONNXModelTests {
  private func network(_ count: Int = 512) throws -> ONNXModel {
    let weight = try ONNXTensor("w", try Tensor((0..<count).map(Float.init), [count]))
    let small = try ONNXTensor("s", try Tensor([Int64(2), 3]))
    var graph = ONNXGraph(
      name: "g", nodes: [ONNXNode("Mul", ["x", "w"], ["y"], name: "/mul", attributes: [ONNXAttribute("axis", 1)])],
      initializers: [weight, small], inputs: [ONNXValueInfo("x", .float32, shape: [.symbol("batch"), .fixed(count)])],
      outputs: [ONNXValueInfo("y", .float32, shape: nil)])
    graph.docString = "doc"
    var model = ONNXModel(graph: graph, opset: 17, irVersion: 8, producerName: "p", producerVersion: "1")
    model.metadata = ["stride": "32"]
    return model
  }

  private func bytes(of path: FilePath) throws -> [UInt8] {
    let file = try FileBytes(mapping: path)
    return withExtendedLifetime(file) { Array(file.bytes) }
  }

  @Test func whatIsWrittenIsRead() throws {
    let folder = try TemporaryFolder()
    let path = folder.path.appending("m.onnx")
    try network().write(to: path)
    let model = try ONNXModel(contentsOf: path)
    #expect(
      model.opset == 17 && model.irVersion == 8 && model.producerName == "p" && model.metadata == ["stride": "32"])
    #expect(model.graph.name == "g" && model.graph.docString == "doc")
    #expect(model.graph.nodes[0].inputs == ["x", "w"] && model.graph.nodes[0].attribute("axis")?.int == 1)
    #expect(model.graph.inputs[0].kind == .tensor(.float32, shape: [.symbol("batch"), .fixed(512)]))
    #expect(model.graph.outputs[0].kind == .tensor(.float32, shape: nil))
    #expect(try model.graph.initializers[1].tensor().elements(of: Int64.self) == [2, 3])
    #expect(try model.stateDict().names == ["w", "s"])
    #expect(model.weightCounts.parameters == 512)
    #expect(try ONNXModel.stands(at: path))
  }

  @Test func anEditChangesNothingElse() throws {
    let folder = try TemporaryFolder()
    let path = folder.path.appending("m.onnx")
    try network().write(to: path)
    let before = try bytes(of: path)
    var model = try ONNXModel(contentsOf: path)
    model.graph.nodes[0].name = "/MUL"
    try model.write(to: path)
    let after = try bytes(of: path)
    #expect(after.count == before.count && zip(before, after).count { $0 != $1 } == 3)
    try model.setConstants(["w": try Tensor([Float](repeating: 1, count: 512), [512])])
    try model.write(to: path)
    #expect(try ONNXModel(contentsOf: path).graph.initializers[0].tensor().floats().allSatisfy { $0 == 1 })
  }

  @Test func weightsBesideTheModel() throws {
    let folder = try TemporaryFolder()
    let path = folder.path.appending("m.onnx")
    let data = folder.path.appending("m.onnx.data")
    try network().write(to: path, data: .beside)
    #expect(try FileBytes(mapping: data).count == 2048)
    let model = try ONNXModel(contentsOf: path)
    #expect(model.graph.initializers.map(\.isExternal) == [true, false])
    #expect(try model.graph.initializers[0].tensor().floats()[511] == 511)
    // Over itself: the new data has a name of its own until the old is gone.
    try model.write(to: path)
    #expect(try ONNXModel(contentsOf: path).graph.initializers[0].tensor().floats()[511] == 511)
    #expect(refusal { _ = try FileBytes(mapping: data) }?.contains("cannot be opened") == true)
    try ONNXModel(contentsOf: path).write(to: path, data: .inside)
    #expect(try ONNXModel(contentsOf: path).graph.initializers.map(\.isExternal) == [false, false])
  }

  @Test(arguments: ["", "../m.data", "/m.data", "a/../m.data", "m.onnx"])
  func dataOutsideTheFolderIsRefused(_ name: String) throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("", to: "m.onnx")
    let line = refusal { _ = try ExternalFolder(of: path).path(of: name) }
    #expect(line?.contains("names the data file '\(name)'") == true)
  }

  @Test func constantsOfTheSameNameAreToldApart() throws {
    func branch(_ value: Float) throws -> ONNXGraph {
      ONNXGraph(name: "b", initializers: [try ONNXTensor("w", try Tensor([value, value]))])
    }
    let choice = ONNXNode(
      "If", ["c"], ["y"], name: "if",
      attributes: [
        ONNXAttribute("then_branch", .graph(try branch(1))), ONNXAttribute("else_branch", .graph(try branch(2))),
      ])
    var model = ONNXModel(
      graph: ONNXGraph(name: "g", nodes: [choice]), opset: 17, irVersion: 8, producerName: "", producerVersion: "")
    #expect(model.constants.map(\.name) == ["w", "if/else_branch/w"])
    try model.setConstants(["if/else_branch/w": try Tensor([Float(5), 5])])
    #expect(try model.constants.map { try $0.tensor.tensor().floats()[0] } == [1, 5])
  }

  @Test(
    arguments: [([], "is empty"), (Array("hello".utf8), "wire type"), ([0x08, 8], "without a graph")]
      as [([UInt8], String)])
  func whatIsNoModelIsRefused(_ bytes: [UInt8], _ reason: String) {
    #expect(refusal { _ = try ONNXModel(FileBytes(name: "m.onnx", copying: bytes)) }?.contains(reason) == true)
  }
}
