import ModelArchitectures
import ModelCheckpoints
import ModelCore
import ModelReports
import ModelSurgery
import TestSupport
import Testing

@testable import ModelWorkflows

@Suite struct ModelStudyTests {
  private func study(_ name: String) throws -> ModelStudy {
    try ModelStudy(Checkpoint(try Architecture(named: name).module(), name: name))
  }

  /// YOLOv5's layers with what skips them: 4 and 14 join at 16 and 19, 6 and 10 at 12 and 22.
  @Test func detector() throws {
    let study = try study("yolov5n")
    let diagram = try #require(study.blocks.diagram)
    #expect(diagram.blocks.map(\.name) == ["input"] + (0...24).map { "model.\($0)" } + ["output"])
    #expect(diagram.blocks[5].type == "C3" && diagram.blocks[5].detail == "1×64×80×80")
    #expect(diagram.blocks.last?.detail == "1×25200×85")
    let skips = diagram.edges.filter { $0.to > $0.from + 1 }.map { [$0.from - 1, $0.to - 1] }
    #expect(skips == [[4, 16], [6, 12], [10, 22], [14, 19], [17, 24], [20, 24]])
    #expect(study.blocks.otherParameters == 0)
    #expect(study.blocks.blocks.reduce(0) { $0 + $1.parameters } == study.parameters)
    let macs = study.blocks.blocks.reduce(0) { $0 + ($1.macs ?? 0) }
    #expect(abs(macs - (try #require(study.macs))) < 1)
    #expect(study.fusion?.fused.count == 57)
  }

  @Test(arguments: ["resnet18", "vit_b_16", "densenet121", "inception_v3", "swin_t", "yolov6n"])
  func everyParameterIsCounted(name: String) throws {
    let study = try study(name)
    let counted = study.blocks.blocks.reduce(0) { $0 + $1.parameters } + study.blocks.otherParameters
    #expect(counted == study.parameters && study.blocks.diagram != nil)
    #expect((4...BlockTree.most).contains(study.blocks.blocks.count))
    let macs = study.blocks.blocks.reduce(0) { $0 + ($1.macs ?? 0) }
    #expect(macs <= (try #require(study.macs)) * 1.000001)
  }

  @Test func onnx() throws {
    let module = try Architecture(named: "yolov5n").module()
    let folder = try TemporaryFolder()
    try module.exported().model.write(to: folder["n.onnx"])
    let study = try ModelStudy(Checkpoint(contentsOf: folder["n.onnx"]))
    #expect(study.onnx != nil && study.info == nil)
    let diagram = try #require(study.blocks.diagram)
    #expect(diagram.blocks.count > 20 && diagram.edges.contains { $0.to > $0.from + 1 })
  }

  @Test func bareStateDict() throws {
    let state = StateDict([
      "a.0.weight": try Tensor([1, 0, 3, 4], [2, 2]), "a.0.bias": try Tensor([1, 2]), "scale": try Tensor([1]),
    ])
    let study = try ModelStudy(Checkpoint(state, name: "bare"))
    #expect(study.blocks.diagram == nil && study.blocks.blocks.map(\.path) == ["a.0"])
    #expect(study.blocks.blocks[0].parameters == 6 && study.blocks.otherParameters == 1)
    #expect(study.fusion == nil && study.fusionReason?.contains("of no known architecture") == true)
    let html = try ModelReport([study]).html()
    #expect(html.contains("There is no graph") && html.contains("25.0 %"))
  }

  @Test func comparison() throws {
    let first = try study("resnet18")
    var module = try Architecture(named: "resnet18").module()
    try module.prune(amount: 0.5)
    let second = try ModelStudy(Checkpoint(module, name: "<pruned>"))
    let difference = try StateDictDiff(first.state, second.state)
    let html = try ModelReport([first, second], difference: difference).html()
    #expect(html.contains("<h2>Difference</h2>") && html.contains("20 of 122") && !html.contains("<pruned>"))
  }

  @Test func figures() {
    #expect(
      FigureText.short(999) == "999" && FigureText.short(1_872_157) == "1.87 M" && FigureText.short(999_999) == "1 M")
    #expect(
      [0, 0.0001, 0.286, 0.9999, 1].map(FigureText.percent) == ["0.0 %", "< 0.1 %", "28.6 %", "> 99.9 %", "100.0 %"])
    #expect(FigureText.change(-9504) == "-9,504" && FigureText.change(12) == "+12" && FigureText.change(0) == "0")
    #expect(ShapeText.list([[1, 2], [3]]) == "1×2 +1" && ShapeText.list([]) == "" && ShapeText.one([]) == "scalar")
  }
}
