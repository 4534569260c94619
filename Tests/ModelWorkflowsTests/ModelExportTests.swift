import ModelArchitectures
import ModelCheckpoints
import ModelCore
import ModelONNX
import TestSupport
import Testing

@testable import ModelWorkflows

@Suite struct ModelExportTests {
  private func detector() throws -> Module { try Architecture(named: "yolov5n").module() }

  private func small(_ change: (inout ExportOptions) -> Void = { _ in }) -> ExportOptions {
    var options = ExportOptions()
    options.imageSize = (64, 96)
    change(&options)
    return options
  }

  private func lengths(_ info: ONNXValueInfo) -> [ONNXValueInfo.Dimension] {
    if case .tensor(.float32, let shape?) = info.kind { shape } else { [] }
  }

  @Test func boxesUnderTheirNames() throws {
    let graph = try detector().exported(small()).model.graph
    #expect(graph.inputs.map(\.name) == ["images"] && graph.outputs.map(\.name) == ["output0"])
    #expect(lengths(graph.inputs[0]) == [.fixed(1), .fixed(3), .fixed(64), .fixed(96)])
    #expect(lengths(graph.outputs[0]) == [.fixed(1), .fixed(378), .fixed(85)])
    #expect(!graph.nodes.contains { $0.operation == "BatchNormalization" })
  }

  @Test func metadataOfYOLOv5() throws {
    var model = try detector()
    model.attributes["names"] = .list([.string("it's"), .string("a \\ b")])
    let metadata = try model.exported(small()).model.metadata
    #expect(metadata == ["stride": "32", "names": "{0: 'it\\'s', 1: 'a \\\\ b'}"])
  }

  @Test func rawHead() throws {
    let graph = try detector().exported(small { $0.givesRawHead = true }).model.graph
    #expect(
      graph.outputs.map(lengths) == [
        [.fixed(1), .fixed(255), .fixed(8), .fixed(12)], [.fixed(1), .fixed(255), .fixed(4), .fixed(6)],
        [.fixed(1), .fixed(255), .fixed(2), .fixed(3)],
      ])
  }

  @Test func dynamicAxes() throws {
    let exported = try detector().exported(small { $0.isDynamic = true })
    #expect(exported.fixedSizeReason == nil)
    #expect(
      lengths(exported.model.graph.inputs[0]) == [.symbol("batch"), .fixed(3), .symbol("height"), .symbol("width")])
    #expect(lengths(exported.model.graph.outputs[0]) == [.symbol("batch"), .unknown, .fixed(85)])
  }

  @Test func refusals() throws {
    let model = try detector()
    #expect(
      refusal { _ = try model.exported(small { $0.dtype = .bfloat16 }) }
        == "a model is exported in float32 or float16, not bfloat16")
    #expect(
      refusal { _ = try model.exported(small { $0.imageSize = (40, 96) }) }?.contains("cannot join shapes") == true)
    #expect(
      refusal { _ = try model.exported(small { $0.opset = 9 }) } == "opset 9 is none of 12 to 22")
    var classifier = model
    classifier.updateModules { _, module in
      if module.className.name == "Detect" { module.className = ClassName("mine", "Head") }
    }
    #expect(refusal { _ = try classifier.exported(small()) } == "model.24: the forward of mine.Head is not known")
  }

  @Test func textsInPython() {
    #expect(PythonText.string("a'b\\c\nd\u{1}é") == "'a\\'b\\\\c\\nd\\x01é'")
    #expect(PythonText.number(32) == "32" && PythonText.number(0.5) == "0.5")
    #expect(PythonText.bool(true) == "True")
    #expect(PythonText.dictionary(ClassNames([2: "b", 0: "a"])) == "{0: 'a', 2: 'b'}")
  }
}
