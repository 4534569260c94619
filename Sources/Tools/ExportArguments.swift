import ArgumentParser
import ModelUtils
import SystemPackage

/// How `convert` writes a model as ONNX.
struct ExportArguments: ParsableArguments {
  @Option(help: ArgumentHelp("How many pictures the exported model takes at once. Default: 1.", valueName: "n"))
  var batchSize: Int?

  @Flag(help: "Let the exported model take other batches, and pictures of other sizes where it can.")
  var dynamic = false

  @Option(help: ArgumentHelp("ONNX's edition of operators, 12 to 22. Default: 17.", valueName: "n"))
  var opset: Int?

  @Flag(help: "Export the maps of a detector's levels in place of boxes.")
  var rawHead = false

  /// Whether any of them was given.
  var isGiven: Bool { batchSize != nil || dynamic || opset != nil || rawHead }

  func validate() throws {
    if let batchSize, !(1...4096).contains(batchSize) {
      throw ValidationError("--batch-size takes a number from 1 to 4096")
    }
    if let opset, !ONNXExportOptions.opsets.contains(opset) {
      throw ValidationError("--opset takes a number from 12 to 22")
    }
  }

  /// Exports a file's model.
  func export(
    _ checkpoint: Checkpoint, size: ImageSize?, shape: [Int]?, dtype: DType?, _ verification: VerifyOptions,
    _ report: ReportOptions, write: (ONNXModel) throws -> String
  ) throws -> ExportResult {
    let module = try checkpoint.computableModule(report.talk)
    var options = ExportOptions()
    options.imageSize = size.map { ($0.height, $0.width) }
    (options.batchSize, options.shape, options.isDynamic) = (batchSize ?? 1, shape, dynamic)
    (options.opset, options.dtype, options.givesRawHead) = (opset ?? 17, dtype ?? .float32, rawHead)
    let exported = try checkpoint.named {
      try module.exported(options, file: FilePath(checkpoint.name).lastComponent?.string)
    }
    if let reason = exported.fixedSizeReason { report.note("only the batch is dynamic: \(reason)") }
    let verified = try checkpoint.named {
      try verify(exported.model, against: module, options, verification)
    }
    try verified?.judge(report)
    let place = try write(exported.model)
    let graph = exported.model.graph
    return ExportResult(
      nodes: graph.nodes.count, tensors: graph.initializers.count, opset: exported.model.opset,
      inputs: graph.inputs.map(\.name), outputs: graph.outputs.map(\.name), verified: verified, output: place)
  }

  /// Runs the module and its export on the same input; nil unless it is asked for.
  private func verify(
    _ model: ONNXModel, against module: Module, _ options: ExportOptions, _ verification: VerifyOptions
  ) throws -> OutputComparison? {
    guard verification.verify else { return nil }
    var inputs = ONNXInputs()
    let size = options.imageSize ?? module.pictureSize
    (inputs.imageSize, inputs.batchSize) = ([size.height, size.width], options.batchSize)
    let trace = try model.trace(inputs)
    let random = try trace.randomInputs()
    let tensors =
      verification.input.input.isEmpty
      ? trace.inputs.compactMap { random[$0.name] } : try verification.input.tensors(for: module)
    return try module.compareOutputs(
      with: model, inputs: tensors, tolerance: verification.tolerance ?? (options.dtype == .float16 ? 2e-2 : 1e-4))
  }
}

/// What `convert` tells of an exported model.
struct ExportResult: Encodable {
  let nodes: Int
  let tensors: Int
  let opset: Int
  let inputs: [String]
  let outputs: [String]
  let verified: OutputComparison?
  let output: String

  func show(_ writing: WritingOptions, _ report: ReportOptions) throws {
    if report.json { return try Results.print(json: self) }
    if let verified { Results.print("Verified: \(verified)") }
    Results.print("\(writing.told(output)): \(nodes) nodes, \(tensors) tensors, opset \(opset)")
  }
}
