import ModelUtils
import Testing

@Suite struct ONNXModels {
  @Test func exportFuseAndRun() throws {
    try withFolder { folder in
      let (file, output) = ("\(folder)/best.onnx", "\(folder)/fused.onnx")
      let module = try Architecture(named: "resnet18").module()

      var options = ExportOptions()
      options.imageSize = (64, 96)
      let exported = try module.exported(options).model
      try exported.write(to: file)
      #expect(exported.graph.inputs.map(\.name) == ["images"])

      var model = try ONNXModel(contentsOf: file)
      print(model.opset, model.graph.nodes.count, model.weightCounts.parameters)
      let report = try model.fuse()
      print(report.fused.count, report.absorbed.count, report.refused.map(\.reason))
      model.strip()
      try model.write(to: output, data: .beside)
      #expect(report.fused.isEmpty && report.refused.isEmpty)

      var inputs = ONNXInputs()
      inputs.imageSize = [64, 96]
      let trace = try model.trace(inputs)
      print(trace.macs, trace.types.count, trace.unsized.map(\.operation))
      let outputs = try trace.run(trace.randomInputs())
      #expect(outputs["output0"]?.shape == [1, 1000] && trace.unsized.isEmpty)
    }
  }
}
